//! `tidegate drift report`: the page says what the measures say, holds nothing of elsewhere, and lets no text become markup.

use serde_json::Value;

use crate::program::Place;

/// Whether every element that begins ends, in order. Answers the tags that began.
#[track_caller]
fn well_formed(page: &str) -> Vec<String> {
    let (mut open, mut all) = (Vec::new(), Vec::new());
    let mut rest = page.strip_prefix("<!DOCTYPE html>").expect("a page");
    // Style is no markup.
    let style = rest.split_once("<style>").expect("a style").1;
    let style = style.split_once("</style>").expect("its end").0;
    assert!(
        !style.contains("@import") && !style.contains("url("),
        "{style}"
    );
    while let Some((text, markup)) = rest.split_once('<') {
        assert!(
            !text.contains('>') || text == style,
            "a stray > in {text:?}"
        );
        let (tag, behind) = markup.split_once('>').expect("a tag that ends");
        rest = behind;
        match tag.strip_prefix('/') {
            Some(tag) => assert_eq!(open.pop().as_deref(), Some(tag), "what ends"),
            None => {
                assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
                let name: String = tag.chars().take_while(|it| it.is_alphanumeric()).collect();
                assert!(!name.is_empty(), "{tag}");
                all.push(name.clone());
                if !tag.ends_with('/') {
                    open.push(name);
                }
            }
        }
    }
    assert!(open.is_empty(), "{open:?} never ends");
    all
}

/// The page and what it must be, whatever it is of.
#[track_caller]
fn page(place: &Place, name: &str) -> String {
    let page = place.read(name);
    let tags = well_formed(&page);
    for tag in ["script", "link", "img", "iframe", "image", "use"] {
        assert!(!tags.iter().any(|it| it == tag), "<{tag}>");
    }
    for elsewhere in ["http", "src=", "@import", "url("] {
        assert!(!page.contains(elsewhere), "{elsewhere}");
    }
    for part in [
        "<title>",
        "<h1>",
        "lang=\"en\"",
        "prefers-color-scheme: dark",
        "@media print",
    ] {
        assert!(page.contains(part), "no {part}");
    }
    let charts = page.matches("<svg ").count();
    assert!(charts > 0, "no chart");
    assert_eq!(page.matches("role=\"img\" aria-label=\"").count(), charts);
    assert_eq!(
        page.matches("<table>").count(),
        page.matches("<caption>").count()
    );
    assert!(page.contains("<th scope=\"col\"") && page.contains("<th scope=\"row\""));
    page
}

fn column(head: &str, values: impl Iterator<Item = String>) -> String {
    std::iter::once(head.to_owned())
        .chain(values)
        .map(|line| line + "\n")
        .collect()
}

/// Two files of numbers and categories, one of which tries to be markup.
fn files(place: &Place) -> [String; 2] {
    let evil = "<script>alert('x')</script>&\"\" onload=\"\"";
    let row = |shift: u32| {
        move |i: u32| {
            let topic = match i % 7 {
                0 => format!("\"{evil}\""),
                1..=3 => "billing".to_owned(),
                _ if shift > 0 && i.is_multiple_of(5) => {
                    "a topic with a name that is so long that nobody would write it on an axis"
                        .to_owned()
                }
                _ => "login".to_owned(),
            };
            format!("{topic},{},{}", 7919 * i % 1000 + shift * (i % 3), i % 4)
        }
    };
    let before = column("topic,secs,gone", (0..700).map(row(0)));
    let after = column("topic,secs,come", (700..1300).map(row(90)));
    [
        place.file("before.csv", before),
        place.file("after.csv", after),
    ]
}

