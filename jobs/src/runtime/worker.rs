//! A worker: its share of every stage's dataflow, and the loop that feeds it.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam::channel::{Receiver, TryRecvError};
use datafusion::common::DataFusionError;
use tidegate_operators::dedup::{self, Deduplicate};
use tidegate_operators::detection::book::Book;
use tidegate_operators::detection::detection;
use tidegate_operators::drift::drift;
use tidegate_operators::drift::ledger::Ledger;
use tidegate_operators::driver::{Emission, Firing, Keyed, Settings};
use tidegate_operators::entity::Entity;
use tidegate_operators::features::Features;
use tidegate_operators::journeys::Journeys;
use tidegate_operators::parcel::{Content, Parcel};
use tidegate_operators::patterns::Pattern;
use tidegate_operators::retrain::desk::Desk;
use tidegate_operators::retrain::retrain;
use tidegate_operators::sessions::Sessions;
use tidegate_operators::triggers::Trigger;
use tidegate_schemas::job::OnConflict;
use tidegate_schemas::names::Names;
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::Tick;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::Operator;
use timely::dataflow::operators::vec::Map;
use timely::dataflow::operators::{Input, Probe};
use timely::dataflow::{InputHandle, ProbeHandle, Scope, StreamVec};
use timely::worker::Worker as TimelyWorker;

use super::admit::Admitted;
use super::conductor::Work;
use super::error::RunError;
use super::journeys::counted;
use super::rejects::reject_rows;
use super::tables::table_rows;
use super::watch::Watch;
use super::{Shared, StageRun};
use crate::compile::StagePlan;
use crate::normalise::{Faults, Normaliser};
use crate::sinks::SinkSender;
use crate::sources::Reject;

/// A sink's end in one worker.
pub(super) struct Outlet {
    pub(super) stage: usize,
    pub(super) output: usize,
    /// Whether the sink wants only what is final.
    pub(super) settled: bool,
    pub(super) sender: SinkSender,
}

/// Ticks that a worker of several may have under way: with half as many it waits for the others a tenth of its time.
const UNDER_WAY: usize = 4;

/// Builds the worker's dataflow and feeds it until there is no more work.
///
/// A tick needs several steps from its first operator to the last, and its facts are held until then. So a worker
/// takes in no more rows before all but the latest ticks are complete; if it works alone, before all are. (Without
/// that four ticks were under way of a worker that has nobody to wait for: a quarter more memory, and where memory is
/// slow a fifth more time.)
pub(super) fn work(
    worker: &mut TimelyWorker,
    shared: &Arc<Shared>,
    from: &Receiver<Work>,
    outlets: Vec<Outlet>,
    rejects: Vec<Vec<SinkSender>>,
) -> Result<(), RunError> {
    let failed = Rc::new(RefCell::new(None));
    let mut stages = Vec::new();
    let mut by_stage: Vec<Vec<Outlet>> = (0..shared.stages.len()).map(|_| Vec::new()).collect();
    for outlet in outlets {
        by_stage[outlet.stage].push(outlet);
    }
    for (stage, outlets) in shared.stages.iter().zip(by_stage) {
        let entity = logic(&stage.plan, &shared.names)?;
        let failed = Rc::clone(&failed);
        stages.push(
            worker.dataflow::<Tick, _, _>(|scope| {
                build(scope, stage, entity, shared, outlets, failed)
            }),
        );
    }
    let mut feeder = Feeder::new(shared, rejects, worker.peers());
    let most = if worker.peers() > 1 { UNDER_WAY } else { 0 };
    let mut under_way = VecDeque::new();
    loop {
        match from.try_recv() {
            Ok(Work::Rows(tick, rows)) => feeder.rows(tick, &rows, &mut stages)?,
            Ok(Work::Tick(tick, watermark)) => {
                for (input, _) in &mut stages {
                    let content = Content::Watermark(watermark);
                    input.send(Parcel {
                        to: worker.index(),
                        content,
                    });
                    input.advance_to(tick + 1);
                }
                feeder.complete(tick + 1)?;
                worker.step();
                under_way.push_back(tick);
                if under_way.len() > most
                    && let Some(oldest) = under_way.pop_front()
                {
                    let is_under_way = |(_, probe): &Stage| probe.less_equal(&oldest);
                    step_while(worker, &failed, || stages.iter().any(is_under_way))?;
                }
            }
            Err(TryRecvError::Empty) => {
                worker.step_or_park(Some(Duration::from_millis(5)));
            }
            Err(TryRecvError::Disconnected) => break,
        }
        failure(&failed)?;
    }
    let probes: Vec<ProbeHandle<Tick>> = stages
        .into_iter()
        .map(|(input, probe)| {
            input.close();
            probe
        })
        .collect();
    step_while(worker, &failed, || probes.iter().any(|probe| !probe.done()))
}

