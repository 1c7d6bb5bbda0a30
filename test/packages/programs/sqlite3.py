"""SQL: a database file with a write-ahead log and two connections, and one in memory."""

import os
import sqlite3
import threading

book = sqlite3.connect("shop.db")
assert book.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
book.execute("CREATE TABLE sales (id INTEGER PRIMARY KEY, city TEXT NOT NULL, amount REAL)")
with book:
    book.executemany(
        "INSERT INTO sales (city, amount) VALUES (?, ?)",
        [("Oslo", 10.5), ("Zürich", 20.0), ("Oslo", 4.5), ("Rome", None)],
    )
assert os.path.exists("shop.db-wal")

# A reader goes on seeing its snapshot while a writer is in a transaction.
reader = sqlite3.connect("shop.db")
book.execute("BEGIN IMMEDIATE")
book.execute("DELETE FROM sales")
assert reader.execute("SELECT count(*) FROM sales").fetchone() == (4,)
book.rollback()

totals = reader.execute("SELECT city, sum(amount), count(*) FROM sales GROUP BY city ORDER BY city")
assert totals.fetchall() == [("Oslo", 15.0, 2), ("Rome", None, 1), ("Zürich", 20.0, 1)]
reader.close()

try:
    with book:
        book.execute("INSERT INTO sales (city) VALUES ('Bern')")
        book.execute("INSERT INTO sales (city) VALUES (NULL)")
except sqlite3.IntegrityError as problem:
    assert "NOT NULL" in str(problem)
else:
    raise AssertionError("the constraint was ignored")
assert book.execute("SELECT count(*) FROM sales").fetchone() == (4,)


def write(city):
    connection = sqlite3.connect("shop.db", timeout=20)
    for n in range(20):
        with connection:
            connection.execute("INSERT INTO sales (city, amount) VALUES (?, ?)", (city, n))
    connection.close()


writers = [threading.Thread(target=write, args=(f"city {n}",)) for n in range(3)]
for writer in writers:
    writer.start()
for writer in writers:
    writer.join()
assert book.execute("SELECT count(*), sum(amount) FROM sales").fetchone() == (64, 35 + 3 * 190)

busy, _, _ = book.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
assert busy == 0
copy = sqlite3.connect("copy.db")
book.backup(copy)
assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
assert copy.execute("SELECT count(*) FROM sales").fetchone() == (64,)
copy.close()
book.close()
assert not os.path.exists("shop.db-wal")

memory = sqlite3.connect(":memory:")
memory.row_factory = sqlite3.Row
memory.create_function("reverse", 1, lambda text: text[::-1])
row = memory.execute(
    "WITH RECURSIVE f(n, a, b) AS (SELECT 1, 0, 1 UNION ALL SELECT n + 1, b, a + b FROM f WHERE n < 50)"
    " SELECT max(b) AS last, reverse('tcid') AS word FROM f"
).fetchone()
assert (row["last"], row["word"]) == (12586269025, "dict")
ranked = "SELECT n, row_number() OVER (ORDER BY n DESC) FROM (SELECT 3 AS n UNION SELECT 8) ORDER BY n"
assert [tuple(r) for r in memory.execute(ranked)] == [(3, 2), (8, 1)]
assert memory.execute("SELECT json_extract('{\"a\": [1, 2]}', '$.a[1]')").fetchone()[0] == 2
memory.close()

print("ok: sqlite3")
