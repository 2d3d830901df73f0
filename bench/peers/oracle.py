"""The workload's queries in plain Python, as slow and as obvious as can be: what the peers' answers are held against on small data.

Prints one line of JSON, as the peers do.
"""

import argparse
import bisect
import collections
import json
import math
import pathlib
import time

import duckdb

HOUR, DAY, WEEK = 3_600_000, 86_400_000, 604_800_000
START = 1_704_067_200_000
EVENTS = "event_id, customer_id, epoch_ms(ts), channel, kind, topic, round(handle_secs * 100)::bigint, round(sentiment * 1000)::bigint"


def by_customer(rows):
    customers = collections.defaultdict(list)
    for row in rows:
        customers[row[1]].append(row)
    for facts in customers.values():
        facts.sort(key=lambda row: (row[2], row[0]))
    return customers


def inside(times, t, w):
    """The range of rows in (t - w, t]."""
    return bisect.bisect_right(times, t - w), bisect.bisect_right(times, t)


def q1(customers):
    for customer, facts in customers.items():
        contacts = [row[2] for row in facts if row[4] == "contact_opened"]
        handled = [(row[2], row[6]) for row in facts if row[6] is not None]
        moods = [(row[2], row[7]) for row in facts if row[7] is not None]
        handle_times, mood_times = [t for t, _ in handled], [t for t, _ in moods]
        for row in facts:
            if row[4] != "contact_opened":
                continue
            t = row[2]
            counts = [b - a for a, b in (inside(contacts, t, w) for w in (HOUR, DAY, WEEK))]
            a, b = inside(handle_times, t, WEEK)
            handle = sum(v for _, v in handled[a:b]) / 100 if b > a else None
            c, d = inside(mood_times, t, DAY)
            mood = sum(v for _, v in moods[c:d]) / 1000 / (d - c) if d > c else None
            yield row[0], customer, t, *counts, handle, handle / (b - a) if b > a else None, mood


def q2(customers):
    for customer, facts in customers.items():
        session = []
        for row in facts:
            if session and row[2] - session[-1][2] > HOUR // 2:
                yield close(customer, session)
                session = []
            session.append(row)
        yield close(customer, session)


def close(customer, session):
    kinds = [row[4] for row in session]
    return (customer, session[0][2], session[-1][2], len(session), kinds.count("contact_opened"), "contact_escalated" in kinds)


def q3(rows):
    for column, at in (("channel", 3), ("topic", 5)):
        values = sorted({row[at] for row in rows})
        hours = collections.defaultdict(collections.Counter)
        reference = collections.Counter()
        for row in rows:
            hour = (row[2] - START) // HOUR
            hours[hour][row[at]] += 1
            if hour < 168:
                reference[row[at]] += 1
        k = len(values)
        for hour, counts in hours.items():
            p = [(counts[v] + 0.5) / (counts.total() + 0.5 * k) for v in values]
            q = [(reference[v] + 0.5) / (reference.total() + 0.5 * k) for v in values]
            psi = math.fsum((a - b) * math.log(a / b) for a, b in zip(p, q))
            kl = math.fsum(a * math.log(a / b) for a, b in zip(p, q))
            yield hour, column, psi, kl


def q4(customers, limits):
    for customer, facts in customers.items():
        segment = int(customer[1:]) % 4
        contacts = [row[2] for row in facts if row[4] == "contact_opened"]
        last = None
        for row in facts:
            t = row[2]
            if row[4] != "contact_opened" or (last is not None and t < last + DAY):
                continue
            a, b = inside(contacts, t, DAY)
            threshold = max((at, limit) for at, s, limit in limits if s == segment and at <= t)[1]
            if b - a >= threshold:
                yield row[0], customer, t, segment, b - a, threshold
                last = t


COLUMNS = {
    "q1": "event_id ubigint, customer_id varchar, ts bigint, contacts_1h bigint, contacts_24h bigint, contacts_7d bigint,"
    " handle_sum_7d double, handle_mean_7d double, sentiment_mean_24h double",
    "q2": 'customer_id varchar, start bigint, "end" bigint, rows bigint, contacts bigint, escalated boolean',
    "q3": 'hour bigint, "column" varchar, psi double, kl double',
    "q4": "event_id ubigint, customer_id varchar, ts bigint, segment bigint, contacts_24h bigint, threshold bigint",
}


def write(db, query, rows, path):
    names = [column.split()[0] for column in COLUMNS[query].split(", ")]
    lines = path.with_suffix(".jsonl")
    with lines.open("w") as file:
        for row in rows:
            file.write(json.dumps(dict(zip((name.strip('"') for name in names), row))) + "\n")
    types = ", ".join("'{}': '{}'".format(*column.replace('"', "").split()) for column in COLUMNS[query].split(", "))
    times = [name for name in ("ts", "start", '"end"') if name in names]
    casts = ", ".join(f"make_timestamp_ms({name})::timestamp_ms as {name}" for name in times)
    replaced = f"* replace ({casts})" if casts else "*"
    db.execute(f"copy (select {replaced} from read_json('{lines}', format = 'newline_delimited', columns = {{{types}}})) to '{path}' (format parquet)")
    lines.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--answers", required=True, type=pathlib.Path)
    parser.add_argument("--query", required=True, choices=(*COLUMNS, "all"))
    parser.add_argument("--form", default="")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    started = time.perf_counter()
    db = duckdb.connect()
    rows = list({row[0]: row for row in db.execute(f"select {EVENTS} from '{args.data}/events.parquet'").fetchall()}.values())
    limits = db.execute(
        f"select epoch_ms(replace(ts, 'Z', '')::timestamp), segment, threshold from read_csv('{args.data}/limits.csv', header = true,"
        " columns = {'ts': 'varchar', 'segment': 'bigint', 'threshold': 'bigint'})"
    ).fetchall()
    customers = by_customer(rows)
    answers = {"q1": lambda: q1(customers), "q2": lambda: q2(customers), "q3": lambda: q3(rows), "q4": lambda: q4(customers, limits)}
    for query in COLUMNS if args.query == "all" else (args.query,):
        write(db, query, answers[query](), args.answers / f"{query}.parquet")
    print(json.dumps({"work_seconds": time.perf_counter() - started}))


main()
