//! The charts: drawn as SVG, in colours that the page's style decides.

use plotters::coord::Shift;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::{
    Circle, Color, DrawingArea, IntoDrawingArea, IntoFont, PathElement, RGBColor, Rectangle,
    SVGBackend, TextStyle,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::html::{Html, cut, escaped};
use super::time_axis;

/// Twice as fine as it is mostly shown, since drawing is in whole dots.
const WIDTH: u32 = 1640;
/// A row of the bars: two bars, and what is between it and the next.
const ROW: i32 = 78;
const BAR: i32 = 29;
/// Where bars begin, and what is left beyond the longest for its figure.
const NAMES: i32 = 440;
const FIGURE: i32 = 130;
const LONGEST_NAME: usize = 26;
const AXIS: i32 = 56;
const LINE_HEIGHT: u32 = 460;
/// Where curves begin, beside their values and at the top.
const VALUES: i32 = 120;
const TOP: i32 = 20;
/// Curves of fewer points show each.
const FEW_POINTS: usize = 120;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// What a colour is for. It is drawn in a placeholder that becomes a variable of the style.
#[derive(Clone, Copy)]
enum Ink {
    Text,
    Faint,
    Rule,
    Reference,
    Current,
    Limit,
    Episode,
}

const INKS: [(Ink, &str); 7] = [
    (Ink::Text, "var(--text)"),
    (Ink::Faint, "var(--faint)"),
    (Ink::Rule, "var(--rule)"),
    (Ink::Reference, "var(--reference)"),
    (Ink::Current, "var(--current)"),
    (Ink::Limit, "var(--limit)"),
    (Ink::Episode, "var(--episode)"),
];

impl Ink {
    fn colour(self) -> RGBColor {
        RGBColor(self as u8, 77, 254)
    }

    fn placeholder(self) -> String {
        format!("#{:02X}4DFE", self as u8)
    }
}

/// The shares of a bin on both sides.
pub(super) struct Bar<'a> {
    /// What the bin holds.
    pub(super) name: &'a str,
    /// The reference's share.
    pub(super) reference: f64,
    /// The current one.
    pub(super) current: f64,
}

/// A measure over time; times are microseconds since 1970.
#[derive(Default)]
pub(super) struct Curve {
    /// What is known of each window, at its end, in order. `None`: nothing, and the line is broken there.
    pub(super) stretches: Vec<Vec<(i64, f64)>>,
    /// What the measure stays below without drift.
    pub(super) limits: Vec<Vec<(i64, f64)>>,
    /// When an alert was open.
    pub(super) episodes: Vec<(i64, i64)>,
    /// Of the windows above the limit.
    pub(super) above: Vec<(i64, f64)>,
}

