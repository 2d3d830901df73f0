//! Places: files appear whole or not at all, and what stands in the way is said.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::*;

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn one_row() -> Vec<Rows> {
    vec![visit_rows(&[("a", 1, 2, 1)])]
}

fn failed(spec: &SinkSpec) -> String {
    write(spec, one_row())
        .expect_err("it must fail")
        .to_string()
}

fn lives(path: &Path, format: Format) -> SinkSpec {
    SinkSpec {
        life: Life::Unending,
        ..spec(path, format, Mode::Final)
    }
}

const FORMATS: [Format; 3] = [Format::Parquet, Format::Jsonl, Format::Csv];

#[test]
fn a_file_appears_when_it_is_whole_and_replaces_an_earlier_one_in_one_step() {
    for format in FORMATS {
        let directory = directory();
        let path = directory.path().join("deep/er/visits.out");
        let spec = spec(&path, format, Mode::Final);
        let mut sink = open(&spec).expect("parents are made");
        sink.rows(0, one_row().remove(0)).expect("it is written");
        sink.flush().expect("nothing to show yet");
        assert!(!path.exists());
        let report = sink.finish().expect("it ends");
        assert_eq!(report.files, [path.canonicalize().expect("it is there")]);
        let first = fs::read(&path).expect("it is there");

        let mut again = open(&spec).expect("it opens");
        again
            .rows(0, visit_rows(&[("b", 1, 1, 1), ("b", 2, 1, 1)]))
            .expect("it is written");
        assert_eq!(fs::read(&path).expect("the earlier one"), first);
        again.finish().expect("it ends");
        assert_ne!(fs::read(&path).expect("the new one"), first);
        assert_eq!(listing(&directory.path().join("deep/er")), ["visits.out"]);
    }
}

#[test]
fn a_sink_that_is_dropped_leaves_nothing_behind() {
    for format in FORMATS {
        let directory = directory();
        let path = directory.path().join("visits.out");
        fs::write(&path, "earlier").expect("a file");
        let mut sink = open(&spec(&path, format, Mode::Final)).expect("it opens");
        sink.rows(0, one_row().remove(0)).expect("it is written");
        drop(sink);
        assert_eq!(listing(directory.path()), ["visits.out"]);
        assert_eq!(fs::read(&path).expect("it is there"), b"earlier");
    }
}

#[cfg(unix)]
#[test]
fn results_have_the_permissions_of_ordinary_files() {
    use std::os::unix::fs::PermissionsExt;
    let directory = directory();
    let ordinary = directory.path().join("ordinary");
    fs::write(&ordinary, "").expect("a file");
    let path = directory.path().join("visits.csv");
    write(&spec(&path, Format::Csv, Mode::Final), one_row()).expect("it is written");
    let mode = |path| {
        fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
    };
    assert_eq!(mode(&path), mode(&ordinary));
}

#[test]
fn what_a_killed_run_left_behind_is_removed() {
    let directory = directory();
    let at = |name: &str| directory.path().join(name);
    let others = [
        ".visits.jsonl2.Ab12Cd.tmp",
        ".v-x-00000.csv.Ab12Cd.tmp",
        "v-.tmp",
    ];
    let stale = [".visits.jsonl.Ab12Cd.tmp", ".v-00007.csv.Ab12Cd.tmp"];
    for name in others.iter().chain(&stale) {
        fs::write(at(name), "half").expect("a file");
    }
    let one = open(&spec(&at("visits.jsonl"), Format::Jsonl, Mode::Final));
    let parts = open(&spec(&at("v-{part}.csv"), Format::Csv, Mode::Final));
    drop((one.expect("it opens"), parts.expect("it opens")));
    let mut left = others.map(str::to_owned);
    left.sort();
    assert_eq!(listing(directory.path()), left);
}

#[test]
fn one_result_has_one_writer() {
    let directory = directory();
    for (name, other) in [
        ("visits.jsonl", "visits2.jsonl"),
        ("v-{part}.jsonl", "v-x-{part}.jsonl"),
    ] {
        let of = |name: &str| spec(&directory.path().join(name), Format::Jsonl, Mode::Final);
        let mut first = open(&of(name)).expect("it opens");
        first.rows(0, one_row().remove(0)).expect("it is written");
        let second = open(&of(name)).expect_err("it is taken").to_string();
        assert!(
            second.contains("being written by another sink or another run"),
            "{second}"
        );
        open(&of(other)).expect("another result");
        first.finish().expect("the first is not disturbed");
    }
}

