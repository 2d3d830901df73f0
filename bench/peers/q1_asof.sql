-- Q1 by running totals: what a window holds is the total at its end less the total at its start, found by an ASOF join.
with facts as (
    select /*dedupe*/ distinct event_id, customer_id, epoch_ms(ts) as t, kind,
        (handle_secs * 100)::bigint as handle, (sentiment * 1000)::bigint as mood
    from events
    where kind in ('contact_opened', 'contact_resolved', 'message')
),
instants as (
    select customer_id, t,
        count(*) filter (kind = 'contact_opened') as contacts,
        sum(handle) as handle, count(handle) as handles, sum(mood) as mood, count(mood) as moods
    from facts
    group by customer_id, t
),
totals as (
    select customer_id, t,
        sum(contacts) over w as contacts, coalesce(sum(handle) over w, 0) as handle, sum(handles) over w as handles,
        coalesce(sum(mood) over w, 0) as mood, sum(moods) over w as moods
    from instants
    window w as (partition by customer_id order by t rows unbounded preceding)
),
anchors as (
    select event_id, customer_id, t, t - 3600000 as t_1h, t - 86400000 as t_24h, t - 604800000 as t_7d
    from facts
    where kind = 'contact_opened'
),
joined as (
    select a.event_id, a.customer_id, a.t,
        now.contacts - coalesce(h.contacts, 0) as contacts_1h,
        now.contacts - coalesce(d.contacts, 0) as contacts_24h,
        now.contacts - coalesce(w.contacts, 0) as contacts_7d,
        now.handle - coalesce(w.handle, 0) as handle_sum, now.handles - coalesce(w.handles, 0) as handles,
        now.mood - coalesce(d.mood, 0) as mood_sum, now.moods - coalesce(d.moods, 0) as moods
    from anchors a
    join totals now on now.customer_id = a.customer_id and now.t = a.t
    asof left join totals h on h.customer_id = a.customer_id and a.t_1h >= h.t
    asof left join totals d on d.customer_id = a.customer_id and a.t_24h >= d.t
    asof left join totals w on w.customer_id = a.customer_id and a.t_7d >= w.t
)
select event_id, customer_id, make_timestamp_ms(t)::timestamp_ms as ts,
    contacts_1h::bigint as contacts_1h, contacts_24h::bigint as contacts_24h, contacts_7d::bigint as contacts_7d,
    case when handles > 0 then handle_sum::double / 100 end as handle_sum_7d,
    case when handles > 0 then handle_sum::double / 100 / handles end as handle_mean_7d,
    case when moods > 0 then mood_sum::double / 1000 / moods end as sentiment_mean_24h
from joined
