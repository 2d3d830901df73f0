//! The workers: their threads, and what each takes with it.

use std::sync::{Arc, Mutex, mpsc};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded};

use super::Shared;
use super::conductor::{Line, Work};
use super::error::RunError;
use super::outputs::Outputs;
use super::worker::{self, Outlet};
use crate::sinks::SinkSender;

/// Batches, and ends of ticks, on their way to a worker.
const WORK_WAITING: usize = 4;

/// The workers.
pub(super) struct Crew {
    pub(super) lines: Vec<Line>,
    pub(super) guards: JoinHandle<Result<(), RunError>>,
}

/// What a worker takes with it when it starts.
struct Kit {
    from: Receiver<Work>,
    outlets: Vec<Outlet>,
    rejects: Vec<Vec<SinkSender>>,
    hello: mpsc::Sender<(usize, Thread)>,
}

impl Crew {
    pub(super) fn start(
        shared: &Arc<Shared>,
        workers: usize,
        outputs: &mut Outputs,
    ) -> Result<Crew, RunError> {
        let (hello, hellos) = mpsc::channel();
        let mut channels = Vec::new();
        let mut kits = Vec::new();
        let outlets = std::mem::take(&mut outputs.outlets);
        for (outlets, rejects) in outlets
            .into_iter()
            .zip(std::mem::take(&mut outputs.rejects))
        {
            let (to, from): (Sender<Work>, Receiver<Work>) = bounded(WORK_WAITING);
            channels.push(to);
            kits.push(Mutex::new(Some(Kit {
                from,
                outlets,
                rejects,
                hello: hello.clone(),
            })));
        }
        drop(hello);
        let shared = Arc::clone(shared);
        // Workers share the processors with those who read and write: one that has to wait leaves its own to them.
        let mut config = timely::Config::process(workers);
        config.worker = config.worker.idle_spin(Duration::ZERO);
        let guards = timely::execute(config, move |worker| {
            let kit = kits[worker.index()]
                .lock()
                .ok()
                .and_then(|mut kit| kit.take());
            let Some(Kit {
                from,
                outlets,
                rejects,
                hello,
            }) = kit
            else {
                return Err(RunError::Start("a worker was started twice".to_owned()));
            };
            // Nobody listens any more only when the run has failed already.
            let _ = hello.send((worker.index(), std::thread::current()));
            drop(hello);
            worker::work(worker, &shared, &from, outlets, rejects)
        })
        .map_err(RunError::Start)?;
        let mut threads: Vec<Option<Thread>> = vec![None; workers];
        for (index, thread) in hellos {
            threads[index] = Some(thread);
        }
        let lines = channels.into_iter().zip(threads);
        let lines = lines
            .filter_map(|(to, thread)| {
                Some(Line {
                    to,
                    thread: thread?,
                })
            })
            .collect();
        let guards = std::thread::spawn(move || {
            let mut result = Ok(());
            for worker in guards.join() {
                let worker = worker.unwrap_or_else(|death| Err(RunError::Start(death)));
                result = result.and(worker);
            }
            result
        });
        Ok(Crew { lines, guards })
    }
}
