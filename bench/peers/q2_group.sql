-- Q2 by numbering: each customer's starts are counted along, and a session is a group of rows with the same count.
with facts as (
    select /*dedupe*/ distinct event_id, customer_id, epoch_ms(ts) as t, kind
    from events
),
starts as (
    select customer_id, t, kind,
        coalesce(t - lag(t) over (partition by customer_id order by t) > 1800000, true)::int as fresh
    from facts
),
numbered as (
    select customer_id, t, kind,
        sum(fresh) over (partition by customer_id order by t rows unbounded preceding) as session
    from starts
)
select customer_id, make_timestamp_ms(min(t))::timestamp_ms as start, make_timestamp_ms(max(t))::timestamp_ms as "end",
    count(*) as rows, count(*) filter (kind = 'contact_opened') as contacts, bool_or(kind = 'contact_escalated') as escalated
from numbered
group by customer_id, session
