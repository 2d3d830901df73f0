//! Patterns: the order of their steps, what may be absent, and whose rows their aggregates are of.

use super::Check;
use super::features::Taken;
use crate::job::outputs::{MATCH, SKIPPED};
use crate::job::pattern::{Pattern, PatternStep};
use crate::job::suggest;
use crate::time::Span;

impl Check<'_> {
    pub(super) fn patterns(&mut self) {
        let job = self.job;
        for (name, pattern) in &job.patterns {
            let here = ["pattern", name.as_str()];
            let entity = self.entity(&here, pattern.entity.as_ref());
            self.rows_of(&pattern.from, entity);
            if pattern.within <= Span::ZERO {
                let message = "`within` must be longer than nothing";
                self.tell_key(&["pattern", name, "within"], message, "for example 10m");
            }
            self.step_order(name, pattern);
            for (number, step) in pattern.steps.iter().enumerate() {
                self.step(name, pattern, number, step);
            }
            let mut taken = Taken::default();
            if let Some(entity) = entity {
                taken.reserve(entity.key.as_str(), "the entity's key");
            }
            for column in MATCH.into_iter().chain([SKIPPED]) {
                taken.reserve(column, "a column that patterns have of themselves");
            }
            for (number, step) in pattern.steps.iter().enumerate() {
                let earlier = &pattern.steps[..number];
                let is_new = earlier.iter().all(|other| other.name != step.name);
                if is_new && !step.absent {
                    self.take(&mut taken, step.name.as_str(), &step.name);
                }
            }
            self.take_aggregates(&mut taken, &pattern.add);
            self.steps_of_aggregates(pattern);
        }
    }

    /// Names of steps, and which of them may be absent.
    fn step_order(&mut self, name: &str, pattern: &Pattern) {
        self.twice(pattern.steps.iter().map(|step| &*step.name), "step");
        if pattern.steps.first().is_some_and(|first| first.absent) {
            self.tell_key(
                &["pattern", name, "steps", "0", "absent"],
                "the first step cannot be absent: a match begins with a row",
                "put the step before it whose row begins the match",
            );
        }
        for (number, pair) in pattern.steps.windows(2).enumerate() {
            if let [one, other] = pair
                && one.absent
                && other.absent
            {
                let number = (number + 1).to_string();
                self.tell_key(
                    &["pattern", name, "steps", &number, "absent"],
                    format!(
                        "`{}` and `{}` are both absent, and no step is between them",
                        one.name.written(),
                        other.name.written()
                    ),
                    "write one absent step: where = \"(...) or (...)\"",
                );
            }
        }
    }

    /// The keys of one step.
    fn step(&mut self, name: &str, pattern: &Pattern, number: usize, step: &PatternStep) {
        let at = number.to_string();
        let path = |key| ["pattern", name, "steps", &at, key];
        for (key, given) in [("at_least", step.at_least), ("at_most", step.at_most)] {
            if step.absent && given.is_some() {
                let message = format!("an absent step takes no `{key}`");
                self.tell_key(
                    &path(key),
                    message,
                    "leave it out: one such row is too many",
                );
            }
        }
        let least = step.at_least.unwrap_or(1);
        if !step.absent && step.at_most.is_some_and(|most| most < least) {
            let message = format!("`at_most` must not be less than `at_least`, {least}");
            self.tell_key(&path("at_most"), message, "leave it out for no limit");
        }
        let Some(within) = step.within else {
            return;
        };
        if number == 0 && !step.absent {
            let message = "the first step takes no `within`: no row is before it";
            let help = "the `within` of the pattern counts from its first row";
            self.tell_key(&path("within"), message, help);
        } else if within <= Span::ZERO {
            let message = "`within` must be longer than nothing";
            self.tell_key(&path("within"), message, "for example 2m");
        } else if within > pattern.within {
            let message = format!(
                "`within` must not be longer than that of the pattern, {}",
                pattern.within
            );
            self.tell_key(
                &path("within"),
                message,
                "leave it out, or let the pattern last longer",
            );
        }
    }

    /// Each aggregate is of a step that has rows.
    fn steps_of_aggregates(&mut self, pattern: &Pattern) {
        let present = || pattern.present().map(|(step, _)| step.name.as_str());
        for aggregate in &pattern.add {
            let Some(step) = &aggregate.step else {
                continue;
            };
            if present().any(|name| name == step.as_str()) {
                continue;
            }
            let absent = pattern
                .steps
                .iter()
                .any(|other| *other.name == *step.as_str());
            let message = match absent {
                true => format!("the step `{}` is absent: it has no rows", step.written()),
                false => format!("there is no step `{}`", step.written()),
            };
            let help = match step.is_from_environment() {
                true => None,
                false => suggest::help(step.as_str(), "there are", present()),
            };
            self.tell_with(step.place(), message, help);
        }
    }
}
