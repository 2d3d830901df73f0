//! The rows of one key, and the versions of the tables, read from the sources again.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, concat_batches, filter_record_batch};
use arrow::datatypes::DataType;
use tidegate_operators::parcel::{Content, Pending, TableRow};
use tidegate_schemas::job::OnConflict;
use tidegate_schemas::time::EventTime;

use crate::cli::failure::Failure;
use crate::compile::{Plan, SourcePlan};
use crate::normalise::{FactsPlan, Faults, Normaliser};
use crate::runtime::{Admission, RunError, Stretch, table_rows};
use crate::sources::{Event, open};

/// All that matters to one key.
pub(super) struct Gathered {
    /// The rows, by source of the plan; none of sources that do not feed the stage.
    pub(super) sources: Vec<Rows>,
    /// The facts that count, in (time, id) order.
    pub(super) facts: Vec<KeyFact>,
    /// Rows that are copies of others.
    pub(super) copies: usize,
    /// The versions of the tables that the stage looks up.
    pub(super) versions: Vec<TableRow>,
}

/// Rows of one source: those of the key, or all of a changelog.
#[derive(Default)]
pub(super) struct Rows {
    /// The rows, in the order of arrival.
    pub(super) batch: Option<RecordBatch>,
    pub(super) times: Vec<EventTime>,
    /// Where each was found: file and row.
    pub(super) places: Vec<String>,
    ordinals: Vec<u64>,
    pub(super) late: usize,
    /// Rejected rows that mention the key, and why.
    pub(super) rejects: Vec<String>,
}

/// A row of the key as the engine sees it.
pub(super) struct KeyFact {
    pub(super) source: usize,
    pub(super) row: usize,
    pub(super) at: EventTime,
    pub(super) id: u64,
    pub(super) bits: u64,
    pub(super) words: Vec<i64>,
}

/// Reads the sources of a stage.
///
/// # Errors
/// When they cannot be read.
pub(super) fn gather(plan: &Plan, stage: usize, key: &str) -> Result<Gathered, Failure> {
    let mut gathered = Gathered {
        sources: Vec::new(),
        facts: Vec::new(),
        copies: 0,
        versions: Vec::new(),
    };
    let mut facts = Vec::new();
    for (index, source) in plan.sources.iter().enumerate() {
        let failed = |error: RunError| Failure::from(error);
        let mut rows = Rows::default();
        if source.tables.iter().any(|(of, _)| *of == stage) {
            let read = Reader::new(plan, index, stage).read(None).map_err(failed)?;
            gathered.versions.extend(read.versions);
            rows = read.rows;
        }
        if source.feeds.iter().any(|(of, _)| *of == stage) {
            rows = Reader::new(plan, index, stage)
                .read(Some(key))
                .map_err(failed)?
                .rows;
            facts.extend(facts_of(plan, index, stage, &mut rows).map_err(failed)?);
        }
        gathered.sources.push(rows);
    }
    let latest = plan.stages[stage].dedupe.map(|(_, conflict)| conflict);
    (gathered.facts, gathered.copies) = match latest {
        None => (facts, 0),
        Some(conflict) => without_copies(facts, conflict),
    };
    gathered.facts.sort_by_key(|fact| (fact.at, fact.id));
    Ok(gathered)
}

/// Reads one source to its end.
struct Reader<'a> {
    plan: &'a Plan,
    index: usize,
    stage: usize,
}

/// What was read.
struct Read {
    rows: Rows,
    versions: Vec<TableRow>,
}

impl<'a> Reader<'a> {
    fn new(plan: &'a Plan, index: usize, stage: usize) -> Reader<'a> {
        Reader { plan, index, stage }
    }

    fn source(&self) -> &'a SourcePlan {
        &self.plan.sources[self.index]
    }

