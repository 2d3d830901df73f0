//! Many rows at once, as when a threshold changes for many customers: every processor makes a share into text
//! while another is written. The workers wait for such rows to be out, not the rows for the workers.

use std::ops::Range;
use std::thread;

use crossbeam::channel::bounded;
use tidegate_schemas::rows::Rows;

use super::error::Problem;

/// More rows of one tick are made into text by several threads.
pub(super) const LARGE: usize = 16 * 1024;

/// So many rows become text at once: it is half a megabyte, and is still near to the processor when it is written.
pub(super) const SHARE: usize = 2 * 1024;

/// Texts that may wait to be written, of each thread.
const WAITING: usize = 2;

/// A share of the rows of a tick.
#[derive(Clone, Debug)]
pub(super) struct Share<'a> {
    /// The block it is of.
    pub(super) rows: &'a Rows,
    /// Which of its rows.
    pub(super) part: Range<usize>,
    /// What is left of their differences; `None`: all of them.
    pub(super) left: Option<&'a [i32]>,
}

impl Share<'_> {
    /// Whether it is the last one of its block.
    pub(super) fn ends_block(&self) -> bool {
        self.part.end == self.rows.len()
    }
}

/// The rows of a tick, with what is left of all their differences, in shares of at most `most` rows. A block without
/// rows has a share as well.
pub(super) fn shares<'a>(
    blocks: &'a [Rows],
    left: Option<&'a [i32]>,
    most: usize,
) -> Vec<Share<'a>> {
    let mut shares = Vec::new();
    let mut before = 0;
    for rows in blocks {
        for start in (0..rows.len().max(1)).step_by(most) {
            let part = start..rows.len().min(start.saturating_add(most));
            let left = left.map(|left| &left[before..][part.clone()]);
            shares.push(Share { rows, part, left });
        }
        before += rows.len();
    }
    shares
}

/// Lines, and how many.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub(super) lines: Vec<u8>,
    pub(super) rows: usize,
}

/// Lets each of the makers, on a thread of its own, make its part of many rows into text, and hands on the texts in the
/// order of the rows.
///
/// # Errors
/// The first that something ends with, in that order.
pub(super) fn in_order<M: Send>(
    makers: &mut [M],
    blocks: &[Rows],
    left: Option<&[i32]>,
    make: impl Fn(&mut M, &Share<'_>, &mut Text) -> Result<(), Problem> + Sync,
    mut take: impl FnMut(&Share<'_>, &Text) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let (shares, stride, make) = (shares(blocks, left, SHARE), makers.len(), &make);
    let shares = &shares[..];
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for (first, maker) in makers.iter_mut().enumerate() {
            let (to, made) = bounded(WAITING);
            let (give_back, spare) = bounded::<Text>(WAITING);
            scope.spawn(move || {
                for share in shares.iter().skip(first).step_by(stride) {
                    let mut text = spare.try_recv().unwrap_or_default();
                    text.lines.clear();
                    let outcome = make(maker, share, &mut text).map(|()| text);
                    if to.send(outcome).is_err() {
                        return;
                    }
                }
            });
            threads.push((made, give_back));
        }
        for (share, (made, give_back)) in shares.iter().zip(threads.iter().cycle()) {
            // A thread that panics ends this one as well.
            let Ok(text) = made.recv() else { break };
            let text = text?;
            take(share, &text)?;
            let _ = give_back.try_send(text);
        }
        Ok(())
    })
}
