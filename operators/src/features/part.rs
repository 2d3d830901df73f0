//! What a lane keeps beside its ring: queues and tallies of windows, accumulators of lifetimes.

use std::collections::VecDeque;

use tidegate_schemas::time::{EventTime, Span};

use crate::aggregate::moments::Moments;
use crate::aggregate::queue::Queue;
use crate::aggregate::tally::{Table, Tally};
use crate::aggregate::window::Window;

/// Which part a lane keeps. Equal plans of one lane share one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartPlan {
    /// The least value of every window.
    Least,
    /// The greatest value of every window.
    Greatest,
    /// The longest gap of every window.
    Gaps,
    /// The categories in one window.
    Tally(Window),
    /// How many facts ever.
    Count,
    /// The moments of all values ever.
    Moments,
    /// The least value ever.
    Low,
    /// The greatest value ever.
    High,
    /// The first value ever.
    First,
    /// The last value so far.
    Last,
    /// The times of the last two instants with facts so far.
    Newest,
    /// The longest gap ever.
    LongestGap,
    /// The first k values ever.
    FirstK(u32),
    /// The last k values so far.
    LastK(u32),
    /// The decayed sum.
    Decayed(Span),
    /// All categories ever.
    Table,
}

impl PartPlan {
    /// Whether the part cannot be had from the ring's records again.
    pub(super) fn is_saved(self) -> bool {
        !matches!(
            self,
            PartPlan::Least | PartPlan::Greatest | PartPlan::Gaps | PartPlan::Tally(_)
        )
    }

    /// The part before any fact.
    pub(super) fn start(self) -> Part {
        match self {
            PartPlan::Least | PartPlan::Greatest => Part::Queue(Queue::default()),
            PartPlan::Gaps => Part::Gaps {
                newest: None,
                gaps: Queue::default(),
            },
            PartPlan::Tally(_) => Part::Tally(Box::default()),
            PartPlan::Count => Part::Count(0),
            PartPlan::Moments => Part::Moments(Box::default()),
            PartPlan::Low | PartPlan::High | PartPlan::First | PartPlan::Last => Part::Word(None),
            PartPlan::Newest => Part::Newest {
                at: None,
                before: None,
            },
            PartPlan::LongestGap => Part::LongestGap {
                newest: None,
                longest: None,
            },
            PartPlan::FirstK(_) | PartPlan::LastK(_) => Part::List(VecDeque::new()),
            PartPlan::Decayed(_) => Part::Decayed {
                at: EventTime::MIN,
                sum: 0.0,
            },
            PartPlan::Table => Part::Table(Box::default()),
        }
    }
}

/// A part's state.
///
/// # State
/// 48 B each in the lane, and: 16 B per queued value; 24 to 45 B per category that is there; 8 B
/// per listed value; 64 B for moments.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Queue(Queue),
    Gaps {
        newest: Option<EventTime>,
        gaps: Queue,
    },
    Tally(Box<Tally>),
    Count(u64),
    Moments(Box<Moments>),
    Word(Option<i64>),
    Newest {
        at: Option<EventTime>,
        before: Option<EventTime>,
    },
    LongestGap {
        newest: Option<EventTime>,
        longest: Option<i64>,
    },
    List(VecDeque<i64>),
    Decayed {
        at: EventTime,
        sum: f64,
    },
    Table(Box<Table>),
}

impl Part {
    /// A fact enters. `oldest` says up to which time no window of the lane sees anything.
    pub(super) fn enter(
        &mut self,
        plan: PartPlan,
        at: EventTime,
        value: i64,
        oldest: impl FnOnce() -> EventTime,
    ) {
        match self {
            // The complement turns the order of words around without overflow.
            Part::Queue(queue) if plan == PartPlan::Least => queue.push(at, !value, oldest),
            Part::Queue(queue) => queue.push(at, value, oldest),
            Part::Gaps { newest, gaps } => {
                if let Some(older) = newest.replace(at) {
                    gaps.push(older, (at - older).0, oldest);
                }
            }
            Part::Tally(tally) => tally.enter(value),
            Part::Count(n) => *n += 1,
            Part::Moments(moments) => **moments = moments.plus(Moments::of(value)),
            Part::Word(word) => *word = Some(plan.fold(*word, value)),
            Part::Newest { at: newest, before } => {
                if *newest != Some(at) {
                    *before = newest.replace(at);
                }
            }
            Part::LongestGap { newest, longest } => {
                if let Some(older) = newest.replace(at) {
                    *longest = (*longest).max(Some((at - older).0));
                }
            }
            Part::List(list) => match plan {
                PartPlan::FirstK(k) if list.len() >= k as usize => {}
                PartPlan::LastK(k) => {
                    if list.len() >= k as usize {
                        list.pop_front();
                    }
                    list.push_back(value);
                }
                _ => list.push_back(value),
            },
            Part::Decayed { at: then, sum } => {
                if let PartPlan::Decayed(half_life) = plan {
                    *sum = decayed(*sum, at - *then, half_life) + value as f64;
                    *then = at;
                }
            }
            Part::Table(table) => table.enter(value),
        }
    }
}

impl PartPlan {
    fn fold(self, word: Option<i64>, value: i64) -> i64 {
        match (self, word) {
            (PartPlan::Low, Some(word)) => word.min(value),
            (PartPlan::High, Some(word)) => word.max(value),
            (PartPlan::First, Some(word)) => word,
            _ => value,
        }
    }
}

/// sum · 2^(−passed ÷ half-life).
pub(super) fn decayed(sum: f64, passed: Span, half_life: Span) -> f64 {
    if sum == 0.0 {
        return sum;
    }
    sum * (-(passed.0 as f64 / half_life.0 as f64)).exp2()
}
