"""Texts that name tables of tenants: what is answered for one tenant, and what is refused."""

# ruff: noqa: S608, that is what they are for

# Databases, by the style of parameters of their drivers.
PG, LITE, MARIA = "numeric_dollar", "qmark", "format"
MINE = "test_books.tenant_id = :tenant_id"
"""The condition; wherever it holds, a row is ours."""
BOOKS = f"SELECT title FROM test_books WHERE {MINE}"
ALL = "SELECT title FROM test_books"
SHELVES = "test_shelves.tenant_id = :tenant_id"

# With the databases that know the construct, where not all do.
ANSWERED: dict[str, str | tuple[str, set[str]]] = {
    "plain": BOOKS,
    "in brackets": f"{ALL} WHERE ({MINE}) AND (title <> 'x' OR 1 = 1)",
    "brackets in brackets": f"{ALL} WHERE ((title <> 'x' AND ({MINE})))",
    "alias": "SELECT b.title FROM test_books AS b WHERE b.tenant_id = :tenant_id",
    "alias without AS": "SELECT b.title FROM test_books b WHERE b.tenant_id = :tenant_id",
    "quotes": (
        'SELECT title FROM "test_books" WHERE "test_books".tenant_id = :tenant_id',
        {PG, LITE},
    ),
    "backticks": (
        "SELECT title FROM `test_books` WHERE `test_books`.tenant_id = :tenant_id",
        {MARIA, LITE},
    ),
    "schema": (f"SELECT title FROM public.test_books WHERE {MINE}", {PG}),
    "schema in the condition": (
        "SELECT title FROM main.test_books WHERE main.test_books.tenant_id = :tenant_id",
        {LITE},
    ),
    "only": (f"SELECT title FROM ONLY test_books WHERE {MINE}", {PG}),
    "inner join": (
        "SELECT title FROM test_books JOIN test_shelves ON test_shelves.id = shelf_id"
        f" WHERE {MINE} AND {SHELVES}"
    ),
    "inner join, filtered in ON": (
        "SELECT title FROM test_books JOIN test_shelves ON test_shelves.id = shelf_id"
        f" AND {MINE} AND {SHELVES}"
    ),
    "comma": f"SELECT title, name FROM test_books, test_shelves WHERE {MINE} AND {SHELVES}",
    "left join": f"SELECT name, title FROM test_shelves LEFT JOIN test_books ON {MINE} WHERE {SHELVES}",
    "right join": f"SELECT name, title FROM test_books RIGHT JOIN test_shelves ON {MINE} WHERE {SHELVES}",
    "full join": (
        f"SELECT name, title FROM test_books FULL JOIN test_shelves ON {MINE} AND {SHELVES}"
        f" WHERE {MINE} AND {SHELVES}",
        {PG, LITE},
    ),
    "self join": (
        "SELECT a.title, b.title FROM test_books a JOIN test_books b ON a.id < b.id"
        " WHERE a.tenant_id = :tenant_id AND b.tenant_id = :tenant_id"
    ),
    "join in brackets": (
        "SELECT test_shelves.name, title FROM tenants LEFT JOIN (test_books JOIN test_shelves"
        f" ON shelf_id = test_shelves.id AND {SHELVES}) ON {MINE} AND tenants.id = test_books.tenant_id"
        " WHERE title IS NOT NULL"
    ),
    "common table expression": f"WITH c AS ({BOOKS}) SELECT title FROM c",
    "recursive": (
        f"WITH RECURSIVE c (id, title) AS (SELECT id, title FROM test_books WHERE {MINE} UNION"
        " SELECT b.id, b.title FROM test_books b JOIN c ON c.id <> b.id WHERE b.tenant_id = :tenant_id)"
        " SELECT title FROM c"
    ),
    "a table's name for a common table expression": (
        f"WITH test_shelves AS ({BOOKS}) SELECT title FROM test_books WHERE {MINE}"
    ),
    "changing common table expression": (
        f"WITH c AS (UPDATE test_books SET title = title WHERE {MINE} RETURNING title) SELECT title FROM c",
        {PG},
    ),
    "union": f"{BOOKS} UNION {BOOKS} AND 1 = 1",
    "union all": f"{BOOKS} UNION ALL SELECT name FROM test_shelves WHERE {SHELVES}",
    "intersect": f"{BOOKS} INTERSECT {BOOKS}",
    "except": f"{BOOKS} EXCEPT SELECT name FROM test_shelves WHERE {SHELVES}",
    "exists": f"{BOOKS} AND EXISTS (SELECT 1 FROM test_shelves WHERE test_shelves.id = shelf_id AND {SHELVES})",
    "in a subquery": f"{BOOKS} AND shelf_id IN (SELECT id FROM test_shelves WHERE {SHELVES})",
    "scalar subquery": f"SELECT ({BOOKS} ORDER BY title LIMIT 1)",
    "derived table": f"SELECT d.title FROM ({BOOKS}) AS d",
    "lateral": (
        f"SELECT d.title FROM test_shelves, LATERAL ({BOOKS} AND shelf_id = test_shelves.id) AS d"
        f" WHERE {SHELVES}",
        {PG},
    ),
    "order by a subquery": (
        f"{BOOKS} ORDER BY (SELECT max(name) FROM test_shelves WHERE {SHELVES}), title"
    ),
    "group and having": f"SELECT max(title) FROM test_books WHERE {MINE} GROUP BY shelf_id HAVING count(*) = 2",
    "window": f"SELECT title, row_number() OVER (ORDER BY title) FROM test_books WHERE {MINE}",
    "case": f"SELECT CASE WHEN 1 = 1 THEN title END FROM test_books WHERE {MINE}",
    "distinct": f"SELECT DISTINCT title FROM test_books WHERE {MINE} ORDER BY title LIMIT 5",
    "a string that looks like SQL": f"SELECT title, ' OR 1 = 1' FROM test_books WHERE {MINE}",
    "locked": (f"{BOOKS} FOR UPDATE", {PG, MARIA}),
    "locked by name": (f"{BOOKS} FOR UPDATE OF test_books", {PG}),
    "update": (f"UPDATE test_books SET title = title WHERE {MINE} RETURNING title", {PG, LITE}),
    "update from": (
        "UPDATE test_books SET title = title FROM test_shelves WHERE shelf_id = test_shelves.id"
        f" AND {SHELVES} AND {MINE} RETURNING title",
        {PG},
    ),
}

