//! Drift looked at by hand: `tidegate drift compare` and `tidegate drift detect` over files of every format.

use std::fmt::Write;

use serde_json::Value;

use crate::program::Place;

/// Numbers without a random generator: from 0 to 1, evenly.
fn h(i: u32) -> f64 {
    f64::from(7919 * i % 1000) / 1000.0
}

fn column(values: impl IntoIterator<Item = impl ToString>) -> String {
    let lines = values.into_iter().map(|value| value.to_string() + "\n");
    ["value\n".to_owned()].into_iter().chain(lines).collect()
}

/// The file of the numbers that the published values of other libraries are of, and the file beside it.
fn numbers(place: &Place) -> [String; 2] {
    let reference = column((0..500).map(h));
    let current = column((500..900).map(|i| h(i) * h(i) + 0.1));
    [
        place.file("reference.csv", reference),
        place.file("current.csv", current),
    ]
}

/// The same of contacts by channel.
fn channels(place: &Place) -> [String; 2] {
    let rows = |counts: [(&'static str, usize); 4]| {
        let rows = counts
            .into_iter()
            .flat_map(|(name, rows)| std::iter::repeat_n(name, rows));
        column(rows)
    };
    let reference = rows([("chat", 50), ("email", 30), ("voice", 20), ("app", 0)]);
    let current = rows([("chat", 20), ("email", 30), ("voice", 40), ("app", 10)]);
    [
        place.file("before.csv", reference),
        place.file("after.csv", current),
    ]
}

fn compare(place: &Place, [reference, current]: &[String; 2], more: &[&str]) -> Value {
    let arguments = [
        "drift", "compare", reference, current, "--column", "value", "--json",
    ];
    let told = place.tidegate(arguments.iter().chain(more)).run().code(0);
    serde_json::from_str(&told.stdout).expect("JSON")
}

#[track_caller]
fn says(told: &Value, measure: &str, key: &str, expected: f64) {
    let answers = told["columns"][0]["measures"].as_array().expect("answers");
    let answer = answers.iter().find(|answer| answer["measure"] == measure);
    let answer = answer.unwrap_or_else(|| panic!("no {measure} in {told}"));
    let found = answer[key]
        .as_f64()
        .unwrap_or_else(|| panic!("no {key} in {answer}"));
    assert!(
        (found - expected).abs() <= 1e-13 * expected.abs(),
        "{measure}: {found}, not {expected}"
    );
}

#[test]
fn numbers_are_compared_as_published() {
    let place = Place::new();
    let files = numbers(&place);
    let own = compare(&place, &files, &["--measures", "psi,ks,wasserstein"]);
    says(&own, "psi", "value", 1.0208493093079767);
    says(&own, "ks", "value", 0.162);
    says(&own, "ks", "p_value", 1.487578673809167e-05);
    says(&own, "wasserstein", "value", 0.091847302);
    let evidently = [
        "--measures",
        "psi,kl,js,hellinger,wasserstein",
        "--compat",
        "evidently",
    ];
    let evidently = compare(&place, &files, &evidently);
    says(&evidently, "psi", "value", 1.232938916112831);
    says(&evidently, "kl", "value", 0.8100147174868128);
    says(&evidently, "js", "value", 0.3056303753722548);
    says(&evidently, "hellinger", "value", 0.3351570257849672);
    says(&evidently, "wasserstein", "value", 0.3176923641353361);
    let nannyml = compare(
        &place,
        &files,
        &["--measures", "js,hellinger", "--compat", "nannyml"],
    );
    says(&nannyml, "js", "value", 0.36439758427526303);
    says(&nannyml, "hellinger", "value", 0.3390959538160443);
}

#[test]
fn categories_are_compared_as_published() {
    let place = Place::new();
    let files = channels(&place);
    let own = compare(
        &place,
        &files,
        &["--measures", "psi,kl,js,hellinger,tvd,linf,new"],
    );
    says(&own, "psi", "value", 1.103601408044551);
    says(&own, "js", "value", 0.2912978199346467);
    says(&own, "hellinger", "value", 0.3176940690484213);
    says(&own, "tvd", "value", 0.3);
    says(&own, "linf", "value", 0.3);
    says(&own, "new", "value", 0.1);
    let evidently = compare(
        &place,
        &files,
        &["--measures", "psi,kl", "--compat", "evidently"],
    );
    says(&evidently, "psi", "value", 1.103601408044551);
    says(&evidently, "kl", "value", 0.3186932799693598);
    let scipy = compare(
        &place,
        &files,
        &["--measures", "kl,js", "--compat", "scipy"],
    );
    says(&scipy, "kl", "value", 0.3195159298250885);
    let nannyml = compare(&place, &files, &["--measures", "js", "--compat", "nannyml"]);
    says(&nannyml, "js", "value", 0.34988433915414435);
    let hopsworks = compare(
        &place,
        &files,
        &["--measures", "psi,kl,js", "--compat", "hopsworks"],
    );
    says(&hopsworks, "psi", "value", 2.0253261357570223);
    says(&hopsworks, "kl", "value", 1.7058103876620854);
    let psi = &own["columns"][0]["measures"][0];
    assert_eq!(psi["moved"][0]["bin"], "(other)", "what moved most: {psi}");
    assert_eq!(psi["fill"], "shares below 0.0001 raised to it");
}

#[test]
fn every_format_gives_the_same_answer() {
    let place = Place::new();
    let [reference, current] = numbers(&place);
    let expected = compare(&place, &[reference.clone(), current.clone()], &[]);
    let mut lines = String::new();
    for value in place.read(&current).lines().skip(1) {
        writeln!(lines, "{{\"value\": {value}, \"other\": null}}").expect("text");
    }
    let lines = place.file("current.jsonl", lines);
    let told = compare(&place, &[reference, lines], &[]);
    assert_eq!(told["columns"], expected["columns"]);
}

#[test]
fn missing_and_unreadable_rows_are_told_and_do_not_count() {
    let place = Place::new();
    let reference = place.file("a.csv", "value,x\n1,1\n2,1\n,1\n3,1\n");
    let current = place.file("b.csv", "value,x\n1,1\nmany,1\n,1\n,1\n");
    let arguments = [
        "drift", "compare", &reference, &current, "--column", "value",
    ];
    let more = ["--kind", "number", "--measures", "mean,missing"];
    let told = place.tidegate(arguments.iter().chain(&more)).run().code(0);
    let told = told.says(&["1 rows cannot be read and do not count", "row 3 of `b.csv`"]);
    assert!(
        told.stdout
            .contains("1 missing in the reference; 2 missing in the current file"),
        "{told}"
    );
    assert!(told.stdout.contains("mean     -1.000000"), "{told}");
    let told = compare(
        &place,
        &[reference, current],
        &["--kind", "number", "--measures", "missing"],
    );
    says(&told, "missing", "value", 2.0 / 3.0 - 0.25);
}

#[test]
fn detectors_fire_at_the_published_rows() {
    let place = Place::new();
    let level = |i| match i {
        0..2000 => h(i),
        2000..3000 => h(i) + 0.25,
        _ => 0.5 * h(i),
    };
    let stream = place.file("s1.csv", column((0..4000).map(level)));
    let below = |i: u32| u32::from(h(i) < if i < 1000 { 0.1 } else { 0.3 });
    let bits = place.file("s2.csv", column((0..2000).map(below)));
    let cases: [(&str, &str, &[&str], &[u64]); 12] = [
        (&stream, "adwin", &[], &[2079, 3039]),
        (&stream, "adwin", &["clock=1"], &[2066, 3026]),
        (&stream, "adwin", &["delta=0.05"], &[2047, 3039]),
        (
            &stream,
            "adwin",
            &["after=keep"],
            &[2079, 2111, 2143, 2207, 3039, 3071, 3103],
        ),
        (&stream, "page_hinkley", &[], &[2213, 3105]),
        (&stream, "page_hinkley", &["threshold=10"], &[2039, 3018]),
        (
            &stream,
            "page_hinkley",
            &["threshold=10", "direction=up"],
            &[2039],
        ),
        (
            &stream,
            "page_hinkley",
            &["threshold=10", "direction=down"],
            &[3027],
        ),
        (
            &stream,
            "page_hinkley",
            &["threshold=10", "delta=0"],
            &[2030, 3018],
        ),
        (&bits, "ddm", &[], &[1086]),
        (&bits, "eddm", &[], &[1182]),
        (&bits, "hddm_a", &[], &[1085]),
    ];
    for (file, detector, params, rows) in cases {
        let arguments = [
            "drift",
            "detect",
            file,
            "--column",
            "value",
            "--json",
            "--detector",
            detector,
        ];
        let params = params.iter().flat_map(|param| ["--param", param]);
        let told = place
            .tidegate(arguments.into_iter().chain(params))
            .run()
            .code(0);
        let found: Value = serde_json::from_str(&told.stdout).expect("JSON");
        assert_eq!(found["drifts"], Value::from(rows), "{told}");
        if detector == "ddm" {
            assert_eq!(found["warnings"][0], 37, "{told}");
        }
    }
}

#[test]
fn rows_without_a_value_keep_their_number() {
    let place = Place::new();
    let values = (0..200).map(|row| match row {
        row if row % 2 == 0 => String::new(),
        row if row < 120 => "0.5".to_owned(),
        _ => "9.5".to_owned(),
    });
    let rows: Vec<String> = values.map(|value| format!("{value},x")).collect();
    let file = place.file("gaps.csv", format!("value,x\n{}\n", rows.join("\n")));
    let arguments = [
        "drift",
        "detect",
        &file,
        "--column",
        "value",
        "--detector",
        "page_hinkley",
        "--json",
    ];
    let more = ["--param", "threshold=5"];
    let told = place.tidegate(arguments.iter().chain(&more)).run().code(0);
    let found: Value = serde_json::from_str(&told.stdout).expect("JSON");
    assert_eq!(found["drifts"], Value::from([121]), "{told}");
    assert_eq!(
        (&found["rows"], &found["missing"]),
        (&Value::from(100), &Value::from(100))
    );
}

#[test]
fn wrong_usage_is_told_with_what_there_is() {
    let place = Place::new();
    let [reference, current] = &channels(&place);
    let two = ["drift", "compare", reference, current, "--column", "value"];
    let one = ["drift", "detect", reference, "--column", "value"];
    let cases: [(&[&str], &[&str], i32, &str); 9] = [
        (
            &two,
            &["--measures", "psy"],
            2,
            "`psy` is no measure; there are psi, kl",
        ),
        (
            &two,
            &["--measures", "ks"],
            2,
            "tidegate has no `ks` for column `value`, which holds categories; it has psi",
        ),
        (
            &two,
            &["--compat", "pandas"],
            2,
            "there are tidegate, evidently, nannyml, hopsworks, scipy",
        ),
        (&two, &["--bins", "even:0"], 2, "`0` is no number of bins"),
        (&two, &["--bins", "edges:3,1"], 2, "edge 2"),
        (
            &two,
            &["--bins", "doane", "--compat", "scipy"],
            2,
            "its bins are its own",
        ),
        (&one, &["--detector", "adwim"], 2, "did you mean `adwin`"),
        (
            &one,
            &["--detector", "adwin", "--param", "delta=big"],
            2,
            "delta",
        ),
        (
            &["drift", "detect", "a.xlsx", "--column", "value"],
            &["--detector", "ddm"],
            2,
            "should end in .parquet",
        ),
    ];
    for (arguments, more, code, text) in cases {
        place
            .tidegate(arguments.iter().chain(more))
            .run()
            .code(code)
            .says(&[text]);
    }
    let missing = [
        "drift",
        "detect",
        "none.csv",
        "--column",
        "value",
        "--detector",
        "ddm",
    ];
    place.tidegate(missing).run().code(3).says(&["none.csv"]);
    let column = [
        "drift",
        "detect",
        reference,
        "--column",
        "valu",
        "--detector",
        "ddm",
    ];
    place
        .tidegate(column)
        .run()
        .code(3)
        .says(&["`valu`", "`value`"]);
}
