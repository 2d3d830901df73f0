//! Reads a job file: syntax, overrides, environment, shape, and what its sections must agree on.

use super::Job;
use super::check::{Declared, Faulty, aggregates, check, references};
use super::conform::{Whole, conform};
use super::fill::{Environment, fill_environment, override_keys};
use super::problems::{Origin, Problem, Problems};
use super::read::read;
use super::shape::Shapes;
use super::text::Place;
use super::tree::{Key, Node, Table, UNCLOSED, Value, parse};

/// The longest job file that is read.
const LONGEST: usize = 8 << 20;

/// Reads a job file, or tells every problem in it.
///
/// # Reads
/// `text` is the file's content and `file` what to call it. `overrides` are pairs of path and value
/// (`source.events.path`, `x.jsonl`), later ones winning; a value is TOML or, failing that, a plain
/// text. `env` is asked for the variables that values name as `${NAME}` or `${NAME:-default}`.
///
/// # Errors
/// Every problem of the file: syntax, unknown and missing keys, wrong types, names that clash, and
/// references to what is not there, each with file, line and column. What a job needs only DataFusion
/// to know (columns and types in SQL) is checked later.
///
/// # Example
/// ```
/// use tidegate_schemas::job::load;
///
/// let text = br#"
/// [job]
/// name = "visits"
/// event_time = "ts"
///
/// [source.events]
/// format = "csv"
/// path = "events.csv"
/// columns = { user = "text", ts = "timestamp_s" }
///
/// [entity.user]
/// key = "user"
///
/// [sessions.visit]
/// from = "events"
/// gap = "30m"
/// gaap = "30m"
/// "#;
/// let problems = load("visits.toml", text, &[], &|_| None).unwrap_err();
/// assert!(problems.to_string().starts_with(
///     "visits.toml:17:1: unknown key `gaap` in `sessions.visit`"
/// ));
/// ```
pub fn load(
    file: &str,
    text: &[u8],
    overrides: &[(String, String)],
    env: Environment<'_>,
) -> Result<Job, Problems> {
    let text = utf8(file, text)?;
    let origin = Origin::new(file, text, overrides);
    let (mut root, syntax) = parse(&origin, text);
    if !syntax.is_empty() {
        return Err(with_broken_syntax(&mut root, syntax, &origin));
    }
    let mut problems = override_keys(&mut root, overrides, &origin);
    let filled = fill_environment(&mut root, env, &origin);
    let declared = Declared::of(&root);
    problems.extend(references(&root, &declared, &origin));
    // Once as it stands, since sections that do not conform are taken out; once after values from outside
    // have got their types. What is told twice comes out once.
    problems.extend(aggregates(&mut root, Faulty::Keep, &origin));
    problems.extend(conform(&mut root, Shapes::job(), &origin, Whole::Yes));
    problems.extend(aggregates(&mut root, Faulty::TakeOut, &origin));
    let broken = !problems.is_empty() || !filled.problems.is_empty();
    if broken {
        stand_in_for_job_section(&mut root);
    }
    let result = match read::<Job>(&root) {
        Ok(mut job) => {
            job.origin = origin.clone().with_paths(root.paths());
            problems.extend(check(&job, &root, &declared, broken, &origin));
            Some(job)
        }
        Err(_) if broken => None,
        Err(error) => {
            problems.push(unreadable(&root, &error, &origin));
            None
        }
    };
    // A text whose variables are missing is not worth a second complaint.
    let told = |place| {
        filled
            .problems
            .iter()
            .any(|problem| problem.place() == place)
    };
    problems.retain(|problem| !told(problem.place()));
    for problem in &mut problems {
        filled.hide(problem);
    }
    problems.extend(filled.problems);
    match result {
        Some(job) => Problems(problems).into_result(job),
        None => Err(Problems(problems).sorted()),
    }
}

fn utf8<'a>(file: &str, text: &'a [u8]) -> Result<&'a str, Problems> {
    if text.len() > LONGEST {
        let message = format!(
            "{file}: a job file of more than {} MiB is none",
            LONGEST >> 20
        );
        return Err(Problems(vec![Origin::default().problem(None, message)]));
    }
    std::str::from_utf8(text).map_err(|error| {
        let at = u32::try_from(error.valid_up_to()).unwrap_or(u32::MAX);
        let origin = Origin::new(file, &String::from_utf8_lossy(text), &[]);
        let place = Place {
            document: 0,
            start: at,
            end: at,
        };
        let problem = origin.problem(Some(place), "this byte is not UTF-8");
        Problems(vec![problem.help("save the file as UTF-8")])
    })
}

/// The problems of the syntax, and those of the rest that do not follow from them.
fn with_broken_syntax(root: &mut Node, syntax: Vec<Problem>, origin: &Origin) -> Problems {
    let lines: Vec<_> = syntax.iter().filter_map(line).collect();
    let swallowed = syntax.iter().any(|problem| problem.message == UNCLOSED);
    let mut problems = syntax;
    if !swallowed {
        let found = conform(root, Shapes::job(), origin, Whole::No);
        let elsewhere = |problem: &Problem| line(problem).is_none_or(|line| !lines.contains(&line));
        problems.extend(found.into_iter().filter(elsewhere));
    }
    Problems(problems).sorted()
}

fn line(problem: &Problem) -> Option<usize> {
    problem.spot.as_ref().map(|spot| spot.line)
}

/// Lets the other sections be looked at when `[job]` is missing or broken.
fn stand_in_for_job_section(root: &mut Node) {
    let Value::Table(sections) = &mut root.value else {
        return;
    };
    if sections.get("job").is_some() {
        return;
    }
    let entry = |name: &str, value| {
        let place = Place::default();
        let name = name.to_owned();
        (Key { name, place }, Node::new(value, place))
    };
    let text = |text: &str| Value::Text(text.to_owned());
    let job = Table(vec![
        entry("name", text("unknown")),
        entry("event_time", text("")),
    ]);
    sections.0.push(entry("job", Value::Table(job)));
}

/// The shape has vouched for every value, so this is a key whose shape says too little.
fn unreadable(root: &Node, error: &serde::de::value::Error, origin: &Origin) -> Problem {
    // serde may repeat a value, and one from the environment may be a secret.
    let message = match root.is_filled() {
        true => "the job cannot be read".to_owned(),
        false => format!("the job cannot be read: {error}"),
    };
    origin.problem(Some(Place::default()), message)
}
