//! The one table: what each run took, and how Tidegate compares.

use super::{Peer, Query};
use crate::{columns, process::Measured};

/// The best run of a peer at a query.
pub(super) struct Cell {
    pub(super) query: Query,
    pub(super) threads: usize,
    pub(super) peer: Peer,
    pub(super) form: &'static str,
    pub(super) run: Run,
    pub(super) check: Check,
}

/// What a run came to.
pub(super) enum Run {
    /// A whole process; and the seconds of its own work, where it says so.
    Whole(Measured, Option<f64>),
    /// A loop in memory: its rows/s.
    Loop(f64),
    /// It failed: why.
    Failed(String),
}

/// Whether answers were found equal to the reference.
pub(super) enum Check {
    /// They were not compared.
    No,
    /// They are what the others are compared with.
    Reference,
    /// Equal.
    Equal,
    /// Not equal.
    Differ,
}

impl Cell {
    /// Rows/s of the whole process.
    pub(super) fn rate(&self, rows: u64) -> Option<f64> {
        match &self.run {
            Run::Whole(measured, _) => Some(rows as f64 / measured.wall.as_secs_f64()),
            Run::Loop(rate) => Some(*rate),
            Run::Failed(_) => None,
        }
    }
}

/// The table as text, in the order of the cells.
pub(super) fn render(cells: &[Cell], rows: u64) -> String {
    let mut lines = vec![
        [
            "query",
            "threads",
            "engine",
            "form",
            "rows/s",
            "own work",
            "CPU s",
            "peak MiB",
            "tidegate is",
            "answers",
        ]
        .map(str::to_owned),
    ];
    lines.extend(cells.iter().map(|cell| line(cell, cells, rows)));
    columns::align(&lines, 4..9)
}

fn line(cell: &Cell, cells: &[Cell], rows: u64) -> [String; 10] {
    let (own, cpu, peak) = match &cell.run {
        Run::Whole(measured, own) => (
            own.map_or(String::new(), |seconds| {
                columns::rate(rows as f64 / seconds)
            }),
            format!("{:.1}", measured.cpu_seconds),
            (measured.peak_rss >> 20).to_string(),
        ),
        Run::Loop(_) => (String::new(), String::new(), String::new()),
        Run::Failed(_) => (String::new(), String::new(), String::new()),
    };
    let check = match (&cell.run, &cell.check) {
        (Run::Failed(why), _) => why.lines().next().unwrap_or_default().to_owned(),
        (_, Check::No) => String::new(),
        (_, Check::Reference) => "reference".to_owned(),
        (_, Check::Equal) => "equal".to_owned(),
        (_, Check::Differ) => "DIFFER".to_owned(),
    };
    [
        cell.query.name().to_owned(),
        cell.threads.to_string(),
        cell.peer.name().to_owned(),
        cell.form.to_owned(),
        cell.rate(rows).map_or("failed".to_owned(), columns::rate),
        own,
        cpu,
        peak,
        ratio(cell, cells, rows).map_or(String::new(), |ratio| format!("{ratio:.2} x")),
        check,
    ]
}

fn ratio(cell: &Cell, cells: &[Cell], rows: u64) -> Option<f64> {
    let tidegate = cells
        .iter()
        .find(|c| c.peer == Peer::Tidegate && c.query == cell.query && c.threads == cell.threads)?;
    (cell.peer != Peer::Tidegate).then_some(tidegate.rate(rows)? / cell.rate(rows)?)
}
