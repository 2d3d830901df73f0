//! The page of two files: all columns in a table, then each with both distributions and what moved.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::chart::{Bar, bars};
use super::figures::{count, figure, grouped, percent};
use super::html::{Cell, Html, name_of};
use crate::drift::{Answer, Comparison, Distribution, Measure};

/// So many bins are told in the words that stand for a chart.
const TOLD_OF_CHART: usize = 3;

/// Columns of two files, compared.
#[derive(Debug, Serialize)]
pub struct Compared {
    /// The file that was compared with.
    pub reference: String,
    /// The file that was compared.
    pub current: String,
    /// The columns.
    #[serde(serialize_with = "with_distributions")]
    pub columns: Vec<Comparison>,
    /// The columns that were not compared.
    pub left_out: Vec<LeftOut>,
}

/// A column that was not compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LeftOut {
    /// Its name.
    pub column: String,
    /// Why not.
    pub why: String,
}

/// A comparison with its distribution, which it does not tell by itself.
struct Whole<'a>(&'a Comparison);

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Comparison {
            column,
            kind,
            compat,
            reference,
            current,
            measures,
            distribution,
        } = self.0;
        let mut all = to.serialize_struct("Comparison", 7)?;
        all.serialize_field("column", column)?;
        all.serialize_field("kind", kind)?;
        all.serialize_field("compat", compat)?;
        all.serialize_field("reference", reference)?;
        all.serialize_field("current", current)?;
        all.serialize_field("measures", measures)?;
        all.serialize_field("distribution", distribution)?;
        all.end()
    }
}

fn with_distributions<S: Serializer>(columns: &[Comparison], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(columns.iter().map(Whole))
}

impl Compared {
    /// The page.
    ///
    /// # Errors
    /// When a chart cannot be drawn, in plain words.
    pub fn page(&self) -> Result<String, String> {
        let mut page = Html::markup("<h1>Drift report</h1>\n");
        let mut lead = Html::default();
        lead.element("span", &[("class", "path")], name_of(&self.current));
        lead.say(" against the reference ");
        lead.element("span", &[("class", "path")], name_of(&self.reference));
        page.put("p", lead);
        page.element("p", &[("class", "facts")], Html::text(self.said()));
        page.add(self.summary());
        for (place, column) in self.columns.iter().enumerate() {
            page.element("section", &[("id", &anchor(place))], section(column)?);
        }
        Ok(page.page(&format!(
            "Drift: {} against {}",
            self.current, self.reference
        )))
    }

    fn said(&self) -> String {
        let limited = self.columns.iter().filter_map(limited);
        let (above, limited) = limited.fold((0, 0), |(above, all), (value, limit)| {
            (above + usize::from(value >= limit), all + 1)
        });
        let mut said = count(self.columns.len(), "column");
        if limited > 0 {
            said.push_str(&format!(
                " compared. In {above} of {limited}, psi is above its no-drift limit, below which it stays in 95 of 100 \
                 comparisons of as many rows if nothing drifts."
            ));
            return said;
        }
        said + " compared."
    }

    fn summary(&self) -> Html {
        let asked = |measure: &Measure| {
            let mut answers = self.columns.iter().flat_map(|column| &column.measures);
            answers.any(|answer| answer.measure == *measure)
        };
        let measures: Vec<Measure> = Measure::all().filter(asked).collect();
        let names: Vec<String> = measures.iter().map(ToString::to_string).collect();
        let mut head = vec!["Column", "Verdict", "Kind", "Rows", "Reference rows"];
        head.extend(names.iter().map(String::as_str));
        head.push("No-drift limit of psi");
        let row = |(place, column): (usize, &Comparison)| {
            let mut row = vec![
                Cell::Link {
                    to: format!("#{}", anchor(place)),
                    name: column.column.clone(),
                },
                verdict(column),
                Cell::Words(column.kind.to_string()),
                Cell::Number(grouped(column.current.rows)),
                Cell::Number(grouped(column.reference.rows)),
            ];
            row.extend(measures.iter().map(|measure| {
                let mut answers = column.measures.iter();
                let answer = answers.find(|answer| answer.measure == *measure);
                Cell::Number(figure(answer.and_then(|answer| answer.value)))
            }));
            row.push(Cell::Number(figure(
                limited(column).map(|(_, limit)| limit),
            )));
            row
        };
        let rows: Vec<_> = self.columns.iter().enumerate().map(row).collect();
        let mut section = Html::markup("<h2>Summary</h2>\n");
        section.table("How far each column is from its reference", &head, &rows);
        if !self.left_out.is_empty() {
            let row = |left: &LeftOut| {
                vec![
                    Cell::Name(left.column.clone()),
                    Cell::Words(left.why.clone()),
                ]
            };
            let rows: Vec<_> = self.left_out.iter().map(row).collect();
            section.table("Left out", &["Column", "Why"], &rows);
        }
        let mut html = Html::default();
        html.put("section", section);
        html
    }
}

