//! What NannyML 0.13 answers for references of 10,000 rows and more: estimates over 10,000 equally wide bins.

use tidegate_operators::statistics::bins::Edges;
use tidegate_operators::statistics::sample::Sample;

const BINS: u32 = 10_000;

/// At the upper edge of every bin, how many values are below it; at that of the last, how many are not above it.
fn below(edges: &Edges, sample: Sample<'_>) -> Vec<usize> {
    let (values, last) = (sample.values(), edges.edges().len() - 1);
    let mut place = 0;
    let mut counts = Vec::with_capacity(last);
    for (index, edge) in edges.edges().iter().enumerate().skip(1) {
        let inside = |value: &f64| *value < *edge || index == last && value == edge;
        place += values[place..]
            .iter()
            .take_while(|value| inside(value))
            .count();
        counts.push(place);
    }
    counts
}

/// The Kolmogorov-Smirnov statistic at the edges of the bins only.
pub(super) fn ks(reference: Sample<'_>, current: Sample<'_>) -> f64 {
    let edges = Edges::even(reference.least(), reference.greatest(), BINS);
    let (n, m) = (reference.rows() as f64, current.rows() as f64);
    let both = below(&edges, reference)
        .into_iter()
        .zip(below(&edges, current));
    both.map(|(of_reference, of_current)| (of_reference as f64 / n - of_current as f64 / m).abs())
        .fold(0.0, f64::max)
}

/// The first Wasserstein distance, as if each row lay at the upper edge of its bin. What lies outside counts as one row
/// more than there are, on either side: so does the original.
pub(super) fn wasserstein(reference: Sample<'_>, current: Sample<'_>) -> f64 {
    let (least, greatest) = (reference.least(), reference.greatest());
    let edges = Edges::even(least, greatest, BINS);
    let (n, m) = (reference.rows() as f64, current.rows() as f64);
    let values = current.values();
    let smaller = &values[..values.partition_point(|value| *value < least)];
    let bigger = &values[values.partition_point(|value| *value <= greatest)..];
    let part = |rows: &[f64]| match rows.len() {
        0 => 0.0,
        rows => (rows + 1) as f64 / m,
    };
    // Of the rows outside with the nearest end of the reference among them: the area under how many are not above, and
    // over it.
    let under: f64 = steps(smaller, &[least])
        .map(|(share, width)| share * width)
        .sum();
    let over: f64 = steps(&[greatest], bigger)
        .map(|(share, width)| (1.0 - share) * width)
        .sum();
    let width = edges.edges()[1] - edges.edges()[0];
    let both = below(&edges, reference)
        .into_iter()
        .zip(below(&edges, current));
    let within: f64 = both
        .map(|(of_reference, of_current)| {
            let inside = (of_current - smaller.len()) as f64 / m;
            (of_reference as f64 / n - (inside + part(smaller))).abs() * width
        })
        .sum();
    within + under * part(smaller) + over * part(bigger)
}

/// Between each value and the next of both pieces joined, which ascend: the share of values that are not above, and how
/// far the next one is.
fn steps(first: &[f64], second: &[f64]) -> impl Iterator<Item = (f64, f64)> {
    let all: Vec<f64> = first.iter().chain(second).copied().collect();
    let rows = all.len() as f64;
    (1..all.len()).map(move |index| (index as f64 / rows, all[index] - all[index - 1]))
}
