//! The conductor: it brings the sources together, gives every batch a tick, moves the watermark,
//! and sends each batch to the worker with the least to do. (Batches have numbers: of those of a tick it does not
//! matter which is worked off first.)

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::Thread;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Select, Sender};
use tidegate_schemas::names::Names;
use tidegate_schemas::time::{EventTime, Tick};

use super::admit::Admitted;
use super::clock::Clock;
use super::error::RunError;
use super::reader::Word;
use super::rejects::reject_rows;
use super::watch::Watch;
use crate::sinks::{SinkError, SinkHandle, SinkSender};

/// What a worker is told.
pub(super) enum Work {
    /// Rows that become facts at this tick.
    Rows(Tick, Box<Admitted>),
    /// The tick is complete, and the watermark is there.
    Tick(Tick, EventTime),
}

/// The way to a worker: its channel, and its thread, which sleeps when it has nothing to do.
pub(super) struct Line {
    pub(super) to: Sender<Work>,
    pub(super) thread: Thread,
}

impl Line {
    /// Answers whether the worker still listens.
    fn send(&self, work: Work) -> bool {
        let sent = self.to.send(work).is_ok();
        self.thread.unpark();
        sent
    }
}

/// Where the raw rows of a source go.
#[derive(Default)]
pub(super) struct RawSinks {
    pub(super) late: Vec<SinkSender>,
    pub(super) rejects: Vec<SinkSender>,
}

/// Brings rows from the sources to the workers.
pub(super) struct Conductor<'a> {
    pub(super) lines: Vec<Line>,
    /// When one of them fails the run is over, even if no row comes any more.
    pub(super) sinks: &'a [SinkHandle],
    /// Whether a worker listens no longer: it has failed.
    pub(super) deaf: bool,
    pub(super) clock: Clock,
    pub(super) watch: Arc<Watch>,
    pub(super) raw: Vec<RawSinks>,
    pub(super) names: Vec<String>,
    /// What knows the texts of ids until the watermark has passed them.
    pub(super) texts: Arc<Names>,
    /// Whether ticks follow the wall clock (live runs) or just count (replays).
    pub(super) live: bool,
    pub(super) tick: Tick,
    /// How many rows a tick has at least: the next batch joins those of a tick that has fewer.
    pub(super) enough: usize,
    /// Rows sent of the tick that is not complete.
    pub(super) open: usize,
    /// When the latest tick was complete.
    pub(super) completed: Instant,
    /// The worker that got the latest batch.
    pub(super) turn: usize,
    pub(super) sent: EventTime,
}

/// How often the clock is looked at when nothing comes.
const PULSE: Duration = Duration::from_millis(100);
/// How long a tick of a live run lasts at least: a millisecond is what ticks count there. What comes meanwhile joins it,
/// since a tick costs every worker and every sink something however few rows it has.
const LIVE_TICK: Duration = Duration::from_millis(1);