#[test]
fn a_live_text_grows_by_whole_lines_and_goes_on_where_it_was() {
    let directory = directory();
    let path = directory.path().join("visits.csv");
    let spec = lives(&path, Format::Csv);
    let mut sink = open(&spec).expect("it opens");
    sink.rows(0, one_row().remove(0)).expect("it is written");
    sink.flush().expect("it is shown");
    let line = "a,1970-01-01T00:00:00.001Z,2\n";
    let read = || fs::read_to_string(&path).expect("it is there");
    assert_eq!(read(), format!("customer_id,start,rows\n{line}"));
    let busy = failed(&spec);
    assert!(
        busy.contains("being written by another sink or another run"),
        "{busy}"
    );
    drop(sink);
    // A killed run leaves half a line.
    fs::write(&path, read() + "b,1970-01").expect("it is written");
    write(&spec, one_row()).expect("it goes on");
    assert_eq!(read(), format!("customer_id,start,rows\n{line}{line}"));
}

#[test]
fn a_live_text_with_another_header_is_not_continued() {
    let directory = directory();
    let path = directory.path().join("visits.csv");
    fs::write(&path, "a,b\n1,2\n").expect("a file");
    let text = failed(&lives(&path, Format::Csv));
    assert!(
        text.contains("`a,b`") && text.contains("move the file away"),
        "{text}"
    );
    assert_eq!(fs::read(&path).expect("it is there"), b"a,b\n1,2\n");
}

#[test]
fn only_the_torn_line_is_cut_off_however_long_it_is() {
    for (before, torn) in [
        (0, 1),
        (0, 200_000),
        (200_000, 10),
        (10, 200_000),
        (65_535, 65_536),
    ] {
        let directory = directory();
        let path = directory.path().join("visits.jsonl");
        let whole = match before {
            0 => String::new(),
            n => "x".repeat(n - 1) + "\n",
        };
        fs::write(&path, whole.clone() + &"y".repeat(torn)).expect("a file");
        drop(open(&lives(&path, Format::Jsonl)).expect("it opens"));
        assert_eq!(fs::read_to_string(&path).expect("it is there"), whole);
    }
}

#[test]
fn parts_are_whole_numbered_and_end_by_rows() {
    let directory = directory();
    for (place, first) in [
        ("parts/v-{part}.csv.gz", "v-00000.csv.gz"),
        ("dir/", "part-00000.csv"),
    ] {
        let path = PathBuf::from(format!("{}/{place}", directory.path().display()));
        let spec = SinkSpec {
            roll: Some(Roll {
                rows: 2,
                every: Duration::from_secs(3_600),
            }),
            ..spec(&path, Format::Csv, Mode::Final)
        };
        let report = write(&spec, vec![one_row().remove(0); 5]).expect("it is written");
        assert_eq!((report.rows, report.files.len()), (5, 3));
        assert!(report.files[0].ends_with(first), "{:?}", report.files);
        let parent = report.files[0].parent().expect("a directory");
        assert_eq!(listing(parent).len(), 3);
        let again = failed(&spec);
        assert!(again.contains("parts of an earlier run"), "{again}");
        let report = write(
            &SinkSpec {
                life: Life::Unending,
                ..spec
            },
            one_row(),
        )
        .expect("it goes on");
        assert!(
            report.files[0].to_string_lossy().contains("00003"),
            "{:?}",
            report.files
        );
    }
}

#[test]
fn a_part_ends_when_its_time_has_come_and_empty_ones_do_not_appear() {
    let directory = directory();
    let path = directory.path().join("v-{part}.jsonl");
    let mut sink = open(&SinkSpec {
        roll: Some(Roll {
            rows: 1_000,
            every: Duration::from_secs(10),
        }),
        ..lives(&path, Format::Jsonl)
    })
    .expect("it opens");
    assert_eq!(sink.deadline(), None);
    let before = Instant::now();
    sink.rows(0, one_row().remove(0)).expect("it is written");
    let deadline = sink.deadline().expect("there are rows");
    assert!(deadline >= before + Duration::from_secs(10));
    sink.roll(deadline - Duration::from_millis(1))
        .expect("not yet");
    assert!(!listing(directory.path()).contains(&"v-00000.jsonl".to_owned()));
    sink.roll(deadline).expect("now");
    assert_eq!(listing(directory.path()), ["v-00000.jsonl"]);
    sink.roll(deadline + Duration::from_secs(60))
        .expect("nothing to do");
    assert_eq!(sink.finish().expect("it ends").files.len(), 1);
}

