//! Triggers and drift.

use std::collections::BTreeSet;

use super::Check;
use crate::job::drift::{Bins, Drift, GivenBins, Until};
use crate::job::sink::{Output, OutputKind};
use crate::job::text::Sql;
use crate::job::trigger::{EvaluateAt, Trigger};
use crate::time::Span;

/// A window is made of no more steps than this.
const MOST_STEPS: i64 = 10_000;

impl Check<'_> {
    pub(super) fn triggers(&mut self) {
        for (name, trigger) in &self.job.triggers {
            self.trigger_on(name, trigger);
            self.trigger_tables(name, trigger);
            if trigger.at == EvaluateAt::Anchors {
                self.trigger_anchors(name, trigger);
            }
            self.explain(&trigger.explain);
        }
    }

    /// All in `on` that belong to an entity belong to the same, and something does.
    fn trigger_on(&mut self, name: &str, trigger: &Trigger) {
        let job = self.job;
        self.twice(trigger.on.iter(), "`on`:");
        let tables = job.all_tables();
        let mut entity: Option<(&str, &str)> = None;
        let mut all_known = true;
        for on in trigger.on.iter() {
            let own = job.entity_behind(on.as_str()).map(|(own, _)| own);
            match (own, entity) {
                (Some(own), Some((first, of))) if own != first => {
                    let message = format!(
                        "`{}` is kept for `{own}`, but `{of}` for `{first}`",
                        on.written()
                    );
                    let help = "a trigger speaks of one entity".to_owned();
                    self.tell_with(on.place(), message, Some(help));
                }
                (Some(own), None) => entity = Some((own, on.as_str())),
                _ => {}
            }
            all_known &= own.is_some() || tables.contains_key(on.as_str());
        }
        if entity.is_none() && all_known {
            self.tell_key(
                &["trigger", name, "on"],
                format!("trigger `{name}` needs features or sessions in `on`"),
                "tables alone belong to no entity",
            );
        }
    }

    /// A table is looked up by columns that features and sessions have, and by the segment.
    fn trigger_tables(&mut self, name: &str, trigger: &Trigger) {
        let job = self.job;
        if trigger.segment.is_some() || self.broken {
            return;
        }
        let mut known = BTreeSet::new();
        for on in trigger.on.iter() {
            for kind in [OutputKind::Current, OutputKind::Sessions] {
                let name = on.as_str().to_owned();
                known.extend(
                    job.output_columns(&Output { kind, name })
                        .into_iter()
                        .flatten(),
                );
            }
        }
        let tables = job.all_tables();
        for table in trigger.on.iter().filter_map(|on| tables.get(on.as_str())) {
            for key in table.key.iter().filter(|key| !known.contains(key.as_str())) {
                self.tell_key(
                    &["trigger", name],
                    format!(
                        "table `{}` is keyed by `{}`: trigger `{name}` needs `segment` to look it up",
                        table.name,
                        key.written()
                    ),
                    "write segment = \"...\", an expression whose value is the table's key",
                );
            }
        }
    }

    fn trigger_anchors(&mut self, name: &str, trigger: &Trigger) {
        let features = trigger
            .on
            .iter()
            .filter_map(|on| self.job.features.get(on.as_str()));
        let anchored = features.filter(|features| features.at.is_some()).count();
        let broken =
            |on: &&str| self.declared.has("features", on) && !self.job.features.contains_key(*on);
        let some_broken = trigger.on.iter().any(|on| broken(&on.as_str()));
        let path = ["trigger", name, "at"];
        match anchored {
            0 if !some_broken => self.tell_key(
                &path,
                "at = \"anchors\" needs features with anchor rows in `on`",
                "give the features an `at`, or leave out the trigger's",
            ),
            0 | 1 => {}
            _ => self.tell_key(
                &path,
                "at = \"anchors\" needs one set of anchor rows, but several features in `on` have them",
                "keep `at` in one of them only",
            ),
        }
    }

    /// No two columns of the same name.
    pub(super) fn explain(&mut self, columns: &[Sql]) {
        let mut seen = BTreeSet::new();
        for column in columns {
            if !seen.insert(column.column_name()) {
                let name = match column.is_from_environment() {
                    true => column.written().to_owned(),
                    false => column.column_name(),
                };
                let message = format!("two columns have the name `{name}`");
                let help = "name one of them: \"... as other_name\"".to_owned();
                self.tell_with(column.place(), message, Some(help));
            }
        }
    }

    pub(super) fn drift(&mut self) {
        for (name, drift) in &self.job.drift {
            self.explain(&drift.of);
            if drift.every <= Span::ZERO {
                let path = ["drift", name, "every"];
                self.tell_key(
                    &path,
                    "`every` must be longer than nothing",
                    "for example 1h",
                );
            }
            self.reference(name, drift);
            self.drift_windows(name, drift);
            self.drift_measures(name, drift);
        }
    }

    fn drift_windows(&mut self, name: &str, drift: &Drift) {
        let every = drift.every;
        let mut seen = BTreeSet::new();
        for span in drift.window.iter() {
            let path = ["drift", name, "window"];
            if *span <= Span::ZERO || every > Span::ZERO && span.0 % every.0 != 0 {
                let message = format!("a window of {span} is not a whole multiple of `every`");
                let help =
                    format!("`every` is {every}: windows are as long, or twice as long, and so on");
                self.tell_key(&path, message, &help);
            } else if every > Span::ZERO && span.0 / every.0 > MOST_STEPS {
                let message = format!("a window of {span} is {} times `every`", span.0 / every.0);
                let help = format!("at most {MOST_STEPS} times: choose a longer `every`");
                self.tell_key(&path, message, &help);
            }
            if !seen.insert(*span) {
                let message = format!("two windows are {span} long");
                self.tell_key(&path, message, "write each length once");
            }
        }
    }

    fn drift_measures(&mut self, name: &str, drift: &Drift) {
        let mut seen = BTreeSet::new();
        if !drift.measures.iter().all(|measure| seen.insert(*measure)) {
            let path = ["drift", name, "measures"];
            self.tell_key(&path, "a measure is asked for twice", "write each once");
        }
        if drift.fill.is_some() && drift.smoothing.is_some() {
            let path = ["drift", name, "fill"];
            let help = "`fill` is a least share, `smoothing` is added to counts: choose one";
            self.tell_key(&path, "shares are either filled or smoothed", help);
        }
        let path = ["drift", name, "bins"];
        match &drift.bins {
            Some(Bins::Given(given)) if given.even.is_some() == given.edges.is_some() => {
                let help = "write { even = 10 } or { edges = [0, 10, 100] }";
                self.tell_key(&path, "bins are either even or have given edges", help);
            }
            Some(Bins::Given(GivenBins {
                edges: Some(edges), ..
            })) => {
                let rising = edges.windows(2).all(|pair| pair[0] < pair[1]);
                if edges.is_empty() || !rising || edges.iter().any(|edge| !edge.is_finite()) {
                    let help =
                        "for example [0, 10, 100]: the first bin is below 0, the last from 100 on";
                    self.tell_key(&path, "the edges of bins are ascending numbers", help);
                }
            }
            _ => {}
        }
        if let Some(alert) = &drift.alert
            && alert.cooldown < Span::ZERO
        {
            let path = ["drift", name, "alert", "cooldown"];
            self.tell_key(
                &path,
                "a cooldown is not less than nothing",
                "for example 24h",
            );
        }
    }

    pub(super) fn detectors(&mut self) {
        for (name, detector) in &self.job.detectors {
            if detector.forget.is_some_and(|forget| forget <= Span::ZERO) {
                let path = ["detector", name, "forget"];
                self.tell_key(
                    &path,
                    "`forget` must be longer than nothing",
                    "for example 30d",
                );
            }
            let taken = detector.by.iter().map(Sql::column_name);
            for by in taken.filter(|by| ["at", "row", "value", "signal"].contains(&by.as_str())) {
                let path = ["detector", name, "by"];
                let message = format!("every row has a column `{by}` already");
                self.tell_key(&path, &message, "name it: \"... as other_name\"");
            }
        }
    }

    fn reference(&mut self, name: &str, drift: &Drift) {
        let whole = |span: Span| drift.every <= Span::ZERO || span.0 % drift.every.0 == 0;
        let path = |key| ["drift", name, "reference", key];
        let (message, key) = match (drift.reference.from, drift.reference.until) {
            (Some(Until::After(_)), _) => ("`from` must be a time, not a duration", "from"),
            (_, Until::After(span)) if span <= Span::ZERO => ("the reference is empty", "until"),
            (None, Until::After(span)) if !whole(span) => (
                "a reference without `from` must be a whole number of windows long",
                "until",
            ),
            (None, Until::At(_)) => (
                "a reference that ends at a given time needs `from`",
                "until",
            ),
            (Some(Until::At(from)), Until::At(until)) if until <= from => {
                ("the reference ends before it begins", "until")
            }
            _ => return,
        };
        let help = format!(
            "a window is {} long, and a time is written 2026-01-31T00:00:00Z",
            drift.every
        );
        self.tell_key(&path(key), message, &help);
    }
}