impl Conductor<'_> {
    /// Works until these sources have ended, the run is stopped, or somebody who is needed has failed.
    /// Answers whether the sources have ended: if not, nobody should wait for them.
    pub(super) fn conduct(
        &mut self,
        from: &Receiver<(usize, Word)>,
        mut open: usize,
    ) -> Result<bool, RunError> {
        while open > 0 {
            if self.watch.is_stopped() || self.deaf || self.sinks.iter().any(SinkHandle::has_failed)
            {
                return Ok(false);
            }
            let patience = match self.live && self.open > 0 {
                true => LIVE_TICK.saturating_sub(self.completed.elapsed()),
                false => PULSE,
            };
            match from.recv_timeout(patience) {
                Ok((source, Word::Rows(rows))) => self.rows(source, rows)?,
                // A tick that is not complete waits for its rows however long they take: what a replay puts
                // out, its ticks too, does not depend on the clock.
                Ok((_, Word::Idle)) | Err(RecvTimeoutError::Timeout)
                    if !self.live && self.open > 0 => {}
                Ok((_, Word::Idle)) | Err(RecvTimeoutError::Timeout) => self.pulse(),
                Ok((source, Word::End)) => {
                    self.clock.ended(source);
                    open -= 1;
                }
                Ok((_, Word::Failed(error))) => return Err(error),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(true)
    }

    /// Says the last word: the watermark as it is when all sources have ended.
    pub(super) fn finish(&mut self) -> Result<(), SinkError> {
        if !self.watch.is_stopped() {
            self.pulse();
        }
        let tick = self.next_tick();
        for raw in &mut self.raw {
            for sink in raw.late.iter_mut().chain(&mut raw.rejects) {
                sink.complete(tick)?;
            }
        }
        Ok(())
    }

    fn next_tick(&self) -> Tick {
        let next = self.tick + 1;
        if !self.live {
            return next;
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        next.max(now.map_or(0, |now| now.as_millis() as u64))
    }

    fn rows(&mut self, source: usize, mut rows: Box<Admitted>) -> Result<(), RunError> {
        let now = Instant::now();
        let unfit = |error| RunError::Rows {
            source_name: self.names[source].clone(),
            error,
        };
        rows.recheck(self.sent).map_err(unfit)?;
        if self.open == 0 {
            self.tick = self.next_tick();
        }
        self.account(&rows);
        self.write_raw(source, &mut rows)?;
        self.clock.heard(source, rows.newest, now);
        let watermark = self.clock.watermark(now);
        self.watch.set_clock(watermark, self.clock.newest());
        if !rows.times.is_empty() {
            self.open += rows.times.len();
            self.turn = least_busy(&self.lines, self.turn);
            self.deaf |= !self.lines[self.turn].send(Work::Rows(self.tick, rows));
        }
        let joins = match self.live {
            true => self.completed.elapsed() < LIVE_TICK,
            false => self.open < self.enough,
        };
        if self.open == 0 || !joins {
            self.complete(watermark);
        }
        Ok(())
    }

    fn account(&self, rows: &Admitted) {
        let late = rows.late.as_ref().map_or(0, |late| late.num_rows() as u64);
        let watch = &self.watch;
        watch.tell(&self.names[rows.source], |account| account.read(rows));
        watch.rows_in.fetch_add(rows.rows_in, Ordering::Relaxed);
        watch.late.fetch_add(late, Ordering::Relaxed);
        watch
            .rejected
            .fetch_add(rows.rejects.len() as u64, Ordering::Relaxed);
        watch.skipped.fetch_add(rows.skipped, Ordering::Relaxed);
    }

    fn write_raw(&mut self, source: usize, rows: &mut Admitted) -> Result<(), RunError> {
        let raw = &mut self.raw[source];
        if let Some(late) = rows.late.take() {
            for sink in &mut raw.late {
                sink.write_batch(self.tick, late.clone())?;
            }
        }
        if !rows.rejects.is_empty() && !raw.rejects.is_empty() {
            let batch = reject_rows(&rows.rejects).map_err(|error| RunError::Rows {
                source_name: self.names[source].clone(),
                error,
            })?;
            for sink in &mut raw.rejects {
                sink.write_batch(self.tick, batch.clone())?;
            }
        }
        rows.rejects.clear();
        Ok(())
    }

    /// Moves the watermark although nothing came.
    fn pulse(&mut self) {
        let watermark = self.clock.watermark(Instant::now());
        if watermark > self.sent || self.open > 0 {
            if self.open == 0 {
                self.tick = self.next_tick();
            }
            self.watch.set_clock(watermark, self.clock.newest());
            self.complete(watermark);
        }
    }

    fn complete(&mut self, watermark: EventTime) {
        self.sent = watermark;
        self.open = 0;
        self.completed = Instant::now();
        self.texts.ids().at_watermark(self.tick, watermark);
        for line in &self.lines {
            self.deaf |= !line.send(Work::Tick(self.tick, watermark));
        }
    }
}

/// The worker that gets the next rows: the one with the least waiting for it, behind `turn` the next
/// of several; when all have as much as they may, the first that has room again. One that has more than its
/// share of the keys is not given the same share of the batches, and nobody waits because it is full.
fn least_busy(lines: &[Line], turn: usize) -> usize {
    let count = lines.len();
    let in_turn = (1..=count).map(|step| (turn + step) % count);
    let with_room = in_turn.filter(|line| !lines[*line].to.is_full());
    let least = with_room.min_by_key(|line| lines[*line].to.len());
    least.unwrap_or_else(|| {
        let mut room = Select::new();
        for line in lines {
            room.send(&line.to);
        }
        room.ready()
    })
}

#[cfg(test)]
mod tests {
    use crossbeam::channel::bounded;

    use super::*;

    #[test]
    fn rows_go_to_whoever_has_the_least_to_do_and_wait_for_nobody_who_is_full() {
        let (to, workers): (Vec<_>, Vec<_>) = (0..3).map(|_| bounded(2)).unzip();
        let line = |to| Line {
            to,
            thread: std::thread::current(),
        };
        let lines: Vec<Line> = to.into_iter().map(line).collect();
        let give = |worker: usize| assert!(lines[worker].send(Work::Tick(0, EventTime(0))));
        let mut turn = 0;
        let mut given = Vec::new();
        for _ in 0..4 {
            turn = least_busy(&lines, turn);
            give(turn);
            given.push(turn);
        }
        assert_eq!(given, [1, 2, 0, 1]);
        assert!(workers[2].try_recv().is_ok());
        assert_eq!(least_busy(&lines, 1), 2, "it has nothing to do");
        give(2);
        give(2);
        assert_eq!(least_busy(&lines, turn), 0, "the others are full");
        give(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                workers[2].recv()
            });
            assert_eq!(least_busy(&lines, turn), 2, "the first that has room again");
        });
    }
}
