//! The thread: several workers, failures that reach everybody, ends that are clean.

use std::fs;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::*;

fn start(spec: SinkSpec, senders: usize) -> (SinkHandle, Vec<SinkSender>) {
    SinkHandle::start(spec, SinkInput::Rows(visits()), Arc::default(), senders).expect("it starts")
}

/// Changes that can be read while they come.
fn growing(path: &Path) -> SinkSpec {
    SinkSpec {
        life: Life::Unending,
        ..spec(path, Format::Jsonl, Mode::Changes)
    }
}

/// Waits for another thread.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{what} did not happen within ten seconds");
}

#[test]
fn a_tick_is_complete_when_every_worker_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("visits.jsonl");
    let (handle, mut senders) = start(growing(&path), 2);
    let lines = || fs::read_to_string(&path).map_or(0, |text| text.lines().count());
    senders[0]
        .write(1, &mut visit_rows(&[("a", 1, 1, 1), ("x", 1, 1, 1)]))
        .expect("sent");
    senders[0].complete(2).expect("sent");
    senders[1].complete(1).expect("sent");
    senders[1]
        .write(1, &mut visit_rows(&[("b", 1, 1, 1)]))
        .expect("sent");
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(lines(), 0);
    senders[1].complete(2).expect("sent");
    // Shown without any further message.
    until("three lines", || lines() == 3);
    assert_eq!(handle.written().load(Ordering::Relaxed), 3);
    assert_eq!(handle.finish().expect("it ends").rows, 3);
}

#[test]
fn whole_rows_do_not_wait_for_their_tick_but_for_those_before() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("visits.jsonl");
    let (handle, mut senders) = start(growing(&path), 2);
    let ticks = || -> Vec<String> {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let tick = |line: &str| {
            line.split("\"tick\":")
                .nth(1)
                .map(|rest| rest[..1].to_owned())
        };
        text.lines().filter_map(tick).collect()
    };
    let whole = |sender: &mut SinkSender, tick, key| {
        let rows = &mut visit_rows(&[(key, 1, 1, 1)]);
        sender.write_whole(tick, rows).expect("sent");
    };
    senders[0].complete(1).expect("sent");
    whole(&mut senders[0], 1, "a");
    senders[1]
        .write(0, &mut visit_rows(&[("b", 1, 1, 1)]))
        .expect("sent");
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(ticks(), [""; 0], "tick 0 may have more");
    senders[1].complete(1).expect("sent");
    until("tick 0", || ticks() == ["0"]);
    // Now nothing is before it.
    whole(&mut senders[1], 1, "c");
    until("a part of tick 1", || ticks() == ["0", "1"]);
    senders
        .iter_mut()
        .for_each(|s| s.complete(2).expect("sent"));
    until("all of tick 1", || ticks() == ["0", "1", "1"]);
    assert_eq!(handle.finish().expect("it ends").rows, 3);
}

#[test]
fn rows_of_many_workers_all_arrive() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("visits.parquet");
    for mode in [Mode::Final, Mode::Changes, Mode::Upserts] {
        let (handle, senders) = start(spec(&path, Format::Parquet, mode), 4);
        let workers: Vec<_> = (0..)
            .zip(senders)
            .map(|(worker, mut sender)| {
                std::thread::spawn(move || {
                    let mut rows = Rows::new(2);
                    for tick in 0..200 {
                        for n in 0..tick % 7 {
                            let columns = rows.begin(&format!("w{worker}"), EventTime(0), 1);
                            columns[0].push(i64::from(tick) * 1_000);
                            columns[1].push(i64::from(n));
                        }
                        sender
                            .write(u64::from(tick as u32), &mut rows)
                            .expect("sent");
                        assert!(rows.is_empty() && rows.columns.len() == 2);
                        sender.complete(u64::from(tick as u32) + 1).expect("sent");
                    }
                })
            })
            .collect();
        workers
            .into_iter()
            .for_each(|worker| worker.join().expect("no panic"));
        let expected = 4 * (0..200).map(|tick| tick % 7).sum::<u64>();
        assert_eq!(handle.finish().expect("it ends").rows, expected);
        assert_eq!(read_parquet(&path).num_rows() as u64, expected);
    }
}

#[test]
fn a_failure_reaches_workers_and_the_end_of_the_run() {
    let spec = SinkSpec {
        life: Life::Unending,
        ..spec(Path::new("/dev/full"), Format::Jsonl, Mode::Final)
    };
    let (handle, mut senders) = start(spec, 1);
    senders[0]
        .write(0, &mut visit_rows(&[("a", 1, 1, 1)]))
        .expect("sent");
    until("the failure", || handle.failure().is_some());
    until("the closed channel", || {
        senders[0]
            .write(1, &mut visit_rows(&[("a", 1, 1, 1)]))
            .is_err()
    });
    let from_worker = senders[0].write(1, &mut visit_rows(&[("a", 1, 1, 1)]));
    let from_worker = from_worker.expect_err("it has failed").to_string();
    let from_end = handle.finish().expect_err("it has failed").to_string();
    assert!(from_end.contains("/dev/full"), "{from_end}");
    assert_eq!(from_worker, from_end);
}

