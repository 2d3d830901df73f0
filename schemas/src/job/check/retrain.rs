//! Retraining: what asks for it, and that all of it belongs together.

use super::Check;
use crate::job::retrain::{Retrain, drift_of};
use crate::job::sink::{Output, OutputKind};
use crate::time::Span;

impl Check<'_> {
    pub(super) fn retrain(&mut self) {
        for (name, retrain) in &self.job.retrain {
            self.twice(retrain.on.iter(), "`on`:");
            self.retrain_on(retrain);
            self.retrain_from(name, retrain);
            self.retrain_spans(name, retrain);
            self.retrain_train(retrain);
        }
    }

    /// What is in `on` is a drift with alerts.
    fn retrain_on(&mut self, retrain: &Retrain) {
        for on in retrain.on.iter() {
            let Some(name) = drift_of(on) else {
                let message = format!("`{}` is no drift", on.written());
                let first = self.job.drift.keys().next();
                let help = match first {
                    Some(first) => format!("alerts of drifts ask: write drift.{first}"),
                    None => {
                        "alerts of drifts ask: write drift.NAME, and add [drift.NAME]".to_owned()
                    }
                };
                self.tell_with(on.place(), message, Some(help));
                continue;
            };
            let drift = self.job.drift.get(&name);
            if drift.is_some_and(|drift| drift.alert.is_none()) {
                let message = format!("`drift.{name}` makes no alerts");
                let help = format!("give [drift.{name}] an alert = {{ when = \"psi > 0.2\" }}");
                self.tell_with(on.place(), message, Some(help));
            }
        }
    }

    /// There is one source whose rows are counted, and something asks.
    fn retrain_from(&mut self, name: &str, retrain: &Retrain) {
        let job = self.job;
        let here = ["retrain", name];
        if retrain.on.is_empty() && retrain.max_age.is_none() && retrain.rows.is_none() {
            let help = "give it `on` (drifts with alerts), `max_age` or `rows`";
            self.tell_key(&here, format!("nothing asks for `retrain.{name}`"), help);
        }
        if retrain.from.is_some() {
            return;
        }
        if retrain.on.is_empty() {
            let help = "write from = \"...\", the source whose rows are counted";
            self.tell_key(
                &here,
                format!("`retrain.{name}` needs the key `from`"),
                help,
            );
        }
        let mut drifts = retrain.drifts(job);
        if let Some((_, first)) = drifts.next()
            && drifts.any(|(_, drift)| drift.from != first.from)
        {
            let message = format!("the drifts of `retrain.{name}` are of several sources");
            let help = "write from = \"...\", the source whose rows are counted";
            self.tell_key(&["retrain", name, "on"], message, help);
        }
    }

    fn retrain_spans(&mut self, name: &str, retrain: &Retrain) {
        let path = |key| ["retrain", name, key];
        for (key, span) in [("max_age", retrain.max_age), ("window", retrain.window)] {
            if span.is_some_and(|span| span <= Span::ZERO) {
                let message = format!("`{key}` must be longer than nothing");
                self.tell_key(&path(key), message, "for example 30d");
            }
        }
        if retrain.rows == Some(0) {
            self.tell_key(
                &path("rows"),
                "no rows ask for nothing",
                "for example 1000000",
            );
        }
        if let Some(max_age) = retrain.max_age
            && max_age < retrain.cooldown
        {
            let message = format!(
                "the cooldown is {}, longer than `max_age`",
                retrain.cooldown
            );
            let help = format!("a model of {max_age} could not ask: make it shorter");
            self.tell_key(&path("cooldown"), message, &help);
        }
    }

    /// What is trained on are point-in-time rows that the job has.
    fn retrain_train(&mut self, retrain: &Retrain) {
        let Some(train) = &retrain.train else {
            return;
        };
        let output: Option<Output> = train.as_str().parse().ok();
        let features = output.filter(|output| output.kind == OutputKind::Features);
        let Some(output) = features else {
            let message = format!("`{}` has no rows to train on", train.written());
            let help =
                "write features.NAME: features with `at`, a row for each anchor as of its moment";
            self.tell_with(train.place(), message, Some(help.to_owned()));
            return;
        };
        let features = self.job.features.get(&output.name);
        if features.is_some_and(|features| features.at.is_none()) {
            let message = format!("`{output}` has current values, and no rows to train on");
            let help = format!("give [features.{}] an `at`", output.name);
            self.tell_with(train.place(), message, Some(help));
        }
    }
}
