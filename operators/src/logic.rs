//! The contract between the keyed driver and a logic: a pure state machine of one key.
//!
//! The driver promises a logic:
//!
//! 1. `on_fact` gets the facts of a key in (`at`, `id`) order, each once.
//! 2. `on_instant(at)` follows the last fact at `at`, once, before anything later happens.
//! 3. `on_timer(at)` comes exactly at the time that `wake` last asked for, before the facts of
//!    that time, and never for a time that event time has not reached.
//! 4. After `Wake::Forget` the state is dropped, unless the key is still held for corrections; the
//!    next fact of the key meets a default state.
//! 5. Every row that a call adds to [`Outputs`] is delivered once.
//!
//! A logic promises the driver:
//!
//! 1. It is a function of its state and the call alone: no clock, no randomness, no order of a hash
//!    map in its answers. (The driver replays facts from an older copy of the state when one comes
//!    out of order, and sends the difference of the two outputs. A logic that is not repeatable
//!    would leave rows behind that nobody takes back.)
//! 2. It takes back (diff −1) only rows that the same key's logic has emitted, value for value.
//! 3. `wake` asks for a time later than every call so far.
//! 4. When `wake` answers `Forget`, a default state would behave the same from here on.
//! 5. `decode(encode(state))` behaves as `state` does.

use tidegate_schemas::fact::Fact;
use tidegate_schemas::rows::{Column, Rows};
use tidegate_schemas::time::EventTime;

use crate::codec::{CodecError, Reader, Writer};
use crate::parcel::TableRow;

/// When a logic wants to be called next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// When event time reaches this.
    At(EventTime),
    /// Only when a fact comes.
    Idle,
    /// Never: the state holds nothing that matters any more.
    Forget,
}

impl Wake {
    /// The earlier of two wishes: a time before none, keeping before forgetting.
    #[inline]
    #[must_use]
    pub fn sooner(self, other: Wake) -> Wake {
        match (self, other) {
            (Wake::At(a), Wake::At(b)) => Wake::At(a.min(b)),
            (Wake::At(a), _) | (_, Wake::At(a)) => Wake::At(a),
            (Wake::Idle, _) | (_, Wake::Idle) => Wake::Idle,
            (Wake::Forget, Wake::Forget) => Wake::Forget,
        }
    }
}

/// Where a logic puts its rows: one [`Rows`] per output, all of the key that is being worked on.
#[derive(Debug, Default)]
pub struct Outputs {
    /// The rows so far, by output.
    pub rows: Vec<Rows>,
    key: String,
}

impl Outputs {
    /// Room for outputs with these numbers of columns.
    #[must_use]
    pub fn new(columns: &[usize]) -> Outputs {
        Outputs {
            rows: columns.iter().map(|n| Rows::new(*n)).collect(),
            key: String::new(),
        }
    }

    /// Says whose rows come next.
    #[inline]
    pub fn set_key(&mut self, key: &str) {
        self.key.clear();
        self.key.push_str(key);
    }

    /// The key being worked on.
    #[inline]
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Begins a row of output `output`; the caller pushes one value onto each column.
    #[inline]
    pub fn begin(&mut self, output: usize, at: EventTime, diff: i32) -> &mut [Column] {
        self.rows[output].begin(&self.key, at, diff)
    }

    /// Takes all rows away, and leaves room for as many.
    #[must_use]
    pub fn take(&mut self) -> Vec<Rows> {
        self.rows.iter_mut().map(Rows::take).collect()
    }

    /// No rows of the same outputs.
    #[must_use]
    pub fn none(&self) -> Vec<Rows> {
        let columns = self.rows.iter().map(|rows| rows.columns.len());
        columns.map(Rows::new).collect()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.iter().all(Rows::is_empty)
    }

    /// Forgets all rows and keeps the room.
    pub fn clear(&mut self) {
        self.rows.iter_mut().for_each(Rows::clear);
    }
}

/// A word of a brief ([`Logic::brief`]) of which nothing is known: any table row may stir such a key.
pub const UNKNOWN: i64 = i64::MIN;

