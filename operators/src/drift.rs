//! Drift: how far the facts of windows are from a frozen reference, per monitor and segment.
//!
//! [`tally`] counts facts where they are, per (monitor, segment, step, bin); only counts travel, to
//! the one worker that owns the monitor in that segment. [`ledger`] keeps them there and makes the rows.
//! [`spec`] is what a job declares, [`measures`] what is measured, [`alerts`] what becomes of that.
//!
//! # Numbers and their bins
//! The edges of bins ([`cuts`]) come from the reference, so until it is settled (the watermark has
//! passed its end, and corrections of it can come no more) numbers are counted by value, and then by
//! bin of the edges, which never change again. In three stages:
//!
//! 1. The reference is not frozen: there are values only, and no rows.
//! 2. It is frozen, and corrections of it may come (`keep`, so with [`spec::Firing::Changes`] only):
//!    there are edges, by the reference as it is. When it changes they are cut anew, all steps are put
//!    into bins anew, and all rows revised. So rows are always what a batch over the same facts with the
//!    same watermark gives: first the edges of the reference, then everything by them.
//! 3. It is settled: the edges are fixed, values are forgotten.
//!
//! The owner sends fixed edges back to all workers, who count by bin from the next tick on or later.
//! When exactly changes no answer: what still comes by value is put into the same bins by the owner.
//! Edges that are declared are fixed from the beginning.
//!
//! Each segment has bins of its own reference. Bins of all facts would be the same ones for all segments,
//! but leave a small segment whose values lie elsewhere with one or two of them.
//!
//! # Windows
//! A window of several steps is the one before it, with the newest step added and the oldest taken away,
//! and a correction changes the windows that hold its step: a window costs what changed in it, not its
//! rows.
//!
//! # Why not arrangements
//! The rows are a differential collection, (row, tick, ±1), and so is every change of a count: the
//! count is in the difference. They are *not* kept in differential's arrangements, for three reasons:
//!
//! - A closed window must be forgotten while its row stands. In a dataflow of `reduce` and `join`,
//!   taking back the counts takes back the row.
//! - State needs a codec, and a spine has none.
//! - It is slower. Measured on 10M facts of 30 days, two monitors of 6 and 40 categories, hourly
//!   windows, one worker, against the same counts put through two `reduce`s and a `join` (the same
//!   number of changes came out): with ticks of 1,000 facts 25 against 73 ns a fact, with 10,000 13
//!   against 19, with 100,000 equal at 12. Counting takes 9 to 11 of these, 5 ns per fact and
//!   monitor.
//!
//! By monitor and segment, and not by window, because then the reference is where its windows are.
//! After counting there is little left to share: the 10M facts above became 0.04M to 0.6M counts.
//!
//! Many segments looked at every hour cry wolf by chance alone, whatever the limit: control of false
//! discoveries over the rows of a tick would be one more column between [`measures`] and [`alerts`].

use std::borrow::Borrow;
use std::iter;
use std::rc::Rc;
use std::sync::Arc;

use tidegate_schemas::fact::FactBlock;
use tidegate_schemas::names::Names;
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::{EventTime, Tick};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::{Broadcast, Map, ToStream};
use timely::dataflow::operators::{ConnectLoop, Feedback};

use self::ledger::{Delta, Fixed, Ledger, Told};
use self::spec::{Monitor, Values};
use self::tally::Tally;
use crate::ticks;

pub mod alerts;
mod bag;
mod counter;
mod counts;
pub mod cuts;
mod emit;
pub mod ledger;
pub mod measures;
mod numbering;
mod page;
mod segments;
mod series;
pub mod spec;
mod table;
pub mod tally;
#[cfg(test)]
mod tests;

/// What comes of drift.
#[derive(Clone)]
pub struct Drift<'scope> {
    /// The measures.
    pub rows: StreamVec<'scope, Tick, Rows>,
    /// The alerts, of a spec that has any.
    pub alerts: StreamVec<'scope, Tick, Rows>,
    /// Of final alerts, which stand as they opened: a row for each that has closed, with the time of that.
    pub closed: StreamVec<'scope, Tick, Rows>,
}

