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

/// One reading of one state at a time.
///
/// Columns of the same facts in the same window, like a sum and a mean, mostly stand side by side:
/// what was counted last is kept.
pub(super) struct Reading<'a> {
    features: &'a Features,
    at: EventTime,
    counted: Option<(usize, Source)>,
    moments: Moments,
}

impl Features {
    /// A reading at `at`, which must not lie before any earlier one.
    pub(super) fn reading(&self, at: EventTime) -> Reading<'_> {
        Reading {
            features: self,
            at,
            counted: None,
            moments: Moments::default(),
        }
    }
}

impl Reading<'_> {
    /// Appends a column's words: one word, or those of its list.
    pub(super) fn append(&mut self, state: &mut State, column: &Column, into: &mut Vec<i64>) {
        if let Some((part, window)) = column.tally
            && let Some(Lane { ring, parts, .. }) = state.lane_mut(column.lane)
            && let Part::Tally(tally) = &mut parts[part]
        {
            let plan = &self.features.lanes[column.lane];
            tally.advance(ring, &plan.layout, window.cut(self.at));
        }
        self.append_as_is(state, column, into);
    }

    /// Whether a column can be read without touching the state: the categories it counts have not
    /// begun to leave.
    #[inline]
    pub(super) fn is_level(&self, state: &State, column: &Column) -> bool {
        let Some((part, window)) = column.tally else {
            return true;
        };
        let plan = &self.features.lanes[column.lane];
        match state
            .lane(column.lane)
            .map(|lane| (lane, &lane.parts[part]))
        {
            Some((lane, Part::Tally(tally))) => {
                tally.is_at(&lane.ring, &plan.layout, window.cut(self.at))
            }
            _ => true,
        }
    }

    /// Appends a column's words; the categories of its window stand where they were left.
    pub(super) fn append_as_is(&mut self, state: &State, column: &Column, into: &mut Vec<i64>) {
        if let Some((over_lane, over)) = column.over {
            let part = self.facts(state, column.lane, column.source);
            let whole = self.facts(state, over_lane, over);
            let ratio = (whole > 0).then(|| float_word(part as f64 / whole as f64));
            into.push(ratio.unwrap_or(column.empty));
            return;
        }
        let word = match column.op {
            Op::Count => {
                let facts = self.facts(state, column.lane, column.source);
                (facts > 0).then_some(facts as i64)
            }
            Op::Sum | Op::Mean | Op::Variance(_) | Op::Deviation(_) => {
                let moments = self.moments(state, column.lane, column.source);
                moments_word(moments, column)
            }
            _ => {
                let plan = &self.features.lanes[column.lane];
                let lane = state.lane(column.lane);
                if column.op.is_list() {
                    if let Some(lane) = lane {
                        self.append_list(lane, plan, column, into);
                    }
                    return;
                }
                lane.and_then(|lane| self.word(lane, plan, column, into))
            }
        };
        into.push(word.unwrap_or(column.empty));
    }

    /// How many facts a column sees.
    fn facts(&self, state: &State, index: usize, source: Source) -> u64 {
        let Some(lane) = state.lane(index) else {
            return 0;
        };
        match source {
            Source::Window(window, _) => {
                let layout = &self.features.lanes[index].layout;
                let from = lane.ring.first_after(layout, window.cut(self.at));
                lane.ring.facts_from(layout, from)
            }
            Source::Life(part) => match &lane.parts[part] {
                Part::Count(n) => *n,
                _ => 0,
            },
        }
    }

    /// Count, sum and squares of what a column sees.
    fn moments(&mut self, state: &State, index: usize, source: Source) -> &Moments {
        if self.counted != Some((index, source)) {
            self.counted = Some((index, source));
            self.moments = match (state.lane(index), source) {
                (Some(lane), Source::Window(window, _)) => {
                    let layout = &self.features.lanes[index].layout;
                    let from = lane.ring.first_after(layout, window.cut(self.at));
                    lane.ring.moments_from(layout, from)
                }
                (Some(lane), Source::Life(part)) => match &lane.parts[part] {
                    Part::Moments(moments) => **moments,
                    _ => Moments::default(),
                },
                (None, _) => Moments::default(),
            };
        }
        &self.moments
    }

    /// The categories that a column sees.
    fn table<'l>(&self, lane: &'l Lane, column: &Column) -> Option<&'l Table> {
        let part = match column.source {
            Source::Window(_, part) => part?,
            Source::Life(part) => part,
        };
        match &lane.parts[part] {
            Part::Tally(tally) => Some(tally.table()),
            Part::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The single word of a column; `None` where it is empty. The room behind `room` may be used,
    /// and is given back.
    fn word(
        &self,
        lane: &Lane,
        plan: &LanePlan,
        column: &Column,
        room: &mut Vec<i64>,
    ) -> Option<i64> {
        match column.op {
            Op::CountDistinct => {
                let distinct = self.table(lane, column)?.distinct();
                (distinct > 0).then_some(distinct as i64)
            }
            Op::MaxCountBy => {
                let mut most = 0;
                let table = self.table(lane, column)?;
                table.for_each(|_, seen| most = seen.count.max(most));
                (most > 0).then_some(most as i64)
            }
            Op::Entropy => entropy(self.table(lane, column)?, room),
            _ => match column.source {
                Source::Window(..) => self.window_word(lane, plan, column),
                Source::Life(part) => self.life_word(&lane.parts[part], plan.parts[part], column),
            },
        }
    }

    fn window_word(&self, lane: &Lane, plan: &LanePlan, column: &Column) -> Option<i64> {
        let Source::Window(window, part) = column.source else {
            return None;
        };
        let cut = window.cut(self.at);
        let (ring, layout) = (&lane.ring, &plan.layout);
        ring.newest(layout).filter(|newest| *newest > cut)?;
        match (column.op, part.map(|part| &lane.parts[part])) {
            (Op::Any, _) => Some(1),
            (Op::TimeSinceLast, Some(part)) => self
                .seen_before(part)
                .filter(|seen| *seen > cut)
                .map(|seen| (self.at - seen).0),
            (Op::First, _) => Some(ring.value_at(layout, ring.first_after(layout, cut))),
            (Op::Last, _) => Some(ring.value_at(layout, ring.len() - 1)),
            (Op::Min, Some(Part::Queue(queue))) => queue.greatest_after(cut).map(|word| !word),
            (Op::Max, Some(Part::Queue(queue))) => queue.greatest_after(cut),
            (Op::LongestGap, Some(Part::Gaps { gaps, .. })) => gaps.greatest_after(cut),
            _ => None,
        }
    }

    fn life_word(&self, part: &Part, plan: PartPlan, column: &Column) -> Option<i64> {
        match (part, plan) {
            (Part::Count(n), _) => (*n > 0).then_some(1),
            (Part::Newest { .. }, _) => self.seen_before(part).map(|seen| (self.at - seen).0),
            (Part::Word(word), _) => *word,
            (Part::LongestGap { longest, .. }, _) => *longest,
            (Part::Decayed { at, sum }, PartPlan::Decayed(half_life)) => {
                let sum = decayed(*sum, self.at - *at, half_life);
                Some(float_word(sum / ten_to(column.scale)))
            }
            _ => None,
        }
    }

    /// The newest instant with facts that lies before this one.
    fn seen_before(&self, part: &Part) -> Option<EventTime> {
        match part {
            Part::Newest { at, before } if *at == Some(self.at) => *before,
            Part::Newest { at, .. } => *at,
            _ => None,
        }
    }

    fn append_list(&self, lane: &Lane, plan: &LanePlan, column: &Column, into: &mut Vec<i64>) {
        let start = into.len();
        match column.op {
            Op::FirstK { k, order } | Op::LastK { k, order } => {
                self.append_values(lane, plan, column, k as usize, into);
                if order == Order::NewestFirst {
                    into[start..].reverse();
                }
            }
            Op::DistinctK { k, order } => {
                if let Some(table) = self.table(lane, column) {
                    append_distinct(table, k as usize, order, into);
                }
            }
            Op::Histogram { k } => {
                if let Some(table) = self.table(lane, column) {
                    self.append_histogram(table, k as usize, &column.of, into);
                }
            }
            _ => {}
        }
    }

    /// The first or last k values, oldest first.
    fn append_values(
        &self,
        lane: &Lane,
        plan: &LanePlan,
        column: &Column,
        k: usize,
        into: &mut Vec<i64>,
    ) {
        match column.source {
            Source::Window(window, _) => {
                let ring = &lane.ring;
                let inside = ring.first_after(&plan.layout, window.cut(self.at));
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

    fn append_histogram(&self, table: &Table, k: usize, of: &Kind, into: &mut Vec<i64>) {
        let names = &self.features.names;
        let start = into.len();
        table.for_each(|code, seen| into.extend([code, seen.count as i64]));
        let (pairs, _) = into[start..].as_chunks_mut::<2>();
        pairs.sort_unstable_by(|[a, a_count], [b, b_count]| {
            b_count.cmp(a_count).then_with(|| match of {
                Kind::Text => (names.text(*a), a).cmp(&(names.text(*b), b)),
                _ => a.cmp(b),
            })
        });
        into.truncate(start.saturating_add(k.saturating_mul(2)));
    }
}

fn moments_word(moments: &Moments, column: &Column) -> Option<i64> {
    let scale = column.scale;
    match column.op {
        Op::Sum => moments.sum_word(),
        Op::Mean => moments.mean(scale).map(float_word),
        Op::Variance(spread) => moments.variance(spread, scale).map(float_word),
        Op::Deviation(spread) => {
            let variance = moments.variance(spread, scale);
            variance.map(|variance| float_word(variance.sqrt()))
        }
        _ => None,
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

/// −Σ p·ln p, from the most frequent category down.
fn entropy(table: &Table, room: &mut Vec<i64>) -> Option<i64> {
    let start = room.len();
    table.for_each(|_, seen| room.push(seen.count as i64));
    let counts = &mut room[start..];
    counts.sort_unstable_by(|a, b| b.cmp(a));
    // In 128 bits, because damaged counts must not overflow either.
    let all: i128 = counts.iter().map(|count| i128::from(*count)).sum();
    let share = |count: &i64| *count as f64 / all as f64;
    let nats: f64 = counts.iter().map(|c| -share(c) * share(c).ln()).sum();
    room.truncate(start);
    (all > 0).then(|| float_word(nats))
}
