//! Records of text: the rows of a case on their way into a CSV file.

use csv_core::{ReadFieldResult, Reader};

/// A header and records of as many fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TextTable {
    pub(super) header: Vec<String>,
    pub(super) records: Vec<Vec<String>>,
}

impl TextTable {
    /// Reads CSV with a header.
    ///
    /// # Errors
    /// A record that does not have as many fields as the header, in plain words.
    pub(super) fn parse(text: &str) -> Result<TextTable, String> {
        let mut all = parse(text).into_iter();
        let header: Vec<String> = all.next().unwrap_or_default();
        let header: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
        let records: Vec<Vec<String>> = all.collect();
        let wrong = records
            .iter()
            .enumerate()
            .find(|(_, record)| record.len() != header.len());
        if let Some((index, record)) = wrong {
            return Err(format!(
                "row {} has {} fields, but the header names {}: {}",
                index + 1,
                record.len(),
                header.len(),
                record.join(",")
            ));
        }
        Ok(TextTable { header, records })
    }

    /// Where a column is.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column == name)
    }

    /// Takes a column out.
    pub(super) fn remove(&mut self, column: usize) {
        self.header.remove(column);
        for record in &mut self.records {
            record.remove(column);
        }
    }

    /// Adds an empty column at the end.
    pub(super) fn add_empty(&mut self, name: &str) {
        self.header.push(name.to_owned());
        for record in &mut self.records {
            record.push(String::new());
        }
    }

    /// The table as CSV, and the line on which each record begins, counted from 1.
    pub(super) fn csv(&self) -> (String, Vec<u64>) {
        let mut text = String::new();
        let mut lines = Vec::with_capacity(self.records.len());
        let mut line = 1;
        for (index, record) in std::iter::once(&self.header)
            .chain(&self.records)
            .enumerate()
        {
            if index > 0 {
                lines.push(line);
            }
            let start = text.len();
            let fields: Vec<String> = record.iter().map(|field| quoted(field)).collect();
            text.push_str(&fields.join(","));
            // A line without anything would be no record.
            if text.len() == start {
                text.push_str("\"\"");
            }
            text.push('\n');
            line += text[start..].matches('\n').count() as u64;
        }
        (text, lines)
    }
}

fn quoted(field: &str) -> String {
    match field.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}

fn parse(text: &str) -> Vec<Vec<String>> {
    let mut reader = Reader::new();
    let mut input = text.as_bytes();
    // No field is longer than the text.
    let mut room = vec![0; text.len() + 1];
    let (mut records, mut record, mut length) = (Vec::new(), Vec::new(), 0);
    loop {
        let (result, read, written) = reader.read_field(input, &mut room[length..]);
        input = &input[read..];
        length += written;
        match result {
            ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => {}
            ReadFieldResult::Field { record_end } => {
                record.push(String::from_utf8_lossy(&room[..length]).into_owned());
                length = 0;
                if record_end {
                    records.push(std::mem::take(&mut record));
                }
            }
            ReadFieldResult::End => return records,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were() {
        let table = TextTable {
            header: vec!["a".to_owned(), "b".to_owned()],
            records: vec![
                vec!["1".to_owned(), "x, \"y\"\nz".to_owned()],
                vec![String::new(), "2".to_owned()],
            ],
        };
        let (text, lines) = table.csv();
        assert_eq!(text, "a,b\n1,\"x, \"\"y\"\"\nz\"\n,2\n");
        assert_eq!(lines, [2, 4]);
        assert_eq!(TextTable::parse(&text), Ok(table));
    }

    #[test]
    fn blank_lines_are_no_records_and_short_ones_are_told() {
        let table = TextTable::parse("a,b\n\n1,2\n").unwrap();
        assert_eq!(table.records.len(), 1);
        let error = TextTable::parse("a,b\n1,2\n3\n").unwrap_err();
        assert_eq!(error, "row 2 has 1 fields, but the header names 2: 3");
        assert_eq!(TextTable::parse(""), Ok(TextTable::default()));
    }

    #[test]
    fn a_record_of_one_empty_field_is_still_a_record() {
        let mut table = TextTable::parse("a\n1\n").unwrap();
        table.records[0][0].clear();
        assert_eq!(TextTable::parse(&table.csv().0), Ok(table));
    }
}
