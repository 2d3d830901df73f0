//! When something is next due, as far as that was found out.

use tidegate_schemas::time::EventTime;

use crate::logic::Wake;

/// What [`Wake`] said when it was asked last, in the room of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Soon(EventTime);

impl Default for Soon {
    fn default() -> Soon {
        Soon::NEVER
    }
}

impl Soon {
    /// There is nothing that could be due.
    pub(super) const NEVER: Soon = Soon(EventTime(i64::MIN + 1));
    /// It has to be asked again.
    pub(super) const UNKNOWN: Soon = Soon(EventTime::MIN);
    /// It waits for a fact.
    const IDLE: Soon = Soon(EventTime::MAX);

    /// What was answered.
    pub(super) fn of(wake: Wake) -> Soon {
        match wake {
            Wake::Forget => Soon::NEVER,
            Wake::Idle => Soon::IDLE,
            Wake::At(at) if [Soon::NEVER, Soon::IDLE].contains(&Soon(at)) => Soon::UNKNOWN,
            Wake::At(at) => Soon(at),
        }
    }

    /// The answer, if there is one.
    #[inline]
    pub(super) fn wake(self) -> Option<Wake> {
        match self {
            Soon::UNKNOWN => None,
            Soon::NEVER => Some(Wake::Forget),
            Soon::IDLE => Some(Wake::Idle),
            Soon(at) => Some(Wake::At(at)),
        }
    }

    /// Whether something may be due at `at`: a no is certain.
    #[inline]
    pub(super) fn may_be(self, at: EventTime) -> bool {
        self.0 <= at && self != Soon::NEVER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_or_asked_for_again() {
        let moments = [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX].map(EventTime);
        let wakes = moments
            .map(Wake::At)
            .into_iter()
            .chain([Wake::Idle, Wake::Forget]);
        for wake in wakes {
            let soon = Soon::of(wake);
            assert!(soon.wake().is_none_or(|kept| kept == wake), "{wake:?}");
            for at in moments {
                let is_due = matches!(wake, Wake::At(due) if due <= at);
                assert!(!is_due || soon.may_be(at), "{wake:?} at {at:?}");
            }
        }
        for wake in [Wake::At(EventTime(0)), Wake::Idle, Wake::Forget] {
            assert_eq!(Soon::of(wake).wake(), Some(wake));
        }
        assert!(!Soon::of(Wake::At(EventTime(5))).may_be(EventTime(4)));
        assert!(
            ![Wake::Idle, Wake::Forget]
                .iter()
                .any(|wake| Soon::of(*wake).may_be(EventTime(0)))
        );
    }
}
