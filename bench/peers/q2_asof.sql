-- Q2 by joining: each row finds its session's start by an ASOF join. A redelivery is next to its original in the order, so the same sort drops it.
with ordered as (
    select event_id, customer_id, epoch_ms(ts) as t, kind,
        lag(epoch_ms(ts)) over along as previous, lag(event_id) over along as previous_id
    from events
    window along as (partition by customer_id order by epoch_ms(ts), event_id)
),
facts as (
    select customer_id, t, kind, previous is null or t - previous > 1800000 as fresh
    from ordered
    where previous_id is distinct from event_id
),
starts as (
    select customer_id, t as start from facts where fresh
),
joined as (
    select f.customer_id, s.start, f.t, f.kind
    from facts f
    asof join starts s on s.customer_id = f.customer_id and f.t >= s.start
)
select customer_id, make_timestamp_ms(start)::timestamp_ms as start, make_timestamp_ms(max(t))::timestamp_ms as "end",
    count(*) as rows, count(*) filter (kind = 'contact_opened') as contacts, bool_or(kind = 'contact_escalated') as escalated
from joined
group by customer_id, joined.start
