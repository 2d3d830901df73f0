//! The page of a job's drift: each measure over time, beside what it stays below without drift and the alerts.

use super::chart::{Curve, curve};
use super::figures::{count, figure, grouped};
use super::html::{Cell, Html, name_of};
use super::points::{MOST_POINTS, largest, stretches};
use super::watched::{Line, Watched, WatchedDrift, Window};

/// So many columns of a drift have charts.
const MOST_COLUMNS: usize = 40;
/// So many episodes are told of each column and segment.
const MOST_EPISODES: usize = 50;

/// All windows of one column and segment, by their lengths.
struct Segment<'a> {
    column: &'a str,
    name: Option<&'a str>,
    lines: Vec<&'a Line>,
}

impl Watched {
    /// The page, with at most so many segments of each column.
    ///
    /// # Errors
    /// When a chart cannot be drawn, in plain words.
    pub fn page(&self, most_segments: usize) -> Result<String, String> {
        let mut page = Html::markup("<h1>Drift report</h1>\n");
        let mut lead = Html::text("What the drift of job ");
        lead.element("span", &[("class", "path")], name_of(&self.job));
        lead.say(" has come to.");
        page.put("p", lead);
        for output in &self.unwritten {
            let note = format!("No sink writes {output}, so it is not here.");
            page.element("p", &[("class", "note")], Html::text(note));
        }
        for (place, drift) in self.drifts.iter().enumerate() {
            page.add(drift.html(place, most_segments)?);
        }
        Ok(page.page(&format!("Drift of {}", self.job)))
    }
}

impl WatchedDrift {
    fn html(&self, place: usize, most_segments: usize) -> Result<Html, String> {
        let (shown, notes) = self.shown(most_segments);
        let anchor = |segment: usize| format!("drift-{place}-{segment}");
        let mut top = Html::default();
        let mut title = Html::text("Drift ");
        title.add(name_of(&self.name));
        top.put("h2", title);
        let mut said = format!(
            "As sink {} wrote it; a window ends every {}.",
            self.sink, self.every
        );
        if let Some(alert) = &self.alert {
            said.push_str(&format!(" Alert when {alert}."));
        }
        top.element("p", &[("class", "facts")], Html::text(said));
        for note in notes {
            top.element("p", &[("class", "note")], Html::text(note));
        }
        top.add(self.summary(&shown, anchor));
        let mut html = Html::default();
        html.put("section", top);
        for (place, segment) in shown.iter().enumerate() {
            let section = self.section(segment)?;
            html.element("section", &[("id", &anchor(place))], section);
        }
        Ok(html)
    }

    /// What is shown: all rows of each column first, then its segments by their largest value. And what is not, in words.
    fn shown(&self, most_segments: usize) -> (Vec<Segment<'_>>, Vec<String>) {
        let mut notes = Vec::new();
        let mut all: Vec<Segment<'_>> = Vec::new();
        for line in &self.lines {
            match all.last_mut() {
                Some(last)
                    if last.column == line.column && last.name == line.segment.as_deref() =>
                {
                    last.lines.push(line);
                }
                _ => all.push(Segment {
                    column: &line.column,
                    name: line.segment.as_deref(),
                    lines: vec![line],
                }),
            }
        }
        let (mut shown, mut columns, mut left_out) = (Vec::new(), 0, 0);
        for mut of_column in parted(all) {
            columns += 1;
            if columns > MOST_COLUMNS {
                continue;
            }
            // Stable: among equals the order of the names holds.
            of_column.sort_by(|a, b| {
                let key = |it: &Segment<'_>| (it.name.is_none(), it.largest().unwrap_or(-1.0));
                let (a, b) = (key(a), key(b));
                b.0.cmp(&a.0).then(b.1.total_cmp(&a.1))
            });
            let kept = most_segments + of_column.iter().filter(|it| it.name.is_none()).count();
            left_out += of_column.len().saturating_sub(kept);
            of_column.truncate(kept);
            shown.extend(of_column);
        }
        if columns > MOST_COLUMNS {
            let more = grouped((columns - MOST_COLUMNS) as u64);
            notes.push(format!("{more} more columns are left out of this page."));
        }
        if left_out > 0 {
            notes.push(format!(
                "{} with a smaller {} left out; --segments shows more.",
                count(left_out, "segment"),
                match left_out {
                    1 => "value is",
                    _ => "value are",
                }
            ));
        }
        if let Some(filter) = &self.filter {
            notes.push(format!("The sink writes only rows where {filter}."));
        }
        if let Some(why) = &self.no_alerts {
            notes.push(format!("Alerts are not shown: {why}."));
        }
        (shown, notes)
    }

