//! The rows of a case as the sources of its job.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, NaiveDateTime};
use tidegate_schemas::job::{
    Cell, ColumnKind, Format, Job, OneOrMany, Source, TestCase, TestRow, TestRows, Text,
};
use tidegate_schemas::time::TimeUnit;

use super::table::TextTable;
use crate::compile::Plan;

/// The column that only says in which order rows arrive.
const ARRIVAL: &str = "arrival";

/// The rows of every source, in the order of arrival.
pub(super) type Inputs = BTreeMap<String, TextTable>;

/// The rows of the case, for every source of the job.
///
/// # Errors
/// What is wrong with the case, in plain words.
pub(super) fn inputs_of(job: &Job, case: &TestCase) -> Result<Inputs, String> {
    let mut inputs = Inputs::new();
    for (name, source) in &job.sources {
        if source.columns.is_empty() {
            return Err(format!(
                "source `{name}` declares no columns, so a case cannot say its rows: add `columns`"
            ));
        }
        let header = source.columns.names().map(str::to_owned).collect();
        let records = table_records(job, case, name, source)?;
        inputs.insert(name.clone(), TextTable { header, records });
    }
    for (name, text) in texts(job, &case.rows)? {
        let Some(source) = job.sources.get(name) else {
            return Err(format!("there is no source `{name}`"));
        };
        let rows = rows_of(source, text).map_err(|error| format!("rows of `{name}`: {error}"))?;
        inputs
            .entry(name.to_owned())
            .and_modify(|known| append(known, &rows))
            .or_insert(rows);
    }
    Ok(inputs)
}

/// Writes the rows into `folder` and answers the job that reads them there.
///
/// # Errors
/// When a file cannot be written, in plain words.
pub(super) fn job_over(job: &Job, inputs: &Inputs, folder: &Path) -> Result<Job, String> {
    let mut job = job.clone();
    for (name, table) in inputs {
        let path = folder.join(format!("{name}.csv"));
        std::fs::write(&path, table.csv().0)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        if let Some(source) = job.sources.get_mut(name) {
            source.format = match source.format.is_changelog() {
                true => Format::ChangelogCsv,
                false => Format::Csv,
            };
            source.path = OneOrMany(vec![Text::from(path.display().to_string())]);
            source.follow = false;
            source.delimiter = None;
        }
    }
    Ok(job)
}

/// Looks for the columns that the plan reads. Those that may be null are there, though the case leaves
/// them out.
///
/// # Errors
/// Those that are not, in plain words.
pub(super) fn all_there(plan: &Plan, inputs: &Inputs) -> Result<(), String> {
    for source in &plan.sources {
        let Some(table) = inputs.get(&source.name) else {
            continue;
        };
        let columns = source
            .declared
            .columns
            .iter()
            .filter(|column| !column.numbered);
        let names = columns.map(|column| &column.name);
        let missing = names.filter(|name| table.column(name).is_none());
        let missing: Vec<String> = missing.map(|name| format!("`{name}`")).collect();
        if !missing.is_empty() {
            return Err(format!(
                "rows of `{}` leave out {}: a column may only be left out when it may be null, \
                 that is when its type ends in `?`",
                source.name,
                missing.join(", ")
            ));
        }
    }
    Ok(())
}

/// The texts of the case by source.
fn texts<'a>(job: &'a Job, rows: &'a TestRows) -> Result<Vec<(&'a str, &'a str)>, String> {
    match rows {
        TestRows::Each(each) => Ok(each.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect()),
        TestRows::Only(text) => {
            let plain = job.sources.iter().filter(|(_, s)| !s.format.is_changelog());
            match plain.collect::<Vec<_>>()[..] {
                [(name, _)] => Ok(vec![(name.as_str(), text.as_str())]),
                _ => Err("the job has several sources: say which with rows.SOURCE".to_owned()),
            }
        }
    }
}

