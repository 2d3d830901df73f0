//! Figures as a page shows them.

/// A measure: four decimals, and more where these say nothing.
pub(super) fn figure(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if !value.is_finite() => value.to_string(),
        Some(value) if value != 0.0 && value.abs() < 0.00005 => format!("{value:.1e}"),
        Some(value) => format!("{value:.4}"),
    }
}

/// A share in percent.
pub(super) fn percent(rows: u64, of: u64) -> String {
    match of {
        0 => "–".to_owned(),
        of => format!("{:.2}%", 100.0 * rows as f64 / of as f64),
    }
}

/// A whole number with a comma between thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let parts: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|part| std::str::from_utf8(part).ok())
        .collect();
    parts.join(",")
}

/// A number of things: `1 column`, `2 columns`.
pub(super) fn count(number: usize, thing: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{} {thing}{end}", grouped(number as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_figures() {
        assert_eq!(figure(Some(0.123456)), "0.1235");
        assert_eq!(figure(Some(0.0000123)), "1.2e-5");
        assert_eq!(figure(Some(0.0)), "0.0000");
        assert_eq!(figure(Some(f64::INFINITY)), "inf");
        assert_eq!(figure(None), "–");
        assert_eq!(grouped(1234567), "1,234,567");
        assert_eq!(grouped(12), "12");
        assert_eq!(percent(1, 3), "33.33%");
        assert_eq!(count(1, "column"), "1 column");
        assert_eq!(count(1200, "row"), "1,200 rows");
    }
}