/// Steps until what is waited for has happened, or something has failed.
fn step_while(
    worker: &mut TimelyWorker,
    failed: &RefCell<Option<RunError>>,
    waits: impl Fn() -> bool,
) -> Result<(), RunError> {
    while waits() {
        worker.step_or_park(Some(Duration::from_millis(1)));
        failure(failed)?;
    }
    failure(failed)
}

/// What has failed, if anything has.
fn failure(failed: &RefCell<Option<RunError>>) -> Result<(), RunError> {
    failed.borrow_mut().take().map_or(Ok(()), Err)
}

/// The logic of a stage.
///
/// # Errors
/// When the operators refuse what the job compiled to.
pub(crate) fn logic(plan: &StagePlan, names: &Arc<Names>) -> Result<Entity, RunError> {
    let features = plan
        .features
        .iter()
        .map(|spec| Features::new(spec, Arc::clone(names)))
        .collect::<Result<_, _>>()
        .map_err(|e| RunError::Start(e.to_string()))?;
    let sessions = plan
        .sessions
        .iter()
        .map(|spec| Sessions::new(spec.clone()))
        .collect();
    let patterns = plan.patterns.iter().cloned().map(Pattern::new).collect();
    let journeys = plan.journeys.specs.iter().cloned();
    let journeys = journeys.map(Journeys::new).collect();
    let triggers = plan
        .triggers
        .iter()
        .map(|spec| Trigger::new(spec.clone()))
        .collect::<Result<_, _>>()
        .map_err(|e| RunError::Start(e.to_string()))?;
    Ok(Entity::new(
        features,
        sessions,
        patterns,
        journeys,
        triggers,
        &plan.tables,
    ))
}

type Stage = (
    InputHandle<Tick, CapacityContainerBuilder<Vec<Parcel>>>,
    ProbeHandle<Tick>,
);

fn build(
    scope: Scope<'_, Tick>,
    stage: &StageRun,
    entity: Entity,
    shared: &Shared,
    outlets: Vec<Outlet>,
    failed: Rc<RefCell<Option<RunError>>>,
) -> Stage {
    let firing = shared.firing;
    let (input, mut parcels) = scope.new_input::<Vec<Parcel>>();
    if let Some((keep, on_conflict)) = stage.plan.dedupe {
        parcels = parcels.deduplicate(dedup::Settings {
            lateness: shared.lateness,
            keep,
            on_conflict: match on_conflict {
                OnConflict::First => dedup::OnConflict::First,
                OnConflict::Latest => dedup::OnConflict::Latest,
            },
            tally: Arc::clone(&stage.tally),
        });
    }
    let probe = ProbeHandle::new();
    let (counts, outlets): (Vec<Outlet>, Vec<Outlet>) = outlets
        .into_iter()
        .partition(|outlet| outlet.output >= stage.plan.logic_outputs);
    let mut by_output: BTreeMap<usize, Vec<Outlet>> = BTreeMap::new();
    for outlet in counts {
        by_output.entry(outlet.output).or_default().push(outlet);
    }
    let settings = Settings {
        firing,
        columns: stage.plan.outputs[..stage.plan.logic_outputs]
            .iter()
            .map(|schema| schema.columns.len())
            .collect(),
        gauge: Arc::clone(&stage.gauge),
    };
    let (emissions, contents) = parcels.keyed(entity, settings);
    let watermarks = contents.clone().flat_map(|content| match content {
        Content::Watermark(at) => Some(at),
        _ => None,
    });
    let journeys = &stage.plan.journeys;
    let (emissions, mut counts) = counted(journeys, &shared.names, firing, emissions, &watermarks);
    let facts = || {
        contents.clone().flat_map(|content| match content {
            Content::Facts(block) => Some(block),
            _ => None,
        })
    };
    let mut drifts = Vec::new();
    for plan in &stage.plan.drift {
        let ledger = Ledger::new(plan.spec.clone());
        let names = Arc::clone(&shared.names);
        let drift = drift(facts(), watermarks.clone(), ledger, names);
        drifts.push(drift.clone());
        let outputs = [(plan.rows, drift.rows), (plan.alerts, drift.alerts)];
        let wanted = outputs.into_iter();
        counts.extend(wanted.filter_map(|(output, rows)| Some((output?, rows))));
    }
    for (route, plan) in stage.plan.retrain.iter().enumerate() {
        let drifts = plan.drifts.iter().map(|drift| drifts[*drift].clone());
        let desk = Desk::new(plan.spec.clone());
        let watermarks = watermarks.clone();
        let rows = retrain(facts(), drifts.collect(), watermarks, desk, route as u64);
        counts.push((plan.output, rows));
    }
    for (plan, unheard) in stage.plan.detectors.iter().zip(&stage.unheard) {
        let book = Book::new(plan.spec.clone(), Arc::clone(unheard));
        counts.push((plan.output, detection(facts(), watermarks.clone(), book)));
    }
    for (output, rows) in counts {
        let outlets = by_output.remove(&output).unwrap_or_default();
        deliver_rows(rows, outlets, Rc::clone(&failed)).probe_with(&probe);
    }
    deliver(emissions, firing, outlets, failed).probe_with(&probe);
    (input, probe)
}

