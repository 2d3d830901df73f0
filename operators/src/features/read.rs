//! The value of a column at a time.

use tidegate_schemas::fact::float_word;
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::EventTime;

use super::compile::{Column, Source};
use super::lane::{Lane, LanePlan};
use super::part::{Part, PartPlan, decayed};
use super::spec::{Op, Order};
use super::{Features, State};
use crate::aggregate::moments::{Moments, ten_to};
use crate::aggregate::tally::Table;

impl Features {
    /// Appends a column's words as of `at`: one word, or those of its list.
    pub(super) fn append(
        &self,
        state: &mut State,
        column: &Column,
        at: EventTime,
        into: &mut Vec<i64>,
    ) {
        if let Some((over_lane, over)) = column.over {
            let count = |lane: Option<&mut Lane>, index: usize, source| {
                lane.map_or(0, |lane| moments(lane, &self.lanes[index], source, at).n)
            };
            let part = count(state.lane(column.lane), column.lane, column.source);
            let whole = count(state.lane(over_lane), over_lane, over);
            let ratio = (whole > 0).then(|| float_word(part as f64 / whole as f64));
            into.push(ratio.unwrap_or(column.empty));
            return;
        }
        let plan = &self.lanes[column.lane];
        let lane = state.lane(column.lane);
        if column.op.is_list() {
            if let Some(lane) = lane {
                self.append_list(lane, plan, column, at, into);
            }
            return;
        }
        let word = lane.and_then(|lane| match column.op {
            Op::Entropy => entropy(table(lane, plan, column.source, at)?, into),
            _ => word(lane, plan, column, at),
        });
        into.push(word.unwrap_or(column.empty));
    }

    fn append_list(
        &self,
        lane: &mut Lane,
        plan: &LanePlan,
        column: &Column,
        at: EventTime,
        into: &mut Vec<i64>,
    ) {
        match column.op {
            Op::FirstK { k, order } | Op::LastK { k, order } => {
                let start = into.len();
                append_values(lane, plan, column, (at, k as usize), into);
                if order == Order::NewestFirst {
                    into[start..].reverse();
                }
            }
            Op::DistinctK { k, order } => {
                if let Some(table) = table(lane, plan, column.source, at) {
                    append_distinct(table, k as usize, order, into);
                }
            }
            Op::Histogram { k } => {
                if let Some(table) = table(lane, plan, column.source, at) {
                    self.append_histogram(table, k as usize, &column.of, into);
                }
            }
            _ => {}
        }
    }

    fn append_histogram(&self, table: &Table, k: usize, of: &Kind, into: &mut Vec<i64>) {
        let start = into.len();
        table.for_each(|code, seen| into.extend([code, seen.count as i64]));
        let (pairs, _) = into[start..].as_chunks_mut::<2>();
        pairs.sort_unstable_by(|[a, a_count], [b, b_count]| {
            b_count.cmp(a_count).then_with(|| match of {
                Kind::Text => (self.names.text(*a), a).cmp(&(self.names.text(*b), b)),
                _ => a.cmp(b),
            })
        });
        into.truncate(start.saturating_add(k.saturating_mul(2)));
    }
}

/// Count, sum and squares of what a column sees.
fn moments(lane: &Lane, plan: &LanePlan, source: Source, at: EventTime) -> Moments {
    match source {
        Source::Window(window, _) => {
            let from = lane.ring.first_after(&plan.layout, window.cut(at));
            lane.ring.moments_from(&plan.layout, from)
        }
        Source::Life(part) => match &lane.parts[part] {
            Part::Count(n) => Moments {
                n: *n,
                ..Moments::default()
            },
            Part::Moments(moments) => **moments,
            _ => Moments::default(),
        },
    }
}

/// The categories that a column sees.
fn table<'a>(
    lane: &'a mut Lane,
    plan: &LanePlan,
    source: Source,
    at: EventTime,
) -> Option<&'a Table> {
    let part = match source {
        Source::Window(_, part) => part?,
        Source::Life(part) => part,
    };
    match (&mut lane.parts[part], plan.parts[part]) {
        (Part::Tally(tally), PartPlan::Tally(window)) => {
            tally.advance(&lane.ring, &plan.layout, window.cut(at));
            Some(tally.table())
        }
        (Part::Table(table), _) => Some(table),
        _ => None,
    }
}

