//! Anchor rows: the values of a key as they were at a fact, which nothing takes back.

use std::hint::black_box;

use tidegate_schemas::fact::NULL;
use tidegate_schemas::time::EventTime;

use super::Features;
use super::State;
use crate::logic::Outputs;

impl Features {
    /// Whether the end of the instant that is under way will emit anchor rows.
    #[inline]
    #[must_use]
    pub fn will_show(&self, state: &State) -> bool {
        !state.pending.is_empty()
    }

    /// Appends all columns' words as the last anchor row shows them: what [`Features::values`] would
    /// say of that row's time.
    pub fn values_of_last_row(&self, out: &Outputs, into: &mut Vec<i64>) {
        let Some(output) = self.anchor_output else {
            return;
        };
        let shown = &out.rows[output].columns[2 + self.carry.len()..];
        into.extend(self.columns.iter().zip(shown).map(|(column, shown)| {
            let word = shown.words.last().filter(|_| !column.op.is_list());
            word.copied().unwrap_or(NULL)
        }));
    }

    /// Puts out the rows of the anchors of the instant at `at`, of which nothing is missing any more.
    pub(super) fn emit_anchors(
        &self,
        state: &mut State,
        at: EventTime,
        output: usize,
        out: &mut Outputs,
    ) {
        // The columns read lanes that lie apart and that the anchor itself may not have entered.
        black_box(state.touch());
        let mut pending = std::mem::take(&mut state.pending);
        let mut reading = self.reading(at);
        for anchor in pending.chunks_exact(1 + self.carry.len()) {
            let row = out.begin(output, at, 1);
            row[0].push(anchor[0]);
            row[1].push(at.0);
            let (carried, features) = row[2..].split_at_mut(self.carry.len());
            for (word, to) in anchor[1..].iter().zip(carried) {
                to.push(*word);
            }
            for (column, to) in self.columns.iter().zip(features) {
                reading.append(state, column, &mut to.words);
                if column.op.is_list() {
                    to.ends.push(to.words.len() as u32);
                }
            }
        }
        pending.clear();
        state.pending = pending;
    }
}