/// The container of a stream that carries nothing but its frontier.
type Silent = CapacityContainerBuilder<Vec<()>>;

/// Hands the rows of the logic to the sinks.
fn deliver<'scope>(
    emissions: StreamVec<'scope, Tick, Emission>,
    firing: Firing,
    mut outlets: Vec<Outlet>,
    failed: Rc<RefCell<Option<RunError>>>,
) -> StreamVec<'scope, Tick, ()> {
    // On the watermark every row that goes out is settled, whatever the sink wants.
    let takes_live = move |outlet: &Outlet| firing == Firing::OnArrival && !outlet.settled;
    emissions.unary_frontier::<Silent, _, _, _>(Pipeline, "Deliver", move |_, _| {
        move |(input, frontier), _output| {
            input.for_each(|_, emissions| {
                for mut emission in emissions.drain(..) {
                    let (tick, whole) = (emission.tick, emission.whole);
                    for index in 0..outlets.len() {
                        let later = &outlets[index + 1..];
                        let wanted = &outlets[index];
                        let live = takes_live(wanted);
                        let again = later
                            .iter()
                            .any(|o| (o.output, takes_live(o)) == (wanted.output, live));
                        let outlet = &mut outlets[index];
                        let from = match live {
                            true => &mut emission.live,
                            false => &mut emission.settled,
                        };
                        let rows = &mut from[outlet.output];
                        give(outlet, (tick, whole), rows, again, &failed);
                    }
                }
            });
            complete(&mut outlets, frontier.frontier().first().copied(), &failed);
        }
    })
}

/// Hands the rows of what is counted over all keys to the sinks.
fn deliver_rows<'scope>(
    rows: StreamVec<'scope, Tick, Rows>,
    mut outlets: Vec<Outlet>,
    failed: Rc<RefCell<Option<RunError>>>,
) -> StreamVec<'scope, Tick, ()> {
    rows.unary_frontier::<Silent, _, _, _>(Pipeline, "DeliverCounts", move |_, _| {
        move |(input, frontier), _output| {
            input.for_each(|stamp, data| {
                let tick = stamp.least().copied().unwrap_or_default();
                for mut rows in data.drain(..) {
                    let count = outlets.len();
                    for (index, outlet) in outlets.iter_mut().enumerate() {
                        give(outlet, (tick, false), &mut rows, index + 1 < count, &failed);
                    }
                }
            });
            complete(&mut outlets, frontier.frontier().first().copied(), &failed);
        }
    })
}

/// Sends rows of a tick to a sink, maybe [whole ones](SinkSender::write_whole); a copy of them when somebody else may
/// want them too.
fn give(
    outlet: &mut Outlet,
    (tick, whole): (Tick, bool),
    rows: &mut Rows,
    shared: bool,
    failed: &Rc<RefCell<Option<RunError>>>,
) {
    if rows.is_empty() {
        return;
    }
    let mut copy = shared.then(|| rows.clone());
    let rows = copy.as_mut().unwrap_or(rows);
    let sent = match whole {
        true => outlet.sender.write_whole(tick, rows),
        false => outlet.sender.write(tick, rows),
    };
    if let Err(error) = sent {
        failed.borrow_mut().get_or_insert(error.into());
    }
}

