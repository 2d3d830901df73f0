//! Text in columns.

use std::ops::Range;

/// The lines with each column as wide as its widest word, those in `right` flush right.
pub fn align<const N: usize>(lines: &[[String; N]], right: Range<usize>) -> String {
    let width = |at: usize| {
        lines
            .iter()
            .map(|line| line[at].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for line in lines {
        let padded = line
            .iter()
            .zip(widths)
            .enumerate()
            .map(|(at, (word, width))| {
                if right.contains(&at) {
                    format!("{word:>width$}")
                } else {
                    format!("{word:<width$}")
                }
            });
        text += padded.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

/// A rate in words: `812k`, `1.31M`.
pub fn rate(rate: f64) -> String {
    if rate >= 1e6 {
        format!("{:.2}M", rate / 1e6)
    } else {
        format!("{:.0}k", rate / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let lines = [["a", "rate"], ["long", "1"]].map(|line| line.map(str::to_owned));
        assert_eq!(align(&lines, 1..2), "a     rate\nlong     1\n");
    }

    #[test]
    fn rates_are_short() {
        assert_eq!([rate(812_345.0), rate(1_310_000.0)], ["812k", "1.31M"]);
    }
}
