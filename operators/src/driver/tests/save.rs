//! A driver that is saved and loaded in the middle, by another number of workers, goes on as one that ran on.

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tidegate_schemas::names::KeyHash;

use super::super::{Arrivals, Driver, Firing, Gauge, Saved, Settings};
use super::entity::{Parts, Step, bits, steps, words};
use super::{Collection, Event, block, give};
use crate::bed::{by_build, seeds};
use crate::entity::Entity;
use crate::parcel::owner_of;

/// The drivers of all workers.
struct Crew {
    drivers: Vec<Driver<Entity>>,
    gauge: Arc<Gauge>,
}

impl Crew {
    fn new(parts: &Parts, firing: Firing, workers: usize) -> Crew {
        let gauge = Arc::new(Gauge::default());
        let driver = |_| {
            let settings = Settings {
                firing,
                columns: parts.columns.clone(),
                gauge: Arc::clone(&gauge),
            };
            Driver::new(parts.entity(), settings)
        };
        Crew {
            drivers: (0..workers).map(driver).collect(),
            gauge,
        }
    }

    /// The live and the settled rows of one step.
    fn step(&mut self, tick: u64, step: &Step) -> (Collection, Collection) {
        let mut found = (Collection::new(), Collection::new());
        let workers = self.drivers.len();
        for (worker, driver) in self.drivers.iter_mut().enumerate() {
            let owned = |event: &&Event| owner_of(KeyHash::of(&event.key).hash, workers) == worker;
            let events: Vec<Event> = step.events.iter().filter(owned).cloned().collect();
            let arrivals = Arrivals {
                facts: vec![Arc::new(block(&events, bits, words))],
                tables: step.tables.clone(),
                watermark: Some(step.watermark),
                ..Arrivals::default()
            };
            give(driver, tick, arrivals, &mut found);
        }
        found
    }

    fn save(&self) -> Saved {
        let mut all = Saved::default();
        for driver in &self.drivers {
            let saved = driver.save();
            assert!(all.common.is_empty() || all.common == saved.common);
            all.common = saved.common;
            for (shard, bytes) in saved.shards {
                assert!(
                    all.shards.insert(shard, bytes).is_none(),
                    "one owner a shard"
                );
            }
        }
        all
    }

    fn load(&mut self, saved: &Saved) {
        let workers = self.drivers.len() as u64;
        for (worker, driver) in self.drivers.iter_mut().enumerate() {
            let shards = saved.shards.iter();
            let owned = shards.filter(|(shard, _)| *shard % workers == worker as u64);
            let loaded = driver.load(&saved.common, owned.map(|(_, bytes)| bytes.as_slice()));
            loaded.expect("it was saved so");
        }
    }
}

#[test]
fn saved_and_loaded_in_the_middle_by_any_number_of_workers_says_the_same() {
    for seed in seeds(by_build(1_000, 10_000)) {
        let mut random = StdRng::seed_from_u64(seed);
        let parts = Parts::some(&mut random);
        let steps = steps(&mut random);
        for firing in [Firing::OnArrival, Firing::OnWatermark] {
            let mut whole = Crew::new(&parts, firing, 1);
            let mut other = Crew::new(&parts, firing, random.random_range(1..4));
            for (tick, step) in steps.iter().enumerate() {
                if random.random_bool(0.2) {
                    let saved = other.save();
                    other = Crew::new(&parts, firing, random.random_range(1..4));
                    other.load(&saved);
                    assert_eq!(other.save(), saved, "{firing:?}, seed {seed}, tick {tick}");
                }
                let tick = tick as u64;
                assert_eq!(
                    other.step(tick, step),
                    whole.step(tick, step),
                    "{firing:?}, seed {seed}, tick {tick}"
                );
                assert_eq!(
                    other.gauge.keys(),
                    whole.gauge.keys(),
                    "{firing:?}, seed {seed}"
                );
            }
        }
    }
}

#[test]
fn bytes_that_were_cut_off_or_saved_by_another_are_errors() {
    let mut random = StdRng::seed_from_u64(3);
    let mut parts = Parts::some(&mut random);
    while parts.triggers.is_empty() {
        parts = Parts::some(&mut random);
    }
    let steps = steps(&mut random);
    for firing in [Firing::OnArrival, Firing::OnWatermark] {
        let mut crew = Crew::new(&parts, firing, 1);
        for (tick, step) in steps[..steps.len() / 2].iter().enumerate() {
            crew.step(tick as u64, step);
        }
        let saved = crew.save();
        assert!(!saved.shards.is_empty());
        let load = |firing, common: &[u8], shard: &[u8]| {
            let mut crew = Crew::new(&parts, firing, 1);
            crew.drivers[0].load(common, [shard])
        };
        let other = match firing {
            Firing::OnArrival => Firing::OnWatermark,
            Firing::OnWatermark => Firing::OnArrival,
        };
        for shard in saved.shards.values() {
            assert!(load(firing, &saved.common, shard).is_ok());
            assert!(load(other, &saved.common, shard).is_err());
            for end in 1..shard.len() {
                assert!(load(firing, &saved.common, &shard[..end]).is_err());
            }
        }
        let cut = &saved.common[..saved.common.len() - 1];
        assert!(load(firing, cut, &[]).is_err());
    }
}
