//! The points of a chart over time: parted where a window is missing, and not more than can be seen.

use tidegate_schemas::time::Span;

use super::watched::{Line, Window};

/// A line has at most so many points on the page; of more, the largest of neighbours are shown.
pub(super) const MOST_POINTS: usize = 600;

/// What is known of the windows, parted where one is missing, and not more of it than can be seen.
pub(super) fn stretches(
    line: &Line,
    every: Span,
    value: impl Fn(&Window) -> Option<f64>,
) -> Vec<Vec<(i64, f64)>> {
    let mut stretches: Vec<Vec<(i64, f64)>> = Vec::new();
    for window in &line.windows {
        let (at, Some(value)) = (window.end.0, value(window)) else {
            continue;
        };
        match stretches.last_mut() {
            Some(points) if points.last().is_some_and(|last| at - last.0 <= every.0) => {
                points.push((at, value));
            }
            _ => stretches.push(vec![(at, value)]),
        }
    }
    let all: usize = stretches.iter().map(Vec::len).sum();
    if all <= MOST_POINTS {
        return stretches;
    }
    let each = |points: Vec<(i64, f64)>| {
        let most = (points.len() * MOST_POINTS / all).max(2);
        largest(points, most)
    };
    let mut fewer: Vec<_> = stretches.into_iter().map(each).collect();
    if fewer.len() > MOST_POINTS {
        // Hardly any neighbours: dots, of which the largest are shown.
        let dots = fewer.into_iter().flatten().collect();
        fewer = largest(dots, MOST_POINTS)
            .into_iter()
            .map(|dot| vec![dot])
            .collect();
    }
    fewer
}

/// At most so many points: of neighbours the one with the largest value.
pub(super) fn largest(points: Vec<(i64, f64)>, most: usize) -> Vec<(i64, f64)> {
    if points.len() <= most {
        return points;
    }
    let neighbours = points.chunks(points.len().div_ceil(most));
    let most = neighbours.filter_map(|few| few.iter().max_by(|a, b| a.1.total_cmp(&b.1)));
    most.copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_schemas::time::EventTime;

    #[test]
    fn of_too_many_points_the_largest_of_neighbours_stay() {
        let points: Vec<(i64, f64)> = (0..1000)
            .map(|at| (at, f64::from(at as i32 % 10)))
            .collect();
        let fewer = largest(points.clone(), 100);
        assert_eq!(fewer.len(), 100);
        assert!(fewer.iter().all(|(_, value)| *value == 9.0));
        assert_eq!(largest(points.clone(), 1000), points);
    }

    #[test]
    fn a_line_is_parted_where_a_window_is_missing() {
        let window = |end: i64| Window {
            start: EventTime(end - 10),
            end: EventTime(end),
            values: vec![Some(1.0)],
            no_drift_95: None,
            rows: 1,
            reference_rows: 1,
            moved: vec![],
        };
        let line = Line {
            column: "topic".to_owned(),
            segment: None,
            window: "10us".to_owned(),
            length: Span(10),
            windows: [10, 20, 40].map(window).to_vec(),
            episodes: vec![],
        };
        let found = stretches(&line, Span(10), |window| window.values[0]);
        assert_eq!(found, [vec![(10, 1.0), (20, 1.0)], vec![(40, 1.0)]]);
    }
}
