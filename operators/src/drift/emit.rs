//! How what was measured becomes output rows and what the conditions of alerts see.

use tidegate_schemas::fact::NULL;
use tidegate_schemas::rows::{Column, Rows};
use tidegate_schemas::time::EventTime;

use super::alerts::Episode;
use super::ledger::PageKey;
use super::measures::Row;
use super::spec::{DriftSpec, Layout, WINDOW_COLUMNS};

/// Puts out what comes of one page.
pub(super) struct Emit<'a> {
    pub(super) spec: &'a DriftSpec,
    pub(super) key: PageKey,
    pub(super) rows: &'a mut Rows,
    pub(super) alerts: &'a mut Rows,
    pub(super) closed: &'a mut Rows,
    /// From when to when the page's reference is; known before anything is put out.
    pub(super) reference: (EventTime, EventTime),
}

impl Emit<'_> {
    /// A row of the window of a length (by its place) that ends with a step.
    pub(super) fn row(&mut self, place: usize, end: i64, row: &Row, diff: i32) {
        let about = self.about(place, end);
        let columns = self.rows.begin("", EventTime(about[0]), diff);
        match self.spec.layout {
            Layout::Plain => {
                let window = [about[0], end, about[3]];
                let words = window.iter().chain(&row.words);
                push(columns, words);
            }
            Layout::Wide => {
                push(columns, about.iter().chain(&row.words));
                push_moved(columns, row);
            }
        }
    }

    /// What a condition sees of a row.
    pub(super) fn registers(&self, place: usize, end: i64, row: &Row) -> Vec<i64> {
        let about = self.about(place, end);
        about
            .iter()
            .chain(&row.words)
            .copied()
            .chain([NULL])
            .collect()
    }

    /// A row of an episode.
    pub(super) fn episode(&mut self, place: usize, episode: &Episode, diff: i32) {
        let words = self.episode_words(place, episode);
        push_episode(self.alerts, &words, episode, diff);
    }

    /// A row of an episode that has closed, of which no row will stand.
    pub(super) fn closing(&mut self, place: usize, episode: &Episode) {
        let words = self.episode_words(place, episode);
        push_episode(self.closed, &words, episode, 1);
    }

    fn episode_words(&self, place: usize, episode: &Episode) -> [i64; super::alerts::COLUMNS] {
        [
            self.monitor(),
            self.key.segment,
            self.spec.length_code(self.spec.lengths[place]),
            episode.opened_at.0,
            episode.closed_at.map_or(NULL, |at| at.0),
            episode.state(),
            self.reference.0.0,
            self.reference.1.0,
        ]
    }

    fn monitor(&self) -> i64 {
        self.spec.monitors[self.key.monitor as usize].name
    }

    /// Which window it is: start, end, length, monitor, segment.
    fn about(&self, place: usize, end: i64) -> [i64; WINDOW_COLUMNS] {
        let length = self.spec.lengths[place];
        let steps = self.spec.steps;
        let first = end.saturating_sub(i64::from(length) - 1);
        [
            steps.start(first).0,
            steps.end(end).0,
            self.spec.length_code(length),
            self.monitor(),
            self.key.segment,
        ]
    }
}

fn push_episode(rows: &mut Rows, about: &[i64], episode: &Episode, diff: i32) {
    let columns = rows.begin("", episode.opened_at, diff);
    push(columns, about.iter().chain(&episode.row.words));
    push_moved(columns, &episode.row);
}

fn push<'a>(columns: &mut [Column], words: impl Iterator<Item = &'a i64>) {
    for (column, word) in columns.iter_mut().zip(words) {
        column.push(*word);
    }
}

fn push_moved(columns: &mut [Column], row: &Row) {
    if let Some(last) = columns.last_mut() {
        last.push_list(row.moved.iter().copied());
    }
}