#[test]
fn the_page_of_two_files_says_what_compare_says() {
    let place = Place::new();
    let [before, after] = files(&place);
    let arguments = [
        "drift",
        "report",
        &before,
        &after,
        "--out",
        "out/report.html",
    ];
    let told = place
        .tidegate(arguments)
        .arg("--json")
        .arg("report.json")
        .run()
        .code(0);
    assert!(told.stdout.is_empty(), "{told}");
    let page = page(&place, "out/report.html");
    assert_eq!(place.list("out"), ["report.html"], "nothing else is left");
    let compare = [
        "drift",
        "compare",
        &before,
        &after,
        "--column",
        "topic,secs",
        "--json",
    ];
    let compared = place.tidegate(compare).run().code(0);
    let compared: Value = serde_json::from_str(&compared.stdout).expect("JSON");
    let mut seen = 0;
    for answer in compared["columns"].as_array().expect("columns").iter() {
        for measure in answer["measures"].as_array().expect("measures") {
            for key in ["value", "no_drift_95"] {
                if let Some(value) = measure[key].as_f64().filter(|value| *value > 0.00005) {
                    seen += 1;
                    let cell = format!("<td class=\"number\">{value:.4}</td>");
                    assert!(page.contains(&cell), "{}: no {cell}", measure["measure"]);
                }
            }
        }
    }
    assert_eq!(
        seen, 8,
        "psi, js, ks or chi2, and the limit of psi, of both columns"
    );
    for said in [
        "above the limit",
        "only the reference has it",
        "only the current file has it",
    ] {
        assert!(page.contains(said), "{said}");
    }
    let mut report: Value = serde_json::from_str(&place.read("report.json")).expect("JSON");
    for column in report["columns"].as_array_mut().expect("columns") {
        let distribution = column
            .as_object_mut()
            .expect("a column")
            .remove("distribution");
        let parts = distribution.expect("a distribution")["parts"].clone();
        let rows = |side: &str| {
            let rows = parts.as_array().expect("parts").iter();
            rows.map(|part| part[side].as_u64().expect("rows"))
                .sum::<u64>()
        };
        assert_eq!([rows("reference"), rows("current")], [700, 600]);
    }
    assert_eq!(report["columns"], compared["columns"]);
    assert_eq!(report["left_out"].as_array().map(Vec::len), Some(2));
}

#[test]
fn names_of_categories_are_never_markup() {
    let place = Place::new();
    let [before, after] = files(&place);
    let arguments = [
        "drift", "report", &before, &after, "--column", "topic", "--out", "r.html",
    ];
    place.tidegate(arguments).run().code(0);
    let page = page(&place, "r.html");
    assert!(
        !page.contains("<script") && !page.contains("onload=\""),
        "{page}"
    );
    assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)"), "{page}");
    let whole = "a topic with a name that is so long that nobody would write it on an axis";
    assert!(
        page.contains(&format!("title=\"{whole}\"")) || page.contains(whole),
        "{page}"
    );
}

#[test]
fn many_categories_make_no_endless_page() {
    let place = Place::new();
    let names = |from: u32| (from..from + 50_000).map(|i| format!("name {}", i % 20_000));
    let before = place.file("before.csv", column("name", names(0)));
    let after = place.file("after.csv", column("name", names(30_000)));
    place
        .tidegate(["drift", "report", &before, &after, "--out", "r.html"])
        .run()
        .code(0);
    let page = page(&place, "r.html");
    assert!(page.len() < 200_000, "{} bytes", page.len());
    assert!(
        page.contains("(19,961 more)") || page.contains("(19961 more)"),
        "what is left out is said"
    );
    assert!(page.contains("the 19,961 smallest bins are one bar"));
}

#[test]
fn every_format_has_the_same_columns() {
    let place = Place::new();
    let csv = place.file("a.csv", "topic,secs\nx,1\ny,2\nx,3\n");
    let lines = "{\"topic\":\"x\",\"secs\":1,\"more\":{\"a\":1}}\n{\"topic\":\"y\",\"secs\":2}\n{\"topic\":\"x\",\"secs\":3}\n";
    let lines = place.file("a.jsonl", lines);
    place
        .tidegate([
            "drift", "report", &csv, &lines, "--out", "r.html", "--json", "r.json",
        ])
        .run()
        .code(0);
    page(&place, "r.html");
    let report: Value = serde_json::from_str(&place.read("r.json")).expect("JSON");
    let columns = report["columns"].as_array().expect("columns");
    assert_eq!(columns.len(), 2, "{report}");
    for column in columns {
        assert_eq!(column["measures"][0]["value"], 0.0, "{column}");
    }
}

