//! Journeys: whose they are, and after which silence they end.

use super::Check;
use crate::time::Span;

impl Check<'_> {
    pub(super) fn journeys(&mut self) {
        let job = self.job;
        for (name, journey) in &job.journeys {
            let here = ["journey", name.as_str()];
            let entity = self.entity(&here, journey.entity.as_ref());
            self.rows_of(&journey.from, entity);
            if journey.gap.is_some_and(|gap| gap <= Span::ZERO) {
                let message = "`gap` must be longer than nothing";
                self.tell_key(&["journey", name, "gap"], message, "for example 30d");
            }
        }
    }
}
