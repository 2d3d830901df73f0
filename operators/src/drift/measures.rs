//! What is measured of a window against the reference, and the row that comes of it.
//!
//! | | columns | unit, range | of |
//! |---|---|---|---|
//! | [`Measure::Psi`] | `psi` | nats, 0 to ∞, both ways the same | shares with the fill rule |
//! | [`Measure::Kl`] | `kl` | nats, directed as the job says | shares with the fill rule |
//! | [`Measure::Js`] | `js` | Jensen-Shannon *distance* in nats, 0 to 0.833 | plain shares |
//! | [`Measure::Hellinger`], [`Measure::TotalVariation`], [`Measure::Largest`] | `hellinger`, `tvd`, `linf` | 0 to 1 | plain shares |
//! | [`Measure::ChiSquare`] | `chi2`, `chi2_p` | independence of the side, Yates' correction with two categories; 0 to ∞ and 1 to 0 | counts |
//! | [`Measure::Kolmogorov`] | `ks` | D, 0 to 1; null for categories | plain shares of bins |
//! | [`Measure::Wasserstein`] | `wasserstein` | unit of the column; null for categories and with fewer than 3 bins | plain shares at the middles of bins |
//! | [`Measure::Missing`] | `missing`, `reference_missing` | share of the rows without a value, 0 to 1 | counts |
//! | [`Measure::New`] | `new` | share of the rows in categories or bins that the reference lacks, 0 to 1 | counts |

use smallvec::SmallVec;
use tidegate_schemas::fact::{NULL, float_word};
pub use tidegate_schemas::job::Measure;
use tidegate_schemas::names::Names;
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::EventTime;

use super::cuts::{Cuts, Number};
use super::spec::{DriftSpec, Layout};
use crate::codec::{CodecError, Reader, Writer};
use crate::statistics::divergence::{self, Unit};
use crate::statistics::no_drift::{PsiLimits, contributions};
use crate::statistics::{
    Counts, Share, Smoothing, contingency, kolmogorov, shares_of, shift, wasserstein,
};

/// How many categories a row names that moved most.
const MOST_MOVED: usize = 3;

/// What is computed of a window, floats as words, so that rows compare bit for bit: the measures in
/// the order of the spec, the rows, those of the reference, the categories, and in a wide row the limit
/// of PSI without drift.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    pub(super) words: SmallVec<[i64; 8]>,
    /// The codes of what moved most, in a wide row.
    pub(super) moved: SmallVec<[i64; MOST_MOVED]>,
}

impl Row {
    pub(super) fn encode(&self, to: &mut Writer) {
        for words in [&self.words[..], &self.moved[..]] {
            to.length(words.len());
            words.iter().for_each(|word| to.word(*word));
        }
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Row, CodecError> {
        let mut row = Row::default();
        for _ in 0..from.length("the values of a row")? {
            row.words.push(from.word("a value of a row")?);
        }
        for _ in 0..from.length("the categories of a row")? {
            row.moved.push(from.word("a category of a row")?);
        }
        Ok(row)
    }
}

/// One side: rows by category or bin, and rows without a value.
pub(super) struct Side<'a> {
    pub(super) bins: &'a [(i64, i64)],
    pub(super) missing: i64,
}

impl Side<'_> {
    fn rows(&self) -> i64 {
        self.bins.iter().map(|(_, count)| count).sum()
    }
}

/// What the words of a side are.
pub(super) enum Words<'a> {
    /// Categories that read so.
    Categories(&'a Kind),
    /// Bins between these edges.
    Bins(&'a Cuts, Number),
}

/// Makes the rows of a spec.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    measures: Vec<Measure>,
    smoothing: Smoothing,
    direction: divergence::Direction,
    min_rows: i64,
    layout: Layout,
    limits: PsiLimits,
}

impl Meter {
    pub(super) fn new(spec: &DriftSpec) -> Meter {
        Meter {
            measures: spec.measures.clone(),
            smoothing: spec.smoothing,
            direction: spec.direction,
            min_rows: i64::try_from(spec.min_rows).unwrap_or(i64::MAX).max(1),
            layout: spec.layout,
            limits: PsiLimits::new(0.95),
        }
    }

    /// Rows that make a window have a row.
    pub(super) fn counted(&self, rows: i64, missing: i64) -> i64 {
        match self.measures.contains(&Measure::Missing) {
            true => rows + missing,
            false => rows,
        }
    }

    /// A window's row, if it has rows enough. Without a row in the reference the measures are null.
    pub(super) fn measure(
        &mut self,
        reference: &Side<'_>,
        current: &Side<'_>,
        words: &Words<'_>,
        names: &Names,
    ) -> Option<Row> {
        let (n, m) = (reference.rows(), current.rows());
        if self.counted(m, current.missing) < self.min_rows {
            return None;
        }
        let (counts, labels) = beside(reference.bins, current.bins, words);
        let measured = (m >= self.min_rows).then_some(&counts);
        let filled = measured.and_then(|counts| shares_of(counts, self.smoothing));
        let is_plain = |measure: &Measure| !matches!(measure, Measure::Psi | Measure::Kl);
        let plain = measured
            .filter(|_| self.measures.iter().any(is_plain))
            .and_then(|counts| shares_of(counts, Smoothing::Floor(0.0)));
        let mut row = Row::default();
        for measure in &self.measures {
            let shares = match is_plain(measure) {
                true => plain.as_deref(),
                false => filled.as_deref(),
            };
            match (measure, shares) {
                (Measure::Missing, _) => {
                    row.words.extend([current, reference].map(missing_rate));
                }
                (_, Some(shares)) => self.of(*measure, shares, &counts, words, &mut row),
                (measure, None) => row.words.extend(measure.columns().iter().map(|_| NULL)),
            }
        }
        row.words.extend([m, n, counts.len() as i64]);
        if self.layout == Layout::Wide {
            let limit = filled.as_ref();
            let limit = limit.map(|_| self.limits.of(&counts, self.smoothing));
            row.words.push(limit.map_or(NULL, float_word));
            if let Some(shares) = &filled {
                let new = |place: usize| counts[place].reference == 0;
                row.moved = moved(shares, &labels, new, words, names);
            }
        }
        Some(row)
    }