/// The rows of a source: times spelled as it declares them, sorted by arrival, with every column that
/// may be null.
fn rows_of(source: &Source, text: &str) -> Result<TextTable, String> {
    let mut table = TextTable::parse(text)?;
    if table.column(ARRIVAL) == Some(0) && source.columns.get(ARRIVAL).is_none() {
        sort_by_arrival(&mut table)?;
    }
    for (index, name) in table.header.iter().enumerate() {
        let Some(declared) = source.columns.get(name) else {
            let known: Vec<&str> = source.columns.names().collect();
            return Err(format!(
                "there is no column `{name}`; there are {}",
                known.join(", ")
            ));
        };
        if table.header[..index].contains(name) {
            return Err(format!("the header names `{name}` twice"));
        }
        for record in &mut table.records {
            record[index] = spelled(&declared.kind, &record[index]);
        }
    }
    for (name, declared) in &source.columns.0 {
        if declared.nullable && table.column(name.as_str()).is_none() {
            table.add_empty(name.as_str());
        }
    }
    Ok(table)
}

fn sort_by_arrival(table: &mut TextTable) -> Result<(), String> {
    let mut ranks = Vec::with_capacity(table.records.len());
    for (index, record) in table.records.iter().enumerate() {
        let Ok(rank) = record[0].trim().parse::<i64>() else {
            return Err(format!(
                "row {}: `{}` is no arrival number",
                index + 1,
                record[0]
            ));
        };
        ranks.push((rank, index));
    }
    ranks.sort_unstable();
    let sorted = ranks.iter().map(|(_, index)| table.records[*index].clone());
    table.records = sorted.collect();
    table.remove(0);
    Ok(())
}

/// The rows of the tables that a source feeds. Those without an event time come first and hold from
/// the beginning of time.
fn table_records(
    job: &Job,
    case: &TestCase,
    name: &str,
    source: &Source,
) -> Result<Vec<Vec<String>>, String> {
    let tables = job.all_tables();
    let time = job.event_time(name).as_str();
    let (mut always, mut dated) = (Vec::new(), Vec::new());
    for (table, rows) in &case.tables {
        match tables.get(table.as_str()) {
            None => return Err(format!("there is no table `{table}`")),
            Some(view) if view.source != name => continue,
            Some(_) => {}
        }
        for row in rows {
            let record = table_record(source, time, row)
                .map_err(|error| format!("rows of the table `{table}`: {error}"))?;
            match row.contains_key(time) {
                true => dated.push(record),
                false => always.push(record),
            }
        }
    }
    always.extend(dated);
    Ok(always)
}

fn table_record(source: &Source, time: &str, row: &TestRow) -> Result<Vec<String>, String> {
    if let Some(unknown) = row.keys().find(|name| source.columns.get(name).is_none()) {
        let known: Vec<&str> = source.columns.names().collect();
        return Err(format!(
            "there is no column `{unknown}`; there are {}",
            known.join(", ")
        ));
    }
    let field = |(name, declared): &(Text, tidegate_schemas::job::ColumnType)| {
        let cell = row.get(name.as_str());
        Ok(match cell {
            None if *name == *time => beginning_of_time(&declared.kind),
            None | Some(Cell::Null {}) => String::new(),
            Some(Cell::Bool(value)) => value.to_string(),
            Some(Cell::Int(value)) => value.to_string(),
            Some(Cell::Float(value)) => value.to_string(),
            Some(Cell::Text(value)) => spelled(&declared.kind, value),
            Some(Cell::List(_)) => {
                return Err(format!(
                    "`{}` is a list, and no column holds one",
                    name.as_str()
                ));
            }
        })
    };
    source.columns.0.iter().map(field).collect()
}

/// A time in RFC 3339 as a column of this kind spells it; anything else as it is.
fn spelled(kind: &ColumnKind, text: &str) -> String {
    let Some(time) = moment(text) else {
        return text.to_owned();
    };
    match kind {
        ColumnKind::Timestamp(unit) => in_units(time, *unit).unwrap_or_else(|| text.to_owned()),
        ColumnKind::TimestampFormat(format) if !fits(format, text) => {
            time.format(format).to_string()
        }
        _ => text.to_owned(),
    }
}

/// A time in RFC 3339, also without a zone (then in UTC).
pub(super) fn moment(text: &str) -> Option<NaiveDateTime> {
    let zoned = DateTime::parse_from_rfc3339(text).map(|time| time.naive_utc());
    let plain = || NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f");
    let blank = || NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f");
    zoned.or_else(|_| plain()).or_else(|_| blank()).ok()
}

