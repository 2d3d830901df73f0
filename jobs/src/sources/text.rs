//! The source of text files: bytes in, complete records out, file after file or all files as they grow.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::batch::Rows;
use super::declare::{Declared, Lifetime};
use super::error::SourceError;
use super::files::Files;
use super::input::Input;
use super::text_file::{Filled, OpenFile};
use super::{Event, IDLE_AFTER, Progress, Source};

/// Reads text files.
pub(super) struct TextSource {
    declared: Arc<Declared>,
    files: Files,
    rows: Rows,
    /// The files being read; a finite source reads one at a time.
    open: Vec<OpenFile>,
    /// Which of them is read now.
    turn: usize,
    /// How many in a row had nothing new.
    quiet: usize,
    listed: Instant,
    /// What went wrong after rows that are to be delivered first.
    failed: Option<SourceError>,
    over: bool,
    bytes: Arc<AtomicU64>,
    rows_in: u64,
}

impl TextSource {
    pub(super) fn new(declared: Arc<Declared>) -> Result<Self, SourceError> {
        let files = Files::new(&declared)?;
        let rows = Rows::new(&declared);
        Ok(Self {
            declared,
            files,
            rows,
            open: Vec::new(),
            turn: 0,
            quiet: 0,
            listed: Instant::now(),
            failed: None,
            over: false,
            bytes: Arc::new(AtomicU64::new(0)),
            rows_in: 0,
        })
    }

    /// Reads a text at hand.
    pub(super) fn of_text(
        declared: Arc<Declared>,
        name: &str,
        text: Vec<u8>,
    ) -> Result<Self, SourceError> {
        let input = Input::Decoded(Box::new(Cursor::new(text)));
        let mut source = Self::new(Arc::clone(&declared))?;
        source
            .open
            .push(OpenFile::over(&declared, name.into(), input));
        Ok(source)
    }

    /// Opens the next file waiting; false when there is none.
    fn open_next(&mut self) -> Result<bool, SourceError> {
        let Some(found) = self.files.next() else {
            return Ok(false);
        };
        self.open
            .push(OpenFile::new(&self.declared, found, &self.bytes)?);
        self.turn = self.open.len() - 1;
        self.quiet = 0;
        Ok(true)
    }

    /// The batch so far, and where to go on.
    fn deliver(&mut self) -> Result<Option<Event>, SourceError> {
        let Some(batch) = self.rows.finish(self.open[self.turn].name())? else {
            return Ok(None);
        };
        self.rows_in += batch.rows_in;
        self.quiet = 0;
        Ok(Some(Event::Batch(batch)))
    }

    /// One step: an event, or none when there is reason to look again at once.
    fn step(&mut self, deadline: Instant) -> Result<Option<Event>, SourceError> {
        // A finite source goes on when a file has ended, a followed one when it has nothing new.
        let followed = self.declared.lifetime != Lifetime::Finite;
        if self.turn >= self.open.len() || (followed && self.quiet > 0) {
            if self.open_next()? {
                return Ok(None);
            }
            self.turn = if self.turn + 1 < self.open.len() {
                self.turn + 1
            } else {
                0
            };
        }
        if self.open.is_empty() || self.quiet >= self.open.len() {
            return self.rest(deadline);
        }
        match self.open[self.turn].fill(&mut self.rows) {
            Ok(Filled::Batch) => self.deliver(),
            Ok(Filled::Nothing) => {
                let delivered = self.deliver()?;
                self.quiet += usize::from(delivered.is_none());
                Ok(delivered)
            }
            Ok(Filled::End) => {
                let delivered = self.deliver();
                let file = self.open.remove(self.turn);
                // A text at hand has no path.
                if let Some(why) = file.instead_of_rows()
                    && !self.declared.paths.is_empty()
                {
                    tracing::warn!(file = %file.name(), "there is no row in this file: {why}");
                }
                self.turn = self.open.len();
                self.quiet = 0;
                delivered
            }
            Err(error) => {
                let delivered = self.deliver();
                self.open.clear();
                self.failed = Some(error);
                delivered
            }
        }
    }

    /// Whether files may come that are not there yet.
    fn lists_again(&self) -> bool {
        self.declared.lifetime != Lifetime::Finite && self.files.can_grow()
    }

    /// Finds files that are new, renamed or replaced.
    fn look_around(&mut self) -> Result<(), SourceError> {
        self.listed = Instant::now();
        // In this order: a file replaced because it was renamed is found under its new name afterwards.
        self.open.iter_mut().try_for_each(OpenFile::inspect)?;
        self.files.relist()?;
        let open = &mut self.open;
        self.files
            .drop_renamed(|found| open.iter_mut().find_map(|open| open.rename(found)));
        Ok(())
    }

    /// Nothing is new anywhere: ends, or waits a little.
    fn rest(&mut self, deadline: Instant) -> Result<Option<Event>, SourceError> {
        self.quiet = 0;
        match self.declared.lifetime {
            _ if self.open.is_empty() && !self.lists_again() => return Ok(Some(Event::End)),
            Lifetime::Follow { list_every } if self.listed.elapsed() >= list_every => {
                self.look_around()?;
                return Ok(None);
            }
            Lifetime::Finite | Lifetime::Follow { .. } => {}
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Some(Event::Idle));
        }
        match self.open.as_mut_slice() {
            [only] => only.wait(left),
            _ => std::thread::sleep(left.min(Duration::from_millis(1))),
        }
        Ok(None)
    }
}

impl Source for TextSource {
    fn next(&mut self) -> Result<Event, SourceError> {
        let deadline = Instant::now() + IDLE_AFTER;
        loop {
            if let Some(error) = self.failed.take() {
                self.over = true;
                return Err(error);
            }
            if self.over {
                return Ok(Event::End);
            }
            match self.step(deadline) {
                Ok(Some(event)) => return Ok(event),
                Ok(None) => {}
                Err(error) => self.failed = Some(error),
            }
        }
    }

    fn progress(&self) -> Progress {
        let finite = self.declared.lifetime == Lifetime::Finite;
        Progress {
            bytes: self.bytes.load(Ordering::Relaxed),
            total_bytes: self.files.total_bytes().filter(|_| finite),
            rows: self.rows_in,
        }
    }
}
