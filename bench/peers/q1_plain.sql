-- Q1 as it is first written: RANGE windows over all rows, though only three kinds of them can be seen by one. Else as q1_range.sql.
with facts as (
    select /*dedupe*/ distinct event_id, customer_id, epoch_ms(ts) as t, kind,
        (handle_secs * 100)::bigint as handle, (sentiment * 1000)::bigint as mood
    from events
),
windowed as (
    select event_id, customer_id, t, kind,
        count(*) filter (kind = 'contact_opened') over hour as contacts_1h,
        count(*) filter (kind = 'contact_opened') over day as contacts_24h,
        count(*) filter (kind = 'contact_opened') over week as contacts_7d,
        sum(handle) over week as handle_sum, count(handle) over week as handles,
        sum(mood) over day as mood_sum, count(mood) over day as moods
    from facts
    window
        hour as (partition by customer_id order by t range between 3599999 preceding and current row),
        day as (partition by customer_id order by t range between 86399999 preceding and current row),
        week as (partition by customer_id order by t range between 604799999 preceding and current row)
)
select event_id, customer_id, make_timestamp_ms(t)::timestamp_ms as ts, contacts_1h, contacts_24h, contacts_7d,
    handle_sum::double / 100 as handle_sum_7d,
    handle_sum::double / 100 / handles as handle_mean_7d,
    mood_sum::double / 1000 / moods as sentiment_mean_24h
from windowed
where kind = 'contact_opened'
