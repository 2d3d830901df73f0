//! The choices by which systems differ, as this job has made them.

use tidegate_schemas::job::{
    AtGap, BinRule, Bins, Bounds, ColumnKind, ColumnType, Detector, Drift, EvaluateAt, Features,
    Format, GivenBins, Job, Journey, Measure, Pattern, PatternStep, Retrain, Sessions, Text,
    Trigger, Until,
};
use tidegate_schemas::time::Span;

use super::default_mark;

/// The choices that hold for the job as a whole.
pub(super) fn section(job: &Job) -> String {
    let section = &job.job;
    let lateness = section.lateness;
    let mut lines = vec![
        format!(
            "a row is late when it is older than the newest of its source by more than {lateness}{}; it goes to late.SOURCE",
            default_mark(&lateness, &Span::ZERO)
        ),
        format!(
            "a source that is silent for {} holds the watermark back no longer{}",
            section.idle_timeout,
            default_mark(&section.idle_timeout, &Span::seconds(30))
        ),
    ];
    for (name, source) in &job.sources {
        let is_table = job.all_tables().values().any(|table| table.source == name);
        if is_table {
            continue;
        }
        lines.push(match &source.dedupe {
            Some(dedupe) => {
                let key: Vec<&str> = dedupe.key.iter().map(|key| key.written()).collect();
                format!(
                    "rows of {name} at the same time are in the order of {}",
                    key.join(", ")
                )
            }
            None => format!("rows of {name} at the same time are in the order of arrival"),
        });
    }
    lines.extend(nameless_keys(job));
    lines.push(
        "sums are exact in the decimals that are kept: 6 where a column says nothing".to_owned(),
    );
    lines
        .push("a row whose measure is null does not count, where a column says nothing".to_owned());
    if !job.all_tables().is_empty() {
        lines.push("a row meets the version of a table that held at its own event time".to_owned());
    }
    lines.iter().map(|line| format!("  {line}\n")).collect()
}

/// Keys that an empty field of a CSV file is a value of.
fn nameless_keys(job: &Job) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, source) in &job.sources {
        let keys = job.entities.values().map(|entity| entity.key.as_str());
        for key in keys.filter(|_| source.format.rows() == Format::Csv) {
            let mut columns = source.columns.0.iter();
            let text = |kind: &ColumnType| kind.kind == ColumnKind::Text && !kind.nullable;
            if columns.any(|(column, kind)| *column == *key && text(kind)) {
                lines.push(format!(
                    "warning: rows of {name} whose {key} is empty count together, as one key; \
                     the type text? would reject them"
                ));
            }
        }
    }
    lines
}

/// What the rows of features are.
pub(super) fn of_features(features: &Features) -> Vec<String> {
    let from = names(&features.from);
    let rows = match &features.at {
        Some(at) => format!(
            "one row for each row of {from} where {}, as of its time",
            at.written().trim()
        ),
        None => format!("the current values of each key, from rows of {from}"),
    };
    let bounds = match features.bounds {
        Bounds::OpenClosed => "(t - w, t]",
        Bounds::ClosedClosed => "[t - w, t]",
        Bounds::ClosedOpen => "[t - w, t)",
    };
    let mark = default_mark(&features.bounds, &Bounds::default());
    vec![
        rows,
        format!("window of length w at time t: {bounds}{mark}"),
    ]
}

/// What the rows of sessions are.
pub(super) fn of_sessions(sessions: &Sessions) -> Vec<String> {
    let filter = sessions
        .filter
        .as_ref()
        .map(|sql| format!(" where {}", sql.written().trim()));
    let gap = sessions.gap;
    let (silence, does) = match sessions.at_gap {
        AtGap::New => (format!("of {gap} or longer"), "begins a new session"),
        AtGap::Same => (format!("longer than {gap}"), "still belongs to the session"),
    };
    let mut lines = vec![format!(
        "rows of {}{} with no silence {silence} between them",
        names(&sessions.from),
        filter.unwrap_or_default()
    )];
    let mark = default_mark(&sessions.at_gap, &AtGap::default());
    lines.push(format!(
        "a row exactly {gap} after the last one {does}{mark}"
    ));
    lines.push(match sessions.max_length {
        Some(length) => format!("a row that would make one longer than {length} cuts it"),
        None => "no limit to their length (default)".to_owned(),
    });
    lines
}

/// What the rows of a pattern are.
pub(super) fn of_pattern(pattern: &Pattern) -> Vec<String> {
    let within = pattern.within;
    let mut lines = vec![format!(
        "rows of {} that go through these steps within {within}; a row exactly {within} after the first is outside",
        names(&pattern.from)
    )];
    lines.extend(
        pattern
            .steps
            .iter()
            .map(|step| format!("  {}", of_step(step))),
    );
    lines.push(match pattern.waits() {
        true => "a match ends when its time is out".to_owned(),
        false => "a match ends with the row that completes it".to_owned(),
    });
    lines.push("the next one begins behind its last row".to_owned());
    lines.push(format!(
        "a row that would begin a match while {} are under way begins none{}",
        pattern.most_open,
        default_mark(&pattern.most_open, &16)
    ));
    lines
}

