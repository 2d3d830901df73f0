//! The runtime: it carries a plan out.
//!
//! ```text
//! source threads            conductor              workers                     sink threads
//! decode, admit rows  ->  ticks, watermark  ->  normalise, dataflow  ->  render, encode, write
//! ```
//!
//! All arrows are bounded channels: a full one holds back whoever feeds it. Rows of a source stay in
//! order up to the conductor; from there they have a tick, in a replay that of a few batches, and the
//! dataflow works off ticks in order whichever worker their batches went to.
//!
//! # Errors
//! The first thing that goes wrong ends the run; results that had not appeared whole do not appear.

mod admit;
mod by_source;
mod clock;
mod conductor;
mod crew;
mod error;
mod journeys;
mod outputs;
mod reader;
mod rejects;
mod sound;
mod tables;
#[cfg(test)]
mod tests;
mod watch;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::bounded;
use tidegate_operators::dedup::Tally;
use tidegate_operators::detection::book::Unheard;
pub use tidegate_operators::driver::Firing;
use tidegate_operators::driver::Gauge;
use tidegate_schemas::account::Account;
use tidegate_schemas::names::Names;
use tidegate_schemas::time::{EventTime, Span};

use crate::compile::{Plan, SourcePlan, StagePlan};
use crate::normalise::{FactsPlan, Normaliser};
use crate::sinks::{SinkHandle, SinkReport};
use crate::sources::{Lifetime, Source};
pub(crate) use admit::Admission;
pub use admit::Stretch;
pub use by_source::{Rejected, SourceAccount};
use clock::Clock;
use conductor::Conductor;
use crew::Crew;
pub use error::RunError;
use outputs::open_sinks;
pub use rejects::reject_schema;
pub(crate) use sound::unsound;
pub(crate) use tables::table_rows;
pub use watch::Watch;
pub(crate) use worker::logic;

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many workers.
    pub workers: usize,
    /// When answers go out.
    pub firing: Firing,
    /// The stretch of event time to look at.
    pub stretch: Stretch,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// Where every row went.
    pub account: Account,
    /// What became of the rows of each source.
    pub sources: BTreeMap<String, SourceAccount>,
    /// Rows outside the stretch of event time.
    pub skipped: u64,
    /// What each sink wrote.
    pub sinks: Vec<(String, SinkReport)>,
    /// What changed nothing of each detector: values and corrections too late, values too large.
    pub unheard: BTreeMap<String, (u64, u64)>,
    /// How long it took.
    pub elapsed: Duration,
    /// Whether it was stopped before its sources had ended.
    pub stopped: bool,
}

/// A stage and its counters.
struct StageRun {
    plan: StagePlan,
    tally: Arc<Tally>,
    gauge: Arc<Gauge>,
    /// One for each detector.
    unheard: Vec<Arc<Unheard>>,
}

/// What all workers share.
struct Shared {
    sources: Vec<SourcePlan>,
    /// By source: what feeds which stage. Every worker takes a clone.
    normalisers: Vec<Vec<(usize, Normaliser)>>,
    stages: Vec<StageRun>,
    names: Arc<Names>,
    lateness: Span,
    firing: Firing,
    watch: Arc<Watch>,
}

/// Batches on their way from each source.
const ROWS_WAITING: usize = 1;

/// Carries out a plan until its sources have ended or `watch` is told to stop.
///
/// # Errors
/// What ended it early.
pub fn run(plan: Plan, options: &Options, watch: &Arc<Watch>) -> Result<Report, RunError> {
    let start = Instant::now();
    let Plan {
        name: _,
        lateness,
        idle_timeout,
        names,
        sources,
        stages,
        sinks,
    } = plan;
    let unending = sources.iter().any(|s| s.declared.is_unending());
    let opened = open_sources(&sources)?;
    let counted = counting_stages(&sources, stages.len());
    let stages: Vec<StageRun> = stages
        .into_iter()
        .zip(counted)
        .map(|(plan, counted)| stage_run(plan, counted, watch))
        .collect();
    let mut outputs = open_sinks(sinks, &sources, &stages, &names, options.workers, watch)?;
    let shared = Arc::new(Shared {
        normalisers: normalisers(&sources, &names, options.workers),
        sources,
        stages,
        names,
        lateness,
        firing: options.firing,
        watch: Arc::clone(watch),
    });
    let crew = Crew::start(&shared, options.workers, &mut outputs)?;
    let mut conductor = Conductor {
        lines: crew.lines,
        sinks: &outputs.handles,
        deaf: false,
        clock: Clock::new(shared.sources.len(), lateness, idle_timeout),
        watch: Arc::clone(watch),
        raw: std::mem::take(&mut outputs.raw),
        names: shared
            .sources
            .iter()
            .map(|source| source.name.clone())
            .collect(),
        texts: Arc::clone(&shared.names),
        live: unending,
        tick: 0,
        enough: rows_of_tick(&shared.sources, unending, options),
        open: 0,
        completed: start,
        turn: 0,
        sent: EventTime::MIN,
    };
    let conducted = read_all(&shared, opened, lateness, options.stretch, &mut conductor);
    let finished = match conducted {
        Ok(()) => conductor.finish().map_err(RunError::from),
        Err(error) => Err(error),
    };
    drop(conductor);
    let worked = crew
        .guards
        .join()
        .unwrap_or_else(|_| Err(RunError::Start("a worker has died".to_owned())));
    let failure = outputs.handles.iter().find_map(SinkHandle::failure);
    if let Some(failure) = failure {
        return Err(failure.into());
    }
    worked?;
    finished?;
    let stopped = watch.is_stopped();
    let seals = !stopped || unending;
    if seals {
        outputs.handles.iter().for_each(SinkHandle::begin_to_seal);
    }
    let mut sealed = Vec::new();
    // One by one, so that those that are left are aborted when one fails.
    while !outputs.handles.is_empty() {
        let handle = outputs.handles.remove(0);
        if seals {
            sealed.push(handle.seal()?);
        } else {
            handle.abort()?;
        }
    }
    let account = watch.account();
    if !account.balances() {
        return Err(RunError::Balance(account));
    }
    // Nothing has appeared so far of what appears at the end, and what is left to do is to rename.
    let mut reports = Vec::new();
    for sink in sealed {
        reports.push((sink.name().to_owned(), sink.publish()?));
    }
    Ok(Report {
        account,
        sources: watch.sources(),
        skipped: watch.skipped(),
        sinks: reports,
        elapsed: start.elapsed(),
        unheard: watch.unheard(),
        stopped,
    })
}