const JOB: &str = "jobs/catalog/helpdesk-drift.toml";

#[test]
fn the_page_of_a_job_says_what_its_sinks_wrote() {
    let place = Place::new();
    let not_yet = place
        .tidegate(["drift", "report", JOB, "--out", "r.html"])
        .run()
        .code(3);
    not_yet.says(&[
        "sink `activity` of `drift.activity`",
        "out/helpdesk-drift/activity.csv",
        "run the job with this sink first",
    ]);
    assert!(!place.path("r.html").exists());
    place.tidegate(["run", JOB]).run().code(0);
    place
        .tidegate([
            "drift", "report", JOB, "--out", "r.html", "--json", "r.json",
        ])
        .run()
        .code(0);
    let page = page(&place, "r.html");
    let report: Value = serde_json::from_str(&place.read("r.json")).expect("JSON");
    let drift = &report["drifts"][0];
    assert_eq!(drift["measures"][0], "psi");
    let written = place.read("out/helpdesk-drift/activity.csv");
    let mut lines = written.lines();
    let head: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let place_of = |name: &str| head.iter().position(|it| *it == name).expect("a column");
    for line in drift["lines"].as_array().expect("lines") {
        let window = line["window"].as_str().expect("a length");
        let rows: Vec<Vec<&str>> = lines.clone().map(|row| row.split(',').collect()).collect();
        let psi = rows.iter().filter(|row| row[place_of("window")] == window);
        let psi: Vec<f64> = psi
            .map(|row| row[place_of("psi")].parse().expect("psi"))
            .collect();
        let windows = line["windows"].as_array().expect("windows");
        let mut told: Vec<f64> = windows
            .iter()
            .filter_map(|it| it["values"][0].as_f64())
            .collect();
        let last = told.last().copied().expect("a window");
        let largest = told.iter().copied().fold(0.0, f64::max);
        for value in [last, largest] {
            assert!(
                page.contains(&format!("<td class=\"number\">{value:.4}</td>")),
                "{value}"
            );
        }
        let mut psi = psi;
        psi.sort_by(f64::total_cmp);
        told.sort_by(f64::total_cmp);
        assert_eq!(told.len(), psi.len(), "{window}");
        // Reading JSON may cost the last bit.
        let same = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-13 * b;
        assert!(
            told.iter().zip(&psi).all(same),
            "{window}: {told:?}, not {psi:?}"
        );
    }
    let episodes = |line: &Value| line["episodes"].as_array().map_or(0, Vec::len);
    let all: usize = drift["lines"]
        .as_array()
        .expect("lines")
        .iter()
        .map(episodes)
        .sum();
    assert!(all > 0, "the help desk has alerts");
    assert!(page.contains("Episodes of the alert") && page.contains("key episode"));
}

#[test]
fn wrong_usage_says_what_to_do() {
    let place = Place::new();
    let a = place.file("a.csv", "x\n1\n");
    let b = place.file("b.csv", "y\n1\n");
    let cases: [(&[&str], i32, &str); 6] = [
        (&[&a, &b, "--out", "r.html"], 3, "no column in common"),
        (&[&a, "no.csv", "--out", "r.html"], 3, "no.csv"),
        (&[&a, &a, "--out", "r.html", "--column", "z"], 3, "z"),
        (
            &[&a, &a, "--out", "a.csv/r.html"],
            4,
            "cannot write `a.csv/r.html`",
        ),
        (
            &["jobs/catalog/helpdesk.toml", "--out", "r.html"],
            2,
            "has no [drift.*]",
        ),
        (
            &[JOB, "--out", "r.html", "--result", "no=x"],
            2,
            "has no sink `no`",
        ),
    ];
    for (arguments, code, said) in cases {
        let all = ["drift", "report"].iter().chain(arguments);
        place.tidegate(all).run().code(code).says(&[said]);
        assert!(!place.path("r.html").exists(), "{arguments:?}");
    }
}
