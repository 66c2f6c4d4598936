-- What the principal may read that runs asklake's statements: the `reader` of databricks.yml, or the one that asklake signs in to a SQL
-- warehouse as. Put its application id in place of READER, and the lake's catalog in place of main. Run by an owner of both.
GRANT USE CATALOG ON CATALOG main TO `READER`;
GRANT USE SCHEMA ON SCHEMA main.imdb TO `READER`;
-- Tables and views, also those that come later. No EXECUTE: a function such as ai_movie_summary costs a model call for each row.
GRANT SELECT ON SCHEMA main.imdb TO `READER`;

-- Nothing that writes may have come from elsewhere. This must show no MODIFY, CREATE …, EXECUTE, ALL PRIVILEGES or MANAGE:
SHOW GRANTS `READER` ON SCHEMA main.imdb;
SHOW GRANTS `READER` ON CATALOG main;
