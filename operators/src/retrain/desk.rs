//! What is kept of a model, and which requests stand when a tick is complete: a pure state machine.

use std::collections::BTreeMap;

use tidegate_schemas::fact::NULL;
use tidegate_schemas::names::code_of;
use tidegate_schemas::rows::{Column, Rows};
use tidegate_schemas::time::{EventTime, Span};

use super::alert::{Alert, Item};
use super::spec::{Reason, RetrainSpec};
use crate::codec::{CodecError, Reader, Writer};
use crate::drift::spec::Firing;

/// That a model be trained again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) at: EventTime,
    pub(super) reason: Reason,
    /// The alert that caused it.
    pub(super) alert: Option<Alert>,
    pub(super) train_from: Option<EventTime>,
}

/// What is known of the time that is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Past {
    /// The end of it, at a boundary of steps.
    until: EventTime,
    /// The step of the first row.
    first: Option<EventTime>,
    /// How far rows and alerts show that event time has come.
    clock: EventTime,
    /// The last request.
    last: Option<EventTime>,
    /// The rows since then.
    rows: i64,
    /// When they became as many as the spec says.
    full: Option<EventTime>,
}

impl Past {
    const NONE: Past = Past {
        until: EventTime::MIN,
        first: None,
        clock: EventTime::MIN,
        last: None,
        rows: 0,
        full: None,
    };
}

/// The requests of a model.
///
/// After [`Desk::close`], the rows given so far are a function of the alerts that stand, of the rows so far and,
/// with [`Firing::Final`], of the watermark: neither order nor grouping of the items matters.
///
/// # State
/// Until the watermark has passed a time (by `keep`, with [`Firing::Changes`]): a count for each step with
/// rows, 16 bytes each, the requests, and the alerts. From then on: the last request, the rows since, and the alerts after it
/// that are open or wait for the end of the cooldown, at most one for each monitor, segment and length of windows.
#[derive(Clone, Debug, PartialEq)]
pub struct Desk {
    spec: RetrainSpec,
    watermark: EventTime,
    past: Past,
    alerts: BTreeMap<Alert, i64>,
    steps: BTreeMap<EventTime, i64>,
    standing: Vec<Request>,
}

impl Desk {
    /// Nothing seen yet.
    ///
    /// # Panics
    /// When the spec's steps hold nothing.
    #[must_use]
    pub fn new(mut spec: RetrainSpec) -> Desk {
        assert!(
            spec.step > Span::ZERO,
            "steps of {} hold nothing",
            spec.step
        );
        spec.since = spec.since.map(|since| spec.ceil(since));
        Desk {
            spec,
            watermark: EventTime::MIN,
            past: Past::NONE,
            alerts: BTreeMap::new(),
            steps: BTreeMap::new(),
            standing: Vec::new(),
        }
    }

    /// What was declared.
    #[must_use]
    pub fn spec(&self) -> &RetrainSpec {
        &self.spec
    }