#[test]
fn a_device_is_written_to_and_not_replaced() {
    for format in FORMATS {
        let null = Path::new("/dev/null");
        let report = write(&spec(null, format, Mode::Final), one_row()).expect("it is written");
        assert_eq!((report.rows, report.files.len()), (1, 0));
        assert!(!fs::metadata(null).expect("it is there").is_file());
    }
}

#[cfg(unix)]
#[test]
fn a_link_stays_and_its_target_is_replaced() {
    let directory = directory();
    let (link, target) = (
        directory.path().join("link.csv"),
        directory.path().join("real/t.csv"),
    );
    std::os::unix::fs::symlink("real/t.csv", &link).expect("a link");
    for _ in 0..2 {
        write(&spec(&link, Format::Csv, Mode::Final), one_row()).expect("it is written");
        assert!(fs::symlink_metadata(&link).expect("a link").is_symlink());
        assert!(fs::symlink_metadata(&target).expect("a file").is_file());
    }
}

#[test]
fn a_full_disk_is_said_with_sink_and_path() {
    let directory = directory();
    for (format, life) in [
        (Format::Jsonl, Life::Ends),
        (Format::Jsonl, Life::Unending),
        (Format::Csv, Life::Ends),
        (Format::Parquet, Life::Ends),
    ] {
        let path = directory.path().join(format!("{format:?}-{life:?}"));
        std::os::unix::fs::symlink("/dev/full", &path).expect("a link");
        let text = failed(&SinkSpec {
            life,
            ..spec(&path, format, Mode::Final)
        });
        for part in [
            "sink `visits`",
            "cannot write to",
            path.to_str().expect("text"),
            "free some space",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}

/// A directory in which even the superuser cannot make a file.
fn sealed() -> PathBuf {
    PathBuf::from("/sys/kernel")
}

#[test]
fn places_that_cannot_be_written_to_are_found_before_the_run() {
    let directory = directory();
    let file = directory.path().join("file");
    fs::write(&file, "").expect("a file");
    for format in FORMATS {
        for path in [
            sealed().join("x.out"),
            sealed().join("x-{part}.out"),
            sealed().join("a/b.out"),
            file.join("x.out"),
        ] {
            let spec = spec(&path, format, Mode::Final);
            let text = open(&spec).expect_err("it must fail").to_string();
            assert!(text.contains("sink `visits`: cannot "), "{text}");
            assert!(
                text.contains(&*path.parent().expect("a parent").to_string_lossy()),
                "{text}"
            );
        }
    }
}

#[test]
fn settings_that_contradict_each_other_are_said_with_what_to_do() {
    let directory = directory();
    let at = |name: &str| directory.path().join(name);
    let roll = Some(Roll::DEFAULT);
    let base = || spec(&at("x.parquet"), Format::Parquet, Mode::Final);
    let stdout = SinkSpec {
        place: Place::Stdout,
        ..base()
    };
    let rolling = SinkSpec { roll, ..base() };
    let rolling_stdout = SinkSpec {
        place: Place::Stdout,
        format: Format::Jsonl,
        roll,
        ..base()
    };
    let twice = spec(&at("{part}-{part}.csv"), Format::Csv, Mode::Final);
    let parent = spec(&at("{part}/x.csv"), Format::Csv, Mode::Final);
    let named = spec(&at("{part}/"), Format::Csv, Mode::Final);
    let growing = lives(&at("x.jsonl.gz"), Format::Jsonl);
    let squeezed = spec(&at("x.parquet.gz"), Format::Parquet, Mode::Final);
    for (spec, expected) in [
        (stdout, "use format `jsonl`"),
        (rolling, "visits-{part}.parquet"),
        (rolling_stdout, "`roll` needs a place"),
        (twice, "may stand once"),
        (parent, "may stand once"),
        (named, "put it into the name"),
        (growing, "write parts"),
        (squeezed, "compresses by itself"),
    ] {
        let text = open(&spec).expect_err("it must fail").to_string();
        assert!(text.contains(expected), "{text}");
    }
    assert_eq!(listing(directory.path()), [""; 0]);
}
