"""Polars over the workload: Q1, Q2 or Q3, or the three one after the other, Parquet in, Parquet out.

Prints one line of JSON: the seconds of the engine's own work, without interpreter and imports.
"""

import argparse
import json
import os
import pathlib
import time

HOUR, DAY, WEEK = 3_600_000, 86_400_000, 604_800_000
START = 1_704_067_200_000
WANTED = ["contact_opened", "contact_resolved", "message"]


def q1_facts(pl, events):
    """The rows that Q1's windows can see, once each; measures as integers, so that sums are exact."""
    return (
        events.filter(pl.col("kind").is_in(WANTED))
        .select(
            "event_id",
            "customer_id",
            "ts",
            contact=(pl.col("kind") == "contact_opened").cast(pl.Int64),
            handle=(pl.col("handle_secs") * 100).round().cast(pl.Int64),
            mood=(pl.col("sentiment") * 1000).round().cast(pl.Int64),
        )
        .unique(subset="event_id", keep="any")
    )


def q1_columns(pl, frame):
    return frame.select(
        "event_id",
        "customer_id",
        pl.col("ts").cast(pl.Datetime("ms")),
        *("contacts_" + w for w in ("1h", "24h", "7d")),
        handle_sum_7d=pl.when(pl.col("handles") > 0).then(pl.col("handle_sum") / 100),
        handle_mean_7d=pl.when(pl.col("handles") > 0).then(pl.col("handle_sum") / 100 / pl.col("handles")),
        sentiment_mean_24h=pl.when(pl.col("moods") > 0).then(pl.col("mood_sum") / 1000 / pl.col("moods")),
    )


def q1_rolling(pl, events):
    """By rolling sums over each customer's rows."""

    def rolling(column, window):
        return pl.col(column).rolling_sum_by("ts", window, closed="right").over("customer_id")

    facts = (
        q1_facts(pl, events)
        .with_columns(
            handled=pl.col("handle").is_not_null().cast(pl.Int64),
            felt=pl.col("mood").is_not_null().cast(pl.Int64),
            handle=pl.col("handle").fill_null(0),
            mood=pl.col("mood").fill_null(0),
        )
        .sort("ts")
        .with_columns(
            contacts_1h=rolling("contact", "1h"),
            contacts_24h=rolling("contact", "24h"),
            contacts_7d=rolling("contact", "7d"),
            handle_sum=rolling("handle", "7d"),
            handles=rolling("handled", "7d"),
            mood_sum=rolling("mood", "24h"),
            moods=rolling("felt", "24h"),
        )
        .filter(pl.col("contact") == 1)
    )
    return q1_columns(pl, facts)


