//! Sessions: maximal runs of one key's facts whose neighbours lie closer together than a gap.
//!
//! # Meaning
//! Take the key's facts that pass the filter, in (`at`, `id`) order. A fact at time `t` belongs to
//! the session before it, which began at `start` and whose last fact is at `end`, when
//!
//! ```text
//!     t = end                              (facts of one instant are never parted), or
//!     t − end < gap                        with AtGap::New
//!     t − end ≤ gap                        with AtGap::Same
//! and t − start ≤ max_length               where a greatest length is given
//! ```
//!
//! and begins a new session otherwise. So with a gap of zero every instant is a session of its own,
//! and no two sessions of a key have the same start: (key, start) is the identity of a session.
//!
//! A session is *over* at the first moment at which no fact could belong to it any more by the gap:
//! `end + gap` with `New` (but after `end`), `end + gap + 1 µs` with `Same`. A fact that comes
//! earlier, and is kept out by `max_length` alone, *cuts* the session: it is over at that fact's
//! time, and its column `cut` is true. `max_length` by itself ends nothing: a session that falls
//! silent after growing to its full length is over at the usual moment and was not cut.
//!
//! # Emits
//! Columns: `start`, `end` (the last fact), `rows`, those of the job, `closed`, and, where there is
//! a `max_length`, `cut`. Lists take a run of words, all others one.
//! - The *closed* output: one row a session, added when the session is over, at the moment when it
//!   is over, and never changed. A driver that steps settled facts only (mode `final`) emits here
//!   only what no permitted fact can change.
//! - The *open* output: every session. A session that grew has its old row taken back and its new
//!   one added, at the time of its last fact, once an instant; when it is over the open row is
//!   replaced by the closed one.
//!   Firing on the watermark it takes rows back too, so it is for changes and upserts.
//!
//! # State
//! One open session per key: 64 bytes, of which four words hold the accumulators. Count, any,
//! first, last, min, max take one word each, duration two, sum and mean three. Only where they
//! need more than four together, or there are lists or distinct counts, a box is made per session:
//! a list holds up to `k` words, a distinct count all distinct words of the session (which
//! `max_length` bounds). It ends with the session: between sessions a key leaves nothing behind.
//! With counters neither fact nor session allocates: 7 ns a fact, and 100 ns more where a session
//! ends and its row is written. An open output costs two rows, 70 ns, an instant.
//!
//! # Example
//! ```
//! use tidegate_operators::logic::{Logic, Outputs, Wake};
//! use tidegate_operators::sessions::*;
//! use tidegate_schemas::{fact::Fact, time::{EventTime, Span}};
//!
//! let sessions = Sessions::new(SessionsSpec {
//!     filter: None,
//!     gap: Span::seconds(1800),
//!     at_gap: AtGap::New,
//!     max_length: None,
//!     columns: vec![SessionColumn { op: SessionOp::Count, filter: Some(0), empty: Empty::Zero }],
//!     closed_output: Some(0),
//!     open_output: None,
//! });
//! let (mut state, mut out) = (SessionState::default(), Outputs::new(&[5]));
//! for (id, second, bits) in [(1, 0, 0b1), (2, 60, 0b0)] {
//!     let at = EventTime(second * 1_000_000);
//!     sessions.on_fact(&mut state, &Fact { at, id, bits, words: &[] }, &mut out);
//!     sessions.on_instant(&mut state, at, &mut out);
//! }
//! let over = EventTime(1_860 * 1_000_000);
//! assert_eq!(sessions.wake(&state), Wake::At(over));
//! sessions.on_timer(&mut state, over, &mut out);
//! let row: Vec<i64> = out.rows[0].columns.iter().map(|c| c.words[0]).collect();
//! assert_eq!(row, [0, 60_000_000, 2, 1, 1]); // start, end, rows, contacts, closed
//! assert_eq!(sessions.wake(&state), Wake::Forget);
//! ```

pub(crate) mod columns;
pub mod oracle;
mod spec;
#[cfg(test)]
mod tests;

use tidegate_schemas::fact::{Fact, NULL};
use tidegate_schemas::rows::Column;
use tidegate_schemas::time::{EventTime, Span};

use crate::codec::{CodecError, Reader, Writer};
pub use crate::features::spec::Measure;
use crate::logic::{Logic, Outputs, Wake};
use columns::{Boxed, INLINE, Kept, Plan};
pub use spec::{AtGap, Empty, SessionColumn, SessionOp, SessionsSpec};

/// The open session of one key, if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionState {
    start: EventTime,
    end: EventTime,
    /// Zero: no session is open.
    rows: i64,
    /// The accumulators, unless there is a box.
    inline: [i64; INLINE],
    boxed: Option<Box<Boxed>>,
}

impl Default for SessionState {
    fn default() -> SessionState {
        SessionState {
            start: EventTime::MIN,
            end: EventTime::MIN,
            rows: 0,
            inline: [0; INLINE],
            boxed: None,
        }
    }
}

impl SessionState {
    /// Whether a session is open.
    #[inline]
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.rows > 0
    }

    fn kept(&self) -> Kept<'_> {
        Kept::of(&self.inline, self.boxed.as_deref())
    }
}

/// How a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Open,
    Over,
    Cut,
}

/// The sessions of one key. The module says what they mean.
#[derive(Clone, Debug)]
pub struct Sessions {
    spec: SessionsSpec,
    reach: Span,
    max_length: Span,
    plan: Plan,
}

