-- Q4: candidates by a window and the thresholds in force; then each customer hops from one intervention to the first candidate 24 h on.
with recursive facts as (
    select /*dedupe*/ distinct event_id, customer_id, epoch_ms(ts) as t
    from events
    where kind = 'contact_opened'
),
counted as (
    select event_id, customer_id, t, substr(customer_id, 2)::bigint % 4 as segment,
        count(*) over (partition by customer_id order by t range between 86399999 preceding and current row) as contacts_24h
    from facts
),
candidates as materialized (
    select c.*, l.threshold, row_number() over (partition by c.customer_id order by c.t, c.event_id) as n
    from counted c
    asof join limits l on l.segment = c.segment and c.t >= l.t
    where c.contacts_24h >= l.threshold
),
interventions as (
    select customer_id, n, t from candidates where n = 1
    union all
    select c.customer_id, min(c.n) as n, min(c.t) as t
    from interventions i
    join candidates c on c.customer_id = i.customer_id and c.t >= i.t + 86400000
    group by c.customer_id
)
select event_id, customer_id, make_timestamp_ms(t)::timestamp_ms as ts, segment, contacts_24h, threshold
from candidates
semi join interventions using (customer_id, n)
