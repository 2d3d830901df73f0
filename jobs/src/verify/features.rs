//! The rows of features at their anchors.
//!
//! | columns | computed by |
//! |---|---|
//! | count, any, sum, mean, min, max, variance, stddev, ratio, count_distinct | aggregate functions over window frames |
//! | first, last, first_k, last_k | counting the rows in the frame, and joining those of these numbers |
//! | max_count_by, histogram, entropy, distinct_k | a frame for each value that the key ever had ([`super::tallies`]) |
//! | time_since_last | the greatest time in a frame that ends before the anchor |
//! | decayed_sum | a running sum that begins anew every 400 half-lives |
//! | longest_gap of a window, and everything with a `hop` | joining anchors with the rows in their window ([`super::pairs`]) |

use arrow::array::ArrayRef;
use tidegate_schemas::job::{Bounds, Op};
use tidegate_schemas::time::Span;

use super::aggregate::{End, Wanted, Way};
use super::database::{Database, floor_divided};
use super::error::VerifyError;
use super::expected::{Computed, Unknown};
use super::facts::FACTS;
use super::shown::{Owners, bars, floats, shown, values, wholes};
use super::{pairs, tallies};

/// The anchors of features.
pub(super) struct Anchors<'a> {
    /// Where the facts are.
    pub(super) database: &'a Database,
    /// The condition that a fact is an anchor.
    pub(super) anchor: &'a str,
    /// Which ends of windows belong to them.
    pub(super) bounds: Bounds,
    /// The anchors by the numbers of their facts.
    pub(super) owners: &'a Owners,
    /// Their event times.
    pub(super) times: &'a [i64],
    /// The numbers of their keys.
    pub(super) keys: &'a [i128],
    /// How many rows a key may be joined with.
    pub(super) most_pairs: u64,
}

/// Which rows of the anchor's own time a frame has.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Until {
    /// As the bounds say.
    TheBounds,
    /// None.
    Before,
}

/// The frame of a window at a row, over rows ordered by their time in microseconds. `None` for one
/// that no row can be in.
pub(super) fn frame(bounds: Bounds, window: Option<Span>, until: Until) -> Option<String> {
    let before = until == Until::Before || bounds == Bounds::ClosedOpen;
    let end = if before { "1 PRECEDING" } else { "CURRENT ROW" };
    let start = match window {
        None => return Some(format!("RANGE BETWEEN UNBOUNDED PRECEDING AND {end}")),
        Some(window) if bounds == Bounds::OpenClosed => window.0 - 1,
        Some(window) => window.0,
    };
    let possible = !before || start >= 1;
    possible.then(|| format!("RANGE BETWEEN {start} PRECEDING AND {end}"))
}

