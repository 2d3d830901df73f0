//! The thread of a source: it decodes, admits rows, and hands them to the conductor.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam::channel::Sender;

use super::admit::{Admission, Admitted};
use super::error::RunError;
use super::watch::Watch;
use crate::sources::{Event, Source};

/// What a source's thread says.
pub(super) enum Word {
    /// Rows.
    Rows(Box<Admitted>),
    /// Nothing new for a while.
    Idle,
    /// There is no more.
    End,
    /// It cannot go on.
    Failed(RunError),
}

/// Reads a source to its end, or until the run is stopped or nobody listens any more.
pub(super) fn read(
    index: usize,
    name: &str,
    mut source: Box<dyn Source>,
    mut admission: Admission,
    to: &Sender<(usize, Word)>,
    watch: &Arc<Watch>,
) {
    let (mut bytes, mut total) = (0, 0);
    loop {
        let word = match source.next() {
            Ok(Event::Batch(batch)) => match admission.admit(batch) {
                Ok(admitted) => Word::Rows(Box::new(admitted)),
                Err(error) => Word::Failed(RunError::Rows {
                    source_name: name.to_owned(),
                    error,
                }),
            },
            Ok(Event::Idle) => Word::Idle,
            Ok(Event::End) => Word::End,
            Err(error) => Word::Failed(RunError::Source {
                source_name: name.to_owned(),
                error,
            }),
        };
        let progress = source.progress();
        watch
            .bytes
            .fetch_add(progress.bytes - bytes, Ordering::Relaxed);
        bytes = progress.bytes;
        let known = progress.total_bytes.unwrap_or(0).max(total);
        watch
            .total_bytes
            .fetch_add(known - total, Ordering::Relaxed);
        total = known;
        let last = matches!(word, Word::End | Word::Failed(_));
        if to.send((index, word)).is_err() || last || watch.is_stopped() {
            return;
        }
    }
}