/// Draws the shares of both sides, bin by bin. `told` says in words what can be seen.
pub(super) fn bars(told: &str, bars: &[Bar<'_>]) -> Result<Html, String> {
    let greatest = bars.iter().flat_map(|bar| [bar.reference, bar.current]);
    let (end, step) = axis_end(greatest.fold(0.0, f64::max), 6.0);
    let bottom = bars.len() as i32 * ROW;
    let x = |share: f64| {
        NAMES + (share / end * f64::from(WIDTH as i32 - NAMES - FIGURE)).round() as i32
    };
    let names = bars.iter().map(|bar| bar.name).collect::<Vec<_>>();
    drawing(told, (bottom + AXIS) as u32, &names, |area| {
        for tick in ticks(end, step) {
            let across = vec![(x(tick), 0), (x(tick), bottom)];
            area.draw(&PathElement::new(
                across,
                Ink::Rule.colour().stroke_width(2),
            ))?;
            let (at, place) = ((x(tick), bottom + 14), (HPos::Center, VPos::Top));
            written(area, &percent(tick), Ink::Faint, place, at)?;
        }
        for (row, bar) in (0..).zip(bars) {
            let top = row * ROW + (ROW - 2 * BAR) / 2;
            let at = (NAMES - 18, top + BAR);
            let place = (HPos::Right, VPos::Center);
            written(area, &format!("{{{row}}}"), Ink::Text, place, at)?;
            let both = [(bar.reference, Ink::Reference), (bar.current, Ink::Current)];
            for (place, (share, ink)) in (0..).zip(both) {
                let (above, below) = (top + place * BAR, top + (place + 1) * BAR - 2);
                // Even a single row is to be seen.
                let end = if share > 0.0 {
                    x(share).max(NAMES + 3)
                } else {
                    NAMES
                };
                let bar = [(NAMES, above), (end, below)];
                area.draw(&Rectangle::new(bar, ink.colour().filled()))?;
                let (at, place) = ((end + 10, (above + below) / 2), (HPos::Left, VPos::Center));
                written(area, &figure_of(share), Ink::Faint, place, at)?;
            }
        }
        Ok(())
    })
}

/// Draws a measure over time, with what it stays below without drift, and the alerts.
pub(super) fn curve(told: &str, curve: &Curve) -> Result<Html, String> {
    let points = || curve.stretches.iter().chain(&curve.limits).flatten();
    let times = points().map(|(at, _)| *at);
    let from = times.clone().min().unwrap_or(0);
    let until = times.max().unwrap_or(0).max(from.saturating_add(1));
    // What the first and the last point need to be seen whole.
    let room = (until - from) / 100;
    let (from, until) = (from - room, until + room);
    let greatest = points().map(|(_, value)| *value).fold(0.0, f64::max);
    let (top, step) = axis_end(greatest, 4.0);
    let (bottom, right) = (LINE_HEIGHT as i32 - AXIS, WIDTH as i32 - 24);
    let (width, height) = (f64::from(right - VALUES), f64::from(bottom - TOP));
    let x = |at: i64| {
        let at = at.clamp(from, until);
        VALUES + ((at - from) as f64 / (until - from) as f64 * width).round() as i32
    };
    let y = |value: f64| bottom - (value / top * height).round() as i32;
    let dots = |points: &[(i64, f64)]| -> Vec<(i32, i32)> {
        points
            .iter()
            .map(|(at, value)| (x(*at), y(*value)))
            .collect()
    };
    drawing(told, LINE_HEIGHT, &[], |area| {
        for (opened, closed) in &curve.episodes {
            let stretch = [(x(*opened), TOP), (x(*closed), bottom)];
            let ink = Ink::Episode.colour().mix(0.3).filled();
            area.draw(&Rectangle::new(stretch, ink))?;
        }
        for tick in ticks(top, step) {
            let across = vec![(VALUES, y(tick)), (right, y(tick))];
            area.draw(&PathElement::new(
                across,
                Ink::Rule.colour().stroke_width(2),
            ))?;
            let at = (VALUES - 14, y(tick));
            let text = decimals(tick, step);
            written(area, &text, Ink::Faint, (HPos::Right, VPos::Center), at)?;
        }
        let (times, format) = time_axis::ticks(from, until);
        for at in times {
            let mark = vec![(x(at), bottom), (x(at), bottom + 10)];
            area.draw(&PathElement::new(mark, Ink::Rule.colour().stroke_width(2)))?;
            let text = time_axis::label(at, format);
            let place = (HPos::Center, VPos::Top);
            written(area, &text, Ink::Faint, place, (x(at), bottom + 16))?;
        }
        for points in &curve.limits {
            let ink = Ink::Limit.colour().stroke_width(3);
            area.draw(&PathElement::new(dots(points), ink))?;
        }
        let all = curve.stretches.iter().map(Vec::len).sum::<usize>();
        let dot = |at, size| Circle::new(at, size, Ink::Current.colour().filled());
        for points in &curve.stretches {
            let ink = Ink::Current.colour().stroke_width(4);
            area.draw(&PathElement::new(dots(points), ink))?;
            if all <= FEW_POINTS || points.len() == 1 {
                dots(points)
                    .into_iter()
                    .try_for_each(|at| area.draw(&dot(at, 5)))?;
            }
        }
        dots(&curve.above)
            .into_iter()
            .try_for_each(|at| area.draw(&dot(at, 8)))
    })
}

/// Draws, and puts names in the place of `{0}`, `{1}` and so on.
fn drawing(
    told: &str,
    height: u32,
    names: &[&str],
    draw: impl Fn(&Area<'_>) -> Drawn,
) -> Result<Html, String> {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
    let drawn = draw(&area).and_then(|()| area.present());
    drawn.map_err(|error| format!("a chart cannot be drawn: {error}"))?;
    drop(area);
    let limit = format!("stroke=\"{}\"", Ink::Limit.placeholder());
    let mut svg = svg.replace(&limit, "stroke=\"var(--limit)\" stroke-dasharray=\"12 9\"");
    for (ink, variable) in INKS {
        svg = svg.replace(&ink.placeholder(), variable);
    }
    for (place, name) in names.iter().enumerate() {
        let whole = escaped(name);
        let shown = match cut(name, LONGEST_NAME) {
            Some(short) => format!("<title>{whole}</title>{}", escaped(&short)),
            None => whole,
        };
        svg = svg.replacen(&format!("\n{{{place}}}\n"), &shown, 1);
    }
    let inside = svg.split_once('>').map_or("", |(_, inside)| inside);
    let told = escaped(told);
    Ok(Html::drawing(format!(
        "<svg class=\"chart\" role=\"img\" aria-label=\"{told}\" viewBox=\"0 0 {WIDTH} {height}\">{inside}"
    )))
}

/// Writes a text at a place, which `anchor` says where it is of the text.
fn written(area: &Area<'_>, text: &str, ink: Ink, (h, v): (HPos, VPos), at: (i32, i32)) -> Drawn {
    let style = TextStyle::from(("sans-serif", 31).into_font());
    let colour = ink.colour();
    let style = style.color(&colour).pos(Pos::new(h, v));
    area.draw_text(text, &style, at)
}

/// A round end of an axis that `greatest` fits on, and a round step of about so many.
fn axis_end(greatest: f64, steps: f64) -> (f64, f64) {
    if !(greatest > 0.0 && greatest.is_finite()) {
        return (1.0, 0.5);
    }
    let rough = greatest / steps;
    let power = 10f64.powf(rough.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0].into_iter();
    let step = factors
        .map(|factor| factor * power)
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(rough);
    ((greatest / step * 1.02).ceil() * step, step)
}

fn ticks(end: f64, step: f64) -> impl Iterator<Item = f64> {
    let count = (end / step + 0.01).floor() as u32;
    (0..=count).map(move |tick| f64::from(tick) * step)
}

/// A value with as many decimals as its step has.
fn decimals(value: f64, step: f64) -> String {
    let places = (-step.log10()).ceil().clamp(0.0, 12.0) as usize;
    format!("{value:.places$}")
}

fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    match (percent - percent.round()).abs() < 1e-9 {
        true => format!("{percent:.0}%"),
        false => format!("{}%", (percent * 1e6).round() / 1e6),
    }
}

fn figure_of(share: f64) -> String {
    match 100.0 * share {
        0.0 => "0%".to_owned(),
        percent if percent < 0.05 => "<0.1%".to_owned(),
        percent => format!("{percent:.1}%"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_places_that_hold_everything() {
        for greatest in [1e-9, 0.0007, 0.1, 0.25, 0.3999, 1.0, 7.3, 1234.0] {
            let (end, step) = axis_end(greatest, 5.0);
            assert!(
                end >= greatest && end <= greatest * 1.6 + step,
                "{greatest}: {end}"
            );
            let last = ticks(end, step).last().expect("a tick");
            assert!(
                (last - end).abs() < step / 100.0,
                "{greatest}: {last} of {end}"
            );
        }
        assert_eq!(axis_end(0.0, 5.0), (1.0, 0.5));
        assert_eq!(axis_end(f64::INFINITY, 5.0), (1.0, 0.5));
    }

    #[test]
    fn names_are_escaped_and_long_ones_have_the_whole_as_title() {
        let long = format!("<b>{}", "x".repeat(60));
        let bar = |name| Bar {
            name,
            reference: 0.25,
            current: 0.0,
        };
        let svg = bars("a & b", &[bar("{1}"), bar(&long)]).expect("a chart");
        let svg = svg.page("");
        assert!(svg.contains("aria-label=\"a &amp; b\""), "{svg}");
        assert!(
            svg.contains(&format!("<title>&lt;b&gt;{}</title>", "x".repeat(60))),
            "{svg}"
        );
        assert!(svg.contains(">{1}</text>"), "{svg}");
        assert!(!svg.contains("4DFE") && !svg.contains("<b>"), "{svg}");
    }
}
