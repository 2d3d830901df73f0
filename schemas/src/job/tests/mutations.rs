//! Whatever is in a job file, reading it ends in a job or in problems: it never panics.

use super::*;

/// A small generator of random numbers (xorshift64*), so that a failure can be repeated from its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap()
    }
}

/// Pieces that mean something to a job file.
const PIECES: [&[u8]; 30] = [
    b"[",
    b"]",
    b"{",
    b"}",
    b"\"",
    b"'",
    b"\"\"\"",
    b"=",
    b",",
    b".",
    b"#",
    b"\n",
    b"${",
    b"${A}",
    b"${B:-x}",
    b"}",
    b" as ",
    b"lifetime",
    b"0",
    b"-1",
    b"1e999",
    b"nan",
    b"99999999999999999999",
    b"2026-01-01",
    b"\xff",
    b"\xe2\x82\xac",
    b"\0",
    b"7d",
    b"true",
    b"[[test]]\n",
];

/// Changes a file in one random place.
fn mutate(text: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(text.len() + 1);
    match random.below(6) {
        0 => {
            let to = (at + random.below(30)).min(text.len());
            text.drain(at..to);
        }
        1 => {
            let piece = PIECES[random.below(PIECES.len())];
            text.splice(at..at, piece.iter().copied());
        }
        2 => {
            let from = random.below(text.len() + 1);
            let to = (from + random.below(80)).min(text.len());
            let copy = text[from..to].to_vec();
            text.splice(at..at, copy);
        }
        3 => {
            // A line goes, or goes elsewhere.
            let mut lines: Vec<Vec<u8>> = text
                .split(|byte| *byte == b'\n')
                .map(<[u8]>::to_vec)
                .collect();
            let line = lines.remove(random.below(lines.len()));
            if random.below(2) == 0 {
                lines.insert(random.below(lines.len() + 1), line);
            }
            *text = lines.join(&b'\n');
        }
        4 if at < text.len() => text[at] = u8::try_from(random.below(256)).unwrap(),
        _ => {
            // A value of another type.
            let piece = PIECES[random.below(PIECES.len())];
            if let Some(equals) = text[at.min(text.len())..]
                .iter()
                .position(|byte| *byte == b'=')
            {
                let from = at + equals + 1;
                let end = text[from..]
                    .iter()
                    .position(|byte| *byte == b'\n')
                    .unwrap_or(0);
                text.splice(from..from + end, piece.iter().copied());
            }
        }
    }
}

fn read(text: &[u8], overrides: &[(String, String)]) -> usize {
    let env = |name: &str| (name == "A").then(|| "x".to_owned());
    match load("job.toml", text, overrides, &env) {
        Ok(job) => {
            for output in job.outputs() {
                let _ = job.output_columns(&output);
            }
            0
        }
        Err(problems) => {
            assert!(!problems.0.is_empty());
            assert!(!problems.to_string().is_empty());
            problems.0.len()
        }
    }
}

#[test]
fn no_change_to_a_file_makes_reading_panic() {
    let rounds = std::env::var("TIDEGATE_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(3_000);
    let mut told = 0;
    for seed in 1..=rounds {
        let mut random = Random(seed);
        let mut text = EXAMPLE.as_bytes().to_vec();
        for _ in 0..=random.below(4) {
            mutate(&mut text, &mut random);
        }
        let path = [
            "job.name",
            "source.events.columns.ts",
            "features.contact.add.0.op",
            "test.0.rows",
            "x",
        ];
        let override_ = (
            path[random.below(path.len())].to_owned(),
            String::from_utf8_lossy(PIECES[random.below(PIECES.len())]).into_owned(),
        );
        let overrides = if random.below(4) == 0 {
            vec![override_]
        } else {
            Vec::new()
        };
        let outcome = std::panic::catch_unwind(|| read(&text, &overrides));
        match outcome {
            Ok(problems) => told += usize::from(problems > 0),
            Err(_) => panic!("seed {seed}:\n{}", String::from_utf8_lossy(&text)),
        }
    }
    assert!(
        told > 0,
        "no change did any harm: the changes are too small"
    );
}

#[test]
fn bytes_of_any_kind_are_read_without_panic() {
    for seed in 1..=500_u64 {
        let mut random = Random(seed);
        let length = random.below(200);
        let mut text = Vec::new();
        while text.len() < length {
            text.extend_from_slice(PIECES[random.below(PIECES.len())]);
        }
        read(&text, &[]);
    }
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    for bracket in ["[", "{a="] {
        let text = format!("x = {}", bracket.repeat(100_000));
        assert!(read(text.as_bytes(), &[]) > 0);
    }
    let dotted = format!("{} = 1", vec!["a"; 100_000].join("."));
    assert!(read(dotted.as_bytes(), &[]) > 0);
}