/// The single word of a column; `None` where it is empty.
fn word(lane: &mut Lane, plan: &LanePlan, column: &Column, at: EventTime) -> Option<i64> {
    let scale = column.scale;
    match column.op {
        Op::Count => Some(moments(lane, plan, column.source, at).n)
            .filter(|n| *n > 0)
            .map(|n| n as i64),
        Op::Sum => moments(lane, plan, column.source, at).sum_word(),
        Op::Mean => moments(lane, plan, column.source, at)
            .mean(scale)
            .map(float_word),
        Op::Variance(spread) => moments(lane, plan, column.source, at)
            .variance(spread, scale)
            .map(float_word),
        Op::Deviation(spread) => moments(lane, plan, column.source, at)
            .variance(spread, scale)
            .map(|variance| float_word(variance.sqrt())),
        Op::CountDistinct => table(lane, plan, column.source, at)
            .map(Table::distinct)
            .filter(|n| *n > 0)
            .map(|n| n as i64),
        Op::MaxCountBy => {
            let mut most = 0;
            table(lane, plan, column.source, at)?.for_each(|_, seen| most = seen.count.max(most));
            (most > 0).then_some(most as i64)
        }
        _ => match column.source {
            Source::Window(..) => window_word(lane, plan, column, at),
            Source::Life(part) => life_word(&lane.parts[part], plan.parts[part], column, at),
        },
    }
}

fn window_word(lane: &Lane, plan: &LanePlan, column: &Column, at: EventTime) -> Option<i64> {
    let Source::Window(window, part) = column.source else {
        return None;
    };
    let cut = window.cut(at);
    let (ring, layout) = (&lane.ring, &plan.layout);
    ring.newest(layout).filter(|newest| *newest > cut)?;
    match (column.op, part.map(|part| &lane.parts[part])) {
        (Op::Any, _) => Some(1),
        (Op::TimeSinceLast, Some(part)) => seen_before(part, at)
            .filter(|seen| *seen > cut)
            .map(|seen| (at - seen).0),
        (Op::First, _) => Some(ring.value_at(layout, ring.first_after(layout, cut))),
        (Op::Last, _) => Some(ring.value_at(layout, ring.len() - 1)),
        (Op::Min, Some(Part::Queue(queue))) => queue.greatest_after(cut).map(|word| !word),
        (Op::Max, Some(Part::Queue(queue))) => queue.greatest_after(cut),
        (Op::LongestGap, Some(Part::Gaps { gaps, .. })) => gaps.greatest_after(cut),
        _ => None,
    }
}

fn life_word(part: &Part, plan: PartPlan, column: &Column, at: EventTime) -> Option<i64> {
    match (part, plan) {
        (Part::Count(n), _) => (*n > 0).then_some(1),
        (Part::Newest { .. }, _) => seen_before(part, at).map(|seen| (at - seen).0),
        (Part::Word(word), _) => *word,
        (Part::LongestGap { longest, .. }, _) => *longest,
        (Part::Decayed { at: then, sum }, PartPlan::Decayed(half_life)) => {
            let sum = decayed(*sum, at - *then, half_life);
            Some(float_word(sum / ten_to(column.scale)))
        }
        _ => None,
    }
}

/// The newest instant with facts that lies before `t`.
fn seen_before(part: &Part, t: EventTime) -> Option<EventTime> {
    match part {
        Part::Newest { at, before } if *at == Some(t) => *before,
        Part::Newest { at, .. } => *at,
        _ => None,
    }
}

/// The first or last k values, oldest first.
fn append_values(
    lane: &Lane,
    plan: &LanePlan,
    column: &Column,
    (at, k): (EventTime, usize),
    into: &mut Vec<i64>,
) {
    match column.source {
        Source::Window(window, _) => {
            let ring = &lane.ring;
            let inside = ring.first_after(&plan.layout, window.cut(at));
            let wanted = match column.op {
                Op::FirstK { .. } => inside..ring.len().min(inside.saturating_add(k)),
                _ => inside.max(ring.len().saturating_sub(k))..ring.len(),
            };
            into.extend(wanted.map(|index| ring.value_at(&plan.layout, index)));
        }
        Source::Life(part) => {
            if let Part::List(list) = &lane.parts[part] {
                into.extend(list);
            }
        }
    }
}

/// The k different values seen last.
fn append_distinct(table: &Table, k: usize, order: Order, into: &mut Vec<i64>) {
    let start = into.len();
    table.for_each(|code, seen| into.extend([seen.last as i64, code]));
    let (pairs, _) = into[start..].as_chunks_mut::<2>();
    pairs.sort_unstable_by(|a, b| b.cmp(a));
    let listed = pairs.len().min(k);
    if order == Order::OldestFirst {
        pairs[..listed].reverse();
    }
    for index in 0..listed {
        into[start + index] = into[start + 2 * index + 1];
    }
    into.truncate(start + listed);
}

/// −Σ p·ln p, from the most frequent category down. The room behind `room` is used and given back.
fn entropy(table: &Table, room: &mut Vec<i64>) -> Option<i64> {
    let start = room.len();
    table.for_each(|_, seen| room.push(seen.count as i64));
    let counts = &mut room[start..];
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let all: i64 = counts.iter().sum();
    let share = |count: &i64| *count as f64 / all as f64;
    let nats: f64 = counts.iter().map(|c| -share(c) * share(c).ln()).sum();
    room.truncate(start);
    (all > 0).then(|| float_word(nats))
}
