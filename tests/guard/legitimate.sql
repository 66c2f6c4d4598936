# Statements that the guard must admit.
# One entry: a line `=== category: comment`, optionally ` => words that the admitted form contains`, then the statement.

=== simple: a constant
SELECT 1
=== simple: a trailing semicolon
SELECT primaryTitle FROM imdb.movies_delta LIMIT 5;
=== simple: several trailing semicolons and blanks
SELECT 1 ; ;  
=== simple: lower case keywords
select primarytitle from imdb.movies_delta where startyear = 1999
=== simple: all columns of a view
SELECT * FROM imdb.movies_with_ratings WHERE titleType = 'movie'
=== simple: columns left out
SELECT * EXCEPT (isAdult, endYear) FROM imdb.movies_delta
=== simple: all columns of one side
SELECT m.*, r.numVotes FROM imdb.movies_delta m JOIN imdb.ratings_delta r ON m.tconst = r.tconst
=== simple: distinct values
SELECT DISTINCT titleType FROM imdb.movies_delta ORDER BY titleType
=== simple: an alias without AS => AS title
SELECT primaryTitle title FROM imdb.movies_delta
=== simple: an alias with a blank and letters of any script => AS `Jahr – année`
SELECT startYear AS `Jahr – année` FROM imdb.movies_delta
=== simple: an alias that is a keyword => AS `order`
SELECT 1 AS order
=== simple: an alias that the parser could take for a clause => AS `filter`
SELECT count(*) filter FROM imdb.movies_delta
=== simple: a column and an alias called year
SELECT startYear AS year, count(*) AS n FROM imdb.movies_delta GROUP BY year ORDER BY year
=== name: backticks => FROM imdb.movies_delta AS m
SELECT `m`.`primaryTitle` FROM `imdb`.`movies_delta` AS `m`
=== name: the whole name in one pair of backticks => FROM imdb.movies_delta
SELECT tconst FROM `imdb.movies_delta`
=== name: another case => FROM imdb.movies_delta
SELECT tconst FROM IMDB.Movies_Delta
=== name: without the schema => FROM imdb.ratings_delta
SELECT avg(averageRating) FROM ratings_delta
=== name: a view without the schema in another case => FROM imdb.movie_cast
SELECT primaryName FROM MOVIE_CAST WHERE category = 'director'
=== name: columns by table and schema
SELECT imdb.movies_delta.primaryTitle FROM imdb.movies_delta
=== name: a column by the table's name
SELECT movies_delta.primaryTitle FROM imdb.movies_delta
=== join: on keys
SELECT m.primaryTitle, r.averageRating FROM imdb.movies_delta AS m INNER JOIN imdb.ratings_delta AS r ON m.tconst = r.tconst WHERE r.numVotes >= 25000 ORDER BY r.averageRating DESC, r.numVotes DESC LIMIT 10
=== join: USING
SELECT primaryTitle, numVotes FROM imdb.movies_delta JOIN imdb.ratings_delta USING (tconst)
=== join: NATURAL
SELECT primaryTitle FROM imdb.movies_delta NATURAL JOIN imdb.ratings_delta
=== join: left
SELECT count(*) FROM imdb.movies_delta m LEFT OUTER JOIN imdb.ratings_delta r ON m.tconst = r.tconst WHERE r.tconst IS NULL
=== join: right
SELECT r.tconst FROM imdb.movies_delta m RIGHT JOIN imdb.ratings_delta r ON m.tconst = r.tconst
=== join: full
SELECT coalesce(m.tconst, r.tconst) FROM imdb.movies_delta m FULL OUTER JOIN imdb.ratings_delta r ON m.tconst = r.tconst
=== join: left semi
SELECT primaryName FROM imdb.persons_delta p LEFT SEMI JOIN imdb.principals_delta c ON p.nconst = c.nconst
=== join: left anti
SELECT primaryName FROM imdb.persons_delta p LEFT ANTI JOIN imdb.principals_delta c ON p.nconst = c.nconst
=== join: anti without a side
SELECT primaryName FROM imdb.persons_delta p ANTI JOIN imdb.principals_delta c ON p.nconst = c.nconst
=== join: by comma with a condition
SELECT m.primaryTitle FROM imdb.movies_delta m, imdb.ratings_delta r WHERE m.tconst = r.tconst AND r.averageRating > 9
=== join: cross with one row
SELECT r.tconst FROM imdb.ratings_delta r CROSS JOIN (SELECT avg(averageRating) AS mean FROM imdb.ratings_delta) a WHERE r.averageRating > a.mean
=== join: in parentheses
SELECT m.primaryTitle FROM imdb.movies_delta m JOIN (imdb.principals_delta c JOIN imdb.persons_delta p ON c.nconst = p.nconst) ON m.tconst = c.tconst
=== join: four tables
SELECT p.primaryName, count(*) AS films FROM imdb.movies_delta m JOIN imdb.ratings_delta r ON m.tconst = r.tconst JOIN imdb.principals_delta c ON c.tconst = m.tconst JOIN imdb.persons_delta p ON p.nconst = c.nconst GROUP BY p.primaryName HAVING count(*) > 1 ORDER BY films DESC
=== join: a table with itself
SELECT a.nconst, b.nconst FROM imdb.principals_delta a JOIN imdb.principals_delta b ON a.tconst = b.tconst AND a.nconst < b.nconst
=== join: a range of values
SELECT a.startYear, count(b.tconst) FROM imdb.movies_delta a JOIN imdb.movies_delta b ON b.startYear BETWEEN a.startYear - 2 AND a.startYear GROUP BY a.startYear
=== subquery: scalar
SELECT tconst FROM imdb.ratings_delta WHERE averageRating = (SELECT max(averageRating) FROM imdb.ratings_delta)
=== subquery: IN
SELECT primaryTitle FROM imdb.movies_delta WHERE tconst IN (SELECT tconst FROM imdb.principals_delta WHERE category = 'director')
=== subquery: NOT IN
SELECT primaryTitle FROM imdb.movies_delta WHERE tconst NOT IN (SELECT tconst FROM imdb.ratings_delta)
=== subquery: EXISTS
SELECT m.primaryTitle FROM imdb.movies_delta m WHERE EXISTS (SELECT 1 FROM imdb.ratings_delta r WHERE r.tconst = m.tconst AND r.numVotes > 100)
=== subquery: NOT EXISTS
SELECT m.primaryTitle FROM imdb.movies_delta m WHERE NOT EXISTS (SELECT 1 FROM imdb.ratings_delta r WHERE r.tconst = m.tconst)
=== subquery: in FROM
SELECT d.decade, avg(d.runtimeMinutes) FROM (SELECT startYear DIV 10 * 10 AS decade, runtimeMinutes FROM imdb.movies_delta) d GROUP BY d.decade
=== subquery: three deep
SELECT x FROM (SELECT x FROM (SELECT x FROM (SELECT startYear AS x FROM imdb.movies_delta) a) b) c
=== subquery: in the projection
SELECT m.primaryTitle, (SELECT max(r.numVotes) FROM imdb.ratings_delta r WHERE r.tconst = m.tconst) AS votes FROM imdb.movies_delta m
=== subquery: with its own limit, which stays => LIMIT 5000) AS s
SELECT avg(s.runtimeMinutes) FROM (SELECT runtimeMinutes FROM imdb.movies_delta ORDER BY startYear LIMIT 5000) AS s
=== subquery: LATERAL
SELECT m.primaryTitle, x.n FROM imdb.movies_delta m, LATERAL (SELECT count(*) AS n FROM imdb.principals_delta p WHERE p.tconst = m.tconst) AS x
=== subquery: in HAVING
SELECT startYear FROM imdb.movies_delta GROUP BY startYear HAVING count(*) > (SELECT count(*) / 100 FROM imdb.movies_delta)
=== cte: one
WITH top AS (SELECT * FROM imdb.movies_with_ratings WHERE numVotes > 1000) SELECT primaryTitle FROM top ORDER BY averageRating DESC LIMIT 10
=== cte: each sees the ones before
WITH a AS (SELECT * FROM imdb.movies_delta), b AS (SELECT * FROM a WHERE startYear > 2000), c AS (SELECT count(*) AS n FROM b) SELECT n FROM c
=== cte: its name in another case => FROM Films
WITH Films AS (SELECT tconst FROM imdb.movies_delta) SELECT count(*) FROM FILMS
=== cte: named like a table of the catalog => FROM imdb.movies_delta WHERE
WITH movies_delta AS (SELECT * FROM movies_delta WHERE titleType = 'movie') SELECT count(*) FROM movies_delta
=== cte: with column names
WITH t(a, b) AS (SELECT tconst, startYear FROM imdb.movies_delta) SELECT a FROM t WHERE b = 2000
=== cte: inside a subquery
SELECT * FROM (WITH s AS (SELECT 1 AS n) SELECT n FROM s) x
=== cte: in a subquery, using an outer one
WITH o AS (SELECT tconst FROM imdb.ratings_delta) SELECT count(*) FROM imdb.movies_delta WHERE tconst IN (WITH i AS (SELECT tconst FROM o) SELECT tconst FROM i)
=== cte: an inner name hides an outer one
WITH s AS (SELECT 1 AS n) SELECT * FROM (WITH s AS (SELECT 2 AS n) SELECT n FROM s) x CROSS JOIN s
=== cte: called like a file format
WITH parquet AS (SELECT 1 AS a) SELECT a FROM parquet
=== cte: a name that is a keyword => WITH `first` AS
WITH first AS (SELECT 1 AS n) SELECT n FROM first
=== cte: without AS
WITH t (SELECT 1 AS n) SELECT n FROM t
=== cte: before a set operation
WITH t AS (SELECT 1 AS n) SELECT n FROM t UNION ALL SELECT n + 1 FROM t
=== set: UNION ALL
SELECT tconst FROM imdb.movies_delta UNION ALL SELECT tconst FROM imdb.ratings_delta
=== set: UNION with order and limit of the whole
SELECT primaryTitle AS t FROM imdb.movies_delta UNION SELECT primaryName FROM imdb.persons_delta ORDER BY t LIMIT 20
=== set: INTERSECT and EXCEPT
SELECT tconst FROM imdb.movies_delta INTERSECT SELECT tconst FROM imdb.ratings_delta EXCEPT SELECT tconst FROM imdb.principals_delta
=== set: MINUS => EXCEPT
SELECT tconst FROM imdb.movies_delta MINUS SELECT tconst FROM imdb.ratings_delta
=== set: branches in parentheses with their own limits => LIMIT 3) UNION ALL
(SELECT tconst FROM imdb.movies_delta ORDER BY startYear LIMIT 3) UNION ALL (SELECT tconst FROM imdb.movies_delta ORDER BY startYear DESC LIMIT 3)
=== set: UNION DISTINCT of constants
SELECT 1 UNION DISTINCT SELECT 2
=== values: as a statement
VALUES (1, 'a'), (2, 'b')
=== values: in FROM
SELECT id, n FROM VALUES (1, 'a'), (2, 'b') AS v(id, n)
=== values: in parentheses
SELECT v.id FROM (VALUES (1), (2)) AS v(id)
=== group: by position
SELECT startYear, count(*) FROM imdb.movies_delta GROUP BY 1 ORDER BY 2 DESC
=== group: ALL
SELECT titleType, startYear, count(*) FROM imdb.movies_delta GROUP BY ALL
=== group: ROLLUP
SELECT titleType, startYear, count(*) FROM imdb.movies_delta GROUP BY ROLLUP (titleType, startYear)
=== group: CUBE
SELECT titleType, isAdult, count(*), grouping_id() FROM imdb.movies_delta GROUP BY CUBE (titleType, isAdult)
=== group: WITH ROLLUP
SELECT titleType, count(*) FROM imdb.movies_delta GROUP BY titleType WITH ROLLUP
=== group: GROUPING SETS
SELECT titleType, startYear, count(*) FROM imdb.movies_delta GROUP BY GROUPING SETS ((titleType), (startYear), ())
=== group: an expression
SELECT floor(startYear / 10) * 10 AS decade, count(*) AS n FROM imdb.movies_delta GROUP BY floor(startYear / 10) * 10
=== group: a condition on the groups only
SELECT count(*) FROM imdb.movies_delta HAVING count(*) > 0
=== aggregate: distinct
SELECT count(DISTINCT nconst) FROM imdb.principals_delta
=== aggregate: filter
SELECT count(*) FILTER (WHERE averageRating > 8) AS good, count(*) AS every_one FROM imdb.ratings_delta
=== aggregate: count_if and conditional sum
SELECT count_if(numVotes > 1000), sum(CASE WHEN numVotes > 1000 THEN 1 ELSE 0 END) FROM imdb.ratings_delta
=== aggregate: percentiles
SELECT percentile_approx(averageRating, 0.5), percentile(averageRating, array(0.25, 0.75)), median(numVotes) FROM imdb.ratings_delta
=== aggregate: within a group
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY averageRating DESC) FROM imdb.ratings_delta
=== aggregate: max_by
SELECT max_by(tconst, numVotes), min_by(tconst, numVotes) FROM imdb.ratings_delta
=== aggregate: lists
SELECT startYear, sort_array(collect_set(titleType)), collect_list(primaryTitle)[0] FROM imdb.movies_delta GROUP BY startYear
=== aggregate: first without nulls
SELECT first_value(runtimeMinutes) IGNORE NULLS FROM imdb.movies_delta
=== aggregate: statistics
SELECT corr(averageRating, numVotes), stddev(averageRating), variance(averageRating), skewness(averageRating) FROM imdb.ratings_delta
=== aggregate: booleans
SELECT any(isAdult), every(isAdult), bool_or(isAdult), some(isAdult) FROM imdb.movies_delta
=== aggregate: approximate
SELECT approx_count_distinct(nconst) FROM imdb.principals_delta
=== aggregate: text of a group
SELECT tconst, array_join(collect_list(category), ', ') FROM imdb.principals_delta GROUP BY tconst
=== window: ranks
SELECT tconst, row_number() OVER (ORDER BY numVotes DESC) AS rn, rank() OVER (ORDER BY averageRating DESC), dense_rank() OVER (ORDER BY averageRating) FROM imdb.ratings_delta
=== window: partitions
SELECT * FROM (SELECT primaryTitle, startYear, row_number() OVER (PARTITION BY startYear ORDER BY averageRating DESC NULLS LAST) AS rn FROM imdb.movies_with_ratings) t WHERE rn <= 3
=== window: QUALIFY
SELECT primaryTitle, startYear FROM imdb.movies_with_ratings QUALIFY row_number() OVER (PARTITION BY startYear ORDER BY numVotes DESC) = 1
=== window: frames
SELECT startYear, sum(count(*)) OVER (ORDER BY startYear ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM imdb.movies_delta GROUP BY startYear
=== window: a frame by value
SELECT avg(runtimeMinutes) OVER (ORDER BY startYear RANGE BETWEEN 2 PRECEDING AND 2 FOLLOWING) FROM imdb.movies_delta
=== window: neighbours
SELECT lag(startYear, 1) OVER (ORDER BY startYear), lead(startYear) OVER (ORDER BY startYear) FROM imdb.movies_delta
=== window: named
SELECT avg(averageRating) OVER w, max(averageRating) OVER w FROM imdb.ratings_delta WINDOW w AS (PARTITION BY numVotes ORDER BY averageRating)
=== window: shares
SELECT titleType, count(*) / sum(count(*)) OVER () AS share FROM imdb.movies_delta GROUP BY titleType
=== window: tiles
SELECT ntile(4) OVER (ORDER BY numVotes), percent_rank() OVER (ORDER BY numVotes), cume_dist() OVER (ORDER BY numVotes) FROM imdb.ratings_delta
=== rows: LATERAL VIEW explode
SELECT g, count(*) AS n FROM imdb.movies_delta LATERAL VIEW explode(genres) t AS g GROUP BY g ORDER BY n DESC
=== rows: LATERAL VIEW OUTER
SELECT primaryTitle, g FROM imdb.movies_delta LATERAL VIEW OUTER explode(genres) x AS g
=== rows: two LATERAL VIEWs
SELECT p, k FROM imdb.persons_delta LATERAL VIEW explode(primaryProfession) a AS p LATERAL VIEW explode(knownForTitles) b AS k
=== rows: LATERAL VIEW posexplode
SELECT i, g FROM imdb.movies_delta LATERAL VIEW posexplode(genres) t AS i, g WHERE i = 0
=== rows: explode in the projection
SELECT tconst, explode(genres) AS genre FROM imdb.movies_delta
=== rows: posexplode with two names
SELECT posexplode(genres) AS (position, genre) FROM imdb.movies_delta
=== rows: explode in FROM
SELECT e.g FROM imdb.movies_delta m, LATERAL explode(m.genres) AS e(g)
=== rows: explode of a constant in FROM
SELECT * FROM explode(array(1, 2, 3)) AS t(n)
=== rows: a short range
SELECT y.id FROM range(1990, 2000) AS y
=== rows: years without films
SELECT y.id FROM range(1900, 2030, 1) AS y LEFT JOIN imdb.movies_delta m ON m.startYear = y.id WHERE m.tconst IS NULL
=== rows: a sequence between columns
SELECT explode(sequence(min(startYear), max(startYear))) FROM imdb.movies_delta
=== rows: stack
SELECT stack(2, 'a', 1, 'b', 2) AS (k, v)
=== rows: inline
SELECT inline(array(struct(1, 'a'), struct(2, 'b')))
=== rows: PIVOT
SELECT * FROM (SELECT startYear, titleType FROM imdb.movies_delta) PIVOT (count(*) FOR titleType IN ('movie' AS movies, 'short' AS shorts))
=== rows: UNPIVOT
SELECT * FROM imdb.movies_delta UNPIVOT (value FOR what IN (startYear, endYear))
=== rows: a sample
SELECT count(*) FROM imdb.movies_delta TABLESAMPLE (10 PERCENT)
=== rows: a sample of rows
SELECT primaryTitle FROM imdb.movies_delta TABLESAMPLE (5 ROWS) AS s
=== rows: a random order
SELECT primaryTitle FROM imdb.movies_delta ORDER BY rand() LIMIT 3
=== array: contains
SELECT count(*) FROM imdb.movies_delta WHERE array_contains(genres, 'Sci-Fi')
=== array: both of two
SELECT primaryTitle FROM imdb.movies_delta WHERE arrays_overlap(genres, array('Drama', 'Comedy')) AND size(genres) > 1
=== array: filter with a lambda
SELECT filter(genres, g -> g <> 'Drama') FROM imdb.movies_delta
=== array: transform with an index
SELECT transform(genres, (g, i) -> concat(g, ' ', i)) FROM imdb.movies_delta
=== array: exists as a function => exists(genres
SELECT primaryTitle FROM imdb.movies_delta WHERE exists(genres, g -> g LIKE 'Sci%')
=== array: forall
SELECT count(*) FROM imdb.movies_delta WHERE forall(genres, x -> x IS NOT NULL)
=== array: aggregate
SELECT aggregate(genres, 0, (total, g) -> total + length(g), total -> total * 10) FROM imdb.movies_delta
=== array: a lambda within a lambda
SELECT transform(array(array(1), array(2)), x -> filter(x, y -> y > 1))
=== array: by position
SELECT genres[0], element_at(genres, -1), slice(genres, 1, 2) FROM imdb.movies_delta
=== array: set functions
SELECT array_distinct(array_union(genres, array('x'))), array_except(genres, array('Drama')), array_join(genres, '/') FROM imdb.movies_delta
=== array: sorted by a lambda
SELECT array_sort(genres, (a, b) -> CASE WHEN a < b THEN -1 WHEN a > b THEN 1 ELSE 0 END) FROM imdb.movies_delta
=== array: maps
SELECT map('a', 1)['a'], map_keys(map('a', 1)), map_filter(map('a', 1), (k, v) -> v > 0), element_at(map('a', 1), 'a')
=== array: structs
SELECT named_struct('t', primaryTitle).t, struct(tconst, startYear).col1, struct(1 AS a).a FROM imdb.movies_delta
=== array: JSON
SELECT get_json_object(characters, '$[0]'), from_json(characters, 'array<string>')[0], to_json(struct(tconst)) FROM imdb.principals_delta
=== text: LIKE with an escape
SELECT primaryTitle FROM imdb.movies_delta WHERE primaryTitle LIKE '100!%%' ESCAPE '!'
=== text: LIKE with Spark's own escape => '10\\%%'
SELECT primaryTitle FROM imdb.movies_delta WHERE primaryTitle LIKE '10\%%'
=== text: ILIKE
SELECT primaryTitle FROM imdb.movies_delta WHERE primaryTitle ILIKE '%matrix%'
=== text: LIKE ANY
SELECT primaryTitle FROM imdb.movies_delta WHERE primaryTitle LIKE ANY ('The %', 'A %')
=== text: NOT LIKE
SELECT primaryTitle FROM imdb.movies_delta WHERE primaryTitle NOT LIKE 'The %'
=== text: RLIKE with escapes => '^\\d{4}$'
SELECT primaryTitle FROM imdb.movies_delta WHERE primaryTitle RLIKE '^\\d{4}$'
=== text: RLIKE with a raw string => '^\\w+\\s'
SELECT primaryTitle FROM imdb.movies_delta WHERE primaryTitle RLIKE r'^\w+\s'
=== text: REGEXP and NOT RLIKE
SELECT primaryTitle FROM imdb.movies_delta WHERE primaryTitle REGEXP '[0-9]' AND primaryTitle NOT RLIKE 'x'
=== text: a quote doubled => 'Schindler\u0027s List'
SELECT tconst FROM imdb.movies_delta WHERE primaryTitle = 'Schindler''s List'
=== text: a quote escaped => 'Schindler\u0027s List'
SELECT tconst FROM imdb.movies_delta WHERE primaryTitle = 'Schindler\'s List'
=== text: double quotes => 'Schindler\u0027s List'
SELECT tconst FROM imdb.movies_delta WHERE primaryTitle = "Schindler's List"
=== text: a statement inside a string
SELECT tconst FROM imdb.movies_delta WHERE primaryTitle = '; DROP TABLE imdb.movies_delta; --'
=== text: a comment inside a string
SELECT '-- no comment', '/* nor this */'
=== text: a backslash at a string's end => 'C:\\'
SELECT 'C:\\' AS drive, 'x' AS next
=== text: neighbours are one string => 'Star Wars'
SELECT tconst FROM imdb.movies_delta WHERE primaryTitle = 'Star ' 'Wars'
=== text: a variable in a string is no variable => \u0024{env:HOME}
SELECT '${env:HOME}'
=== text: nor one made of neighbours => \u0024{env:HOME}
SELECT '$' '{env:HOME}'
=== text: any script in strings
SELECT primaryTitle FROM imdb.movies_delta WHERE primaryTitle IN ('Amélie', '千と千尋の神隠し', 'Солярис', 'أفلام')
=== text: hidden characters in strings are shown => a\u202Eb\u200Bc
SELECT 'a<U+202E>b<U+200B>c'
=== text: functions
SELECT lower(trim(primaryTitle)), upper(left(primaryTitle, 3)), right(primaryTitle, 2), length(primaryTitle), reverse(primaryTitle), initcap(primaryTitle) FROM imdb.movies_delta
=== text: SUBSTRING, POSITION, TRIM and OVERLAY in words
SELECT substring(primaryTitle FROM 2 FOR 3), position('a' IN primaryTitle), trim(BOTH ' ' FROM primaryTitle), overlay(primaryTitle PLACING 'x' FROM 1) FROM imdb.movies_delta
=== text: split and regexp functions
SELECT split(primaryTitle, '\\s+')[0], regexp_extract(primaryTitle, '(\\d+)', 1), regexp_replace(primaryTitle, '[^a-z]', ''), split_part(primaryTitle, ' ', 1) FROM imdb.movies_delta
=== text: joined
SELECT primaryTitle || ' (' || startYear || ')', concat_ws(', ', genres), format_string('%s %d', primaryTitle, startYear) FROM imdb.movies_delta
=== text: likeness
SELECT primaryTitle FROM imdb.movies_delta ORDER BY levenshtein(lower(primaryTitle), 'the matrx') LIMIT 5
=== text: stars
SELECT primaryTitle, repeat('*', CAST(averageRating AS INT)) AS stars FROM imdb.movies_with_ratings
=== text: padded
SELECT lpad(tconst, 12, '0'), rpad(tconst, 12, ' ') FROM imdb.ratings_delta
=== text: a hexadecimal literal
SELECT X'1f', hex('abc'), md5('a'), sha2('a', 256)
=== number: operators
SELECT 7 DIV 2, 7 % 2, 7 / 2, -startYear, 1 & 3, 1 | 2, 1 ^ 3, ~1, 1 << 3 FROM imdb.movies_delta
=== number: two signs => -(-1)
SELECT - -1, 3 - -1
=== number: literals with types
SELECT 10L, 1.5D, 1.5BD, 2S, 3Y, 1e3, 1.5E-3, .5
=== number: rounding
SELECT round(avg(averageRating), 2), ceil(1.2), floor(1.8), bround(2.5), format_number(1234567.891, 2) FROM imdb.ratings_delta
=== number: null-safe comparison
SELECT count(*) FROM imdb.movies_delta WHERE endYear <=> startYear
=== number: other spellings of comparison
SELECT count(*) FROM imdb.movies_delta WHERE startYear == 2000 AND endYear != 2001 AND runtimeMinutes <> 90
=== number: distinct from
SELECT count(*) FROM imdb.movies_delta WHERE endYear IS DISTINCT FROM startYear AND endYear IS NOT DISTINCT FROM 2000
=== number: tuples
SELECT count(*) FROM imdb.movies_delta WHERE (startYear, titleType) IN ((1999, 'movie'), (2000, 'short'))
=== number: between
SELECT count(*) FROM imdb.movies_delta WHERE startYear BETWEEN 1990 AND 1999 AND runtimeMinutes NOT BETWEEN 10 AND 20
=== number: conditions
SELECT CASE WHEN averageRating >= 8 THEN 'good' WHEN averageRating >= 5 THEN 'fair' ELSE 'poor' END AS class, count(*) FROM imdb.ratings_delta GROUP BY 1
=== number: simple CASE
SELECT CASE titleType WHEN 'movie' THEN 1 ELSE 0 END FROM imdb.movies_delta
=== number: if, nvl, nullif
SELECT if(startYear IS NULL, 0, 1), nvl(endYear, startYear), nullif(startYear, 0), coalesce(endYear, 0), greatest(1, 2), ifnull(endYear, 1) FROM imdb.movies_delta
=== number: truth
SELECT count(*) FROM imdb.movies_delta WHERE isAdult IS TRUE OR isAdult IS NOT FALSE OR NOT isAdult OR !isAdult
=== number: a long list
SELECT count(*) FROM imdb.movies_delta WHERE startYear IN (1990, 1991, 1992, 1993, 1994, 1995, 1996, 1997, 1998, 1999, 2000, 2001, 2002)
=== cast: types
SELECT CAST(startYear AS STRING), CAST('1' AS BIGINT), CAST(1 AS DECIMAL(10, 2)), CAST('2020-01-01' AS DATE), CAST(1 AS BOOLEAN) FROM imdb.movies_delta
=== cast: nested types
SELECT CAST(NULL AS ARRAY<ARRAY<STRING>>), CAST(NULL AS MAP<STRING, INT>), CAST(genres AS ARRAY<STRING>) FROM imdb.movies_delta
=== cast: try
SELECT try_cast(primaryTitle AS INT) FROM imdb.movies_delta WHERE try_cast(primaryTitle AS INT) IS NOT NULL
=== cast: by colons => CAST(startYear AS STRING)
SELECT startYear::string || 's' FROM imdb.movies_delta
=== cast: functions named like types
SELECT int('1'), string(1), double('1.5'), date('2020-01-01')
=== date: parts
SELECT year(current_date()), month(DATE '2020-02-03'), extract(DAY FROM DATE '2020-02-03'), dayofweek(current_date), quarter(now())
=== date: format
SELECT date_format(current_date(), 'yyyy/MM'), date_format(TIMESTAMP '2024-01-15 10:11:12', 'EEEE')
=== date: intervals
SELECT current_date() - INTERVAL '1' YEAR, current_date() + INTERVAL 3 DAYS, current_timestamp() - INTERVAL '1 hour', INTERVAL '1-2' YEAR TO MONTH
=== date: differences
SELECT datediff(current_date(), DATE '2000-01-01'), months_between(current_date(), DATE '2000-01-01'), timestampdiff(YEAR, DATE '2000-01-01', current_date()), date_add(current_date(), 7), dateadd(MONTH, 1, current_date())
=== date: made of a year
SELECT make_date(startYear, 1, 1), to_date(CAST(startYear AS STRING), 'yyyy'), date_trunc('DECADE', make_date(startYear, 1, 1)), trunc(make_date(startYear, 1, 1), 'YEAR') FROM imdb.movies_delta
=== date: how old is a film
SELECT primaryTitle, year(current_date()) - startYear AS age FROM imdb.movies_delta ORDER BY age DESC NULLS LAST
=== order: nulls and directions
SELECT tconst FROM imdb.movies_delta ORDER BY startYear ASC NULLS FIRST, endYear DESC NULLS LAST, tconst
=== order: ALL
SELECT titleType, startYear FROM imdb.movies_delta ORDER BY ALL
=== limit: an offset
SELECT tconst FROM imdb.movies_delta ORDER BY tconst LIMIT 10 OFFSET 20
=== limit: an offset alone => LIMIT 1001 OFFSET 20
SELECT tconst FROM imdb.movies_delta ORDER BY tconst OFFSET 20
=== limit: ALL => LIMIT 1001
SELECT tconst FROM imdb.movies_delta LIMIT ALL
=== limit: more than allowed => LIMIT 1001
SELECT tconst FROM imdb.movies_delta LIMIT 1000000
=== limit: in parentheses around everything => LIMIT 7
((SELECT tconst FROM imdb.movies_delta LIMIT 7))
=== limit: none at all is wanted => LIMIT 0
SELECT tconst FROM imdb.movies_delta LIMIT 0
=== comment: at every place => SELECT primaryTitle FROM imdb.movies_delta LIMIT 1001
/* a */ SELECT -- b
primaryTitle /* c /* d */ ; */ FROM imdb.movies_delta -- e
=== comment: a hint is left out => SELECT * FROM imdb.movies_delta AS m JOIN
SELECT /*+ BROADCAST(r), COALESCE(1) */ * FROM imdb.movies_delta m JOIN imdb.ratings_delta r USING (tconst)
=== comment: one that a backslash carries on => SELECT 1 LIMIT
SELECT 1 -- a \
, secret('a', 'b')
=== lake: a function of the catalog
SELECT imdb.title_case(primaryTitle) FROM imdb.movies_delta
=== array: an element of a qualified column => m.genres[0]
SELECT m.genres[0] AS genre FROM imdb.movies_delta m
=== array: an element of a column qualified by its table, in a condition
SELECT primaryTitle FROM imdb.movies_delta WHERE movies_delta.genres[0] = 'Drama'
=== array: an element of an outer column in a subquery
SELECT m.tconst FROM imdb.movies_delta m WHERE EXISTS (SELECT 1 FROM imdb.movies_delta o WHERE o.genres[0] = m.genres[0] AND o.tconst <> m.tconst)
=== array: a field of an element of a qualified column
SELECT t.s[0].a FROM (SELECT array(named_struct('a', 1)) AS s) t
=== size: short texts are padded side by side
SELECT concat(lpad(primaryTitle, 40, ' '), lpad(titleType, 20, ' '), repeat('*', isAdult), rpad(tconst, 12, ' ')) FROM imdb.movies_delta
=== size: a list of short texts
SELECT transform(sequence(1, 10), x -> repeat('*', 5))
=== join: tables joined by the condition of WHERE in parentheses
SELECT count(*) FROM imdb.movies_delta a, imdb.ratings_delta b WHERE (a.tconst = b.tconst)
=== join: a single row beside every row
SELECT m.primaryTitle FROM imdb.movies_with_ratings m CROSS JOIN (SELECT avg(averageRating) AS mean FROM imdb.ratings_delta) a WHERE m.averageRating > a.mean
=== lateral view: fields of a JSON text
SELECT a FROM imdb.principals_delta LATERAL VIEW json_tuple(characters, 'a') t AS a
