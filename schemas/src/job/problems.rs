//! What is wrong with a job file: every problem with its place, what was expected, and help.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::text::Place;

/// The documents that a job came from: the job file first, then one for each override.
///
/// It turns the [`Place`] of a text into file, line and column, also for problems that are only found
/// later (a type error in SQL, say). It is empty for a job built in Rust.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    documents: Arc<Vec<Document>>,
    /// The path of every text, as `features.contact.add[0].of`.
    paths: Arc<BTreeMap<Place, String>>,
}

/// A document and what to call it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Document {
    name: String,
    text: String,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl Document {
    fn new(name: &str, text: String) -> Document {
        let behind = text.match_indices('\n').map(|(at, _)| at + 1);
        Document {
            name: name.to_owned(),
            lines: std::iter::once(0).chain(behind).collect(),
            text,
        }
    }
}

impl Origin {
    pub(super) fn new(file: &str, text: &str, overrides: &[(String, String)]) -> Origin {
        let mut documents = vec![Document::new(file, text.to_owned())];
        let set =
            |(path, value): &(String, String)| Document::new("--set", format!("{path}={value}"));
        documents.extend(overrides.iter().map(set));
        Origin {
            documents: Arc::new(documents),
            paths: Arc::default(),
        }
    }

    /// The same documents, with the paths of what was read of them.
    pub(super) fn with_paths(self, paths: BTreeMap<Place, String>) -> Origin {
        Origin {
            paths: Arc::new(paths),
            ..self
        }
    }

    /// Which text of the job file stands at `place`, in words: `features.contact.add[0].of, job.toml:20`.
    #[must_use]
    pub fn told(&self, place: Place) -> Option<String> {
        let Spot { file, line, .. } = self.spot(place)?;
        let path = self.paths.get(&place)?;
        Some(format!("{path}, {file}:{line}"))
    }

    /// A problem with what stands at `place`.
    #[must_use]
    pub fn problem(&self, place: Option<Place>, message: impl Into<String>) -> Problem {
        let spot = place.and_then(|place| self.spot(place));
        Problem {
            spot,
            place,
            message: message.into(),
            help: None,
        }
    }

    /// The name of the job file, if there is one.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.documents
            .first()
            .map(|document| document.name.as_str())
    }

    /// Line and column of `place`, with the line's text.
    fn spot(&self, place: Place) -> Option<Spot> {
        let document = self.documents.get(place.document as usize)?;
        let text = document.text.as_str();
        let start = floor(text, place.start as usize);
        let end = floor(text, (place.end as usize).max(start));
        let line_number = document.lines.partition_point(|line| *line <= start);
        let line_start = document.lines[line_number.saturating_sub(1)];
        let rest = &text[line_start..];
        let line = rest.split('\n').next().unwrap_or_default();
        let line = line.strip_suffix('\r').unwrap_or(line);
        let before = text[line_start..start].chars().count();
        let marked = text[start..end].split('\n').next().unwrap_or_default();
        Some(Spot {
            file: document.name.clone(),
            line: line_number,
            column: before + 1,
            width: marked.trim_end().chars().count().max(1),
            excerpt: Excerpt::of(line, before),
        })
    }

    /// The line of `place`, counted from 1.
    pub(super) fn line(&self, place: Place) -> usize {
        self.spot(place).map_or(0, |spot| spot.line)
    }
}

/// The last boundary of a character at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Where a problem is, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The file, or `--set` for an override.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column, in characters, counted from 1.
    pub column: usize,
    width: usize,
    excerpt: Excerpt,
}

/// A part of a line that is short enough to show.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Excerpt {
    text: String,
    /// How many characters stand before the marked ones.
    before: usize,
}

impl Excerpt {
    /// How many characters are shown at most, and how many of them before the mark.
    const MOST: usize = 160;
    const LEAD: usize = 60;

    fn of(line: &str, before: usize) -> Excerpt {
        let short = line.char_indices().nth(Excerpt::MOST).is_none();
        let skip = if short {
            0
        } else {
            before.saturating_sub(Excerpt::LEAD)
        };
        let text: String = line.chars().skip(skip).take(Excerpt::MOST).collect();
        Excerpt {
            before: before - skip,
            text,
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where; `None` for a job built in Rust.
    pub spot: Option<Spot>,
    /// What is wrong, and what was expected.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    place: Option<Place>,
}

impl Problem {
    /// The same problem, with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }

    /// The same problem, with advice if there is any.
    #[must_use]
    pub(super) fn maybe_help(mut self, help: Option<String>) -> Problem {
        self.help = help.or(self.help);
        self
    }

    pub(super) fn place(&self) -> Option<Place> {
        self.place
    }
}

impl fmt::Display for Problem {
    /// `file:line:column: message`, the line with a mark below, and help.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.spot {
            None => write!(f, "{}", self.message)?,
            Some(spot) => {
                let Spot {
                    file, line, column, ..
                } = spot;
                write!(f, "{file}:{line}:{column}: {}", self.message)?;
                let number = line.to_string();
                let margin = " ".repeat(number.len());
                let lead: String = spot
                    .excerpt
                    .text
                    .chars()
                    .take(spot.excerpt.before)
                    .collect();
                let blank: String = lead
                    .chars()
                    .map(|c| if c == '\t' { c } else { ' ' })
                    .collect();
                let room = spot
                    .excerpt
                    .text
                    .chars()
                    .count()
                    .saturating_sub(spot.excerpt.before);
                let mark = "^".repeat(spot.width.min(room).max(1));
                write!(f, "\n {number} | {}", spot.excerpt.text)?;
                write!(f, "\n {margin} | {blank}{mark}")?;
            }
        }
        match &self.help {
            Some(help) => write!(f, "\n   help: {help}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// `Ok` when there are none; otherwise all of them, in the order of the file.
    ///
    /// # Errors
    /// All problems, when there are any.
    pub fn into_result<T>(self, good: T) -> Result<T, Problems> {
        if self.0.is_empty() {
            return Ok(good);
        }
        Err(self.sorted())
    }

    pub(super) fn sorted(mut self) -> Problems {
        let order = |problem: &Problem| (problem.place, problem.message.clone());
        self.0.sort_by_cached_key(order);
        self.0.dedup();
        self
    }
}

impl fmt::Display for Problems {
    /// One block per problem, and how many there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{problem}\n")?;
        }
        match self.0.len() {
            1 => f.write_str("1 problem"),
            n => write!(f, "{n} problems"),
        }
    }
}

impl std::error::Error for Problems {}