/// A pure state machine of one key. The module's documentation is the contract.
pub trait Logic: 'static {
    /// What is kept per key. The default state is that of a key that was never seen.
    type State: Default + Clone + 'static;

    /// Whether the words of a fact with these bits may be looked at: drivers bring such words nearer to
    /// the processor before they step.
    #[inline]
    fn reads(&self, _bits: u64) -> bool {
        true
    }

    /// A fact of the key, in (time, id) order.
    fn on_fact(&self, state: &mut Self::State, fact: &Fact<'_>, out: &mut Outputs);

    /// All facts at `at` have been given.
    fn on_instant(&self, state: &mut Self::State, at: EventTime, out: &mut Outputs);

    /// Event time has reached what `wake` asked for.
    fn on_timer(&self, state: &mut Self::State, at: EventTime, out: &mut Outputs);

    /// A row of a broadcast table came or was taken back. The logic remembers it; `wake` and
    /// `on_timer` then speak of the times at which it matters to a key.
    fn on_table(&self, _row: &TableRow) {}

    /// Whether a table row can matter to this key from `row.at` on.
    fn affected(&self, _state: &Self::State, _row: &TableRow) -> bool {
        false
    }

    /// Whether these table rows, which `on_table` has been given, alter what timers will put out at
    /// their times for a key that has no facts since the first of them. It is asked for every key that
    /// [`Logic::may_stir`] does not leave out: a yes costs a copy of the state; after a no they are looked
    /// at again when event time or a fact comes there.
    fn stirs(&self, state: &Self::State, _key: &str, rows: &[TableRow]) -> bool {
        rows.iter().any(|row| self.affected(state, row))
    }

    /// How many words of each key a driver keeps side by side for [`Logic::may_stir`]; with none, it asks
    /// [`Logic::stirs`] of every key.
    fn brief_words(&self) -> usize {
        0
    }

    /// Writes those words of a state that has come to `at`: they hold until it is given something.
    /// All of them are [`UNKNOWN`] before it is asked.
    fn brief(&self, _state: &Self::State, _at: EventTime, _to: &mut [i64]) {}

    /// Whether [`Logic::stirs`] may say yes of the state whose brief this is, if it has not passed any of the rows: a
    /// no is certain.
    fn may_stir(&self, _brief: &[i64], _rows: &[TableRow]) -> bool {
        true
    }

    /// Puts out what timers up to `until` would of the state whose brief this is, and makes the brief that of the state
    /// behind them. Answers up to when it has done so: maybe not all the way, and not at all where the
    /// brief does not tell enough.
    #[inline]
    fn answer(
        &self,
        _brief: &mut [i64],
        _until: EventTime,
        _out: &mut Outputs,
    ) -> Option<EventTime> {
        None
    }

    /// No moment before `watermark` will be looked at again: table versions may be dropped.
    fn settle_tables(&self, _watermark: EventTime) {}

    /// Writes what `on_table` has left, which is the same on every worker.
    fn encode_tables(&self, _to: &mut Writer) {}

    /// Reads tables that `encode_tables` wrote, before any key is given.
    ///
    /// # Errors
    /// When the bytes are not such tables.
    fn decode_tables(&self, _from: &mut Reader<'_>) -> Result<(), CodecError> {
        Ok(())
    }

    /// When to be called next, if no fact comes.
    fn wake(&self, state: &Self::State) -> Wake;

    /// Whether `wake` asks for `at` or a time before it. It is asked more often than `wake`; a
    /// needless yes costs a call of that.
    #[inline]
    fn is_due(&self, state: &Self::State, at: EventTime) -> bool {
        matches!(self.wake(state), Wake::At(due) if due <= at)
    }

    /// Writes the state.
    fn encode(&self, state: &Self::State, to: &mut Writer);

    /// Reads a state that `encode` wrote.
    ///
    /// # Errors
    /// When the bytes are not such a state.
    fn decode(&self, from: &mut Reader<'_>) -> Result<Self::State, CodecError>;
}