fn anchor(place: usize) -> String {
    format!("column-{place}")
}

/// PSI and its limit, where both are known.
fn limited(column: &Comparison) -> Option<(f64, f64)> {
    let mut answers = column.measures.iter();
    answers.find_map(|answer| Some((answer.value?, answer.no_drift_95?)))
}

fn verdict(column: &Comparison) -> Cell {
    match limited(column) {
        Some((value, limit)) if value >= limit => Cell::Strong("above the limit".to_owned()),
        Some(_) => Cell::Words("below the limit".to_owned()),
        None if column.distribution.is_none() => Cell::Words("nothing to compare".to_owned()),
        None => Cell::Words("no limit".to_owned()),
    }
}

fn section(column: &Comparison) -> Result<Html, String> {
    let mut html = Html::default();
    html.put("h2", name_of(&column.column));
    html.element("p", &[("class", "facts")], Html::text(facts(column)));
    if let Some(distribution) = &column.distribution {
        html.add(figure_of(column, distribution)?);
        let moved = column
            .measures
            .iter()
            .find(|answer| !answer.moved.is_empty());
        if let Some(answer) = moved {
            html.add(most_moved(answer));
        }
    }
    let row = |answer: &Answer| {
        vec![
            Cell::Words(answer.measure.to_string()),
            Cell::Number(figure(answer.value)),
            Cell::Number(figure(answer.p_value)),
            Cell::Number(figure(answer.no_drift_95)),
            Cell::Words(answer.unit.to_owned()),
            Cell::Words(how(answer)),
        ]
    };
    let rows: Vec<_> = column.measures.iter().map(row).collect();
    let head = ["Measure", "Value", "p-value", "No-drift limit", "In", "How"];
    html.table("Measures", &head, &rows);
    if let Some(distribution) = &column.distribution {
        html.add(all_bins(column, distribution));
    }
    Ok(html)
}

fn facts(column: &Comparison) -> String {
    let (reference, current) = (column.reference, column.current);
    let mut facts = format!(
        "Taken for {}: {} rows against {} in the reference.",
        column.kind,
        grouped(current.rows),
        grouped(reference.rows)
    );
    let more = [
        ("have no value", reference.missing, current.missing),
        ("could not be read", reference.rejected, current.rejected),
    ];
    for (what, before, now) in more.into_iter().filter(|(_, a, b)| a + b > 0) {
        facts.push_str(&format!(
            " {} rows {what}, and {} in the reference.",
            grouped(now),
            grouped(before)
        ));
    }
    if let Some(distribution) = &column.distribution {
        facts.push_str(&format!(" Bins: {}.", distribution.bins));
    }
    facts
}