#[test]
fn a_worker_that_waits_for_a_full_channel_is_woken_by_the_failure() {
    let (handle, mut senders) = start(spec(Path::new("/dev/full"), Format::Jsonl, Mode::Final), 1);
    let mut sender = senders.remove(0);
    let worker = std::thread::spawn(move || {
        let long = "k".repeat(100_000);
        (0..10_000).find_map(|tick| {
            sender
                .write(tick, &mut visit_rows(&[(&long, 1, 1, 1)]))
                .err()
        })
    });
    let failure = worker.join().expect("no panic").expect("the disk is full");
    assert!(failure.to_string().contains("No space left"), "{failure}");
    assert!(
        handle.abort().is_err(),
        "an abort does not hide the failure"
    );
}

#[test]
fn an_aborted_or_abandoned_sink_leaves_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("visits.parquet");
    let (handle, mut senders) = start(spec(&path, Format::Parquet, Mode::Final), 1);
    senders[0]
        .write(0, &mut visit_rows(&[("a", 1, 1, 1)]))
        .expect("sent");
    handle.abort().expect("a clean end");
    assert_eq!(listing(directory.path()), [""; 0]);
    let late = senders[0].write(1, &mut visit_rows(&[("a", 1, 1, 1)]));
    assert!(
        late.expect_err("it is closed")
            .to_string()
            .contains("closed")
    );

    let (handle, senders) = start(spec(&path, Format::Parquet, Mode::Final), 1);
    drop((handle, senders));
    until("the hidden file to go", || {
        listing(directory.path()).is_empty()
    });
}

/// What comes when a sink has been told to finish is not lost in silence.
#[test]
fn rows_that_come_too_late_are_an_error() {
    for whole in [false, true] {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("visits.jsonl");
        let (handle, mut senders) = start(spec(&path, Format::Jsonl, Mode::Final), 1);
        // Long enough for the rest to wait behind it.
        let mut many = visit_rows(&[("a", 1, 1, 1); 200_000]);
        senders[0].write(0, &mut many).expect("sent");
        handle.begin_to_seal();
        let late = &mut visit_rows(&[("b", 1, 1, 1)]);
        let sent = match whole {
            true => senders[0].write_whole(1, late),
            false => senders[0].write(1, late),
        };
        sent.expect("it waits");
        let failure = handle.finish().expect_err("a row was left over");
        assert!(failure.to_string().contains("closed"), "{failure}");
        assert_eq!(listing(directory.path()), [""; 0]);
    }
}

#[test]
fn a_part_rolls_by_time_though_nothing_comes() {
    let directory = tempfile::tempdir().expect("a directory");
    let spec = SinkSpec {
        roll: Some(Roll {
            rows: 1_000,
            every: Duration::from_millis(20),
        }),
        life: Life::Unending,
        ..spec(
            &directory.path().join("v-{part}.parquet"),
            Format::Parquet,
            Mode::Final,
        )
    };
    let (handle, mut senders) = start(spec, 1);
    for part in 0..3 {
        senders[0]
            .write(part, &mut visit_rows(&[("a", 1, 1, 1)]))
            .expect("sent");
        let name = format!("v-{part:05}.parquet");
        until(&name, || listing(directory.path()).contains(&name));
    }
    assert_eq!(handle.finish().expect("it ends").files.len(), 3);
}

#[test]
fn a_defect_in_the_thread_is_an_error_and_not_a_hang() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("visits.jsonl");
    let mut output = visits();
    output.columns[1].kind = Kind::List(Box::new(Kind::Int));
    let (handle, mut senders) = SinkHandle::start(
        spec(&path, Format::Jsonl, Mode::Final),
        SinkInput::Rows(output),
        Arc::default(),
        1,
    )
    .expect("it starts");
    // Ends of lists that go back break what every operator promises.
    let mut broken = visit_rows(&[("a", 1, 1, 1), ("b", 1, 1, 1)]);
    broken.columns[1].ends = vec![2, 1];
    senders[0].write(0, &mut broken).expect("sent");
    let failure = handle.finish().expect_err("it broke").to_string();
    assert!(failure.contains("its thread broke"), "{failure}");
    assert_eq!(listing(directory.path()), [""; 0]);
}

#[test]
fn rows_sent_back_are_used_again() {
    let (handle, mut senders) = start(spec(Path::new("/dev/null"), Format::Csv, Mode::Final), 1);
    let mut rows = visit_rows(&[("a", 1, 1, 1); 100]);
    let mut reused = 0;
    for tick in 0..200 {
        senders[0].write(tick, &mut rows).expect("sent");
        reused += usize::from(rows.heads.capacity() > 0);
        rows.begin("a", EventTime(0), 1)
            .iter_mut()
            .for_each(|column| column.push(1));
        std::thread::sleep(Duration::from_micros(200));
    }
    assert!(reused > 0);
    handle.finish().expect("it ends");
}