fn of_step(step: &PatternStep) -> String {
    let name = step.name.written();
    let filter = step.filter.as_ref();
    let rows = filter.map_or_else(
        || "any row".to_owned(),
        |sql| format!("where {}", sql.written().trim()),
    );
    if step.absent {
        let until = step
            .within
            .map(|within| format!(" for {within} behind the last row before"));
        return format!("{name}: must not come{}: {rows}", until.unwrap_or_default());
    }
    let mut text = match (step.at_least.unwrap_or(1), step.at_most) {
        (least, None) => format!("{name}: {least} or more rows"),
        (least, Some(most)) if least == most => format!("{name}: {least} rows"),
        (least, Some(most)) => format!("{name}: {least} to {most} rows"),
    };
    if let Some(within) = step.within {
        text.push_str(&format!(", less than {within} behind the last row before"));
    }
    format!("{text}: {rows}")
}

/// When a trigger acts.
pub(super) fn of_trigger(job: &Job, trigger: &Trigger) -> Vec<String> {
    let (blocks, tables): (Vec<&Text>, Vec<&Text>) = trigger
        .on
        .iter()
        .partition(|on| job.entity_behind(on.as_str()).is_some());
    let on = |texts: &[&Text]| {
        texts
            .iter()
            .map(|on| on.written())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut lines = vec![match trigger.at {
        EvaluateAt::Anchors => format!("one row for each anchor row of {} that fires", on(&blocks)),
        EvaluateAt::Changes => {
            let all = on(&blocks.iter().chain(&tables).copied().collect::<Vec<_>>());
            format!("one row for each episode; looked at with every change of {all} (default)")
        }
    }];
    lines.push(format!(
        "fires when {}; null counts as false",
        trigger.when.written().trim()
    ));
    match (&trigger.clear_when, trigger.at) {
        (_, EvaluateAt::Anchors) => {}
        (Some(clear), _) => lines.push(format!("an episode ends when {}", clear.written().trim())),
        (None, _) => lines.push("an episode ends when that holds no longer (default)".to_owned()),
    }
    lines.push(match trigger.cooldown {
        Span::ZERO => "no cooldown (default)".to_owned(),
        cooldown => format!("a key that fired fires again after {cooldown} at the earliest"),
    });
    if let Some(holdout) = &trigger.holdout {
        lines.push(format!(
            "{} of 100 keys are held out: no action",
            holdout.percent
        ));
    }
    lines
}

fn names(texts: &[Text]) -> String {
    let names: Vec<&str> = texts.iter().map(|text| text.written()).collect();
    names.join(", ")
}

/// What the rows of a drift are of.
pub(super) fn of_drift(drift: &Drift) -> Vec<String> {
    let of: Vec<&str> = drift.of.iter().map(|sql| sql.written()).collect();
    let of = of.join(", ");
    let every = drift.every;
    let by = match &drift.by {
        Some(by) => format!(" for all rows and for each {}", by.written()),
        None => String::new(),
    };
    let mut lines = vec![match drift.window.is_empty() {
        true => format!("one row for each {every} and each of {of}{by}"),
        false => {
            let window: Vec<String> = drift.window.iter().map(ToString::to_string).collect();
            let window = window.join(" and of ");
            format!(
                "one row every {every} for the window of {window} that ends there, and each of {of}{by}"
            )
        }
    }];
    lines.push(match drift.reference.from {
        Some(Until::At(from)) => {
            let begin = if drift.is_wide() { "a window" } else { "window 0" };
            format!("{begin} begins at {from}; those without rows have no line")
        }
        _ => format!(
            "windows begin at whole multiples of {every} since 1970; those without rows have no line"
        ),
    });
    if let Some(rows) = drift.min_rows {
        lines.push(format!("nor have those with fewer than {rows} rows"));
    }
    lines.push(match (drift.fill, drift.smoothing) {
        (Some(least), _) => format!(
            "a share that psi and kl take is at least {least}; shares are not scaled back to one"
        ),
        (None, smoothing) => format!(
            "{} is added to the count of every category",
            smoothing.unwrap_or(0.5)
        ),
    });
    let given = drift.bins.is_some();
    if drift.is_wide() || given {
        let mark = if given { "" } else { " (default)" };
        lines.push(format!(
            "numbers are in {}{mark}; the first and the last bin are open",
            bins(drift.bins.as_ref())
        ));
    }
    if drift.measured().contains(&Measure::Kl) && drift.is_wide() {
        lines
            .push("kl is that of the window from the reference; logarithms are natural".to_owned());
    }
    lines
}

fn bins(bins: Option<&Bins>) -> String {
    match bins {
        None | Some(Bins::Rule(BinRule::Deciles)) => "deciles of the reference".to_owned(),
        Some(Bins::Rule(BinRule::Sturges)) => {
            "even bins by Sturges' rule of the reference".to_owned()
        }
        Some(Bins::Rule(BinRule::Doane)) => "even bins by Doane's rule of the reference".to_owned(),
        Some(Bins::Given(GivenBins { even, edges })) => match (even, edges) {
            (_, Some(edges)) => format!("bins parted at {edges:?}"),
            (even, None) => format!(
                "{} even bins from the least to the greatest of the reference",
                even.unwrap_or_default()
            ),
        },
    }
}

/// What the alerts of a drift are.
pub(super) fn of_alerts(drift: &Drift) -> Option<Vec<String>> {
    let alert = drift.alert.as_ref()?;
    let windows = alert.windows.unwrap_or(1);
    let in_a_row = match windows {
        1 => String::new(),
        windows => format!(" of {windows} windows in a row"),
    };
    Some(vec![
        "one row for each episode of a column, a segment and a length of windows".to_owned(),
        format!(
            "opens when {}{in_a_row}; null counts as false",
            alert.when.written().trim()
        ),
        match &alert.clear_when {
            Some(clear) => format!("ends when {}", clear.written().trim()),
            None => "ends when that holds no longer (default)".to_owned(),
        },
        match alert.cooldown {
            Span::ZERO => "no cooldown (default)".to_owned(),
            cooldown => format!("opens again {cooldown} after it opened at the earliest"),
        },
    ])
}

/// What the requests for a model mean.
pub(super) fn of_retrain(job: &Job, retrain: &Retrain) -> Vec<String> {
    let mut lines = vec!["one row for each request, at whole minutes of event time".to_owned()];
    let drifts: Vec<&str> = retrain.drifts(job).map(|(name, _)| name).collect();
    if !drifts.is_empty() {
        lines.push(format!(
            "asked by alerts of drift.{}: each once, when it opens, or at the end of the cooldown if it is open then",
            drifts.join(", drift.")
        ));
    }
    let from = retrain.source(job).map_or("", |from| from.written());
    if let Some(rows) = retrain.rows {
        lines.push(format!(
            "asked when {rows} rows of {from} came after the last request"
        ));
    }
    if let Some(max_age) = retrain.max_age {
        let since = match retrain.since {
            Some(since) => format!("`since`, {since}"),
            None => "the first row".to_owned(),
        };
        lines.push(format!(
            "asked with the first row of {from} that is {max_age} after the last request, or else after {since}"
        ));
    }
    lines.push(match retrain.cooldown {
        Span::ZERO => "no cooldown (default)".to_owned(),
        cooldown => format!("asked again {cooldown} after it was asked at the earliest"),
    });
    lines.push(match retrain.window {
        Some(window) => format!("to train on: the {window} before the request"),
        None => "to train on: everything from the first row to the request (default)".to_owned(),
    });
    lines
}

/// What the transitions of a journey mean.
pub(super) fn of_transitions(journey: &Journey) -> Vec<String> {
    vec![
        "one row for each pair of kinds that follow each other".to_owned(),
        of_journeys(journey),
    ]
}

/// What the accuracy of a journey means.
pub(super) fn of_accuracy(journey: &Journey) -> Vec<String> {
    vec![
        "one row for each order: every row is predicted from all rows before it, then counted"
            .to_owned(),
        "a row without a prediction counts as wrong; `end` is not predicted".to_owned(),
        of_predictions(journey),
        of_journeys(journey),
    ]
}

/// What the hold-out of a journey means.
pub(super) fn of_holdout(journey: &Journey) -> Vec<String> {
    let train = journey.holdout.as_ref().map(|holdout| holdout.train);
    let train = train.map_or_else(String::new, |train| train.to_string());
    vec![
        format!(
            "one row for each order, at the end of the input: the first {train} of all journeys are counted, by the least id of their rows; in the others, what follows each row is predicted, `end` too"
        ),
        of_predictions(journey),
        of_journeys(journey),
    ]
}

fn of_predictions(journey: &Journey) -> String {
    let order = journey.order;
    format!(
        "predicted is what most often followed the last kinds, {order} at most{}; of equally frequent ones the smaller text; of kinds never seen together, what followed fewer of them",
        default_mark(&order, &1)
    )
}

fn of_journeys(journey: &Journey) -> String {
    match journey.gap {
        Some(gap) => format!(
            "a journey ends after a silence of {gap}; a row exactly so much later begins a new one"
        ),
        None => "a journey ends with the input (default)".to_owned(),
    }
}

/// What the rows of a detector mean.
pub(super) fn of_detector(detector: &Detector) -> Vec<String> {
    let streams = match &detector.by {
        Some(by) => format!("one stream for each value of {}", by.written()),
        None => "one stream".to_owned(),
    };
    let forget = match detector.forget {
        Some(forget) => format!("a stream silent for {forget} begins anew"),
        None => "streams are never forgotten (default)".to_owned(),
    };
    let method = detector.method.written();
    vec![
        format!("one row for each drift, and for each beginning of a warning, of {method}"),
        format!(
            "{streams}, in the order of event time, when the watermark has passed it; {forget}"
        ),
    ]
}