/// Tells the sinks which ticks are complete; without a frontier, all are.
fn complete(
    outlets: &mut [Outlet],
    frontier: Option<Tick>,
    failed: &Rc<RefCell<Option<RunError>>>,
) {
    for outlet in outlets {
        if let Err(error) = outlet.sender.complete(frontier.unwrap_or(Tick::MAX)) {
            failed.borrow_mut().get_or_insert(error.into());
        }
    }
}

/// A batch as the stages see it.
struct Lot {
    /// Each with its stage.
    parcels: Vec<(usize, Parcel)>,
    /// Rows that became nothing.
    faults: Faults,
}

/// Turns admitted rows into parcels for the stages.
struct Feeder {
    shared: Arc<Shared>,
    peers: usize,
    /// By source: the stages it feeds.
    normalisers: Vec<Vec<(usize, Normaliser)>>,
    /// By source: where rows go that cannot become facts.
    rejects: Vec<Vec<SinkSender>>,
    watch: Arc<Watch>,
}

impl Feeder {
    fn new(shared: &Arc<Shared>, rejects: Vec<Vec<SinkSender>>, peers: usize) -> Feeder {
        Feeder {
            shared: Arc::clone(shared),
            peers,
            normalisers: shared.normalisers.clone(),
            rejects,
            watch: Arc::clone(&shared.watch),
        }
    }

    fn rows(&mut self, tick: Tick, rows: &Admitted, stages: &mut [Stage]) -> Result<(), RunError> {
        let shared = Arc::clone(&self.shared);
        let source = &shared.sources[rows.source];
        let unfit = |error| RunError::of_rows(&source.name, error);
        let mut lot = self.lot(rows, Faults::default()).map_err(unfit)?;
        // A row that cannot become a fact of one entity becomes none of another: it is a reject.
        if !lot.faults.is_empty() && source.feeds.len() + source.tables.len() > 1 {
            lot = self.lot(rows, lot.faults).map_err(unfit)?;
        }
        for (stage, parcel) in lot.parcels {
            stages[stage].0.send(parcel);
        }
        let faulty = lot.faults.len() as u64;
        if faulty > 0 {
            let faults = lot.faults.into_list().into_iter();
            let rejects: Vec<Reject> = faults.map(|fault| rows.reject(fault)).collect();
            self.watch
                .tell(&source.name, |account| account.reject(rows.read, &rejects));
            let batch = reject_rows(&rejects).map_err(unfit)?;
            for sink in &mut self.rejects[rows.source] {
                sink.write_batch(tick, batch.clone())?;
            }
        }
        let counter = source
            .feeds
            .first()
            .map(|(stage, _)| &shared.stages[*stage]);
        if counter.is_none_or(|stage| stage.plan.dedupe.is_none()) {
            let accepted = rows.times.len() as u64 - faulty;
            self.watch.accepted.fetch_add(accepted, Ordering::Relaxed);
        }
        self.watch.rejected.fetch_add(faulty, Ordering::Relaxed);
        Ok(())
    }

    /// What rows are to the stages that they feed, without those that are faulty.
    fn lot(&mut self, rows: &Admitted, mut faults: Faults) -> Result<Lot, DataFusionError> {
        let mut parcels = Vec::new();
        for (stage, plan) in &self.shared.sources[rows.source].tables {
            let versions = table_rows(plan, rows, &self.shared.names, &mut faults)?;
            for to in 0..self.peers {
                let content = Content::Tables(versions.clone());
                parcels.push((*stage, Parcel { to, content }));
            }
        }
        for (stage, normaliser) in &mut self.normalisers[rows.source] {
            let normalised = normaliser.normalise(
                &rows.batch,
                &rows.times,
                rows.ordinal,
                rows.before,
                faults,
            )?;
            faults = normalised.faults;
            parcels.extend(
                normalised
                    .parcels
                    .into_iter()
                    .map(|parcel| (*stage, parcel)),
            );
        }
        Ok(Lot { parcels, faults })
    }

    /// Tells the sinks of rejects that no more will come for ticks before `frontier`.
    fn complete(&mut self, frontier: Tick) -> Result<(), RunError> {
        for sink in self.rejects.iter_mut().flatten() {
            sink.complete(frontier)?;
        }
        Ok(())
    }
}
