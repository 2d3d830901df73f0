//! Stepping one key: its facts and its timers, in the order the contract of a logic promises.

use tidegate_schemas::fact::Fact;
use tidegate_schemas::time::EventTime;

use crate::logic::{Logic, Outputs, Wake};

/// Gives `state` the facts, which are in (time, id) order, and every timer up to `until`. The caller
/// knows that no timer is due before `quiet`.
///
/// Answers what the logic wants next: a time after `until`, or nothing.
#[inline]
pub(super) fn step<'a, L: Logic>(
    logic: &L,
    state: &mut L::State,
    facts: impl Iterator<Item = Fact<'a>>,
    quiet: EventTime,
    until: EventTime,
    out: &mut Outputs,
) -> Wake {
    let mut instant = None;
    for fact in facts {
        if instant != Some(fact.at) {
            let due = match instant {
                Some(at) => {
                    logic.on_instant(state, at, out);
                    logic.is_due(state, fact.at)
                }
                None => quiet <= fact.at,
            };
            if due {
                run_timers(logic, state, fact.at, out);
            }
            instant = Some(fact.at);
        }
        logic.on_fact(state, &fact, out);
    }
    if let Some(at) = instant {
        logic.on_instant(state, at, out);
    }
    run_timers(logic, state, until, out)
}

/// Runs every timer up to `until`, which itself is included: a timer comes before the facts of its
/// time.
#[inline]
pub(super) fn run_timers<L: Logic>(
    logic: &L,
    state: &mut L::State,
    until: EventTime,
    out: &mut Outputs,
) -> Wake {
    loop {
        match logic.wake(state) {
            Wake::At(at) if at <= until => logic.on_timer(state, at, out),
            wake => return wake,
        }
    }
}
