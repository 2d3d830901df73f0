//! What a column says, in words.

use tidegate_schemas::job::{Aggregate, Empty, Nulls, Op, Order, Spread, Window};
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::TimeUnit;

/// The type of a column, in the words of job files.
pub(super) fn type_name(kind: &Kind) -> String {
    match kind {
        Kind::Int => "i64".to_owned(),
        Kind::Id { .. } => "u64".to_owned(),
        Kind::Fixed { .. } | Kind::Float | Kind::Span => "f64".to_owned(),
        Kind::Bool => "bool".to_owned(),
        Kind::Text | Kind::IdText => "text".to_owned(),
        Kind::Time(unit) => match unit {
            TimeUnit::Second => "timestamp_s",
            TimeUnit::Millisecond => "timestamp_ms",
            TimeUnit::Microsecond => "timestamp_us",
            TimeUnit::Nanosecond => "timestamp_ns",
        }
        .to_owned(),
        Kind::List(item) => format!("list<{}>", type_name(item)),
        Kind::Histogram(item) => format!("list<(value {}, count i64)>", type_name(item)),
    }
}

/// What an aggregate says through a window, of a session, or of a step of a pattern.
pub(in crate::cli) fn of_aggregate(
    aggregate: &Aggregate,
    window: Option<&Window>,
    kind: &Kind,
) -> String {
    let mut text = what(aggregate);
    if let Some(filter) = &aggregate.filter
        && !matches!(aggregate.op, Op::Ratio { .. })
    {
        text.push_str(&format!(" where {}", filter.written().trim()));
    }
    if let Some(step) = &aggregate.step {
        text.push_str(&format!(", over the rows of {}", step.written()));
    }
    match window {
        None => {}
        Some(Window::Lifetime) => text.push_str(", over the key's lifetime"),
        Some(window) => text.push_str(&format!(", over {window}")),
    }
    if let (Some(hop), Some(Window::Rolling { .. })) = (aggregate.hop, window) {
        text.push_str(&format!(" whose far end moves in steps of {hop}"));
    }
    text.push_str(match (aggregate.empty, kind) {
        (_, Kind::List(_) | Kind::Histogram(_)) => "; empty if no row counts",
        (Empty::Null, _) => "; null if no row counts",
        (Empty::Zero, Kind::Bool) => "; false if no row counts",
        (Empty::Zero, _) => "; 0 if no row counts",
    });
    if aggregate.nulls == Nulls::Keep {
        text.push_str("; null is a value");
    }
    match (aggregate.scale, aggregate.decimals()) {
        (Some(scale), _) => text.push_str(&format!("; of values with {scale} decimals")),
        (None, Some(scale)) => text.push_str(&format!("; of floats with {scale} decimals")),
        (None, None) => {}
    }
    text
}

fn what(aggregate: &Aggregate) -> String {
    let of = aggregate
        .of
        .as_ref()
        .map_or("rows", |sql| sql.written().trim());
    match &aggregate.op {
        Op::Count => match &aggregate.of {
            None => "count".to_owned(),
            Some(of) => format!("count of {} that is not null", of.written().trim()),
        },
        Op::Sum => format!("sum of {of}, null beyond 64 bits"),
        Op::Mean => format!("mean of {of}"),
        Op::Min => format!("smallest {of}"),
        Op::Max => format!("largest {of}"),
        Op::Variance(spread) => format!("{} variance of {of}", spread_name(*spread)),
        Op::Stddev(spread) => format!("{} standard deviation of {of}", spread_name(*spread)),
        Op::First => format!("{of} of the first row"),
        Op::Last => format!("{of} of the last row"),
        Op::FirstK { k, order } => format!("{of} of the first {k} rows, {}", order_name(*order)),
        Op::LastK { k, order } => format!("{of} of the last {k} rows, {}", order_name(*order)),
        Op::CountDistinct => format!("how many different {of}"),
        Op::DistinctK { k, order } => {
            format!("the {k} different {of} seen last, {}", order_name(*order))
        }
        Op::Histogram { k } => {
            format!("the {k} most frequent {of} with counts, the smaller first among equals")
        }
        Op::MaxCountBy => format!("count of the most frequent {of}"),
        Op::Ratio { per } => format!(
            "rows {} / rows where {}",
            where_(aggregate),
            per.written().trim()
        ),
        Op::TimeSinceLast => "seconds since the newest earlier row".to_owned(),
        Op::LongestGap => "longest time between neighbouring rows, in seconds".to_owned(),
        Op::Entropy => format!("entropy of the shares of {of}, in nats"),
        Op::DecayedSum { half_life } => {
            format!("sum of {of}, each losing half its weight every {half_life}")
        }
        Op::Any => "whether there is any row".to_owned(),
        Op::List { k } => format!("{of} of the first {k} rows, oldest first"),
    }
}

fn where_(aggregate: &Aggregate) -> String {
    let filter = aggregate.filter.as_ref().map(|sql| sql.written().trim());
    filter.map_or_else(|| "of all".to_owned(), |filter| format!("where {filter}"))
}

fn spread_name(spread: Spread) -> &'static str {
    match spread {
        Spread::Population => "population",
        Spread::Sample => "sample",
    }
}

fn order_name(order: Order) -> &'static str {
    match order {
        Order::NewestFirst => "newest first",
        Order::OldestFirst => "oldest first",
    }
}