    /// How many alerts and steps are kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.alerts.len() + self.steps.len()
    }

    /// Closes a tick: these are its items, and this is the watermark after it. A watermark never steps back; an
    /// earlier one than before changes nothing.
    pub fn close(&mut self, items: Vec<Item>, watermark: EventTime) -> Option<Rows> {
        let before = self.watermark;
        self.watermark = before.max(watermark);
        let moved = self.spec.floor(before) != self.spec.floor(self.watermark);
        let changed = !items.is_empty() && self.spec.firing != Firing::Final;
        items.into_iter().for_each(|item| self.take(item));
        if !moved && !changed {
            return None;
        }
        let now = self.requests();
        let mut rows = Rows::new(self.spec.columns());
        for (these, others, diff) in [(&self.standing, &now, -1), (&now, &self.standing, 1)] {
            for request in these.iter().filter(|it| !others.contains(it)) {
                self.row(request, diff, &mut rows);
            }
        }
        self.standing = now;
        if moved {
            self.settle();
        }
        (!rows.is_empty()).then_some(rows)
    }

    /// Counts an item; those of what is settled are ignored.
    fn take(&mut self, item: Item) {
        match item {
            Item::Rows { start, count } if start >= self.past.until => {
                let here = self.steps.entry(start).or_default();
                *here += count;
                if *here == 0 {
                    self.steps.remove(&start);
                }
            }
            Item::Alert(alert, diff) if self.after().is_none_or(|after| alert.known > after) => {
                let here = self.alerts.entry(alert).or_default();
                *here += diff;
                if *here == 0 {
                    self.alerts.retain(|_, count| *count != 0);
                }
            }
            Item::Rows { .. } | Item::Alert(..) => {}
        }
    }

    /// The last request that is settled, or what stands for it.
    fn after(&self) -> Option<EventTime> {
        self.past.last.or(self.spec.since)
    }

    /// The requests after those that are settled.
    fn requests(&self) -> Vec<Request> {
        let mut past = self.past.clone();
        let limit = match self.spec.firing {
            Firing::Final => self.spec.floor(self.watermark),
            Firing::Changes { .. } => EventTime::MAX,
        };
        let visible = |start: &EventTime| start.plus(self.spec.step) <= limit;
        let first = self.steps.keys().next().copied().filter(visible);
        past.first = past.first.or(first);
        let newest = self.steps.keys().rev().find(|start| visible(start));
        let alerts = self.alerts.keys().map(|alert| self.spec.ceil(alert.known));
        let clocks = alerts
            .filter(|known| *known <= limit)
            .chain(newest.copied());
        past.clock = clocks.fold(past.clock, EventTime::max);
        let mut requests = Vec::new();
        while let Some((at, reason, alert)) = self.next(&past, limit) {
            past.last = Some(at);
            (past.rows, past.full) = (0, None);
            requests.push(Request {
                at,
                reason,
                // When it closes changes no request that it has caused.
                alert: alert.map(|alert| Alert {
                    closed_at: None,
                    ..alert.clone()
                }),
                train_from: match self.spec.window {
                    Some(window) => Some(at.minus(window)),
                    None => past.first.filter(|first| *first < at),
                },
            });
        }
        requests
    }

    /// The request that follows `past.last`, among what `limit` lets be seen.
    fn next(&self, past: &Past, limit: EventTime) -> Option<(EventTime, Reason, Option<&Alert>)> {
        let after = past.last.or(self.spec.since);
        let rested = self.rested(past.last);
        let drift = self
            .alerts
            .keys()
            .filter(|alert| after.is_none_or(|after| alert.known > after))
            .filter(|alert| alert.is_open(alert.known.max(rested)))
            .map(|alert| (self.spec.ceil(alert.known).max(rested), alert))
            .min();
        let drift = drift.map(|(at, alert)| (at, Reason::Drift, Some(alert)));
        let full = self.full(past, after, limit).map(|at| at.max(rested));
        let full = full.map(|at| (at, Reason::Rows, None));
        let come = |(at, ..): &(EventTime, _, _)| *at <= past.clock && *at <= limit;
        let old = self.old(past, after, limit);
        let old = old.map(|at| (at, Reason::Age, None));
        let next = drift.filter(come).into_iter().chain(full.filter(come));
        next.chain(old).min_by_key(|(at, reason, _)| (*at, *reason))
    }

    /// When the cooldown is over.
    fn rested(&self, last: Option<EventTime>) -> EventTime {
        let over = |last: EventTime| self.spec.ceil(last.plus(self.spec.cooldown));
        last.map_or(EventTime::MIN, over)
    }

    /// When the rows since `after` became as many as the spec says.
    fn full(&self, past: &Past, after: Option<EventTime>, limit: EventTime) -> Option<EventTime> {
        let enough = i128::from(self.spec.rows?);
        if past.full.is_some() {
            return past.full;
        }
        let mut rows = i128::from(past.rows);
        for (start, count) in self.steps.range(after.unwrap_or(EventTime::MIN)..) {
            let end = start.plus(self.spec.step);
            rows += i128::from(*count);
            if end > limit || rows >= enough {
                return (end <= limit).then_some(end);
            }
        }
        None
    }

    /// The first step with a row in which the model is too old.
    fn old(&self, past: &Past, after: Option<EventTime>, limit: EventTime) -> Option<EventTime> {
        let since = after.or(past.first)?;
        let old = self.spec.ceil(since.plus(self.spec.max_age?));
        let first = self.steps.range(old.max(self.rested(past.last))..).next();
        first
            .map(|(start, _)| *start)
            .filter(|start| start.plus(self.spec.step) <= limit)
    }

    /// Forgets what the watermark has passed for good.
    fn settle(&mut self) {
        let keep = match self.spec.firing {
            Firing::Final => Span::ZERO,
            Firing::Changes { keep } => keep,
        };
        self.past.until = self.spec.floor(self.watermark.minus(keep));
        let until = self.past.until;
        let steps = self.steps.keys().copied();
        let steps = steps.take_while(|start| start.plus(self.spec.step) <= until);
        let alerts = self.alerts.keys().map(|it| self.spec.ceil(it.known));
        let clocks = alerts.take_while(|known| *known <= until).chain(steps);
        let clock = clocks.fold(self.past.clock, EventTime::max);
        // A request at the end of it may be by age, with a row of the step that begins there; and what shows that
        // event time has come to a request may itself be taken back.
        let is_settled = |it: &&Request| it.at < until && it.at <= clock;
        let settled = self.standing.iter().take_while(is_settled).count();
        if let Some(last) = self.standing.drain(..settled).next_back() {
            self.past.last = Some(last.at);
            (self.past.rows, self.past.full) = (0, None);
        }
        let after = self.after();
        while let Some(first) = self.steps.first_entry() {
            let (start, end) = (*first.key(), first.key().plus(self.spec.step));
            if end > until {
                break;
            }
            let count = first.remove();
            self.past.first.get_or_insert(start);
            self.past.clock = self.past.clock.max(start);
            if after.is_none_or(|after| start >= after) {
                self.past.rows = self.past.rows.saturating_add(count);
                if self
                    .spec
                    .rows
                    .is_some_and(|enough| self.past.rows as u64 >= enough)
                {
                    self.past.full.get_or_insert(end);
                }
            }
        }
        let rested = self.rested(self.past.last);
        let (spec, past) = (&self.spec, &mut self.past);
        self.alerts.retain(|alert, _| {
            let spoken_for = after.is_some_and(|after| alert.known <= after);
            let gone = !alert.is_open(alert.known.max(rested).min(until));
            if spoken_for || gone {
                past.clock = past.clock.max(spec.ceil(alert.known));
            }
            !spoken_for && !gone
        });
    }

    fn row(&self, request: &Request, diff: i32, rows: &mut Rows) {
        let spec = &self.spec;
        let columns = rows.begin("", request.at, diff);
        let mut columns = columns.iter_mut();
        let mut push = |words: &[i64]| words.iter().zip(&mut columns).for_each(push_word);
        let reason = code_of(request.reason.word());
        push(&[spec.model, request.at.0, reason, spec.state()]);
        let mut measures = vec![NULL; spec.measures.len()];
        let (mut about, mut moved, mut times) = ([NULL; 4], &[][..], [NULL; 4]);
        if let Some(alert) = &request.alert {
            let watched = &spec.drifts[alert.drift as usize];
            let (window, length) = watched.lengths[alert.length as usize];
            let monitor = watched.monitors[alert.monitor as usize];
            about = [watched.name, monitor, alert.segment, window];
            for (place, word) in watched.measures.iter().zip(&alert.words) {
                measures[*place] = *word;
            }
            moved = &alert.moved;
            let (from, until) = alert.reference;
            let current = alert.opened_at.minus(length);
            times = [from, until, current, alert.opened_at].map(|at| at.0);
        }
        push(&about);
        push(&measures);
        if let Some(column) = columns.next() {
            column.push_list(moved.iter().copied());
        }
        let from = request.train_from.map_or(NULL, |from| from.0);
        let mut push = |words: &[i64]| words.iter().zip(&mut columns).for_each(push_word);
        push(&times);
        push(&[spec.train, from, request.at.0]);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Desk::new(self.spec.clone());
    }

    /// Takes over what another desk of the same spec keeps, if this one keeps nothing: saved parts together
    /// make a whole.
    pub fn join(&mut self, other: Desk) {
        if other.past.clock > self.past.clock || other.kept() > 0 {
            *self = other;
        }
    }

    /// Writes everything; between ticks only.
    pub fn encode(&self, to: &mut Writer) {
        to.time(self.watermark);
        to.time(self.past.until);
        to.option(self.past.first, Writer::time);
        to.time(self.past.clock);
        to.option(self.past.last, Writer::time);
        to.word(self.past.rows);
        to.option(self.past.full, Writer::time);
        to.length(self.alerts.len());
        for (alert, count) in &self.alerts {
            alert.encode(to);
            to.word(*count);
        }
        to.length(self.steps.len());
        for (start, count) in &self.steps {
            to.time(*start);
            to.word(*count);
        }
        to.length(self.standing.len());
        for request in &self.standing {
            to.time(request.at);
            to.unsigned(request.reason as u128);
            to.option(request.alert.as_ref(), |to, alert| alert.encode(to));
            to.option(request.train_from, Writer::time);
        }
    }

    /// Reads what [`Desk::encode`] wrote, for the same spec.
    ///
    /// # Errors
    /// When the bytes are not such a desk, or speak of a drift that is not declared.
    pub fn decode(spec: RetrainSpec, from: &mut Reader<'_>) -> Result<Desk, CodecError> {
        let mut desk = Desk::new(spec);
        let time = |from: &mut Reader<'_>| from.time("a time");
        desk.watermark = from.time("the watermark")?;
        desk.past = Past {
            until: from.time("what is settled")?,
            first: from.option("the first row", time)?,
            clock: from.time("how far event time has come")?,
            last: from.option("the last request", time)?,
            rows: from.word("the rows since")?,
            full: from.option("when they were enough", time)?,
        };
        for _ in 0..from.length("the number of alerts")? {
            let alert = Alert::decode(&desk.spec, from)?;
            desk.alerts.insert(alert, from.word("how often")?);
        }
        for _ in 0..from.length("the number of steps")? {
            let start = from.time("a step")?;
            desk.steps.insert(start, from.word("its rows")?);
        }
        for _ in 0..from.length("the number of requests")? {
            let at = from.time("a request")?;
            let reason: usize = from.number("its reason")?;
            let Some(reason) = Reason::ALL.get(reason).copied() else {
                return Err(from.error("a reason"));
            };
            let alert = from.option("its alert", |from| Alert::decode(&desk.spec, from))?;
            let train_from = from.option("what to train on", time)?;
            desk.standing.push(Request {
                at,
                reason,
                alert,
                train_from,
            });
        }
        Ok(desk)
    }
}

fn push_word((word, column): (&i64, &mut Column)) {
    column.push(*word);
}
