//! However a text is cut into reads, its rows, rejects and positions are the same.

use std::io::{self, Read};
use std::sync::atomic::Ordering;

use rand::prelude::*;

use super::super::{ColumnType, CsvOptions, DeclaredColumn, SourceBatch};
use super::*;

/// A text handed out in pieces of random size.
struct Pieces {
    text: Vec<u8>,
    at: usize,
    random: StdRng,
    most: usize,
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self
            .random
            .random_range(1..=self.most)
            .min(into.len())
            .min(self.text.len() - self.at);
        into[..bytes].copy_from_slice(&self.text[self.at..self.at + bytes]);
        self.at += bytes;
        Ok(bytes)
    }
}

/// Rows with their numbers, rejects, and where each batch of one row begins.
fn heard(declared: &Arc<Declared>, text: &[u8], most: usize, seed: u64) -> Vec<String> {
    let pieces = Pieces {
        text: text.to_vec(),
        at: 0,
        random: StdRng::seed_from_u64(seed),
        most,
    };
    let mut file = OpenFile::over(declared, Arc::from("-"), Input::Decoded(Box::new(pieces)));
    let mut rows = Rows::new(declared);
    let mut said = Vec::new();
    let say = |batch: SourceBatch, said: &mut Vec<String>| {
        assert_eq!(
            batch.rows_in,
            (batch.batch.num_rows() + batch.rejects.len()) as u64
        );
        for row in 0..batch.batch.num_rows() {
            let values = batch.batch.slice(row, 1);
            said.push(format!(
                "{:?} {:?}",
                batch.row_numbers.get(row),
                values.columns()
            ));
        }
        said.extend(batch.rejects.iter().map(|reject| format!("{reject:?}")));
        said.push(format!("{:?}", batch.position));
    };
    loop {
        let filled = file.fill(&mut rows).unwrap();
        if let Some(batch) = rows.finish(&file.name).unwrap() {
            say(batch, &mut said);
        }
        if filled == Filled::End {
            return said;
        }
    }
}

fn noise(random: &mut StdRng, alphabet: &[&str]) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..random.random_range(0..60) {
        text.extend(alphabet[random.random_range(0..alphabet.len())].as_bytes());
        if random.random_range(0..40) == 0 {
            text.push(random.random());
        }
    }
    text
}

fn check(format: Format, start: &str, alphabet: &[&str]) {
    let columns = vec![
        DeclaredColumn::new("id", ColumnType::U8),
        DeclaredColumn::new("kind", ColumnType::Text).nullable(),
    ];
    let seed: u64 = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    for case in 0..4_000 {
        let mut declared = Declared::new(vec!["-".into()], format, columns.clone());
        declared.batch_rows = random.random_range(1..4);
        declared.max_record_bytes = 40;
        let declared = Arc::new(declared);
        let text = [start.as_bytes(), &noise(&mut random, alphabet)].concat();
        let whole = heard(&declared, &text, usize::MAX, 0);
        for most in [1, 2, 7, 50] {
            let cut = heard(&declared, &text, most, random.random());
            assert_eq!(
                cut,
                whole,
                "seed {seed}, case {case}, {:?}",
                String::from_utf8_lossy(&text)
            );
        }
    }
}

#[test]
fn json_lines_are_the_same_however_they_are_cut() {
    let alphabet = [
        "{\"id\":7}\n",
        "{\"id\":300,\"kind\":\"é\"}\r\n",
        "{\"id\":1,\"kind\":\"a\\",
        "n\"}\n",
        "{",
        "}",
        "\n",
        "\"",
        "  ",
        "xxxxxxxxxxxxxxxxxxxxxxxxx",
        "                         ",
    ];
    check(Format::JsonLines, "", &alphabet);
    check(Format::JsonLines, "\u{feff}", &alphabet);
}

#[test]
fn delimited_text_is_the_same_however_it_is_cut() {
    let alphabet = [
        "1,a\n",
        "300,é\r\n",
        "2,\"b\n",
        "c\"\n",
        "\"",
        ",",
        "\n",
        "\r",
        "\r\n",
        "\"\"",
        "9",
        "xxxxxxxxxxxxxxxxxxxxxxxxx",
    ];
    check(
        Format::Csv(CsvOptions::default()),
        "\u{feff}id,kind\n",
        &alphabet,
    );
    check(Format::Csv(CsvOptions::default()), "id,kind\r\n", &alphabet);
}

/// Uses nothing before the end, and counts how often it must begin anew.
struct Patient(Arc<AtomicU64>);

impl Records for Patient {
    fn read(
        &mut self,
        text: &[u8],
        last: bool,
        _: &Arc<str>,
        _: &mut Place,
        _: &mut Rows,
    ) -> Result<usize, SourceError> {
        Ok(if last { text.len() } else { 0 })
    }

    fn overlong(&self, _: &Arc<str>) -> Result<Fault, SourceError> {
        panic!("the line is allowed");
    }

    fn skip_line(&mut self, _: &[u8], _: &mut Place) -> (usize, bool) {
        panic!("no line is left out");
    }

    fn restart(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_long_first_line_is_begun_once() {
    let text = vec![b'x'; 8 * READ_BYTES];
    let columns = vec![DeclaredColumn::new("id", ColumnType::U8)];
    let declared = Declared::new(vec!["-".into()], Format::JsonLines, columns);
    let declared = Arc::new(declared);
    let input = Input::Decoded(Box::new(std::io::Cursor::new(text)));
    let mut file = OpenFile::over(&declared, "-".into(), input);
    let begun = Arc::new(AtomicU64::new(0));
    file.records = Box::new(Patient(Arc::clone(&begun)));
    let mut rows = Rows::new(&declared);
    assert_eq!(file.fill(&mut rows).unwrap(), Filled::End);
    assert_eq!(begun.load(Ordering::Relaxed), 1);
}

#[test]
fn a_file_without_rows_says_what_is_in_it() {
    let said = |format: Format, text: &'static str| {
        let columns = vec![DeclaredColumn::new("id", ColumnType::U8)];
        let declared = Arc::new(Declared::new(vec!["-".into()], format, columns));
        let input = Input::Decoded(Box::new(std::io::Cursor::new(text)));
        let mut file = OpenFile::over(&declared, "-".into(), input);
        let mut rows = Rows::new(&declared);
        assert_eq!(file.fill(&mut rows).unwrap(), Filled::End);
        file.instead_of_rows()
    };
    let csv = Format::Csv(CsvOptions::default());
    assert_eq!(said(csv, ""), Some("it is empty"));
    assert_eq!(said(csv, "id"), Some("no line follows its header"));
    assert_eq!(said(csv, "id\n"), Some("no line follows its header"));
    assert_eq!(said(csv, "id\n1"), None);
    assert_eq!(said(csv, "id\nx\n"), None);
    assert_eq!(said(Format::JsonLines, ""), Some("it is empty"));
    assert_eq!(said(Format::JsonLines, "\n\n"), Some("its lines are blank"));
    assert_eq!(said(Format::JsonLines, "{\"id\":1}"), None);
}
