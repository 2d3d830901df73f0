"""Compares two directories of answers: integers, times and texts exactly, floats to 1e-9 relative, row by row on keys.

Prints one line a query; exits with 1 if anything differs, after the first rows that do.
"""

import argparse
import pathlib
import sys

import duckdb

# Query: (keys, columns compared exactly, floats). Times are compared as milliseconds, whatever unit or zone a file gives them.
QUERIES = {
    "q1": (["event_id"], ["customer_id", "ts", "contacts_1h", "contacts_24h", "contacts_7d"], ["handle_sum_7d", "handle_mean_7d", "sentiment_mean_24h"]),
    "q2": (["customer_id", "start"], ["end", "rows", "contacts", "escalated"], []),
    "q3": (["hour", "column"], [], ["psi", "kl"]),
    "q4": (["event_id"], ["customer_id", "ts", "segment", "contacts_24h", "threshold"], []),
}
TIMES = {"ts", "start", "end"}
TOLERANCE = 1e-9


def quoted(name):
    return f'"{name}"'


def load(db, table, path, columns):
    cast = ", ".join(f"epoch_ms({quoted(c)}) as {quoted(c)}" if c in TIMES else quoted(c) for c in columns)
    db.execute(f"create or replace temp table {table} as select {cast} from read_parquet('{path}')")
    return db.execute(f"select count(*) from {table}").fetchone()[0]


def differing(query):
    keys, exact, floats = QUERIES[query]
    same = [f"a.{quoted(c)} is not distinct from b.{quoted(c)}" for c in exact]
    # A difference of zero is equal whatever the scale; where one side is null, the other must be.
    same += [
        f"(a.{c} is null) = (b.{c} is null) and coalesce(abs(a.{c} - b.{c}) <= {TOLERANCE} * greatest(abs(a.{c}), abs(b.{c})), a.{c} is null)"
        for c in floats
    ]
    on = " and ".join(f"a.{quoted(k)} = b.{quoted(k)}" for k in keys)
    columns = ", ".join(
        [f"coalesce(a.{quoted(k)}, b.{quoted(k)}) as {quoted(k)}" for k in keys]
        + [f"a.{quoted(c)} as {quoted('a.' + c)}, b.{quoted(c)} as {quoted('b.' + c)}" for c in exact + floats]
    )
    missing = f"a.{quoted(keys[0])} is null or b.{quoted(keys[0])} is null"
    return f"select {columns} from a full join b on {on} where {missing} or not ({' and '.join(same)}) order by all"


def compare(db, query, left, right, show):
    keys, exact, floats = QUERIES[query]
    columns = keys + exact + floats
    counts = [load(db, name, path / f"{query}.parquet", columns) for name, path in (("a", left), ("b", right))]
    names = ", ".join(quoted(k) for k in keys)
    twice = [db.execute(f"select count(*) from (select 1 from {t} group by {names} having count(*) > 1)").fetchone()[0] for t in "ab"]
    db.execute(f"create or replace temp table d as {differing(query)}")
    wrong = db.execute("select count(*) from d").fetchone()[0]
    equal = wrong == 0 and counts[0] == counts[1] and twice == [0, 0]
    print(f"{query}: {'equal' if equal else 'DIFFERS'}, {counts[0]} and {counts[1]} rows, {wrong} differ, {sum(twice)} keys twice")
    if wrong:
        print(db.sql(f"select * from d limit {show}"))
    return equal


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("left", type=pathlib.Path, help="directory of the reference (a)")
    parser.add_argument("right", type=pathlib.Path, help="directory of the answers to check (b)")
    parser.add_argument("--queries", default="q1,q2,q3,q4")
    parser.add_argument("--show", type=int, default=10)
    args = parser.parse_args()
    db = duckdb.connect()
    equal = [compare(db, query, args.left, args.right, args.show) for query in args.queries.split(",")]
    sys.exit(0 if all(equal) else 1)


main()
