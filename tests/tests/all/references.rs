//! Measures and detectors beside the libraries that people know: SciPy, Evidently, NannyML and river.
//!
//! The scripts in `tests/references` make random data of 20 shapes and ask the libraries; the program is asked the same.
//! They run in a Python environment that `tests/run.sh` makes, named in `TIDEGATE_REFERENCES`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::program::{Place, built, root};

/// How far answers may be apart, relative to the library's.
const CLOSE: f64 = 1e-10;

/// Runs a script, which writes into the place, and answers the lines it wrote.
fn ask(place: &Place, script: &str) -> Vec<Value> {
    let python = match std::env::var_os("TIDEGATE_REFERENCES") {
        Some(named) => PathBuf::from(named),
        None => built("tidegate", "TIDEGATE").with_file_name("../references"),
    };
    let python = python.join("bin/python");
    assert!(
        python.exists(),
        "{} is not there: tests/run.sh makes it; or name an environment with tests/references/requirements.txt in \
         TIDEGATE_REFERENCES",
        python.display()
    );
    let asked = Command::new(python)
        .arg(root().join(format!("tests/references/{script}.py")))
        .arg(place.path("."))
        .output()
        .expect("Python starts");
    let errors = String::from_utf8_lossy(&asked.stderr);
    assert!(asked.status.success(), "{script}: {errors}");
    let lines = place.read(&format!("{script}.jsonl"));
    lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// A number as both sides write it: infinite ones are text.
fn number(value: &Value) -> f64 {
    let parsed = value.as_str().and_then(|text| text.parse().ok());
    value
        .as_f64()
        .or(parsed)
        .unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn measures_are_those_of_the_libraries_whose_names_they_bear() {
    let place = Place::new();
    let mut asked: BTreeMap<[String; 3], Vec<Value>> = BTreeMap::new();
    for line in ask(&place, "measures") {
        let key = ["shape", "kind", "compat"].map(|key| text(&line, key).to_owned());
        asked.entry(key).or_default().push(line);
    }
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for ([shape, kind, compat], lines) in &asked {
        let name = |line: &Value| text(line, "measure").trim_end_matches("_p").to_owned();
        let mut names: Vec<String> = lines.iter().map(name).collect();
        names.dedup();
        let (reference, current) = (
            format!("{shape}-reference.csv"),
            format!("{shape}-current.csv"),
        );
        let arguments = [
            "drift", "compare", &reference, &current, "--column", "value", "--kind", kind,
        ];
        let more = ["--compat", compat, "--measures", &names.join(","), "--json"];
        let told = place
            .tidegate(arguments.iter().chain(&more))
            .run()
            .code(0)
            .stdout;
        let told: Value = serde_json::from_str(&told).expect("JSON");
        let answers = told["columns"][0]["measures"].as_array().expect("answers");
        for line in lines {
            let answer = answers
                .iter()
                .find(|answer| text(answer, "measure") == name(line));
            let answer = answer.unwrap_or_else(|| panic!("no {} in {told}", name(line)));
            let p = text(line, "measure").ends_with("_p");
            let ours = number(&answer[if p { "p_value" } else { "value" }]);
            let theirs = number(&line["value"]);
            compared += 1;
            let close = ours == theirs || (ours - theirs).abs() <= CLOSE * theirs.abs();
            if !close {
                wrong.push(format!(
                    "{shape} {compat} {}: {ours}, not {theirs}",
                    text(line, "measure")
                ));
            }
        }
    }
    assert!(compared > 250, "{compared} answers compared");
    assert!(
        wrong.is_empty(),
        "{} of {compared}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn detectors_fire_at_the_rows_at_which_rivers_do() {
    let place = Place::new();
    let (mut wrong, mut drifts) = (Vec::new(), 0);
    for line in ask(&place, "detectors") {
        let (stream, detector) = (text(&line, "stream"), text(&line, "detector"));
        let file = format!("{stream}.csv");
        let mut arguments: Vec<String> = ["drift", "detect", &file, "--column", "value", "--json"]
            .map(str::to_owned)
            .into();
        arguments.extend(["--detector".to_owned(), detector.to_owned()]);
        for (name, value) in line["params"].as_object().expect("parameters") {
            let value = value.as_str().map_or(value.to_string(), str::to_owned);
            arguments.extend(["--param".to_owned(), format!("{name}={value}")]);
        }
        let told = place.tidegate(&arguments).run().code(0).stdout;
        let told: Value = serde_json::from_str(&told).expect("JSON");
        drifts += told["drifts"].as_array().map_or(0, Vec::len);
        if told["drifts"] != line["drifts"] {
            wrong.push(format!(
                "{stream} {detector} {}: {}",
                line["params"], told["drifts"]
            ));
        }
    }
    assert!(drifts > 300, "{drifts} drifts in all");
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