    /// The measure that comes first.
    fn headline(&self) -> &'static str {
        self.measures.first().copied().unwrap_or("psi")
    }

    fn summary(&self, shown: &[Segment<'_>], anchor: impl Fn(usize) -> String) -> Html {
        let headline = self.headline();
        let titles = [format!("Last {headline}"), format!("Largest {headline}")];
        let head = [
            "Column",
            "Segment",
            "Window",
            "Windows",
            &titles[0],
            &titles[1],
            "At",
            "Above the no-drift limit",
            "Episodes",
        ];
        let mut rows = Vec::new();
        for (place, segment) in shown.iter().enumerate() {
            for line in &segment.lines {
                rows.push(line.summary(format!("#{}", anchor(place)), self.has_limit()));
            }
        }
        let mut html = Html::default();
        html.table("What was measured", &head, &rows);
        html
    }

    /// Whether the limit is one of the measure that comes first.
    fn has_limit(&self) -> bool {
        self.headline() == "psi"
    }

    fn section(&self, segment: &Segment<'_>) -> Result<Html, String> {
        let mut html = Html::default();
        html.put("h2", name_of(segment.column));
        let mut of = Html::default();
        match (segment.name, &self.by) {
            (None, _) => of.say("All rows"),
            (Some(name), by) => {
                of.say(format!("{} = ", by.as_deref().unwrap_or("segment")));
                of.add(name_of(name));
            }
        }
        html.put("h3", of);
        for line in &segment.lines {
            html.add(self.figure(line, 0)?);
        }
        html.add(episodes(segment, self.headline()));
        if segment.name.is_none() && self.measures.len() > 1 {
            let mut more = Html::markup("<summary>Other measures</summary>\n");
            for measure in 1..self.measures.len() {
                for line in &segment.lines {
                    more.add(self.figure(line, measure)?);
                }
            }
            html.put("details", more);
        }
        Ok(html)
    }

    /// A measure of a line over time.
    fn figure(&self, line: &Line, measure: usize) -> Result<Html, String> {
        let name = self.measures.get(measure).copied().unwrap_or_default();
        let limited = name == "psi";
        let value = |window: &Window| window.values.get(measure).copied().flatten();
        let value = |window: &Window| value(window).filter(|value| value.is_finite());
        let mut html = Html::default();
        if !line.windows.iter().any(|window| value(window).is_some()) {
            return Ok(html);
        }
        let limit = |window: &Window| {
            window
                .no_drift_95
                .filter(|limit| limited && limit.is_finite())
        };
        let above: Vec<(i64, f64)> = line
            .windows
            .iter()
            .filter_map(|window| Some((window.end.0, value(window)?, limit(window)?)))
            .filter(|(_, value, limit)| value >= limit)
            .map(|(at, value, _)| (at, value))
            .collect();
        let last = line.windows.last().map_or(0, |window| window.end.0);
        let drawn = Curve {
            stretches: stretches(line, self.every, value),
            limits: stretches(line, self.every, limit),
            episodes: line
                .episodes
                .iter()
                .map(|it| (it.opened_at.0, it.closed_at.map_or(last, |at| at.0)))
                .collect(),
            above: largest(above, MOST_POINTS),
        };
        let mut caption = Html::default();
        caption.element(
            "span",
            &[("class", "key line")],
            Html::text(format!("{name} of windows of {}", line.window)),
        );
        if drawn.limits.iter().any(|limits| !limits.is_empty()) {
            caption.add(Html::markup(
                "<span class=\"key limit\">no-drift limit</span>",
            ));
        }
        if !drawn.above.is_empty() {
            caption.add(Html::markup(
                "<span class=\"key above\">window above it</span>",
            ));
        }
        if !drawn.episodes.is_empty() {
            caption.add(Html::markup(
                "<span class=\"key episode\">episode of the alert</span>",
            ));
        }
        if line.windows.len() > MOST_POINTS {
            caption.say(format!(
                "{} windows; of neighbours the largest is drawn",
                grouped(line.windows.len() as u64)
            ));
        }
        let mut figure = Html::default();
        figure.put("figcaption", caption);
        figure.add(curve(
            &told(line, name, &value, drawn.episodes.len()),
            &drawn,
        )?);
        html.put("figure", figure);
        Ok(html)
    }
}

