//! The watermark of the job: from the newest event times of its sources.
//!
//! A source's watermark is the newest event time it has delivered, less the lateness; one that has
//! ended is at the end of time. The job's is the least of them. A source that has been silent for
//! the idle timeout steps aside, if it may be silent: rows of a file that ends are on their way however
//! long they take, and a source that is not read yet will be. When all that are left are silent, event time goes on with the wall
//! clock from the newest of them, so that sessions close and windows empty.

use std::time::{Duration, Instant};

use tidegate_schemas::time::{EventTime, Span};

#[derive(Clone, Copy, Debug)]
struct Hand {
    newest: EventTime,
    /// When it was heard last; `None` when its silence means nothing.
    heard: Option<Instant>,
    ended: bool,
}

/// The clock of a job.
#[derive(Debug)]
pub(super) struct Clock {
    hands: Vec<Hand>,
    lateness: Span,
    idle_timeout: Duration,
    watermark: EventTime,
}

impl Clock {
    pub(super) fn new(sources: usize, lateness: Span, idle_timeout: Span) -> Clock {
        let hand = Hand {
            newest: EventTime::MIN,
            heard: None,
            ended: false,
        };
        Clock {
            hands: vec![hand; sources],
            lateness,
            idle_timeout: Duration::from_micros(u64::try_from(idle_timeout.0).unwrap_or(0)),
            watermark: EventTime::MIN,
        }
    }

    /// A source that has no end is read from now on.
    pub(super) fn listen(&mut self, source: usize, now: Instant) {
        self.hands[source].heard = Some(now);
    }

    /// A source has delivered rows, the newest at `newest`.
    pub(super) fn heard(&mut self, source: usize, newest: EventTime, now: Instant) {
        let hand = &mut self.hands[source];
        hand.newest = hand.newest.max(newest);
        hand.heard = hand.heard.map(|_| now);
    }

    /// A source has ended.
    pub(super) fn ended(&mut self, source: usize) {
        self.hands[source].ended = true;
    }

    /// The newest event time of all sources.
    pub(super) fn newest(&self) -> EventTime {
        self.hands
            .iter()
            .map(|hand| hand.newest)
            .max()
            .unwrap_or(EventTime::MIN)
    }

    /// The watermark now. It never steps back.
    pub(super) fn watermark(&mut self, now: Instant) -> EventTime {
        let since = |hand: &Hand| hand.heard.map(|heard| now.duration_since(heard));
        let silent = |hand: &Hand| since(hand).is_some_and(|since| since >= self.idle_timeout);
        let open = || self.hands.iter().filter(|hand| !hand.ended);
        let speaking = open()
            .filter(|hand| !silent(hand))
            .map(|hand| hand.newest)
            .min();
        let at = match speaking {
            Some(newest) => newest.minus(self.lateness),
            None if open().next().is_none() => EventTime::MAX,
            None => {
                let on = |hand: &Hand| match hand.newest {
                    EventTime::MIN => EventTime::MIN,
                    newest => {
                        let passed = since(hand).map_or(0, |since| since.as_micros());
                        newest.plus(Span(i64::try_from(passed).unwrap_or(i64::MAX)))
                    }
                };
                // From the newest, however long another has been silent: it has seen the latest time.
                open()
                    .max_by_key(|hand| hand.newest)
                    .map_or(EventTime::MIN, on)
                    .minus(self.lateness)
            }
        };
        self.watermark = self.watermark.max(at);
        self.watermark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_source_that_speaks_decides() {
        let start = Instant::now();
        let mut clock = Clock::new(2, Span(10), Span::seconds(30));
        clock.heard(0, EventTime(100), start);
        assert_eq!(clock.watermark(start), EventTime::MIN);
        clock.heard(1, EventTime(50), start);
        assert_eq!(clock.watermark(start), EventTime(40));
        clock.ended(1);
        assert_eq!(clock.watermark(start), EventTime(90));
        clock.ended(0);
        assert_eq!(clock.watermark(start), EventTime::MAX);
    }

    #[test]
    fn a_silent_source_steps_aside_and_silence_goes_on_with_the_wall_clock() {
        let start = Instant::now();
        let mut clock = Clock::new(2, Span(10), Span::seconds(1));
        clock.listen(0, start);
        clock.listen(1, start);
        clock.heard(0, EventTime(50), start);
        let later = start + Duration::from_secs(2);
        clock.heard(1, EventTime(1_000), later);
        assert_eq!(clock.watermark(later), EventTime(990));
        let silence = later + Duration::from_secs(3);
        assert_eq!(clock.watermark(silence), EventTime(1_000 + 3_000_000 - 10));
    }

    #[test]
    fn a_file_that_ends_and_a_source_that_is_not_read_yet_are_waited_for() {
        let start = Instant::now();
        let mut clock = Clock::new(2, Span(10), Span::seconds(1));
        clock.heard(0, EventTime(50), start);
        let later = start + Duration::from_secs(9);
        assert_eq!(clock.watermark(later), EventTime::MIN);
        clock.heard(1, EventTime(1_000), later);
        assert_eq!(clock.watermark(later), EventTime(40));
        assert_eq!(
            clock.watermark(later + Duration::from_secs(9)),
            EventTime(40)
        );
    }
}