fn figure_of(column: &Comparison, distribution: &Distribution) -> Result<Html, String> {
    let rows = |rows: u64| rows.max(1) as f64;
    let (before, now) = (rows(column.reference.rows), rows(column.current.rows));
    let bar =
        |part: &'_ crate::drift::Part| (part.reference as f64 / before, part.current as f64 / now);
    let all: Vec<Bar<'_>> = distribution
        .parts
        .iter()
        .map(|part| Bar {
            name: &part.bin,
            reference: bar(part).0,
            current: bar(part).1,
        })
        .collect();
    let mut largest: Vec<&Bar<'_>> = all.iter().collect();
    let change = |bar: &Bar<'_>| (bar.current - bar.reference).abs();
    largest.sort_by(|a, b| change(b).total_cmp(&change(a)));
    let said = largest.iter().take(TOLD_OF_CHART).map(|bar| {
        let (before, now) = (100.0 * bar.reference, 100.0 * bar.current);
        format!("{} from {before:.1}% to {now:.1}%", bar.name)
    });
    let told = format!(
        "Bars of the shares of {} of {}, the reference beside the current file. Largest changes: {}.",
        count(all.len(), "bin"),
        column.column,
        said.collect::<Vec<_>>().join("; ")
    );
    let mut caption = Html::markup(
        "<span class=\"key reference\">reference</span><span class=\"key\">current</span>share of the rows with a value",
    );
    if distribution.summed_up > 0 {
        caption.say(format!(
            "; the {} smallest bins are one bar",
            grouped(distribution.summed_up as u64)
        ));
    }
    let mut figure = Html::default();
    figure.put("figcaption", caption);
    figure.add(bars(&told, &all)?);
    let mut html = Html::default();
    html.put("figure", figure);
    if !distribution.new.is_empty() {
        let new = distribution.new.iter();
        let mut new: Vec<String> = new
            .map(|it| format!("{} ({})", it.name, count(it.rows as usize, "row")))
            .collect();
        if distribution.more_new > 0 {
            new.push(format!(
                "and {} more",
                grouped(distribution.more_new as u64)
            ));
        }
        let note = format!("Not in the reference: {}.", new.join(", "));
        html.element("p", &[("class", "note")], Html::text(note));
    }
    Ok(html)
}

fn most_moved(answer: &Answer) -> Html {
    let row = |moved: &crate::drift::Moved| {
        let (before, now) = (100.0 * moved.reference, 100.0 * moved.current);
        vec![
            Cell::Name(moved.bin.clone()),
            Cell::Number(format!("{before:.2}%")),
            Cell::Number(format!("{now:.2}%")),
            Cell::Number(format!("{:+.2}", now - before)),
            Cell::Number(figure(Some(moved.psi))),
        ]
    };
    let rows: Vec<_> = answer.moved.iter().map(row).collect();
    let head = [
        "Bin",
        "Reference",
        "Current",
        "Change in points",
        "Adds to psi",
    ];
    let mut html = Html::default();
    let fill = answer.fill.as_ref().map(|fill| format!(" ({fill})"));
    let caption = format!("What moved most{}", fill.unwrap_or_default());
    html.table(&caption, &head, &rows);
    html
}

fn all_bins(column: &Comparison, distribution: &Distribution) -> Html {
    let row = |part: &crate::drift::Part| {
        vec![
            Cell::Name(part.bin.clone()),
            Cell::Number(grouped(part.reference)),
            Cell::Number(percent(part.reference, column.reference.rows)),
            Cell::Number(grouped(part.current)),
            Cell::Number(percent(part.current, column.current.rows)),
        ]
    };
    let rows: Vec<_> = distribution.parts.iter().map(row).collect();
    let head = [
        "Bin",
        "Rows in the reference",
        "Share",
        "Rows now",
        "Share now",
    ];
    let mut inside = Html::markup("<summary>Rows of each bin</summary>\n");
    inside.table("Rows of each bin, on both sides", &head, &rows);
    let mut html = Html::default();
    html.put("details", inside);
    html
}

/// What an answer depends on, in words.
fn how(answer: &Answer) -> String {
    let mut how: Vec<String> = answer.direction.iter().map(ToString::to_string).collect();
    if let (Some(bins), Some(count)) = (&answer.bins, answer.bin_count) {
        how.push(format!("{count} bins: {bins}"));
    }
    how.extend(answer.fill.clone());
    how.join("; ")
}
