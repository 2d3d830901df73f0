-- Q1 by RANGE windows over no more rows than each can see: contacts, what was handled and moods apart, joined by id. Else as q1_range.sql.
with facts as (
    select /*dedupe*/ distinct event_id, customer_id, epoch_ms(ts) as t, kind,
        (handle_secs * 100)::bigint as handle, (sentiment * 1000)::bigint as mood
    from events
    where kind in ('contact_opened', 'contact_resolved', 'message')
),
contacts as (
    select event_id, customer_id, t,
        count(*) over (along range between 3599999 preceding and current row) as contacts_1h,
        count(*) over (along range between 86399999 preceding and current row) as contacts_24h,
        count(*) over (along range between 604799999 preceding and current row) as contacts_7d
    from facts
    where kind = 'contact_opened'
    window along as (partition by customer_id order by t)
),
handled as (
    select event_id, sum(handle) over week as handle_sum, count(handle) over week as handles
    from facts
    where kind <> 'message'
    window week as (partition by customer_id order by t range between 604799999 preceding and current row)
),
moods as (
    select event_id, sum(mood) over day as mood_sum, count(mood) over day as moods
    from facts
    where kind <> 'contact_resolved'
    window day as (partition by customer_id order by t range between 86399999 preceding and current row)
)
select event_id, customer_id, make_timestamp_ms(t)::timestamp_ms as ts, contacts_1h, contacts_24h, contacts_7d,
    handle_sum::double / 100 as handle_sum_7d,
    handle_sum::double / 100 / handles as handle_mean_7d,
    mood_sum::double / 1000 / moods as sentiment_mean_24h
from contacts
join handled using (event_id)
join moods using (event_id)
