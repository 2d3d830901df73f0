//! Running a dataflow on several workers, and adding up what it puts out.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tidegate_schemas::fact::FactBlock;
use tidegate_schemas::rows::Rows;
use tidegate_schemas::time::{EventTime, Span};
use timely::dataflow::StreamVec;
use timely::dataflow::operators::Input;
use timely::dataflow::operators::capture::{Capture, Event};
use timely::worker::Worker;

use super::facts::{Given, Tick, block};

/// What is put out, on its way from the workers.
pub(crate) type Out<T> = Sender<Event<u64, Vec<T>>>;

/// Runs `work` on so many workers until all that they captured is there; answers it by tick.
pub(crate) fn run<T: Send + 'static>(
    workers: usize,
    ticks: usize,
    work: impl Fn(&mut Worker, Out<T>) + Send + Sync + 'static,
) -> Vec<Vec<T>> {
    let (send, receive) = mpsc::channel();
    let guards = timely::execute(timely::Config::process(workers), move |worker| {
        work(worker, send.clone());
    });
    for worker in guards.expect("workers start").join() {
        worker.expect("no worker panics");
    }
    let mut found: Vec<Vec<T>> = (0..ticks).map(|_| Vec::new()).collect();
    for event in receive {
        if let Event::Messages(stamp, all) = event {
            let tick = *stamp.least().expect("rows leave at a tick") as usize;
            found[tick].extend(all);
        }
    }
    found
}

/// Runs a dataflow of facts and watermarks; each fact of a tick is given to a worker by chance, and each worker but the
/// last knows of a later watermark than the one after it.
pub(crate) fn run_ticks<const N: usize, T, F>(
    ticks: &[Tick<N>],
    workers: usize,
    seed: u64,
    build: F,
) -> Vec<Vec<T>>
where
    T: Clone + Send + 'static,
    F: for<'scope> Fn(
            StreamVec<'scope, u64, Rc<FactBlock>>,
            StreamVec<'scope, u64, EventTime>,
        ) -> StreamVec<'scope, u64, T>
        + Send
        + Sync
        + 'static,
{
    let script: Arc<[Tick<N>]> = ticks.into();
    run(workers, ticks.len(), move |worker, out| {
        let (mut facts, mut watermarks) = worker.dataflow(|scope| {
            let (facts_in, facts) = scope.new_input();
            let (watermarks_in, watermarks) = scope.new_input();
            build(facts, watermarks).capture_into(out);
            (facts_in, watermarks_in)
        });
        let ahead = (workers - 1 - worker.index()) as i64;
        let mut rng = SmallRng::seed_from_u64(seed ^ (worker.index() as u64) << 32);
        // Either input may be many ticks ahead of the other.
        let (mut facts_at, mut watermarks_at) = (0, 0);
        while facts_at < script.len() || watermarks_at < script.len() {
            if facts_at < script.len() && (watermarks_at == script.len() || rng.random_bool(0.5)) {
                let mine = share(&script[facts_at].given, worker.index(), workers, seed);
                for part in mine.chunks(rng.random_range(1..20)) {
                    facts.send(Rc::new(block(&[], N, part.iter().map(|fact| fact.row()))));
                }
                facts_at += 1;
                facts.advance_to(facts_at as u64);
            } else {
                watermarks.send(script[watermarks_at].watermark.plus(Span(ahead * 9)));
                watermarks_at += 1;
                watermarks.advance_to(watermarks_at as u64);
            }
            if rng.random_bool(0.5) {
                worker.step();
            }
        }
    })
}

/// Those facts of a tick that chance gives to a worker; the same chance on every worker.
fn share<const N: usize>(
    given: &[Given<N>],
    worker: usize,
    workers: usize,
    seed: u64,
) -> Vec<&Given<N>> {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mine = |_: &&Given<N>| rng.random_range(0..workers) == worker;
    given.iter().filter(mine).collect()
}

/// How often each row is there, or how a tick changes that.
pub(crate) type Counts<R> = BTreeMap<R, i64>;

/// The words of a row, by column.
pub(crate) fn words(rows: &Rows, row: usize) -> Vec<Vec<i64>> {
    let columns = rows.columns.iter();
    columns.map(|column| column.row(row).to_vec()).collect()
}

/// The words of a row, all in one; lists but the last are all of one length.
pub(crate) fn flat(rows: &Rows, row: usize) -> Vec<i64> {
    let columns = rows.columns.iter();
    columns
        .flat_map(|column| column.row(row))
        .copied()
        .collect()
}

/// Adds rows as what `read` makes of each.
pub(crate) fn add<R: Ord>(to: &mut Counts<R>, rows: &Rows, read: fn(&Rows, usize) -> R) {
    for (row, head) in rows.heads.iter().enumerate() {
        *to.entry(read(rows, row)).or_default() += i64::from(head.diff);
    }
}

/// Takes what changed in a tick to what stands.
///
/// # Panics
/// When a row came and went in the tick.
pub(crate) fn follow<R: Ord + Clone + Debug>(
    standing: &mut Counts<R>,
    changes: &Counts<R>,
    context: &str,
) {
    for (row, diff) in changes {
        assert_ne!(*diff, 0, "{context}: {row:?} came and went");
        *standing.entry(row.clone()).or_default() += diff;
    }
    standing.retain(|_, count| *count != 0);
}
