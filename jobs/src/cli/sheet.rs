//! Text in columns, for people.

/// Lines of cells; each column as wide as its widest cell, the last one as it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Sheet {
    lines: Vec<Vec<String>>,
}

impl Sheet {
    /// Adds a line.
    pub(super) fn line<const N: usize>(&mut self, cells: [String; N]) {
        self.lines.push(cells.into());
    }

    /// The text, each line behind `indent` blanks.
    pub(super) fn text(&self, indent: usize) -> String {
        let columns = self.lines.iter().map(Vec::len).max().unwrap_or(0);
        let mut widths = vec![0; columns];
        for line in &self.lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = cell.chars().count().max(*width);
            }
        }
        let mut text = String::new();
        for line in &self.lines {
            let mut row = " ".repeat(indent);
            for (cell, width) in line.iter().zip(&widths) {
                let blanks = width.saturating_sub(cell.chars().count());
                row.push_str(cell);
                row.push_str(&" ".repeat(blanks + 2));
            }
            text.push_str(row.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let mut sheet = Sheet::default();
        sheet.line(["a", "i64", "first"].map(str::to_owned));
        sheet.line(["größer", "", "second"].map(str::to_owned));
        sheet.line(["b", "text", ""].map(str::to_owned));
        assert_eq!(
            sheet.text(2),
            "  a       i64   first\n  größer        second\n  b       text\n"
        );
    }
}
