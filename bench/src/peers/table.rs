//! The one table: what each run took, and how Tidegate compares.

use super::{Peer, Query};
use crate::{columns, process::Measured};

/// The best run of a peer at a query in one formulation.
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

/// How many times as fast as each peer Tidegate is: as the peer's fastest formulation, and as its usual one.
pub(super) fn ratios(cells: &[Cell], rows: u64) -> String {
    let head = [
        "query",
        "threads",
        "engine",
        "fastest form",
        "usual form",
        "tidegate",
        "to fastest",
        "to usual",
    ];
    let mut lines = vec![head.map(str::to_owned)];
    for own in cells.iter().filter(|cell| cell.peer == Peer::Tidegate) {
        for peer in [Peer::Duckdb, Peer::Polars] {
            lines.extend(two_ratios(own, peer, cells, rows));
        }
    }
    columns::align(&lines, 5..8)
}

// The fastest formulation is the first that is shown.
fn two_ratios(own: &Cell, peer: Peer, cells: &[Cell], rows: u64) -> Option<[String; 8]> {
    let of_peer = |cell: &&Cell| {
        (cell.query, cell.threads, cell.peer) == (own.query, own.threads, peer)
            && cell.rate(rows).is_some()
    };
    let usual_form = peer.usual_form(own.query, own.threads)?;
    let fastest = cells.iter().find(of_peer)?;
    let usual = cells
        .iter()
        .filter(of_peer)
        .find(|cell| cell.form == usual_form);
    let times = |cell| ratio(cell, cells, rows).map_or(String::new(), |x| format!("{x:.2} x"));
    Some([
        own.query.name().to_owned(),
        own.threads.to_string(),
        peer.name().to_owned(),
        fastest.form.to_owned(),
        usual_form.to_owned(),
        columns::rate(own.rate(rows)?),
        times(fastest),
        usual.map_or("failed".to_owned(), times),
    ])
}

fn ratio(cell: &Cell, cells: &[Cell], rows: u64) -> Option<f64> {
    let tidegate = cells
        .iter()
        .find(|c| c.peer == Peer::Tidegate && c.query == cell.query && c.threads == cell.threads)?;
    (cell.peer != Peer::Tidegate).then_some(tidegate.rate(rows)? / cell.rate(rows)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(peer: Peer, form: &'static str, rate: f64) -> Cell {
        Cell {
            query: Query::Q1,
            threads: 2,
            peer,
            form,
            run: Run::Loop(rate),
            check: Check::No,
        }
    }

    #[test]
    fn tidegate_is_compared_with_the_fastest_and_with_the_usual_form_of_each_peer() {
        let mut cells = vec![
            cell(Peer::Duckdb, "apart", 2e6),
            cell(Peer::Duckdb, "range", 1e6),
            cell(Peer::Tidegate, "", 5e6),
        ];
        let expected = "\
query  threads  engine  fastest form  usual form  tidegate  to fastest  to usual
q1     2        duckdb  apart         range          5.00M      2.50 x    5.00 x
";
        assert_eq!(ratios(&cells, 1), expected);
        cells[1].run = Run::Failed("out of memory".to_owned());
        assert!(ratios(&cells, 1).ends_with("2.50 x    failed\n"));
    }
}
