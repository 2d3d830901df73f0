//! What goes out: each output with its columns, their types, meanings and origins, and its sinks.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, TimeUnit};
use tidegate_schemas::job::{
    Aggregate, Drift, Job, Mode, Output, OutputKind, Pattern, Sink, SinkFormat, Sql, Window,
};
use tidegate_schemas::rows::{Kind, OutputColumn, OutputSchema};

use super::lineage::{Lineage, Origins};
use super::meaning::{of_aggregate, type_name};
use super::semantics;
use super::whole::{Whole, is_written};
use crate::cli::sheet::Sheet;

/// One paragraph for each output.
pub(super) fn section(whole: &Whole<'_>) -> String {
    let job = whole.job;
    let lineage = Lineage::new(whole);
    let (mut text, mut left_out) = (String::new(), Vec::new());
    for output in job.outputs() {
        let anchored = job
            .features
            .get(&output.name)
            .is_some_and(|f| f.at.is_some());
        let again = output.kind == OutputKind::Current && !anchored;
        let minor = matches!(
            output.kind,
            OutputKind::Current | OutputKind::Late | OutputKind::Rejects
        );
        if is_written(job, &output) || !(again || minor) {
            text.push_str(&paragraph(whole, &lineage, &output));
        } else if !again {
            left_out.push(output.to_string());
        }
    }
    if !left_out.is_empty() {
        text.push_str(&format!("  not written: {}\n", left_out.join(", ")));
    }
    text
}

fn paragraph(whole: &Whole<'_>, lineage: &Lineage<'_>, output: &Output) -> String {
    let job = whole.job;
    let mut text = format!("  {output}\n");
    for line in what(job, output) {
        text.push_str(&format!("      {line}\n"));
    }
    if let Some(schema) = whole.schema(output) {
        text.push_str(&columns(job, output, schema, &lineage.of(output)).text(8));
    }
    let sinks = job
        .sinks
        .iter()
        .filter(|(_, sink)| sink.from.output().as_ref() == Some(output));
    let mut written = false;
    for (name, sink) in sinks {
        written = true;
        text.push_str(&format!("      -> {name}: {}\n", sink_line(sink)));
        if let Some(ending) = other_ending(sink) {
            text.push_str(&format!(
                "         warning: the path ends in .{ending}, and what is written there is {}\n",
                format_name(sink)
            ));
        }
        if asks_for_ends(sink) {
            text.push_str(
                "         warning: `closed_at` is null in final rows, which tell no end; where an episode has one (at = \"changes\"), mode = \"upserts\" tells it\n",
            );
        }
        if !sink.select.is_empty()
            && let Some(schema) = whole.written.get(name)
        {
            let mut columns = Sheet::default();
            for field in schema.fields() {
                columns.line([field.name().clone(), arrow_name(field.data_type())]);
            }
            text.push_str(&columns.text(11));
        }
    }
    if !written {
        text.push_str("      no sink writes it\n");
    }
    text
}

/// Whether a sink of final rows, which never tell when an episode closed, reads when.
fn asks_for_ends(sink: &Sink) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let asks = |sql: &Sql| {
        sql.as_str()
            .split(|c| !is_word(c))
            .any(|word| word == "closed_at")
    };
    let of_trigger = sink
        .from
        .output()
        .is_some_and(|output| output.kind == OutputKind::Trigger);
    of_trigger && sink.mode == Mode::Final && sink.filter.iter().chain(&sink.select).any(asks)
}

/// What the rows of an output are.
fn what(job: &Job, output: &Output) -> Vec<String> {
    let name = &output.name;
    match output.kind {
        OutputKind::Features => job.features.get(name).map(semantics::of_features),
        OutputKind::Current => Some(vec!["the current values of each key".to_owned()]),
        OutputKind::Sessions => job.sessions.get(name).map(semantics::of_sessions),
        OutputKind::Pattern => job.patterns.get(name).map(semantics::of_pattern),
        OutputKind::Trigger => job
            .triggers
            .get(name)
            .map(|trigger| semantics::of_trigger(job, trigger)),
        OutputKind::Drift => job.drift.get(name).map(semantics::of_drift),
        OutputKind::Alerts => job.drift.get(name).and_then(semantics::of_alerts),
        OutputKind::Detector => job.detectors.get(name).map(semantics::of_detector),
        OutputKind::Transitions => job.journeys.get(name).map(semantics::of_transitions),
        OutputKind::Accuracy => job.journeys.get(name).map(semantics::of_accuracy),
        OutputKind::Holdout => job.journeys.get(name).map(semantics::of_holdout),
        OutputKind::Retrain => {
            let retrain = job.retrain.get(name);
            retrain.map(|retrain| semantics::of_retrain(job, retrain))
        }
        OutputKind::Late => Some(vec![format!(
            "rows of {name} that came too late, as they came"
        )]),
        OutputKind::Rejects => Some(vec![format!(
            "rows of {name} that were rejected: file, row, byte, column, reason, raw"
        )]),
    }
    .unwrap_or_default()
}