    fn of(
        &self,
        measure: Measure,
        shares: &[Share],
        counts: &[Counts],
        words: &Words<'_>,
        row: &mut Row,
    ) {
        let value = match measure {
            Measure::Psi => divergence::psi(shares),
            Measure::Kl => divergence::kl(shares, self.direction),
            Measure::Js => divergence::js_distance(shares, Unit::Nats),
            Measure::Hellinger => divergence::hellinger(shares),
            Measure::TotalVariation => divergence::total_variation(shares),
            Measure::Largest => divergence::largest_difference(shares),
            Measure::ChiSquare => {
                let test = contingency::independence(counts);
                let (statistic, p) = test.map_or((f64::NAN, f64::NAN), |it| (it.statistic, it.p));
                row.words.push(float_word(statistic));
                p
            }
            Measure::Kolmogorov => match words {
                Words::Categories(_) => f64::NAN,
                Words::Bins(..) => kolmogorov::binned(shares),
            },
            Measure::Wasserstein => {
                let middles = match words {
                    Words::Categories(_) => None,
                    Words::Bins(cuts, number) => cuts.middles(*number),
                };
                middles.map_or(f64::NAN, |middles| wasserstein::binned(&middles, shares))
            }
            Measure::New => {
                let new = counts.iter().filter(|here| here.reference == 0);
                let new: i64 = new.map(|here| here.current).sum();
                new as f64 / counts.iter().map(|here| here.current).sum::<i64>() as f64
            }
            Measure::Missing => unreachable!("it is not of shares"),
        };
        row.words.push(float_word(value));
    }
}

fn missing_rate(side: &Side<'_>) -> i64 {
    let (missing, rows) = (side.missing as u64, (side.rows() + side.missing) as u64);
    shift::missing_rate(missing, rows).map_or(NULL, float_word)
}

/// The counts of both sides beside each other, with their words: of all bins, or of the categories that
/// have rows on either side.
fn beside(
    reference: &[(i64, i64)],
    current: &[(i64, i64)],
    words: &Words<'_>,
) -> (Vec<Counts>, Vec<i64>) {
    const NONE: Counts = Counts {
        reference: 0,
        current: 0,
    };
    if let Words::Bins(cuts, _) = words {
        let mut counts = vec![NONE; cuts.bins()];
        for (bin, count) in reference {
            counts[*bin as usize].reference = *count;
        }
        for (bin, count) in current {
            counts[*bin as usize].current = *count;
        }
        return (counts, (0..cuts.bins() as i64).collect());
    }
    let (mut counts, mut labels) = (Vec::new(), Vec::new());
    let (mut left, mut right) = (reference.iter().peekable(), current.iter().peekable());
    loop {
        let word = match (left.peek(), right.peek()) {
            (Some((a, _)), Some((b, _))) => *a.min(b),
            (Some((a, _)), None) => *a,
            (None, Some((b, _))) => *b,
            (None, None) => return (counts, labels),
        };
        let reference = left.next_if(|(a, _)| *a == word).map_or(0, |(_, n)| *n);
        let current = right.next_if(|(b, _)| *b == word).map_or(0, |(_, n)| *n);
        counts.push(Counts { reference, current });
        labels.push(word);
    }
}

/// The names of what adds most to PSI, `+` before those whose share rose.
///
/// The dictionary keeps names for good, so they are bounded by what is kept for good as well: bins, texts
/// (which are in the dictionary already), and the numbers and times of a reference. Those that are `new`
/// may be as many as rows, and are all called so.
fn moved(
    shares: &[Share],
    labels: &[i64],
    new: impl Fn(usize) -> bool,
    words: &Words<'_>,
    names: &Names,
) -> SmallVec<[i64; MOST_MOVED]> {
    let most = contributions(shares).into_iter().take(MOST_MOVED);
    let most = most.filter(|(_, part)| *part > 0.0);
    most.map(|(place, _)| {
        let share = shares[place];
        let sign = if share.current > share.reference {
            '+'
        } else {
            '-'
        };
        let label = match words {
            Words::Categories(kind) if **kind != Kind::Text && new(place) => "new".to_owned(),
            _ => label(labels[place], words, names),
        };
        // Two names with one code, odds of one in 10^9: then it is not named.
        names.code(&format!("{sign}{label}")).unwrap_or(NULL)
    })
    .collect()
}

fn label(word: i64, words: &Words<'_>, names: &Names) -> String {
    match words {
        Words::Bins(cuts, number) => cuts.label(word as usize, *number),
        Words::Categories(Kind::Text) => names
            .text(word)
            .map_or_else(|| word.to_string(), |text| text.as_ref().to_owned()),
        Words::Categories(Kind::Bool) => (word == 1).to_string(),
        Words::Categories(Kind::Time(_)) => EventTime(word).to_string(),
        Words::Categories(_) => word.to_string(),
    }
}