/// The segments of each column by themselves.
fn parted(all: Vec<Segment<'_>>) -> Vec<Vec<Segment<'_>>> {
    let mut parted: Vec<Vec<Segment<'_>>> = Vec::new();
    for segment in all {
        match parted.last_mut() {
            Some(last) if last.first().is_some_and(|it| it.column == segment.column) => {
                last.push(segment);
            }
            _ => parted.push(vec![segment]),
        }
    }
    parted
}

impl Segment<'_> {
    fn largest(&self) -> Option<f64> {
        let largest = self.lines.iter().filter_map(|line| line.largest());
        largest.map(|(_, value)| value).max_by(f64::total_cmp)
    }
}

impl Line {
    /// The first measure, where it is largest.
    fn largest(&self) -> Option<(&Window, f64)> {
        let known = self.windows.iter();
        let known = known.filter_map(|window| Some((window, window.values.first().copied()??)));
        known.max_by(|a, b| a.1.total_cmp(&b.1))
    }

    fn summary(&self, to: String, limited: bool) -> Vec<Cell> {
        let first = |window: &Window| window.values.first().copied().flatten();
        let largest = self.largest();
        let at = largest.map_or("–".to_owned(), |(window, _)| window.end.to_string());
        let known = self.windows.iter();
        let known = known.filter_map(|window| Some(first(window)? >= window.no_drift_95?));
        let above: Vec<bool> = known.collect();
        let above = match above.iter().filter(|above| **above).count() {
            _ if above.is_empty() || !limited => Cell::Number("–".to_owned()),
            above => Cell::Number(grouped(above as u64)),
        };
        vec![
            Cell::Link {
                to,
                name: self.column.clone(),
            },
            Cell::Name(self.segment.clone().unwrap_or("all rows".to_owned())),
            Cell::Words(self.window.clone()),
            Cell::Number(grouped(self.windows.len() as u64)),
            Cell::Number(figure(self.windows.last().and_then(first))),
            Cell::Number(figure(largest.map(|(_, value)| value))),
            Cell::Moment(at),
            above,
            self.said_of_episodes(),
        ]
    }

    fn said_of_episodes(&self) -> Cell {
        let all = grouped(self.episodes.len() as u64);
        match self
            .episodes
            .iter()
            .any(|episode| episode.closed_at.is_none())
        {
            true => Cell::Strong(format!("{all}, open at the end")),
            false => Cell::Number(all),
        }
    }
}

/// What a chart shows, in words.
fn told(
    line: &Line,
    name: &str,
    value: &impl Fn(&Window) -> Option<f64>,
    episodes: usize,
) -> String {
    let known = || line.windows.iter().filter_map(|it| Some((it, value(it)?)));
    let largest = known().max_by(|a, b| a.1.total_cmp(&b.1));
    let at = |found: Option<(&Window, f64)>| {
        found.map_or(String::new(), |(window, value)| {
            format!("{} at {}", figure(Some(value)), window.end)
        })
    };
    format!(
        "Line of {name} of {} over {}: largest {}, last {}. {} of the alert.",
        line.column,
        count(known().count(), "window"),
        at(largest),
        at(known().last()),
        count(episodes, "episode")
    )
}

fn episodes(segment: &Segment<'_>, headline: &str) -> Html {
    let mut rows = Vec::new();
    let mut all = 0;
    for line in &segment.lines {
        for episode in &line.episodes {
            all += 1;
            let opening = line.windows.iter().find(|it| it.end == episode.opened_at);
            let moved = opening.map_or(String::new(), |window| window.moved.join(", "));
            let value = opening.and_then(|window| window.values.first().copied().flatten());
            rows.push(vec![
                Cell::Moment(episode.opened_at.to_string()),
                match episode.closed_at {
                    Some(at) => Cell::Moment(at.to_string()),
                    None => Cell::Strong("still open".to_owned()),
                },
                Cell::Words(line.window.clone()),
                Cell::Number(figure(value)),
                Cell::Name(moved),
            ]);
        }
    }
    let mut html = Html::default();
    if rows.is_empty() {
        return html;
    }
    rows.truncate(MOST_EPISODES);
    let caption = match all > MOST_EPISODES {
        true => format!(
            "The first {MOST_EPISODES} of {} episodes",
            grouped(all as u64)
        ),
        false => "Episodes of the alert".to_owned(),
    };
    let at_opening = format!("{headline} then");
    let head = [
        "Opened",
        "Closed",
        "Window",
        &at_opening,
        "What had moved most",
    ];
    html.table(&caption, &head, &rows);
    html
}