fn columns(
    job: &Job,
    output: &Output,
    schema: &OutputSchema,
    lineage: &BTreeMap<String, Origins>,
) -> Sheet {
    let meanings = meanings(job, output, &schema.columns);
    let mut sheet = Sheet::default();
    let from = |column: &str| match lineage.get(column) {
        Some(origins) if !origins.is_empty() => {
            let origins: Vec<&str> = origins.iter().map(String::as_str).collect();
            format!("< {}", origins.join(", "))
        }
        _ => String::new(),
    };
    if let Some(key) = &schema.key {
        sheet.line([
            key.clone(),
            "text".to_owned(),
            from(key),
            "the key".to_owned(),
        ]);
    }
    for column in &schema.columns {
        let name = &column.name;
        let meaning = meanings.get(name).cloned().unwrap_or_default();
        sheet.line([name.clone(), type_name(&column.kind), from(name), meaning]);
    }
    sheet
}

/// What the columns of an output say, by name.
fn meanings(job: &Job, output: &Output, columns: &[OutputColumn]) -> BTreeMap<String, String> {
    let mut meanings = BTreeMap::new();
    let mut tell = |column: &str, meaning: &str| {
        meanings.insert(column.to_owned(), meaning.to_owned());
    };
    match output.kind {
        OutputKind::Features | OutputKind::Current => {
            if let Some(features) = job.features.get(&output.name) {
                let id = job.id_column(&features.from);
                tell(id, "the row's id");
                if let Some(source) = features.from.first() {
                    tell(job.event_time(source.as_str()).as_str(), "event time");
                }
                meanings.extend(of_aggregates(&features.add, columns));
            }
        }
        OutputKind::Sessions => {
            tell("start", "time of the first row");
            tell("end", "time of the last row");
            tell("rows", "count");
            tell("closed", "whether it is over");
            tell("cut", "whether max_length ended it");
            if let Some(sessions) = job.sessions.get(&output.name) {
                meanings.extend(of_aggregates(&sessions.add, columns));
            }
        }
        OutputKind::Pattern => {
            if let Some(pattern) = job.patterns.get(&output.name) {
                meanings.extend(of_matches(pattern, columns));
            }
        }
        OutputKind::Trigger => {
            tell("event_id", "the anchor row's id; null for episodes");
            tell("fired_at", "time of the anchor, or when the episode opened");
            tell(
                "closed_at",
                "when the episode ended; null while open, and in final rows",
            );
            tell("state", "fired, opened or closed");
            tell("segment", "the segment at the firing");
            tell("arm", "treated or held_out");
            tell("action", "what to do; null for those held out");
            let reasons = job
                .triggers
                .get(&output.name)
                .map(|trigger| &trigger.explain);
            for sql in reasons.into_iter().flatten() {
                tell(&sql.column_name(), "reason");
            }
        }
        OutputKind::Drift | OutputKind::Alerts => {
            if let Some(drift) = job.drift.get(&output.name) {
                meanings_of_drift(drift, tell);
            }
        }
        OutputKind::Detector => {
            tell("at", "event time of the value");
            tell("row", "how many values the stream had before");
            tell("value", "the value");
            tell("signal", "drift or warning");
        }
        OutputKind::Transitions => {
            tell("from", "kind before, or `start`");
            tell("to", "kind behind, or `end`");
            tell("count", "how often");
            tell("share", "of all that come from there");
            tell(
                "mean_seconds",
                "between the two; null next to `start` and `end`",
            );
        }
        OutputKind::Accuracy => {
            tell("order", "kinds that were looked back at, at most");
            tell("steps", "rows that had an earlier one in their journey");
            tell("predicted", "of these, those with a prediction");
            tell("right", "of these, those as predicted");
            tell("accuracy", "right by steps");
            tell("bin_steps", "predictions by probability, in ten bins");
            tell("bin_probability", "its mean in each bin");
            tell("bin_right", "share of right ones in each bin");
        }
        OutputKind::Holdout => {
            tell("k", "kinds that were looked back at, at most");
            tell("counted", "journeys that were counted");
            tell("journeys", "journeys that were predicted");
            tell("prefixes", "predictions in these");
            tell("right", "of these, the right ones");
            tell("accuracy", "right by prefixes");
        }
        OutputKind::Retrain => {
            if let Some(retrain) = job.retrain.get(&output.name) {
                for (_, drift) in retrain.drifts(job) {
                    meanings_of_drift(drift, &mut tell);
                }
                meanings_of_retrain(&mut tell);
            }
        }
        OutputKind::Late | OutputKind::Rejects => {}
    }
    meanings
}