fn in_units(time: NaiveDateTime, unit: TimeUnit) -> Option<String> {
    let time = time.and_utc();
    let units = match unit {
        TimeUnit::Second => time.timestamp(),
        TimeUnit::Millisecond => time.timestamp_millis(),
        TimeUnit::Microsecond => time.timestamp_micros(),
        TimeUnit::Nanosecond => time.timestamp_nanos_opt()?,
    };
    Some(units.to_string())
}

/// Whether a text is a time in a format already.
fn fits(format: &str, text: &str) -> bool {
    NaiveDateTime::parse_from_str(text, format).is_ok()
        || DateTime::parse_from_str(text, format).is_ok()
}

/// A time before all others that a column of this kind can hold.
fn beginning_of_time(kind: &ColumnKind) -> String {
    let year = match kind {
        ColumnKind::Timestamp(TimeUnit::Nanosecond) => "1678",
        _ => "0001",
    };
    spelled(kind, &format!("{year}-01-01T00:00:00Z"))
}

/// Adds rows behind those that are known, columns by name.
fn append(known: &mut TextTable, rows: &TextTable) {
    if known.records.is_empty() {
        known.clone_from(rows);
        return;
    }
    let columns: Vec<Option<usize>> = known.header.iter().map(|name| rows.column(name)).collect();
    known.records.extend(rows.records.iter().map(|record| {
        let field = |column: &Option<usize>| column.map_or_else(String::new, |c| record[c].clone());
        columns.iter().map(field).collect()
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_schemas::job::load;

    const JOB: &str = r#"
[job]
name = "t"
event_time = "ts"
[source.events]
format = "parquet"
path = "x.parquet"
columns = { ts = "timestamp_ms", user = "text", n = "i64?" }
[source.limits]
format = "changelog_csv"
path = "x.csv"
key = ["user"]
columns = { user = "text", most = "i64", ts = "timestamp:%d.%m.%Y %H:%M:%S" }
[entity.user]
key = "user"
[features.f]
from = "events"
add = [{ name = "rows", op = "count", windows = ["1h"] }]
"#;

    fn case(text: &str) -> (Job, Result<Inputs, String>) {
        let text = format!("{JOB}\n[[test]]\nname = \"t\"\n{text}");
        let job = load("t.toml", text.as_bytes(), &[], &|_| None).unwrap();
        let inputs = inputs_of(&job, &job.tests[0]);
        (job, inputs)
    }

    #[test]
    fn times_are_spelled_as_the_source_declares_them() {
        let (job, inputs) = case(
            "rows = \"\"\"\narrival,ts,user\n2,1970-01-01T00:00:01Z,a\n1,500,b\n\"\"\"\n\
             tables.limits = [{ user = \"a\", most = 3, ts = 1970-01-01T00:00:00Z }, { user = \"b\", most = 4 }]",
        );
        let inputs = inputs.unwrap();
        assert_eq!(inputs["events"].csv().0, "ts,user,n\n500,b,\n1000,a,\n");
        assert_eq!(
            inputs["limits"].csv().0,
            "user,most,ts\nb,4,01.01.0001 00:00:00\na,3,01.01.1970 00:00:00\n"
        );
        let folder = tempfile::tempdir().unwrap();
        let over = job_over(&job, &inputs, folder.path()).unwrap();
        assert_eq!(over.sources["events"].format, Format::Csv);
        assert_eq!(over.sources["limits"].format, Format::ChangelogCsv);
        let path = over.sources["events"].path[0].as_str();
        assert!(
            std::fs::read_to_string(path)
                .unwrap()
                .starts_with("ts,user")
        );
    }

    #[test]
    fn what_is_wrong_with_rows_is_told_in_plain_words() {
        let told = |rows: &str| case(&format!("rows = \"\"\"\n{rows}\"\"\"")).1.unwrap_err();
        assert_eq!(
            told("ts,user,nn\n"),
            "rows of `events`: there is no column `nn`; there are ts, user, n"
        );
        assert_eq!(
            told("ts,user\n1\n"),
            "rows of `events`: row 1 has 1 fields, but the header names 2: 1"
        );
        assert!(told("arrival,ts\nx,1\n").ends_with("`x` is no arrival number"));
    }
}
