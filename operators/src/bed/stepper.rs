//! One key of a logic, stepped fact by fact.

use std::fmt::Debug;

use tidegate_schemas::fact::Fact;
use tidegate_schemas::time::EventTime;

use super::facts::Owned;
use crate::codec::{Reader, Writer};
use crate::logic::{Logic, Outputs, Wake};
use crate::sessions::oracle::{SessionRow, standing};

const KEY: &str = "k";

/// What the driver does for one key, kept so plain that it cannot be wrong.
pub(crate) struct Stepper<L: Logic> {
    pub(crate) logic: L,
    pub(crate) state: L::State,
    pub(crate) out: Outputs,
    instant: Option<EventTime>,
}

impl<L: Logic> Stepper<L>
where
    L::State: PartialEq + Debug,
{
    /// Outputs of so many columns.
    pub(crate) fn new(logic: L, columns: &[usize]) -> Stepper<L> {
        let mut out = Outputs::new(columns);
        out.set_key(KEY);
        Stepper {
            logic,
            state: L::State::default(),
            out,
            instant: None,
        }
    }

    /// Gives facts, and ends the instant of the last.
    pub(crate) fn facts(&mut self, facts: &[Owned]) {
        facts.iter().for_each(|fact| self.fact(fact.fact()));
        self.end_instant();
    }

    pub(crate) fn fact(&mut self, fact: Fact<'_>) {
        self.advance(fact.at);
        self.logic.on_fact(&mut self.state, &fact, &mut self.out);
        self.instant = Some(fact.at);
    }

    pub(crate) fn end_instant(&mut self) {
        if let Some(at) = self.instant.take() {
            self.logic.on_instant(&mut self.state, at, &mut self.out);
        }
    }

    /// Event time reaches `clock`: everything earlier is given.
    pub(crate) fn advance(&mut self, clock: EventTime) {
        if self.instant.is_some_and(|at| at < clock) {
            self.end_instant();
        }
        while let Wake::At(at) = self.logic.wake(&self.state) {
            if at > clock {
                return;
            }
            self.logic.on_timer(&mut self.state, at, &mut self.out);
        }
        if self.logic.wake(&self.state) == Wake::Forget {
            let nothing = L::State::default();
            assert_eq!(self.state, nothing, "a forgotten key leaves nothing behind");
        }
    }

    pub(crate) fn save_and_restore(&mut self) {
        let mut to = Writer::default();
        self.logic.encode(&self.state, &mut to);
        let mut from = Reader::new(&to.bytes);
        let restored = self.logic.decode(&mut from).expect("reads back");
        assert!(from.is_empty());
        assert_eq!(restored, self.state);
        self.state = restored;
    }

    /// What stands of an output; every row must be there exactly once.
    pub(crate) fn rows(&self, output: usize) -> Vec<SessionRow> {
        let rows = standing(&self.out.rows[output], KEY);
        for (row, count) in &rows {
            assert_eq!(*count, 1, "{row:?}");
        }
        rows.into_iter().map(|(row, _)| row).collect()
    }
}
