//! What comes in.

use tidegate_schemas::job::{Format, Job, OnConflict, Source, Text};

use super::whole::Whole;
use crate::cli::sheet::Sheet;
use crate::sources::warning;

/// One paragraph for each source, and the tables.
pub(super) fn section(whole: &Whole<'_>) -> String {
    let mut text = String::new();
    for (name, source) in &whole.job.sources {
        text.push_str(&paragraph(whole.job, name, source));
        let plan = whole.plan.sources.iter().find(|plan| plan.name == *name);
        if let Some(why) = plan.and_then(|plan| warning(&plan.declared)) {
            text.push_str(&format!("      warning: {why}\n"));
        }
    }
    text
}

fn paragraph(job: &Job, name: &str, source: &Source) -> String {
    let paths: Vec<&str> = source.path.iter().map(Text::written).collect();
    let mut text = format!(
        "  {name}  {}, {}",
        format_name(source.format),
        paths.join(", ")
    );
    if source.follow {
        text.push_str(", followed as it grows");
    }
    text.push('\n');
    let mut columns = Sheet::default();
    let time = job.event_time(name).as_str();
    for (column, kind) in &source.columns.0 {
        let role = if *column == *time {
            ", the event time"
        } else {
            ""
        };
        columns.line([column.written().to_owned(), format!("{kind}{role}")]);
    }
    text.push_str(&columns.text(6));
    if source.columns.is_empty() {
        text.push_str(&format!(
            "      columns as in the file; the event time is {time}\n"
        ));
    }
    for expectation in &source.expect {
        text.push_str(&format!(
            "      rejected unless {}\n",
            expectation.written()
        ));
    }
    if let Some(ahead) = source.max_ahead {
        text.push_str(&format!(
            "      rejected when more than {ahead} ahead of the newest row before it; \
             verify compares nothing of such a job\n"
        ));
    }
    if let Some(dedupe) = &source.dedupe {
        let key: Vec<&str> = dedupe.key.iter().map(Text::written).collect();
        let holds = match dedupe.on_conflict {
            OnConflict::First => "the first one counts (default)",
            OnConflict::Latest => "the last one corrects the others",
        };
        text.push_str(&format!(
            "      of rows with the same {} within {}{}, {holds}\n",
            key.join(" and "),
            dedupe.keep(job.job.lateness),
            if dedupe.keep.is_none() {
                " (the lateness, by default)"
            } else {
                ""
            }
        ));
    }
    for table in job
        .all_tables()
        .values()
        .filter(|table| table.source == name)
    {
        let key: Vec<&str> = table.key.iter().map(Text::written).collect();
        text.push_str(&format!(
            "      is the table {}: a row for each {}, the newest version by event time holds\n",
            table.name,
            key.join(" and ")
        ));
        if let Some(delete) = table.delete_when {
            text.push_str(&format!(
                "      a version where {} removes the row\n",
                delete.written()
            ));
        }
    }
    text
}

fn format_name(format: Format) -> &'static str {
    match format {
        Format::Parquet => "parquet",
        Format::Csv => "csv",
        Format::Jsonl => "jsonl",
        Format::ChangelogParquet => "changelog as parquet",
        Format::ChangelogCsv => "changelog as csv",
        Format::ChangelogJsonl => "changelog as jsonl",
    }
}