    /// Reads the rows of a key, or all.
    fn read(&self, key: Option<&str>) -> Result<Read, RunError> {
        let plan = self.source();
        let mut declared = plan.declared.clone();
        declared.lifetime = crate::sources::Lifetime::Finite;
        let unreadable = |error| RunError::Source {
            source_name: plan.name.clone(),
            error,
        };
        let wrong = |error| RunError::Rows {
            source_name: plan.name.clone(),
            error,
        };
        let mut source = open(declared).map_err(unreadable)?;
        let lateness = self.plan.lateness;
        let mut admission = Admission::new(self.index, plan.clone(), lateness, Stretch::ALL);
        let mut rows = Rows::default();
        let (mut versions, mut batches) = (Vec::new(), Vec::new());
        loop {
            let arrived = match source.next().map_err(unreadable)? {
                Event::Batch(batch) => batch,
                Event::Idle => continue,
                Event::End => break,
            };
            let admitted = admission.admit(arrived).map_err(wrong)?;
            for (_, table) in plan.tables.iter().filter(|(of, _)| *of == self.stage) {
                let mut faults = Faults::default();
                let more = table_rows(table, &admitted, &self.plan.names, &mut faults);
                versions.extend(more.map_err(wrong)?);
            }
            let mask = self
                .mask(key, &admitted.batch)
                .map_err(|e| wrong(e.into()))?;
            for row in (0..mask.len()).filter(|row| mask.value(*row)) {
                let number = admitted.numbers.get(row).unwrap_or_default();
                rows.times.push(admitted.times[row]);
                rows.places
                    .push(format!("{}:{number}", file_name(&admitted.file)));
                rows.ordinals.push(admitted.ordinal + row as u64);
            }
            let kept = filter_record_batch(&admitted.batch, &mask).map_err(|e| wrong(e.into()))?;
            batches.push(kept);
            if let Some(late) = &admitted.late {
                rows.late += self
                    .mask(key, late)
                    .map_err(|e| wrong(e.into()))?
                    .true_count();
            }
            let told = admitted
                .rejects
                .iter()
                .filter(|reject| key.is_none_or(|k| reject.raw.contains(k)));
            rows.rejects.extend(told.map(|reject| {
                format!(
                    "{}:{}: {}",
                    file_name(&reject.file),
                    reject.row,
                    reject.reason
                )
            }));
        }
        let schema = plan.declared.schema();
        let batch = concat_batches(&schema, &batches).map_err(|e| wrong(e.into()))?;
        rows.batch = Some(batch);
        Ok(Read { rows, versions })
    }

    /// Which rows are the key's.
    fn mask(
        &self,
        key: Option<&str>,
        batch: &RecordBatch,
    ) -> Result<BooleanArray, arrow::error::ArrowError> {
        let feed = self
            .source()
            .feeds
            .iter()
            .find(|(stage, _)| *stage == self.stage);
        let column = feed.and_then(|(_, plan)| plan.key);
        let (Some(key), Some(column)) = (key, column) else {
            return Ok(BooleanArray::from(vec![true; batch.num_rows()]));
        };
        let names = cast(batch.column(column), &DataType::Utf8)?;
        let names = names.as_string::<i32>();
        let is_key = |row: usize| names.is_valid(row) && names.value(row) == key;
        Ok((0..batch.num_rows()).map(|row| Some(is_key(row))).collect())
    }
}

/// The facts of the key's rows. A row that cannot be one goes to the rejects.
fn facts_of(
    plan: &Plan,
    index: usize,
    stage: usize,
    rows: &mut Rows,
) -> Result<Vec<KeyFact>, RunError> {
    let source = &plan.sources[index];
    let feed = source.feeds.iter().find(|(of, _)| *of == stage);
    let (Some((_, feed)), Some(batch)) = (feed, &rows.batch) else {
        return Ok(Vec::new());
    };
    // Copies are told from each other below, and rows that nobody sees are part of the answer.
    let feed = FactsPlan {
        dedupe: None,
        seen: None,
        ..feed.clone()
    };
    let mut normaliser = Normaliser::new(feed, Arc::clone(&plan.names), 1);
    let mut facts = Vec::new();
    for row in 0..batch.num_rows() {
        let (times, ordinal) = (&rows.times[row..=row], rows.ordinals[row]);
        let normalised = normaliser
            .normalise(
                &batch.slice(row, 1),
                times,
                ordinal,
                EventTime::MIN,
                Faults::default(),
            )
            .map_err(|error| RunError::Rows {
                source_name: source.name.clone(),
                error,
            })?;
        let faults = normalised.faults.into_list().into_iter();
        rows.rejects
            .extend(faults.map(|fault| format!("{}: {}", rows.places[row], fault.reason)));
        for parcel in normalised.parcels {
            let Content::Pending(Pending { block, .. }) = parcel.content else {
                continue;
            };
            facts.extend((0..block.len()).map(|fact| KeyFact {
                source: index,
                row,
                at: block.heads[fact].at,
                id: block.heads[fact].id,
                bits: block.heads[fact].bits,
                words: block.words(fact).to_vec(),
            }));
        }
    }
    Ok(facts)
}

/// Of rows with the same id one counts.
fn without_copies(facts: Vec<KeyFact>, conflict: OnConflict) -> (Vec<KeyFact>, usize) {
    let all = facts.len();
    let mut by_id: HashMap<u64, KeyFact> = HashMap::new();
    for fact in facts {
        match conflict {
            OnConflict::First => {
                by_id.entry(fact.id).or_insert(fact);
            }
            OnConflict::Latest => {
                by_id.insert(fact.id, fact);
            }
        }
    }
    let kept: Vec<KeyFact> = by_id.into_values().collect();
    let copies = all - kept.len();
    (kept, copies)
}

/// The last part of a path.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