/// The measures of every monitor in every window against the reference, as a collection of rows, and the
/// alerts that they make.
///
/// # Reads
/// `facts`: accepted facts, each with its difference, in any order and on any worker.
/// `watermarks`: what each worker knows after a tick, said by every worker, in every tick in which
/// it moves; what counts is the least that any worker said last. All facts of later ticks are at or
/// after it. Windows are open until it passes them: at the end of the input it is
/// [`EventTime::MAX`], and an input that just stops leaves its last windows open.
///
/// `ledger`: a new one, or what all workers together had saved after a tick, joined, to go on from.
/// `names`: the texts of categories; those of bins are added to them.
///
/// # Emits
/// Rows as [`spec::DriftSpec::output`] describes them, `at` the start of their window, when a tick is
/// complete on all workers, by monitor, segment and window; which of them and when is said by
/// [`spec::Firing`]. A window without rows, or with fewer than `min_rows`, has none; any other that holds
/// a row has one, also if it reaches beyond the first row or the last. Where the
/// reference is empty, the measures are null. The categories of a row are those of the
/// reference and of its window, never of other windows: a category of the future changes no row.
///
/// Alerts as [`spec::DriftSpec::alerts_output`] describes them, `at` their opening: with
/// [`spec::Firing::Final`] one row for each, as it opened; else a row that is taken back when it closes,
/// and comes again with the time of that, and taken back when its cause is.
///
/// The rows that stand after a tick are a function of the facts and the watermark so far: workers,
/// batches, and arrival within lateness change nothing, bit for bit.
///
/// # State
/// That of [`Ledger`], on the worker that owns the page; before that, the counts of open ticks.
///
/// # Panics
/// When the spec does not pass [`spec::DriftSpec::check`], when more facts of a category are taken back
/// than were given, and when a message has no tick.
pub fn drift<'scope, B>(
    facts: StreamVec<'scope, Tick, B>,
    watermarks: StreamVec<'scope, Tick, EventTime>,
    mut ledger: Ledger,
    names: Arc<Names>,
) -> Drift<'scope>
where
    B: Borrow<FactBlock> + Clone + 'static,
{
    let scope = watermarks.scope();
    let (worker, workers) = (scope.index() as u64, scope.peers() as u64);
    // A loop costs every tick another round of all workers, so there is one only if something goes through it.
    let learns = |monitor: &Monitor| matches!(monitor.values, Values::Numbers(..));
    let (back, fixed) = match ledger.spec().monitors.iter().any(learns) {
        true => {
            let (back, fixed) = scope.feedback::<Vec<Fixed>>(1);
            (Some(back), fixed)
        }
        false => (None, iter::empty().to_stream(scope)),
    };
    let deltas = count(facts, fixed, &ledger);
    ledger.retain(|page| page.route() % workers == worker);
    let owner = |delta: &Delta| delta.page.route();
    let told = ticks::whole(deltas, watermarks, "Drift", owner, move |deltas, at| {
        deltas.iter().for_each(|delta| ledger.apply(delta));
        let told = ledger.close(at, &names);
        (!told.is_empty()).then(|| Rc::new(told))
    });
    let rows = |told: Rc<Told>| (!told.rows.is_empty()).then(|| told.rows.clone());
    let alerts = |told: Rc<Told>| (!told.alerts.is_empty()).then(|| told.alerts.clone());
    let closed = |told: Rc<Told>| (!told.closed.is_empty()).then(|| told.closed.clone());
    if let Some(back) = back {
        let fixed = told.clone().flat_map(|told| told.fixed.clone());
        fixed.broadcast().connect_loop(back);
    }
    Drift {
        rows: told.clone().flat_map(rows),
        alerts: told.clone().flat_map(alerts),
        closed: told.flat_map(closed),
    }
}

/// Counts the facts of each worker where they are, so that only counts travel; by bin as soon as the
/// edges have come back.
fn count<'scope, B>(
    facts: StreamVec<'scope, Tick, B>,
    fixed: StreamVec<'scope, Tick, Fixed>,
    ledger: &Ledger,
) -> StreamVec<'scope, Tick, Delta>
where
    B: Borrow<FactBlock> + Clone + 'static,
{
    let mut tally = Tally::new(ledger.spec());
    ledger.fixed().for_each(|fixed| tally.learn(fixed));
    facts.binary(fixed, Pipeline, Pipeline, "DriftCounts", move |_, _| {
        move |facts, fixed, output| {
            fixed.for_each_stamp(|_, data| {
                data.for_each(|all| all.drain(..).for_each(|fixed| tally.learn(fixed)));
            });
            facts.for_each_stamp(|capability, data| {
                data.flatten()
                    .for_each(|block| tally.add((*block).borrow()));
                let mut session = output.session(&capability);
                tally.drain(|delta| session.give(delta));
            });
        }
    })
}