impl Anchors<'_> {
    /// The columns of features, in their order.
    pub(super) fn compute(&self, wanted: &[Wanted]) -> Result<Vec<Computed>, VerifyError> {
        let mut computed: Vec<Option<Computed>> = wanted.iter().map(|_| None).collect();
        for (wanted, computed) in wanted.iter().zip(&mut computed) {
            if matches!(wanted.op, Op::Variance(_) | Op::Stddev(_)) {
                *computed = self.too_wide(wanted)?;
            }
        }
        let framed = |wanted: &Wanted| wanted.way() == Way::Calls && wanted.hop.is_none();
        let calls: Vec<usize> = (0..wanted.len())
            .filter(|index| computed[*index].is_none() && framed(&wanted[*index]))
            .collect();
        // A query with too many frames at once takes its memory for all of them.
        for some in calls.chunks(16) {
            let columns: Vec<&Wanted> = some.iter().map(|index| &wanted[*index]).collect();
            for (index, column) in some.iter().zip(self.calls(&columns)?) {
                computed[*index] = Some(Computed::known(column));
            }
        }
        let mut all = Vec::new();
        for (wanted, done) in wanted.iter().zip(computed) {
            all.push(match done {
                Some(done) => done,
                None => self.column(wanted)?,
            });
        }
        Ok(all)
    }

    fn column(&self, wanted: &Wanted) -> Result<Computed, VerifyError> {
        if wanted.hop.is_some() {
            return pairs::column(self, wanted);
        }
        match wanted.way() {
            Way::Calls => Err(VerifyError::Shape("a frame was left out".to_owned())),
            Way::Picks(end) => self.picks(wanted, end),
            Way::Tallies => tallies::column(self, wanted),
            Way::SinceLast => self.since_last(wanted).map(Computed::known),
            Way::LongestGap if wanted.window.is_none() => {
                self.longest_gap(wanted).map(Computed::known)
            }
            Way::LongestGap => pairs::column(self, wanted),
            Way::Decayed => self.decayed(wanted),
        }
    }

    /// A variance whose sums would not fit into SQL's 38 digits is not known.
    fn too_wide(&self, wanted: &Wanted) -> Result<Option<Computed>, VerifyError> {
        let (counts, value) = (&wanted.counts, wanted.value());
        let sql = format!(
            "SELECT max(abs(CAST({value} AS DOUBLE))), CAST(count(*) AS DOUBLE) \
             FROM {FACTS} WHERE {counts}"
        );
        let answer = self.database.query(&wanted.name, &sql)?;
        let (most, rows) = (floats(answer.column(0))?[0], floats(answer.column(1))?[0]);
        let widest = most.unwrap_or(0.0) * rows.unwrap_or(0.0);
        let why = "the squares of its values are too large for SQL's decimals".to_owned();
        let unknown = || Computed::unknown(&wanted.kind, self.times.len(), why);
        Ok((widest > 1e19).then(unknown))
    }

    /// Columns by aggregate functions over frames.
    fn calls(&self, wanted: &[&Wanted]) -> Result<Vec<ArrayRef>, VerifyError> {
        let (mut inner, mut outer, mut matters) = (String::new(), String::new(), String::new());
        let mut count = 0;
        for column in wanted {
            let frame = frame(self.bounds, column.window, Until::TheBounds).unwrap_or_default();
            let over = format!("OVER (PARTITION BY k ORDER BY at {frame})");
            for call in column.calls() {
                inner.push_str(&format!(", {call} {over} AS c{count}"));
                outer.push_str(&format!(", c{count}"));
                count += 1;
            }
            matters.push_str(&format!(" OR {}", column.matters()));
        }
        let anchor = self.anchor;
        let sql = format!(
            "SELECT o{outer} FROM (SELECT rn AS o, {anchor} AS anchor{inner} FROM {FACTS} \
             WHERE {anchor}{matters}) WHERE anchor ORDER BY o"
        );
        let answer = self.database.query("features", &sql)?;
        let mut next = 1;
        let mut columns = Vec::new();
        for column in wanted {
            let width = column.calls().len();
            let answers: Vec<ArrayRef> = answer.columns()[next..next + width].to_vec();
            next += width;
            columns.push(column.finish(&answers)?);
        }
        Ok(columns)
    }

    /// The time since the newest earlier row.
    fn since_last(&self, wanted: &Wanted) -> Result<ArrayRef, VerifyError> {
        let Some(frame) = frame(self.bounds, wanted.window, Until::Before) else {
            return shown(&wanted.kind, &vec![None; self.times.len()]);
        };
        let (anchor, counts) = (self.anchor, &wanted.counts);
        let sql = format!(
            "SELECT o, at - newest FROM (SELECT rn AS o, at, {anchor} AS anchor, \
             max(CASE WHEN {counts} THEN at END) OVER (PARTITION BY k ORDER BY at {frame}) \
             AS newest FROM {FACTS} WHERE {anchor} OR {counts}) WHERE anchor ORDER BY o"
        );
        let answer = self.database.query(&wanted.name, &sql)?;
        shown(&wanted.kind, &wholes(answer.column(1))?)
    }

    /// The longest distance of neighbouring rows in a lifetime: every row but the first brings one.
    fn longest_gap(&self, wanted: &Wanted) -> Result<ArrayRef, VerifyError> {
        let (anchor, counts) = (self.anchor, &wanted.counts);
        let frame = frame(self.bounds, None, Until::TheBounds).unwrap_or_default();
        let before = "ORDER BY rn ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING";
        let sql = format!(
            "SELECT o, gap FROM (SELECT rn AS o, anchor, \
             max(gap) OVER (PARTITION BY k ORDER BY at {frame}) AS gap \
             FROM (SELECT rn, k, at, {anchor} AS anchor, CASE WHEN {counts} THEN at - \
             max(CASE WHEN {counts} THEN at END) OVER (PARTITION BY k {before}) END AS gap \
             FROM {FACTS} WHERE {anchor} OR {counts})) WHERE anchor ORDER BY o"
        );
        let answer = self.database.query(&wanted.name, &sql)?;
        shown(&wanted.kind, &wholes(answer.column(1))?)
    }

    /// The first or last rows that count: the frame says how many there are up to the anchor (`upto`)
    /// and in the window (`n`), so their numbers are known.
    fn picks(&self, wanted: &Wanted, end: End) -> Result<Computed, VerifyError> {
        let (anchor, counts, value) = (self.anchor, &wanted.counts, wanted.value());
        let k = match wanted.op {
            Op::FirstK { k, .. } | Op::LastK { k, .. } | Op::List { k } => u64::from(k),
            _ => 1,
        };
        if self.times.len() as u64 * k > self.most_pairs.saturating_mul(8) {
            let why = format!(
                "{} lists of up to {k} values are too many",
                self.times.len()
            );
            return Ok(Computed::unknown(&wanted.kind, self.times.len(), why));
        }
        let count = |window: Option<Span>| {
            let frame = frame(self.bounds, window, Until::TheBounds).unwrap_or_default();
            format!(
                "count(CASE WHEN {counts} THEN 1 END) OVER (PARTITION BY k ORDER BY at {frame})"
            )
        };
        let (upto, n) = (count(None), count(wanted.window));
        let place = match end {
            End::Oldest => "upto - n + j",
            End::Newest => "upto - j + 1",
        };
        let direction = if newest_first(&wanted.op) {
            "DESC"
        } else {
            "ASC"
        };
        let sql = format!(
            "SELECT w.o, f.v FROM (SELECT o, k, {place} AS place FROM \
             (SELECT rn AS o, k, {anchor} AS anchor, {upto} AS upto, {n} AS n FROM {FACTS} \
             WHERE {anchor} OR {counts}) CROSS JOIN \
             (SELECT CAST(value AS BIGINT) AS j FROM generate_series(1, {k})) \
             WHERE anchor AND j <= n) w JOIN (SELECT k, {value} AS v, \
             CAST(row_number() OVER (PARTITION BY k ORDER BY rn) AS BIGINT) AS place \
             FROM {FACTS} WHERE {counts}) f ON w.k = f.k AND w.place = f.place \
             ORDER BY w.o, w.place {direction}"
        );
        let answer = self.database.query(&wanted.name, &sql)?;
        picked(self.owners, wanted, answer.column(0), answer.column(1)).map(Computed::known)
    }

    /// A sum that fades. Terms are weighed from the beginning of their block of 400 half-lives; of
    /// earlier blocks only the one before still weighs anything in a float.
    fn decayed(&self, wanted: &Wanted) -> Result<Computed, VerifyError> {
        const BLOCK: i64 = 400;
        let Op::DecayedSum { half_life } = wanted.op else {
            return Err(VerifyError::Shape("no decayed sum".to_owned()));
        };
        let (anchor, counts, value) = (self.anchor, &wanted.counts, wanted.value());
        let block = half_life.0.saturating_mul(BLOCK).min(1 << 61);
        let since = |of: &str| {
            format!(
                "(CAST({of}at - {of}b * {block} AS DOUBLE) / {}.0)",
                half_life.0
            )
        };
        let weighed = format!("CAST({value} AS DOUBLE) * power(2.0, {})", since(""));
        let frame = frame(self.bounds, None, Until::TheBounds).unwrap_or_default();
        let over = format!("OVER (PARTITION BY k, b ORDER BY at {frame})");
        let life = format!("OVER (PARTITION BY k ORDER BY at {frame})");
        let facts = format!(
            "(SELECT *, {weighed} AS w FROM (SELECT k, at, rn, {counts} AS counts, \
             {anchor} AS anchor, {value}, {} AS b FROM {FACTS} WHERE {anchor} OR {counts}))",
            floor_divided("at", block)
        );
        let fade = format!("power(2.0, -{})", since("x."));
        let carried = format!("power(2.0, -{BLOCK}.0)");
        let both = |here: &str, before: &str| {
            format!("(coalesce({here}, 0.0) + coalesce({before}, 0.0) * {carried}) * {fade}")
        };
        let (sum, size) = (both("x.sum", "y.sum"), both("x.size", "y.size"));
        let sql = format!(
            "SELECT x.o, x.n, {sum}, {size} FROM (SELECT rn AS o, k, at, b, anchor, \
             count(CASE WHEN counts THEN 1 END) {life} AS n, \
             sum(CASE WHEN counts THEN w END) {over} AS sum, \
             sum(CASE WHEN counts THEN abs(w) END) {over} AS size FROM {facts}) x \
             LEFT JOIN (SELECT k, b, sum(w) AS sum, sum(abs(w)) AS size FROM {facts} \
             WHERE counts GROUP BY k, b) y ON x.k = y.k AND x.b = y.b + 1 \
             WHERE x.anchor ORDER BY x.o"
        );
        let answer = self.database.query(&wanted.name, &sql)?;
        let n = wholes(answer.column(1))?;
        let unit = wanted.unit();
        let some = |column: usize| -> Result<Vec<Option<f64>>, VerifyError> {
            let sums = floats(answer.column(column))?.into_iter().zip(&n);
            let sum = |(sum, n): (Option<f64>, &Option<i128>)| {
                sum.map(|sum| sum / unit).filter(|_| n.unwrap_or(0) > 0)
            };
            Ok(sums.map(sum).collect())
        };
        Ok(Computed {
            values: wanted.float(some(2)?.into_iter()),
            unknown: Unknown::Nothing,
            size: Some(some(3)?.into_iter().collect()),
        })
    }
}