/// How many rows a tick has at least. Where answers wait for the watermark it is more than a batch has: what a key
/// costs it costs once a tick, which makes two batches of two workers a tenth faster than one. (What a tick holds is in
/// memory: more than three batches are no faster, and of several workers, which have the next ticks on their way
/// meanwhile, more than two.)
fn rows_of_tick(sources: &[SourcePlan], unending: bool, options: &Options) -> usize {
    let batch = sources.iter().map(|source| source.declared.batch_rows);
    match (unending, options.firing, options.workers) {
        (false, Firing::OnWatermark, 1) => batch.max().map_or(0, |rows| rows * 5 / 2),
        (false, Firing::OnWatermark, _) => batch.max().map_or(0, |rows| rows * 3 / 2),
        _ => 0,
    }
}

fn open_sources(sources: &[SourcePlan]) -> Result<Vec<Box<dyn Source>>, RunError> {
    let open = |source: &SourcePlan| {
        crate::sources::open(source.declared.clone()).map_err(|error| RunError::Source {
            source_name: source.name.clone(),
            error,
        })
    };
    sources.iter().map(open).collect()
}

fn normalisers(
    sources: &[SourcePlan],
    names: &Arc<Names>,
    workers: usize,
) -> Vec<Vec<(usize, Normaliser)>> {
    let normaliser = |(stage, plan): &(usize, FactsPlan)| {
        let normaliser = Normaliser::new(plan.clone(), Arc::clone(names), workers);
        (*stage, normaliser)
    };
    let of_source = |source: &SourcePlan| source.feeds.iter().map(normaliser).collect();
    sources.iter().map(of_source).collect()
}

/// Which stages count rows: each source is counted by the first stage that it feeds.
fn counting_stages(sources: &[SourcePlan], stages: usize) -> Vec<bool> {
    let mut counting = vec![false; stages];
    for source in sources {
        if let Some((stage, _)) = source.feeds.first() {
            counting[*stage] = true;
        }
    }
    counting
}

fn stage_run(plan: StagePlan, counted: bool, watch: &Watch) -> StageRun {
    let (tally, gauge) = (Arc::new(Tally::default()), Arc::new(Gauge::default()));
    if counted {
        watch.add_tally(Arc::clone(&tally));
    }
    watch.add_gauge(Arc::clone(&gauge));
    let unheard: Vec<Arc<Unheard>> = plan.detectors.iter().map(|_| Arc::default()).collect();
    for (detector, unheard) in plan.detectors.iter().zip(&unheard) {
        watch.add_unheard(&detector.name, Arc::clone(unheard));
    }
    StageRun {
        plan,
        tally,
        gauge,
        unheard,
    }
}

/// Reads all sources: first the changelogs that end, so that facts meet their thresholds, then the
/// others side by side.
fn read_all(
    shared: &Arc<Shared>,
    opened: Vec<Box<dyn Source>>,
    lateness: Span,
    stretch: Stretch,
    conductor: &mut Conductor<'_>,
) -> Result<(), RunError> {
    let is_first = |source: &SourcePlan| {
        source.feeds.is_empty() && source.declared.lifetime == Lifetime::Finite
    };
    let (first, then): (Vec<_>, Vec<_>) = opened
        .into_iter()
        .enumerate()
        .partition(|(index, _)| is_first(&shared.sources[*index]));
    for round in [first, then] {
        let (to, from) = bounded(ROWS_WAITING * round.len().max(1));
        let count = round.len();
        let mut readers = Vec::new();
        for (index, source) in round {
            let plan = shared.sources[index].clone();
            if plan.declared.is_unending() {
                conductor.clock.listen(index, Instant::now());
            }
            // A table's versions before the stretch hold inside it, too.
            let stretch = if plan.feeds.is_empty() {
                Stretch::ALL
            } else {
                stretch
            };
            let name = plan.name.clone();
            let admission = Admission::new(index, plan, lateness, stretch);
            let (to, watch) = (to.clone(), Arc::clone(&shared.watch));
            readers.push(std::thread::spawn(move || {
                reader::read(index, &name, source, admission, &to, &watch);
            }));
        }
        drop(to);
        if !conductor.conduct(&from, count)? {
            return Ok(());
        }
        for reader in readers {
            if reader.join().is_err() {
                return Err(RunError::Start("a source's thread has died".to_owned()));
            }
        }
    }
    Ok(())
}