fn meanings_of_drift(drift: &Drift, mut tell: impl FnMut(&str, &str)) {
    tell("start", "beginning of the window");
    tell("end", "its end");
    tell("column", "name of what is counted");
    tell("opened_at", "end of the window that opened the episode");
    let closed_at = "end of the one that closed it; null while it is open";
    tell("closed_at", closed_at);
    tell("state", "opened or closed");
    tell("reference_from", "beginning of the reference");
    tell("reference_until", "its end");
    tell("rows", "rows with a value in the window");
    tell("reference_rows", "rows with a value in the reference");
    tell("categories", "different values, or bins");
    let limit = "what psi stays below in 95 of 100 windows without drift";
    tell("no_drift_95", limit);
    tell("moved", "what adds most to psi; + where its share rose");
    match &drift.by {
        Some(by) => tell(
            "segment",
            &format!("value of {}; null: all rows", by.written()),
        ),
        None => tell("segment", "always null: all rows"),
    }
    let window = match drift.is_wide() {
        true => "length of the window",
        false => "number of the window",
    };
    tell("window", window);
    for (name, meaning) in drift.measured().iter().flat_map(|it| it.columns()) {
        tell(name, meaning);
    }
}

fn meanings_of_retrain(mut tell: impl FnMut(&str, &str)) {
    tell("model", "what to train again");
    tell("requested_at", "event time of the request: a whole minute");
    tell("reason", "drift, rows or age");
    tell("state", "requested");
    tell(
        "drift",
        "the drift whose alert asks; null for other reasons, as all about it",
    );
    tell("monitor", "name of what is counted");
    tell("segment", "that of the alert; null: all rows");
    tell("window", "length of the window that opened the alert");
    tell("current_from", "its beginning");
    tell("current_until", "its end");
    tell("train", "output to train on");
    tell("train_from", "from here on; null: there was no row yet");
    tell("train_until", "up to here, and without it");
}

/// What the columns of a pattern's output say.
fn of_matches(pattern: &Pattern, columns: &[OutputColumn]) -> Vec<(String, String)> {
    let own = [
        ("start_id", "id of the first row"),
        ("start", "time of the first row"),
        ("end", "time of the last row, or when the time was out"),
        ("how", "completed or timed_out"),
        (
            "skipped",
            "rows meanwhile that began nothing: too many were under way",
        ),
    ];
    let steps = pattern.present();
    let steps = steps.map(|(step, _)| (step.name.as_str(), "rows of the step"));
    own.into_iter()
        .chain(steps)
        .map(|(column, meaning)| (column.to_owned(), meaning.to_owned()))
        .chain(of_aggregates(&pattern.add, columns))
        .collect()
}

fn of_aggregates(aggregates: &[Aggregate], columns: &[OutputColumn]) -> Vec<(String, String)> {
    let kind = |name: &str| {
        let found = columns.iter().find(|column| column.name == name);
        found.map_or(Kind::Int, |column| column.kind.clone())
    };
    let mut meanings = Vec::new();
    for aggregate in aggregates {
        let windows: Vec<Option<&Window>> = match aggregate.windows.is_empty() {
            true => vec![None],
            false => aggregate.windows.iter().map(Some).collect(),
        };
        for (name, window) in aggregate.columns().into_iter().zip(windows) {
            let meaning = of_aggregate(aggregate, window, &kind(&name));
            meanings.push((name, meaning));
        }
    }
    meanings
}

fn sink_line(sink: &Sink) -> String {
    let place = sink.path.as_ref().map_or("-", |path| path.written());
    let place = if place == "-" {
        "the standard output"
    } else {
        place
    };
    let mode = match sink.mode {
        Mode::Final => "final rows only (default)",
        Mode::Changes => "every change, with tick and diff",
        Mode::Upserts => "the newest version of each row, with version and status",
    };
    let format = format_name(sink);
    let filter = sink
        .filter
        .as_ref()
        .map(|sql| format!(", where {}", sql.written()));
    format!("{format}, {place}, {mode}{}", filter.unwrap_or_default())
}

fn format_name(sink: &Sink) -> String {
    format!("{:?}", sink.format).to_lowercase()
}

/// The ending of a sink's path, if files that end so are written in another format.
fn other_ending(sink: &Sink) -> Option<&str> {
    let (_, ending) = sink.path.as_ref()?.as_str().rsplit_once('.')?;
    let usual = match ending {
        "parquet" | "pq" => SinkFormat::Parquet,
        "csv" | "tsv" => SinkFormat::Csv,
        "jsonl" | "ndjson" | "json" => SinkFormat::Jsonl,
        _ => return None,
    };
    (usual != sink.format).then_some(ending)
}

/// A type of a file's column, in the words of job files where there is one.
fn arrow_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Int64 => "i64".to_owned(),
        DataType::UInt64 => "u64".to_owned(),
        DataType::Float64 => "f64".to_owned(),
        DataType::Boolean => "bool".to_owned(),
        DataType::Utf8 => "text".to_owned(),
        DataType::Timestamp(unit, _) => match unit {
            TimeUnit::Second => "timestamp_s",
            TimeUnit::Millisecond => "timestamp_ms",
            TimeUnit::Microsecond => "timestamp_us",
            TimeUnit::Nanosecond => "timestamp_ns",
        }
        .to_owned(),
        DataType::List(item) => format!("list<{}>", arrow_name(item.data_type())),
        DataType::Struct(_) => "(value, count i64)".to_owned(),
        other => other.to_string().to_lowercase(),
    }
}