def q1_search(pl, events):
    """By running totals over one table sorted by (customer, ts), window starts found by binary search. Not lazy: search needs columns."""
    bits = 42
    facts = (
        q1_facts(pl, events)
        .with_columns(number=pl.col("customer_id").cast(pl.Categorical).to_physical().cast(pl.Int64))
        .with_columns(place=pl.col("number") * (1 << bits) + pl.col("ts").dt.epoch("ms"))
        .sort("place")
        .collect()
    )
    anchors = facts.filter(pl.col("contact") == 1)
    place, at = facts["place"], anchors["place"]
    # Totals before each row, and one more for the end.
    zero = pl.Series([0], dtype=pl.Int64)
    totals = {
        "contacts": facts["contact"],
        "handle_sum": facts["handle"].fill_null(0),
        "handles": facts["handle"].is_not_null().cast(pl.Int64),
        "mood_sum": facts["mood"].fill_null(0),
        "moods": facts["mood"].is_not_null().cast(pl.Int64),
    }
    totals = {name: pl.concat([zero, column.cum_sum()]) for name, column in totals.items()}
    end = place.search_sorted(at, side="right")
    first = place.search_sorted((at // (1 << bits)) * (1 << bits), side="left")
    windows = {"1h": (HOUR, ["contacts"]), "24h": (DAY, ["contacts", "mood_sum", "moods"]), "7d": (WEEK, ["contacts", "handle_sum", "handles"])}
    columns = {}
    for window, (length, names) in windows.items():
        found = place.search_sorted(at - length, side="right")
        start = pl.select(pl.max_horizontal(found, first)).to_series()
        for name in names:
            column = f"contacts_{window}" if name == "contacts" else name
            columns[column] = totals[name].gather(end) - totals[name].gather(start)
    return q1_columns(pl, anchors.with_columns(**columns).lazy())


def q2_facts(pl, events):
    return events.select(
        "event_id",
        "customer_id",
        "ts",
        contact=pl.col("kind") == "contact_opened",
        escalated=pl.col("kind") == "contact_escalated",
    )


def q2_columns(pl, sessions, *keys):
    return sessions.agg(
        *keys,
        start=pl.col("ts").min().cast(pl.Datetime("ms")),
        end=pl.col("ts").max().cast(pl.Datetime("ms")),
        rows=pl.len().cast(pl.Int64),
        contacts=pl.col("contact").sum().cast(pl.Int64),
        escalated=pl.col("escalated").any(),
    ).drop("session")


def q2_over(pl, events):
    """By numbering: each customer's starts are counted along, and a session is a group of rows with the same count."""
    fresh = (pl.col("ts").diff() > pl.duration(minutes=30)).fill_null(True)
    sessions = (
        q2_facts(pl, events)
        .unique(subset="event_id", keep="any")
        .sort("ts")
        .with_columns(session=fresh.cum_sum().over("customer_id"))
        .group_by("customer_id", "session")
    )
    return q2_columns(pl, sessions)


def q2_runs(pl, events):
    """By one sort, in which a redelivery is next to its original; sessions are runs of it."""
    fresh = (pl.col("customer_id") != pl.col("customer_id").shift()) | (pl.col("ts").diff() > pl.duration(minutes=30))
    sessions = (
        q2_facts(pl, events)
        .sort("customer_id", "ts", "event_id")
        .filter((pl.col("event_id") != pl.col("event_id").shift()).fill_null(True))
        .with_columns(session=fresh.fill_null(True).cum_sum())
        .group_by("session")
    )
    return q2_columns(pl, sessions, pl.col("customer_id").first())


def q3(pl, events):
    """By counts of (hour, channel, topic) in one scan; the rest is small."""
    cells = (
        events.select("event_id", "channel", "topic", hour=(pl.col("ts").dt.epoch("ms") - START) // HOUR)
        .unique(subset="event_id", keep="any")
        .group_by("hour", "channel", "topic")
        .len("c")
        .collect()
        .lazy()
    )
    parts = []
    for column in ("channel", "topic"):
        counts = cells.group_by("hour", column).agg(c=pl.col("c").sum().cast(pl.Float64))
        reference = counts.group_by(column).agg(r=pl.col("c").filter(pl.col("hour") < 168).sum())
        hours = counts.select("hour").unique()
        grid = hours.join(reference, how="cross").join(counts, on=["hour", column], how="left").with_columns(pl.col("c").fill_null(0))
        k = pl.len().over("hour")
        p = (pl.col("c") + 0.5) / (pl.col("c").sum().over("hour") + 0.5 * k)
        q = (pl.col("r") + 0.5) / (pl.col("r").sum().over("hour") + 0.5 * k)
        measures = grid.select("hour", p=p, q=q).group_by("hour").agg(
            psi=((pl.col("p") - pl.col("q")) * (pl.col("p") / pl.col("q")).log()).sum(),
            kl=(pl.col("p") * (pl.col("p") / pl.col("q")).log()).sum(),
        )
        parts.append(measures.select(pl.col("hour").cast(pl.Int64), pl.lit(column).alias("column"), "psi", "kl"))
    return pl.concat(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--answers", required=True, type=pathlib.Path)
    parser.add_argument("--query", required=True, choices=("q1", "q2", "q3", "all"))
    parser.add_argument("--form", default="")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    os.environ["POLARS_MAX_THREADS"] = str(args.threads)
    import polars as pl

    started = time.perf_counter()
    # Measured: the streaming engine is the faster one at Q2 by runs and the slower one at all else.
    usual = args.form in ("rolling", "over")
    queries = {
        "q1": (q1_rolling if usual else q1_search, "in-memory"),
        "q2": (q2_over, "in-memory") if usual else (q2_runs, "streaming"),
        "q3": (q3, "in-memory"),
    }
    for query in queries if args.query == "all" else (args.query,):
        function, engine = queries[query]
        pl.Config.set_engine_affinity(engine)
        answers = function(pl, pl.scan_parquet(args.data / "events.parquet"))
        answers.collect().write_parquet(args.answers / f"{query}.parquet", compression="zstd")
    print(json.dumps({"work_seconds": time.perf_counter() - started}))


main()