impl Sessions {
    /// Sessions as `spec` wants them.
    ///
    /// # Panics
    /// When a filter is not a bit of a fact, or a sum, mean or extreme is asked of a word that is
    /// no number: the job's compiler reports both before.
    #[must_use]
    pub fn new(spec: SessionsSpec) -> Sessions {
        assert!(
            spec.filter.is_none_or(|bit| bit < 64),
            "a fact has 64 bits: {spec:?}"
        );
        Sessions {
            reach: spec.reach(),
            max_length: spec.max_length.unwrap_or(Span(i64::MAX)),
            plan: Plan::new(&spec.columns),
            spec,
        }
    }

    /// What was asked for.
    #[must_use]
    pub fn spec(&self) -> &SessionsSpec {
        &self.spec
    }

    /// Whether the words of facts are looked at.
    #[must_use]
    pub fn reads(&self) -> bool {
        !self.plan.only_counts()
    }

    /// Adds the columns of the session that is open at `at`, one word each: for conditions.
    ///
    /// A session that is over at `at` is not open any more, even if no timer has said so yet. All
    /// columns are null when none is open; a list has no word, and is null always.
    pub fn values(&self, state: &SessionState, at: EventTime, into: &mut Vec<i64>) {
        if !state.is_open() || at >= self.over_at(state) {
            into.resize(into.len() + self.spec.width(), NULL);
            return;
        }
        into.extend([state.start.0, state.end.0, state.rows]);
        let kept = state.kept();
        into.extend((self.plan.columns.iter()).map(|column| column.word(kept)));
        into.extend(std::iter::repeat_n(
            0,
            self.spec.width() - self.spec.closed(),
        ));
    }

    #[inline]
    fn over_at(&self, state: &SessionState) -> EventTime {
        state.end.plus(self.reach)
    }

    fn row(&self, state: &SessionState, at: EventTime, standing: Standing, into: &mut [Column]) {
        debug_assert!(standing != Standing::Open || at == state.end);
        let (first, rest) = into.split_at_mut(SessionsSpec::FIRST);
        first[SessionsSpec::START].push(state.start.0);
        first[SessionsSpec::END].push(state.end.0);
        first[SessionsSpec::ROWS].push(state.rows);
        let kept = state.kept();
        for (column, to) in self.plan.columns.iter().zip(rest) {
            column.show(kept, to);
        }
        into[self.spec.closed()].push(i64::from(standing != Standing::Open));
        if let Some(cut) = self.spec.cut() {
            into[cut].push(i64::from(standing == Standing::Cut));
        }
    }

    fn emit_open(&self, state: &SessionState, diff: i32, out: &mut Outputs) {
        if let Some(output) = self.spec.open_output {
            let into = out.begin(output, state.end, diff);
            self.row(state, state.end, Standing::Open, into);
        }
    }

    /// Ends the open session, whose open row was taken back already.
    fn close(
        &self,
        state: &mut SessionState,
        at: EventTime,
        standing: Standing,
        out: &mut Outputs,
    ) {
        for output in [self.spec.closed_output, self.spec.open_output]
            .into_iter()
            .flatten()
        {
            let into = out.begin(output, at, 1);
            self.row(state, at, standing, into);
        }
        *state = SessionState::default();
    }

    /// Closes the open session if the fact at `at`, which is later than its end, is not of it.
    fn part(&self, state: &mut SessionState, at: EventTime, out: &mut Outputs) {
        self.emit_open(state, -1, out);
        let over = self.over_at(state);
        if at >= over {
            self.close(state, over, Standing::Over, out);
        } else if at - state.start > self.max_length {
            self.close(state, at, Standing::Cut, out);
        }
    }
}

impl Logic for Sessions {
    type State = SessionState;

    #[inline]
    fn on_fact(&self, state: &mut SessionState, fact: &Fact<'_>, out: &mut Outputs) {
        if !fact.passes(self.spec.filter) {
            return;
        }
        if state.is_open() && fact.at != state.end {
            debug_assert!(fact.at > state.end, "facts come in order");
            self.part(state, fact.at, out);
        }
        if !state.is_open() {
            state.start = fact.at;
            self.plan.begin(&mut state.inline, &mut state.boxed);
        }
        state.end = fact.at;
        state.rows += 1;
        self.plan
            .add(&mut state.inline, state.boxed.as_deref_mut(), fact);
    }

    #[inline]
    fn on_instant(&self, state: &mut SessionState, at: EventTime, out: &mut Outputs) {
        if state.is_open() && state.end == at {
            self.emit_open(state, 1, out);
        }
    }

    fn on_timer(&self, state: &mut SessionState, at: EventTime, out: &mut Outputs) {
        if state.is_open() && at >= self.over_at(state) {
            self.emit_open(state, -1, out);
            let over = self.over_at(state);
            self.close(state, over, Standing::Over, out);
        }
    }

    #[inline]
    fn wake(&self, state: &SessionState) -> Wake {
        if state.is_open() {
            Wake::At(self.over_at(state))
        } else {
            Wake::Forget
        }
    }

    #[inline]
    fn is_due(&self, state: &SessionState, at: EventTime) -> bool {
        state.is_open() && at >= self.over_at(state)
    }

    fn encode(&self, state: &SessionState, to: &mut Writer) {
        to.unsigned(state.rows.unsigned_abs().into());
        if state.is_open() {
            to.word(state.start.0);
            to.unsigned(state.end.0.abs_diff(state.start.0).into());
            self.plan.encode(state.kept(), to);
        }
    }

    fn decode(&self, from: &mut Reader<'_>) -> Result<SessionState, CodecError> {
        let mut state = SessionState {
            rows: from.number("rows of a session")?,
            ..SessionState::default()
        };
        if state.is_open() {
            state.start = from.time("start of a session")?;
            state.end = state.start.plus(Span(from.number("length of a session")?));
            self.plan
                .decode(&mut state.inline, &mut state.boxed, from)?;
        }
        Ok(state)
    }
}
