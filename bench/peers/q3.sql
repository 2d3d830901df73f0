-- Q3: one scan counts (hour, channel, topic); the rest is small.
with facts as (
    select /*dedupe*/ distinct event_id, (epoch_ms(ts) - 1704067200000) // 3600000 as hour, channel, topic
    from events
),
cells as (
    select hour, channel, topic, count(*) as c from facts group by all
),
counts as (
    select hour, 'channel' as "column", channel as value, sum(c) as c from cells group by all
    union all
    select hour, 'topic' as "column", topic as value, sum(c) as c from cells group by all
),
known as (
    select "column", value, coalesce(sum(c) filter (hour < 168), 0) as c,
        sum(coalesce(sum(c) filter (hour < 168), 0)) over (partition by "column") as n,
        count(*) over (partition by "column") as k
    from counts
    group by "column", value
),
hours as (
    select hour, "column", sum(c) as n from counts group by all
),
shares as (
    select h.hour, h."column",
        (coalesce(counts.c, 0) + 0.5::double) / (h.n + 0.5::double * known.k) as p,
        (known.c + 0.5::double) / (known.n + 0.5::double * known.k) as q
    from hours h
    join known on known."column" = h."column"
    left join counts on counts.hour = h.hour and counts."column" = h."column" and counts.value = known.value
)
select hour::bigint as hour, "column", sum((p - q) * ln(p / q)) as psi, sum(p * ln(p / q)) as kl
from shares
group by hour, "column"
