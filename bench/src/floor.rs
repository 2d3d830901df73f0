//! `floor`: the plain-loop limit. What one thread does over facts in memory with a hash map and no engine at all.

use std::{
    collections::VecDeque, hash::BuildHasherDefault, hash::Hasher, hint::black_box, io::Write,
    time::Instant,
};

use hashbrown::HashMap;

use crate::{
    error::Error,
    generate::{self, Size, arrival::Order, journey},
};

/// The arguments of `floor`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  tidegate-bench floor --size M
  tidegate-bench floor --size S --passes 5 --json")]
pub struct Args {
    /// S (1M rows), M (10M), L (50M), or a number of rows.
    #[arg(long, default_value = "M")]
    pub size: Size,
    /// The seed of the workload.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The best of this many passes counts.
    #[arg(long, default_value_t = 2)]
    pub passes: u32,
    /// Print one line of JSON: rows/s by name.
    #[arg(long)]
    pub json: bool,
}

// A fact as the hot path of an engine would have it: key hashed, kind coded, one measure.
#[derive(Clone, Copy)]
struct Fact {
    key: u64,
    ts: i64,
    kind: u8,
    value: i64,
}

// Keys are hashes already.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("only u64 keys are hashed");
    }
    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

type Map<V> = HashMap<u64, V, BuildHasherDefault<Identity>>;

/// What a plain loop keeps for one customer.
trait State: Default {
    fn add(&mut self, fact: &Fact);
}

#[derive(Default)]
struct Lifetime {
    n: u64,
    sum: i64,
    squares: i64,
    min: i64,
    max: i64,
}

impl State for Lifetime {
    fn add(&mut self, fact: &Fact) {
        let first = self.n == 0;
        self.n += 1;
        self.sum += fact.value;
        self.squares = self.squares.wrapping_add(fact.value * fact.value);
        self.min = if first {
            fact.value
        } else {
            self.min.min(fact.value)
        };
        self.max = if first {
            fact.value
        } else {
            self.max.max(fact.value)
        };
    }
}

const PANE_MS: i64 = 5 * 60_000;
const PANES_OF_WINDOW: [i64; 3] = [12, 288, 2_016];

#[derive(Clone, Copy, Default)]
struct Counts {
    rows: i32,
    contacts: i32,
    sum: i64,
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.rows += other.rows;
        self.contacts += other.contacts;
        self.sum += other.sum;
    }
    fn take(&mut self, other: Counts) {
        self.rows -= other.rows;
        self.contacts -= other.contacts;
        self.sum -= other.sum;
    }
}

// 1 h, 24 h and 7 days from sparse panes of 5 minutes: a running total a window, and where the window starts in the panes.
#[derive(Default)]
struct Windows {
    panes: VecDeque<(i64, Counts)>,
    starts: [usize; 3],
    totals: [Counts; 3],
}

impl State for Windows {
    fn add(&mut self, fact: &Fact) {
        let pane = fact.ts.div_euclid(PANE_MS);
        let one = Counts {
            rows: 1,
            contacts: i32::from(fact.kind == journey::CONTACT_OPENED),
            sum: fact.value,
        };
        match self.panes.back_mut() {
            Some((last, counts)) if *last == pane => counts.add(one),
            Some((last, _)) if *last > pane => return self.add_late(pane, one),
            _ => self.panes.push_back((pane, one)),
        }
        self.totals.iter_mut().for_each(|total| total.add(one));
        self.advance(pane);
    }
}

impl Windows {
    fn add_late(&mut self, pane: i64, one: Counts) {
        let at = self.panes.partition_point(|(p, _)| *p < pane);
        match self.panes.get_mut(at) {
            Some((p, counts)) if *p == pane => counts.add(one),
            _ => {
                self.panes.insert(at, (pane, one));
                self.starts
                    .iter_mut()
                    .filter(|start| **start > at)
                    .for_each(|start| *start += 1);
            }
        }
        let newest = self.panes.back().map_or(pane, |(p, _)| *p);
        for (window, total) in self.totals.iter_mut().enumerate() {
            if pane > newest - PANES_OF_WINDOW[window] {
                total.add(one);
            } else if self.starts[window] <= at {
                self.starts[window] = at + 1;
            }
        }
    }

