"""DuckDB over the workload: one query of the .sql files beside this one, or all of them as one job, Parquet in, Parquet out.

Prints one line of JSON: the seconds of the engine's own work, without interpreter and imports.
"""

import argparse
import json
import pathlib
import time

import duckdb

HERE = pathlib.Path(__file__).parent
QUERIES = ("q1", "q2", "q3", "q4")


def sql_of(query, form, deduplicated=False):
    for name in (f"{query}_{form}.sql", f"{query}.sql"):
        if (HERE / name).exists():
            text = (HERE / name).read_text()
            return text.replace("/*dedupe*/ distinct", "") if deduplicated else text
    raise SystemExit(f"no form {form!r} of {query}")


def write(db, sql, path):
    db.execute(f"copy ({sql}) to '{path}' (format parquet, compression zstd)")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--answers", required=True, type=pathlib.Path)
    parser.add_argument("--query", required=True, choices=(*QUERIES, "all"))
    parser.add_argument("--form", default="")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory", default="12GB")
    args = parser.parse_args()

    started = time.perf_counter()
    db = duckdb.connect()
    db.execute(f"set threads = {args.threads}")
    db.execute(f"set memory_limit = '{args.memory}'")
    db.execute("set preserve_insertion_order = false")
    db.execute("set enable_progress_bar = false")
    db.execute(f"create view source as select * from read_parquet('{args.data}/events.parquet')")
    db.execute(
        "create temp table limits as select epoch_ms(replace(ts, 'Z', '')::timestamp) as t, segment, threshold from"
        f" read_csv('{args.data}/limits.csv', header = true, columns = {{'ts': 'varchar', 'segment': 'bigint', 'threshold': 'bigint'}})"
    )
    if args.query != "all":
        db.execute("create view events as from source")
        write(db, sql_of(args.query, args.form), args.answers / f"{args.query}.parquet")
    else:
        # "table-apart": one scan into a deduplicated table, then the four, Q1 by its form apart. "scans-range": each scans for itself.
        scans, q1_form = args.form.split("-")
        if scans == "table":
            db.execute(
                "create temp table events as select distinct event_id, customer_id, ts, channel, kind, topic, handle_secs, sentiment"
                " from source"
            )
        else:
            db.execute("create view events as from source")
        for query in QUERIES:
            form = {"q1": q1_form, "q2": "group"}.get(query, "")
            write(db, sql_of(query, form, deduplicated=scans == "table"), args.answers / f"{query}.parquet")
    print(json.dumps({"work_seconds": time.perf_counter() - started}))


main()
