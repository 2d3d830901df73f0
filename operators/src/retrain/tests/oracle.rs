//! The requests of a model, the slow way: by looking at every step of time there is.

use std::collections::BTreeMap;

use tidegate_schemas::time::{EventTime, Span};

use crate::drift::spec::Firing;
use crate::retrain::alert::Alert;
use crate::retrain::desk::Request;
use crate::retrain::spec::{Reason, RetrainSpec};

/// What stands: alerts, and rows by the beginning of their step.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    pub(super) alerts: Vec<Alert>,
    pub(super) rows: BTreeMap<i64, i64>,
}

impl World {
    /// Whether there is an alert of the same place and time: there is never another.
    pub(super) fn knows(&self, new: &Alert) -> bool {
        let identity = |it: &Alert| (it.drift, it.monitor, it.length, it.segment, it.opened_at);
        self.alerts.iter().any(|it| identity(it) == identity(new))
    }

    /// All requests, as of a watermark.
    pub(super) fn requests(&self, spec: &RetrainSpec, watermark: i64) -> Vec<Request> {
        let step = spec.step.0;
        let up = |at: i64| -(-at).div_euclid(step) * step;
        let limit = match spec.firing {
            Firing::Final => watermark.div_euclid(step) * step,
            Firing::Changes { .. } => i64::MAX,
        };
        let rows = self.rows.iter();
        let rows: BTreeMap<i64, i64> = rows
            .filter(|(start, count)| **count > 0 && **start + step <= limit)
            .map(|(start, count)| (*start, *count))
            .collect();
        let alerts = self.alerts.iter();
        let alerts: Vec<&Alert> = alerts.filter(|it| up(it.known.0) <= limit).collect();
        let moments = rows.keys().copied();
        let moments = moments.chain(alerts.iter().map(|it| up(it.known.0)));
        let (Some(begin), Some(end)) = (moments.clone().min(), moments.max()) else {
            return vec![];
        };
        let mut requests: Vec<Request> = Vec::new();
        for now in (up(begin)..=end).step_by(step as usize) {
            let last = requests.last().map(|request| request.at.0);
            let rested = last.map_or(i64::MIN, |last| up(last + spec.cooldown.0));
            let after = last.or(spec.since.map(|since| up(since.0)));
            if now < rested || after.is_some_and(|after| now <= after) {
                continue;
            }
            let asks = |alert: &&&Alert| {
                let known = alert.known.0;
                let waits = known.max(rested);
                let open = alert.closed_at.is_none_or(|closed| closed.0 > waits);
                after.is_none_or(|after| known > after) && known <= now && open
            };
            let alert = alerts.iter().filter(asks).min();
            let come = rows.iter().filter(|(start, _)| {
                after.is_none_or(|after| **start >= after) && **start + step <= now
            });
            let come: i64 = come.map(|(_, count)| count).sum();
            let base = after.or(rows.keys().next().copied());
            let old = |max_age: Span| base.is_some_and(|base| now >= up(base + max_age.0));
            let reason = if alert.is_some() {
                Reason::Drift
            } else if spec.rows.is_some_and(|enough| come >= enough as i64) {
                Reason::Rows
            } else if spec.max_age.is_some_and(old) && rows.contains_key(&now) {
                Reason::Age
            } else {
                continue;
            };
            let first = rows.keys().next().filter(|first| **first < now);
            requests.push(Request {
                at: EventTime(now),
                reason,
                alert: alert.map(|alert| (*alert).clone()),
                train_from: match spec.window {
                    Some(window) => Some(EventTime(now - window.0)),
                    None => first.map(|first| EventTime(*first)),
                },
            });
        }
        requests
    }
}
