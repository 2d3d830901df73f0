//! Current rows: the values of a key as they are, taken back and replaced when they change.

use tidegate_schemas::fact::NULL;
use tidegate_schemas::time::EventTime;

use super::Features;
use super::State;
use super::compile::{Column, Source};
use super::lane::Lane;
use super::part::Part;
use crate::logic::Outputs;

/// The current row as it was emitted.
///
/// `words` hold what changes are seen by: per column one word, or the length and words of a list,
/// or for a column that moves with the clock the time of its newest fact. Behind them stand the
/// values of the latter columns as they were shown.
///
/// # State
/// One per key with a current row: 32 B and 8 B a column (and list value).
#[derive(Clone, Debug)]
pub(super) struct Emitted {
    pub(super) at: EventTime,
    pub(super) words: Vec<i64>,
}

impl Features {
    /// Emits the difference between the row as it is at `at` and as it was emitted last.
    pub(super) fn emit_current(
        &self,
        state: &mut State,
        at: EventTime,
        output: usize,
        out: &mut Outputs,
    ) {
        let emitted = state.rare.as_mut().and_then(|rare| rare.emitted.take());
        // Timers have dropped the lanes in which nothing is left.
        if state.lanes.is_empty() {
            if let Some(old) = emitted {
                self.emit_row(old.at, -1, &old.words, output, out);
            }
            return;
        }
        let had_row = emitted.is_some();
        let mut emitted = emitted.unwrap_or_else(|| Emitted {
            at,
            words: Vec::new(),
        });
        // The new row is written behind the old one, so that no other room is needed.
        let old = emitted.words.len();
        self.append_row(state, at, &mut emitted.words);
        let shown = self.clock_columns().count();
        let (was, is) = emitted.words.split_at(old);
        if had_row && was[..old - shown] == is[..is.len() - shown] {
            emitted.words.truncate(old);
        } else {
            if had_row {
                self.emit_row(emitted.at, -1, was, output, out);
            }
            self.emit_row(at, 1, is, output, out);
            emitted.words.drain(..old);
            emitted.at = at;
        }
        state.rare.get_or_insert_default().emitted = Some(emitted);
    }

    fn clock_columns(&self) -> impl Iterator<Item = &Column> {
        let columns = self.columns.iter();
        columns.filter(|column| column.op.moves_with_the_clock())
    }

    fn append_row(&self, state: &mut State, at: EventTime, into: &mut Vec<i64>) {
        let mut reading = self.reading(at);
        for column in &self.columns {
            if column.op.moves_with_the_clock() {
                let lane = state.lane(column.lane);
                into.push(lane.map_or(NULL, |lane| self.newest_in(lane, column, at)));
            } else if column.op.is_list() {
                let length = into.len();
                into.push(0);
                reading.append(state, column, into);
                into[length] = (into.len() - length - 1) as i64;
            } else {
                reading.append(state, column, into);
            }
        }
        for column in self.clock_columns() {
            reading.append(state, column, into);
        }
    }

    /// The time of a column's newest fact, as a word.
    fn newest_in(&self, lane: &Lane, column: &Column, at: EventTime) -> i64 {
        let newest = match column.source {
            Source::Window(window, _) => {
                let newest = lane.ring.newest(&self.lanes[column.lane].layout);
                newest.filter(|newest| *newest > window.cut(at))
            }
            Source::Life(part) => match &lane.parts[part] {
                Part::Newest { at, .. } => *at,
                Part::Decayed { at, .. } => Some(*at),
                _ => None,
            },
        };
        newest.map_or(NULL, |newest| newest.0)
    }

    fn emit_row(&self, at: EventTime, diff: i32, words: &[i64], output: usize, out: &mut Outputs) {
        let shown = words.len() - self.clock_columns().count();
        let (mut words, mut clock) = (words[..shown].iter(), words[shown..].iter());
        let mut next = || words.next().copied().unwrap_or(NULL);
        let row = out.begin(output, at, diff);
        row[0].push(at.0);
        for (column, to) in self.columns.iter().zip(&mut row[1..]) {
            let word = next();
            if column.op.is_list() {
                to.push_list((0..word).map(|_| next()));
            } else if column.op.moves_with_the_clock() {
                to.push(clock.next().copied().unwrap_or(NULL));
            } else {
                to.push(word);
            }
        }
    }
}