REFUSED: dict[str, str] = {
    # The condition is there, and decides nothing.
    "not": f"{ALL} WHERE NOT ({MINE})",
    "equals 0": f"{ALL} WHERE ({MINE}) = 0",
    "is not null": f"{ALL} WHERE ({MINE}) IS NOT NULL",
    "case": f"{ALL} WHERE CASE WHEN {MINE} THEN 1 ELSE 1 END = 1",
    "coalesce": f"{ALL} WHERE coalesce({MINE}, 1) < 2",
    "or in brackets": f"{ALL} WHERE ({MINE} OR 1 = 1)",
    "in the select list": f"SELECT title, {MINE} FROM test_books",
    "in order by": f"{ALL} ORDER BY {MINE}",
    "in the ON of a left join": (
        f"SELECT title FROM test_books LEFT JOIN tenants ON {MINE} AND tenants.id = :tenant_id"
    ),
    "or": f"{ALL} WHERE {MINE} OR 1 = 1",
    "or before": f"{ALL} WHERE 1 = 1 OR title = 'x' AND {MINE}",
    "double negation": f"{ALL} WHERE NOT (NOT ({MINE}))",
    "is true": f"{ALL} WHERE ({MINE}) IS TRUE",
    "compared twice": f"{ALL} WHERE ({MINE}) = ({MINE})",
    "exclusive or": f"{ALL} WHERE {MINE} XOR 1 = 1",
    "bars": f"{ALL} WHERE {MINE} || 1",
    "null after it": f"{ALL} WHERE {MINE} IS NULL",
    "a list after it": f"{ALL} WHERE {MINE} IN (0, 1)",
    "having": f"SELECT max(title) FROM test_books GROUP BY test_books.tenant_id HAVING {MINE}",
    "filter of an aggregate": f"SELECT max(title) FILTER (WHERE {MINE}), max(title) FROM test_books",
    "window": f"SELECT title, count(*) OVER (PARTITION BY {MINE}) FROM test_books",
    "in a subquery's own": f"{ALL} WHERE EXISTS (SELECT 1 FROM tenants WHERE {MINE}) OR 1 = 1",
    "in a subquery": f"{ALL} WHERE EXISTS (SELECT 1 FROM tenants WHERE {MINE})",
    "in a comment": f"{ALL} /* WHERE {MINE} */",
    "in a comment to the end": f"{ALL} -- WHERE {MINE}",
    "cut by a comment": f"{ALL} WHERE 1 = 1--1 AND {MINE}",
    "behind a comment that runs": f"{ALL} WHERE {MINE} /*! OR 1 = 1 */",
    "in a string": f"{ALL} WHERE title <> ' AND {MINE}'",
    "in an escaped string": rf"{ALL} WHERE title <> E'\' AND {MINE} AND title <> E'\''",
    "in dollars": f"{ALL} WHERE title <> $a$ AND {MINE} AND title <> $a$",
    "a label": f"SELECT title AS x FROM test_books GROUP BY title HAVING max({MINE})",
    # Something else is compared.
    "no condition": ALL,
    "another column": f"{ALL} WHERE test_books.id = :tenant_id",
    "another table's": f"SELECT title FROM test_books, test_shelves WHERE {SHELVES}",
    "itself": f"{ALL} WHERE test_books.tenant_id = test_books.tenant_id AND :tenant_id = :tenant_id",
    "one of several": f"{ALL} WHERE test_books.tenant_id IN (:tenant_id, test_books.tenant_id)",
    "a list of one": f"{ALL} WHERE test_books.tenant_id IN (:tenant_id)",
    "not distinct": f"{ALL} WHERE test_books.tenant_id IS NOT DISTINCT FROM :tenant_id",
    "equal or null": f"{ALL} WHERE test_books.tenant_id <=> :tenant_id",
    "between": f"{ALL} WHERE test_books.tenant_id BETWEEN :tenant_id AND test_books.tenant_id",
    "greater": f"{ALL} WHERE test_books.tenant_id >= :tenant_id",
    "unequal": f"{ALL} WHERE test_books.tenant_id <> :tenant_id",
    "like": f"{ALL} WHERE test_books.tenant_id LIKE :tenant_id",
    "a function": f"{ALL} WHERE test_books.tenant_id = coalesce(:tenant_id, test_books.tenant_id)",
    "a cast": f"{ALL} WHERE test_books.tenant_id = CAST(:tenant_id AS INTEGER)",
    "a literal": f"{ALL} WHERE test_books.tenant_id = '0190f5e8-0000-7000-8000-000000000000'",
    "without the table's name": f"{ALL} WHERE tenant_id = :tenant_id",
    "an alias is ignored": f"SELECT b.title FROM test_books b WHERE {MINE}",
    "an alias in another case": (
        "SELECT title FROM tenants b WHERE EXISTS (SELECT 1 FROM test_books B"
        " WHERE b.tenant_id = :tenant_id)"
    ),
    "columns are renamed": (
        "SELECT b.title FROM test_books AS b (tenant_id, x) WHERE b.tenant_id = :tenant_id"
    ),
    "a join is renamed": f"SELECT j.title FROM (test_books JOIN tenants ON 1 = 1) AS j WHERE {MINE}",
    "a word of other databases": (
        f"{ALL} WHERE {MINE} AND EXISTS (SELECT 1 FROM test_books SEMI JOIN tenants ON 1 = 1 WHERE {MINE})"
    ),
    "the outer table": f"{BOOKS} AND EXISTS (SELECT 1 FROM test_books b WHERE {MINE})",
    "one name for two": (
        "SELECT title FROM test_shelves AS b, (test_books AS b) WHERE b.tenant_id = :tenant_id"
    ),
    # It stands elsewhere than the table.
    "a second place": f"SELECT title FROM test_books, test_shelves WHERE {MINE}",
    "self join": f"SELECT b.title FROM test_books JOIN test_books b ON 1 = 1 WHERE {MINE}",
    "left join": f"SELECT title FROM test_shelves LEFT JOIN test_books ON 1 = 1 WHERE {SHELVES}",
    "left join, the wrong side": f"SELECT title FROM test_books LEFT JOIN test_shelves ON {MINE} AND {SHELVES}",
    "right join, the wrong side": f"SELECT title FROM test_shelves RIGHT JOIN test_books ON {MINE} AND {SHELVES}",
    "full join": f"SELECT name, title FROM test_books FULL JOIN test_shelves ON {MINE} AND {SHELVES}",
    "natural join": f"SELECT title FROM test_shelves NATURAL JOIN test_books WHERE {SHELVES}",
    "join in brackets": (
        "SELECT title FROM tenants LEFT JOIN (test_books LEFT JOIN test_shelves"
        f" ON {MINE} AND {SHELVES}) ON 1 = 1"
    ),
    "exists": f"SELECT name FROM test_shelves WHERE {SHELVES} AND EXISTS ({ALL})",
    "correlated exists": (
        f"SELECT name FROM test_shelves WHERE {SHELVES} AND EXISTS (SELECT 1 FROM test_books"
        " WHERE test_books.tenant_id = test_shelves.tenant_id)"
    ),
    "in": f"SELECT name FROM test_shelves WHERE {SHELVES} AND id IN (SELECT shelf_id FROM test_books)",
    "scalar subquery": f"SELECT name, (SELECT max(title) FROM test_books) FROM test_shelves WHERE {SHELVES}",
    "only a subquery": "SELECT (SELECT max(title) FROM test_books)",
    "order by": f"SELECT name FROM test_shelves WHERE {SHELVES} ORDER BY (SELECT max(title) FROM test_books)",
    "group by": f"SELECT 1 FROM test_shelves WHERE {SHELVES} GROUP BY (SELECT max(title) FROM test_books)",
    "having a subquery": (
        f"SELECT max(name) FROM test_shelves WHERE {SHELVES} HAVING (SELECT max(title) FROM test_books) > ''"
    ),
    "limit": f"SELECT name FROM test_shelves WHERE {SHELVES} LIMIT (SELECT count(*) FROM test_books)",
    "case with a subquery": (
        f"SELECT CASE WHEN 1 = 1 THEN (SELECT max(title) FROM test_books) END FROM test_shelves WHERE {SHELVES}"
    ),
    "lateral": f"SELECT d.title FROM test_shelves, LATERAL ({ALL}) AS d WHERE {SHELVES}",
    "derived table": f"SELECT title FROM ({ALL}) AS test_books WHERE {MINE}",
    "common table expression": f"WITH c AS ({ALL}) SELECT title FROM c WHERE c.title <> :tenant_id",
    "common table expression of the table's name": (
        f"WITH test_books AS (SELECT * FROM test_books) SELECT title FROM test_books WHERE {MINE}"
    ),
    "recursive": (
        f"WITH RECURSIVE c (id, title) AS (SELECT id, title FROM test_books WHERE {MINE} UNION"
        " SELECT b.id, b.title FROM test_books b JOIN c ON c.id <> b.id) SELECT title FROM c"
    ),
    "changing common table expression": (
        "WITH c AS (DELETE FROM test_books RETURNING title) SELECT title FROM c"
    ),
    "union": f"{BOOKS} UNION {ALL}",
    "union before": f"{ALL} UNION {BOOKS}",
    "intersect": f"{ALL} INTERSECT {ALL}",
    "except": f"{BOOKS} EXCEPT {ALL}",
    "union in brackets": f"({BOOKS}) UNION ALL ({ALL})",
    "table": "TABLE test_books",
    "table in a union": f"{BOOKS} UNION TABLE test_books",
    "table in a subquery": "SELECT 1 WHERE EXISTS (TABLE test_books)",
    "in brackets": "SELECT title FROM (test_books)",
    "in many brackets": f"SELECT title FROM ((test_books)) WHERE {SHELVES}",
    "another case": "SELECT title FROM Test_Books",
    "quotes": 'SELECT title FROM "test_books"',
    "characters by number": r'SELECT title FROM U&"test\005fbooks"',
    "schema": f"SELECT title FROM public.test_books WHERE {SHELVES}",
    "another schema": "SELECT title FROM test_books WHERE public.test_books.tenant_id = :tenant_id",
    # What is written.
    "update": "UPDATE test_books SET title = 'x'",
    "update with OR": f"UPDATE test_books SET title = 'x' WHERE {MINE} OR 1 = 1",
    "update that moves": f"UPDATE test_books SET tenant_id = :tenant_id WHERE {MINE}",
    "update that moves among others": (
        f"UPDATE test_books SET (title, tenant_id) = ('x', id) WHERE {MINE}"
    ),
    "update with a query": f"UPDATE test_books SET title = (SELECT max(title) FROM test_books) WHERE {MINE}",
    "update from": f"UPDATE test_books SET title = name FROM test_shelves WHERE {MINE}",
    "update of several": f"UPDATE test_books, test_shelves SET title = 'x' WHERE {SHELVES}",
    "update of a join": f"UPDATE test_shelves JOIN test_books ON 1 = 1 SET title = 'x' WHERE {SHELVES}",
    "update returning a query": (
        f"UPDATE test_books SET title = title WHERE {MINE} RETURNING (SELECT max(title) FROM test_books)"
    ),
    "delete": "DELETE FROM test_books",
    "delete with NOT": f"DELETE FROM test_books WHERE NOT ({MINE})",
    "delete using": f"DELETE FROM test_books USING test_shelves WHERE {MINE} AND shelf_id = test_shelves.id",
    "delete of several": f"DELETE test_books FROM test_books JOIN test_shelves ON 1 = 1 WHERE {SHELVES}",
    "insert": "INSERT INTO test_shelves (id, tenant_id, name) VALUES (:tenant_id, :tenant_id, 'x')",
    "insert from a query": f"INSERT INTO test_shelves (id, tenant_id, name) SELECT id, :tenant_id, title FROM test_books WHERE {MINE}",
    "insert into another": "INSERT INTO roles (name) SELECT title FROM test_books",
    "insert in place of": "REPLACE INTO test_shelves (id, tenant_id, name) VALUES (:tenant_id, :tenant_id, 'x')",
    "insert or replace": "INSERT OR REPLACE INTO test_shelves (id, tenant_id, name) VALUES (:tenant_id, :tenant_id, 'x')",
    "insert or update": (
        "INSERT INTO test_shelves (id, tenant_id, name) VALUES (:tenant_id, :tenant_id, 'x')"
        " ON CONFLICT (id) DO UPDATE SET name = 'stolen'"
    ),
    "insert or update by a duplicate key": (
        "INSERT INTO test_shelves (id, tenant_id, name) VALUES (:tenant_id, :tenant_id, 'x')"
        " ON DUPLICATE KEY UPDATE name = 'stolen'"
    ),
    "insert or update from a query": (
        "INSERT INTO roles (name) VALUES ('x') ON CONFLICT (name) DO UPDATE"
        " SET name = (SELECT max(title) FROM test_books)"
    ),
    "merge": "MERGE INTO test_books USING tenants ON 1 = 1 WHEN MATCHED THEN DELETE",
    "truncate": "TRUNCATE TABLE test_books",
    # What is no plain statement, or hides one.
    "two statements": f"{BOOKS}; {ALL}",
    "explain": f"EXPLAIN ANALYZE {ALL}",
    "prepare": f"PREPARE p AS {ALL}",
    "execute": "EXECUTE test_books",
    "copy": "COPY test_books TO STDOUT",
    "declare": f"DECLARE c CURSOR FOR {ALL}",
    "handler": "HANDLER test_books OPEN",
    "lock": "LOCK TABLE test_books",
    "drop": "DROP TABLE test_books",
    "call": "CALL test_books()",
    "do": "DO 'BEGIN PERFORM 1 FROM test_books; END'",
    "variable": "SET @x = (SELECT max(title) FROM test_books)",
    "a query as XML": f"SELECT query_to_xml('{ALL}', true, true, '')",
    "a query as XML, in FROM": f"SELECT * FROM pg_catalog.query_to_xml('{ALL}', true, true, '')",
    "a table as XML": "SELECT table_to_xml('test_books', true, true, '')",
    "a query elsewhere": f"SELECT * FROM dblink('', '{ALL}') AS t (title text)",
    "statistics": "SELECT most_common_vals FROM pg_stats WHERE tablename = 'test_books'",
}
