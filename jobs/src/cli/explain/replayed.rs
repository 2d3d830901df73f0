//! What the engine makes of one key: its logic, stepped through the key's facts by itself.

use tidegate_operators::entity::State;
use tidegate_operators::logic::{Logic, Outputs, Wake};
use tidegate_schemas::fact::Fact;
use tidegate_schemas::rows::{OutputSchema, Rows};
use tidegate_schemas::time::EventTime;

use super::gather::Gathered;
use crate::cli::failure::Failure;
use crate::compile::Plan;
use crate::runtime::logic;

/// The rows of every output of a stage, up to a moment.
pub(super) struct Replayed<'a> {
    outputs: &'a [OutputSchema],
    rows: Vec<Rows>,
}

impl<'a> Replayed<'a> {
    /// Gives the logic all facts and timers up to `until`, which itself is included.
    ///
    /// # Errors
    /// When the operators refuse what the job compiled to.
    pub(super) fn new(
        plan: &'a Plan,
        stage: usize,
        key: &str,
        gathered: &Gathered,
        until: EventTime,
    ) -> Result<Replayed<'a>, Failure> {
        let stage = &plan.stages[stage];
        let logic = logic(stage, &plan.names)?;
        for version in &gathered.versions {
            logic.on_table(version);
        }
        let outputs = &stage.outputs[..stage.logic_outputs];
        let widths: Vec<usize> = outputs.iter().map(|output| output.columns.len()).collect();
        let mut out = Outputs::new(&widths);
        out.set_key(key);
        let mut state = State::default();
        let mut instant = None;
        for fact in gathered.facts.iter().take_while(|fact| fact.at <= until) {
            if instant != Some(fact.at) {
                if let Some(at) = instant {
                    logic.on_instant(&mut state, at, &mut out);
                }
                timers(&logic, &mut state, fact.at, &mut out);
                instant = Some(fact.at);
            }
            let fact = Fact {
                at: fact.at,
                id: fact.id,
                bits: fact.bits,
                words: &fact.words,
            };
            logic.on_fact(&mut state, &fact, &mut out);
        }
        if let Some(at) = instant {
            logic.on_instant(&mut state, at, &mut out);
        }
        timers(&logic, &mut state, until, &mut out);
        Ok(Replayed {
            outputs,
            rows: out.rows,
        })
    }

    /// The output of this name, with its rows that stand: added and not taken back.
    pub(super) fn standing(&self, output: &str) -> Option<(&'a OutputSchema, Rows)> {
        let index = self
            .outputs
            .iter()
            .position(|schema| schema.name == output)?;
        let all = &self.rows[index];
        let mut standing: Vec<usize> = Vec::new();
        for row in 0..all.len() {
            if all.heads[row].diff > 0 {
                standing.push(row);
                continue;
            }
            // What is taken back is nearly always what was added last. It is the same value for value.
            let same = |other: &usize| {
                let columns = all.columns.iter();
                columns
                    .clone()
                    .all(|column| column.row(row) == column.row(*other))
            };
            if let Some(taken) = standing.iter().rposition(same) {
                standing.remove(taken);
            }
        }
        let mut rows = Rows::new(all.columns.len());
        for row in standing {
            rows.append_row(all, row, 1);
        }
        Some((&self.outputs[index], rows))
    }
}

fn timers<L: Logic>(logic: &L, state: &mut L::State, until: EventTime, out: &mut Outputs) {
    while let Wake::At(at) = logic.wake(state) {
        if at > until {
            return;
        }
        logic.on_timer(state, at, out);
    }
}