    fn advance(&mut self, newest: i64) {
        for (window, panes) in PANES_OF_WINDOW.into_iter().enumerate() {
            while let Some((pane, counts)) = self.panes.get(self.starts[window])
                && *pane <= newest - panes
            {
                self.totals[window].take(*counts);
                self.starts[window] += 1;
            }
        }
        // The longest window's start is where the past begins.
        let gone = self.starts[2];
        if gone > 0 {
            self.panes.drain(..gone);
            self.starts.iter_mut().for_each(|start| *start -= gone);
        }
    }
}

const GAP_MS: i64 = 30 * 60_000;

#[derive(Default)]
struct Sessions {
    last: Option<i64>,
    start: i64,
    rows: u32,
    closed: u32,
}

impl State for Sessions {
    fn add(&mut self, fact: &Fact) {
        match self.last {
            Some(last) if fact.ts - last <= GAP_MS => {
                self.rows += 1;
                self.start = self.start.min(fact.ts);
                self.last = Some(last.max(fact.ts));
            }
            last => {
                self.closed += u32::from(last.is_some());
                (self.start, self.rows, self.last) = (fact.ts, 1, Some(fact.ts));
            }
        }
    }
}

#[derive(Default)]
struct All(Lifetime, Windows, Sessions);

impl State for All {
    fn add(&mut self, fact: &Fact) {
        self.0.add(fact);
        self.1.add(fact);
        self.2.add(fact);
    }
}

/// The rows/s of each loop, by name: `lifetime`, `windows`, `sessions`, and `all` three in one hash map.
pub fn rates(size: Size, seed: u64, passes: u32) -> [(&'static str, f64); 4] {
    let facts = facts(size, seed);
    [
        ("lifetime", rate::<Lifetime>(&facts, passes)),
        ("windows", rate::<Windows>(&facts, passes)),
        ("sessions", rate::<Sessions>(&facts, passes)),
        ("all", rate::<All>(&facts, passes)),
    ]
}

/// Measures the four loops and prints them.
///
/// # Errors
/// If standard output cannot be written to.
pub fn run(args: &Args) -> Result<(), Error> {
    let figures = rates(args.size, args.seed, args.passes);
    let mut text = String::new();
    if args.json {
        let object: serde_json::Map<_, _> = figures
            .iter()
            .map(|(name, rate)| ((*name).to_owned(), (*rate).into()))
            .collect();
        text = serde_json::Value::Object(object).to_string() + "\n";
    } else {
        for ((name, rate), what) in figures.iter().zip(WHAT) {
            text += &format!("{name:10}{:8.1} M rows/s  {what}\n", rate / 1e6);
        }
    }
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(Error::write("standard output".as_ref()))
}

const WHAT: [&str; 4] = [
    "lifetime count, sum, squares, minimum, maximum",
    "1 h, 24 h, 7 days from 5-minute panes",
    "sessions by the last row's time",
    "the three in one hash map",
];

fn facts(size: Size, seed: u64) -> Vec<Fact> {
    let hashed = |customer: u32| {
        let x = (u64::from(customer) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (x ^ (x >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93)
    };
    generate::rows(size, seed, Order::Usual)
        .map(|e| Fact {
            key: hashed(e.customer),
            ts: e.ts,
            kind: e.kind,
            value: e.handle_cents.map_or(0, i64::from),
        })
        .collect()
}

fn rate<S: State>(facts: &[Fact], passes: u32) -> f64 {
    let best = (0..passes.max(1)).map(|_| {
        let started = Instant::now();
        let mut states = Map::<S>::default();
        for fact in facts {
            states.entry(fact.key).or_default().add(fact);
        }
        black_box(&states);
        facts.len() as f64 / started.elapsed().as_secs_f64()
    });
    best.fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_totals_equal_a_sum_over_the_panes() {
        let mut seen = Map::<(Vec<(i64, i64)>, Windows)>::default();
        for fact in facts(Size(30_000), 1) {
            let (rows, windows) = seen.entry(fact.key).or_default();
            rows.push((fact.ts.div_euclid(PANE_MS), fact.value));
            windows.add(&fact);
            let newest = rows.iter().map(|(pane, _)| *pane).max().unwrap();
            for (total, panes) in windows.totals.iter().zip(PANES_OF_WINDOW) {
                let inside = rows.iter().filter(|(pane, _)| *pane > newest - panes);
                let (count, sum) = inside.fold((0, 0), |(n, sum), (_, value)| (n + 1, sum + value));
                assert_eq!((total.rows, total.sum), (count, sum));
            }
            if rows.len() > 400 {
                rows.clear();
                *windows = Windows::default();
            }
        }
    }
}