/// Whether the last row comes out first.
pub(super) fn newest_first(op: &Op) -> bool {
    use tidegate_schemas::job::Order;
    match op {
        Op::FirstK { order, .. } | Op::LastK { order, .. } | Op::DistinctK { order, .. } => {
            *order == Order::NewestFirst
        }
        _ => false,
    }
}

/// Picked values, in the order of their owners and of the list, as the column that shows them.
pub(super) fn picked(
    owners: &Owners,
    wanted: &Wanted,
    of: &ArrayRef,
    picks: &ArrayRef,
) -> Result<ArrayRef, VerifyError> {
    use tidegate_schemas::rows::Kind;
    match &wanted.kind {
        Kind::List(item) => owners.lists(of, values(item, picks)?),
        plain => owners.spread(of, &values(plain, picks)?),
    }
}

/// Values and how often each is there, most frequent first, as a histogram.
pub(super) fn histogram(
    owners: &Owners,
    wanted: &Wanted,
    of: &ArrayRef,
    (picks, counts): (&ArrayRef, &ArrayRef),
) -> Result<ArrayRef, VerifyError> {
    use tidegate_schemas::rows::Kind;
    let Kind::Histogram(value) = &wanted.kind else {
        return Err(VerifyError::Shape("no histogram".to_owned()));
    };
    owners.lists(of, bars(value, values(value, picks)?, counts)?)
}
