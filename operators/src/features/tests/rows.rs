//! Anchor rows, current rows, timers, and what a key costs.

use super::cases::{facts, second};
use super::*;

#[test]
fn anchors_of_one_instant_see_each_other_and_carry_words() {
    let count = FeatureSpec {
        of: None,
        ..windowed(Op::Count, Kind::Int, 10)
    };
    let spec = FeaturesSpec {
        carry: vec![Measure {
            word: 0,
            kind: Kind::Int,
        }],
        ..spec(vec![count])
    };
    let mut run = Run::new(&spec, &Arc::new(Names::default()));
    let fact = |s, id, bits| OracleFact {
        at: second(s),
        id,
        bits,
        words: vec![id as i64 * 10],
    };
    let anchor = 1 << 63;
    run.all(&[
        fact(1, 1, 0),
        fact(5, 2, anchor),
        fact(5, 3, 0),
        fact(5, 4, anchor),
    ]);
    let rows = &run.out.rows[ANCHORS];
    assert_eq!(rows.columns[0].words, [2, 4]);
    assert_eq!(rows.columns[1].words, [second(5).0; 2]);
    assert_eq!(rows.columns[2].words, [20, 40]);
    assert_eq!(rows.columns[3].words, [4, 4]);
}

#[test]
fn a_current_row_rises_falls_and_goes() {
    let count = windowed(Op::Count, Kind::Int, 10);
    let mut run = Run::new(&spec(vec![count]), &Arc::new(Names::default()));
    run.all(&facts(&[(1, 0), (4, 0)]));
    run.timers(second(100));
    let row = |s: i64, n: i64, diff| (second(s), vec![vec![second(s).0], vec![n]], diff);
    assert_eq!(
        owned(&run.out.rows[CURRENT]),
        [
            row(1, 1, 1),
            row(1, 1, -1),
            row(4, 2, 1),
            row(4, 2, -1),
            row(11, 1, 1),
            row(11, 1, -1)
        ]
    );
    assert_eq!(run.features.wake(&run.state), Wake::Forget);
    assert!(run.state.lanes.is_empty());
}

#[test]
fn facts_that_pass_no_filter_leave_nothing_behind() {
    let count = FeatureSpec {
        filter: Some(0),
        of: None,
        ..windowed(Op::Count, Kind::Int, 10)
    };
    let mut run = Run::new(&spec(vec![count]), &Arc::new(Names::default()));
    run.all(&facts(&[(1, 0), (4, 0)]));
    assert!(run.out.is_empty());
    assert_eq!(run.features.wake(&run.state), Wake::Forget);
}

#[test]
fn without_change_tracking_only_the_end_of_the_state_is_asked_for() {
    let columns = [3, 10].map(|seconds| windowed(Op::Sum, Kind::Int, seconds));
    let spec = FeaturesSpec {
        current_output: None,
        ..spec(columns.to_vec())
    };
    let mut run = Run::new(&spec, &Arc::new(Names::default()));
    run.all(&facts(&[(1, 5), (4, 6)]));
    assert_eq!(run.features.wake(&run.state), Wake::At(second(14)));
    run.timers(second(14));
    assert_eq!(run.features.wake(&run.state), Wake::Forget);
    let tracked = FeaturesSpec {
        tracked: BTreeSet::from([0]),
        ..spec
    };
    let mut run = Run::new(&tracked, &Arc::new(Names::default()));
    run.all(&facts(&[(1, 5), (4, 6)]));
    assert_eq!(run.features.wake(&run.state), Wake::At(second(7)));
}

#[test]
fn an_almost_empty_key_takes_as_few_bytes_as_promised() {
    assert_eq!(size_of::<State>(), 64);
    assert_eq!(size_of::<lane::Lane>(), 72);
    assert!(size_of::<part::Part>() <= 48);
}
