//! Triggers, case by case; `random` compares them with an oracle that looks at every moment.

use tidegate_schemas::fact::{Fact, NULL};
use tidegate_schemas::names::{code_of, stable_hash};
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::{EventTime, Span, TimeUnit};

use super::*;
use crate::program::{Comparison, Expr, Program};
use crate::tables::Table;

mod play;
mod random;

use play::*;

#[test]
fn an_episode_opens_and_closes_with_its_condition() {
    let mut play = Play::with_limits(spec(), &[(0, 7, Some(3))]);
    play.instant(10, &[], [2, 7]);
    assert!(play.rows().is_empty());
    play.instant(20, &[], [3, 7]);
    play.instant(30, &[], [5, 7]);
    assert_eq!(play.rows(), [(NULL, 20, NULL, 7, 3, 3)]);
    assert_eq!(play.trigger.wake(&play.state), Wake::Idle);
    play.instant(40, &[], [2, 7]);
    assert_eq!(play.rows(), [(NULL, 20, 40, 7, 3, 3)]);
    assert_eq!(play.trigger.wake(&play.state), Wake::Forget);
    let [opened, closed] = ["opened", "closed"].map(code_of);
    assert_eq!(play.column(STATE), [opened, opened, closed]);
    let times: Vec<_> = play.out.rows[0]
        .heads
        .iter()
        .map(|h| (h.at.0, h.diff))
        .collect();
    assert_eq!(times, [(20, 1), (20, -1), (40, 1)]);
}

#[test]
fn nulls_and_missing_rows_open_nothing_and_close_what_is_open() {
    let mut play = Play::with_limits(spec(), &[(0, 7, Some(3))]);
    play.tables.apply(&limit_row(0, 9, NULL, Some(1)));
    play.instant(10, &[], [9, NULL]);
    play.instant(20, &[], [9, 8]);
    play.instant(30, &[], [NULL, 7]);
    assert!(play.rows().is_empty());
    play.instant(40, &[], [3, 7]);
    play.instant(50, &[], [NULL, 7]);
    assert_eq!(play.rows(), [(NULL, 40, 50, 7, 3, 3)]);
}

#[test]
fn a_changed_threshold_opens_and_closes_and_a_deleted_one_closes() {
    let limits = [
        (0, 7, Some(5)),
        (20, 7, Some(3)),
        (30, 7, Some(4)),
        (40, 7, Some(2)),
    ];
    let mut play = Play::with_limits(spec(), &limits);
    play.tables.apply(&limit_row(50, 9, 7, None));
    play.instant(10, &[], [3, 7]);
    play.pass(100);
    assert_eq!(
        play.rows(),
        [(NULL, 20, 30, 7, 3, 3), (NULL, 40, 50, 7, 3, 2)]
    );
    assert_eq!(play.next(), None);
}

#[test]
fn a_version_counts_at_its_own_moment() {
    let mut play = Play::with_limits(spec(), &[(0, 7, Some(5)), (20, 7, Some(3))]);
    play.instant(20, &[], [3, 7]);
    assert_eq!(play.rows(), [(NULL, 20, NULL, 7, 3, 3)]);
}

#[test]
fn an_opening_inside_the_cooldown_comes_at_its_end_if_the_condition_holds() {
    let cooled = TriggerSpec {
        cooldown: Some(Span(20)),
        ..spec()
    };
    let mut play = Play::with_limits(cooled.clone(), &[(0, 7, Some(3))]);
    play.instant(10, &[], [3, 7]);
    play.instant(15, &[], [0, 7]);
    play.instant(20, &[], [4, 7]);
    assert_eq!(play.next(), Some(30));
    play.pass(30);
    assert_eq!(play.rows(), [(NULL, 10, 15, 7, 3, 3)]);
    play.pass(31);
    assert_eq!(play.rows()[1], (NULL, 30, NULL, 7, 4, 3));

    let mut play = Play::with_limits(cooled.clone(), &[(0, 7, Some(3))]);
    play.instant(10, &[], [3, 7]);
    play.instant(15, &[], [0, 7]);
    play.instant(20, &[], [4, 7]);
    play.instant(25, &[], [0, 7]);
    play.pass(100);
    assert_eq!(play.rows(), [(NULL, 10, 15, 7, 3, 3)]);
    assert_eq!(play.trigger.wake(&play.state), Wake::Forget);

    // Exactly at the end of the cooldown a fact opens at once.
    let mut play = Play::with_limits(cooled, &[(0, 7, Some(3))]);
    play.instant(10, &[], [3, 7]);
    play.instant(15, &[], [0, 7]);
    play.instant(30, &[], [8, 7]);
    assert_eq!(play.rows()[1], (NULL, 30, NULL, 7, 8, 3));
}

#[test]
fn an_episode_stays_open_until_it_is_cleared() {
    let below = compare(Comparison::Less, Expr::Register(COUNT), Expr::Int(2));
    let sticky = TriggerSpec {
        clear_when: Some(compiled(&below)),
        ..spec()
    };
    let mut play = Play::with_limits(sticky, &[(0, 7, Some(3)), (50, 7, Some(1))]);
    play.instant(10, &[], [3, 7]);
    play.instant(20, &[], [2, 7]);
    play.instant(30, &[], [NULL, 7]);
    assert_eq!(play.rows(), [(NULL, 10, NULL, 7, 3, 3)]);
    play.instant(40, &[], [1, 7]);
    // At 50 both are met: it stays closed.
    play.pass(100);
    assert_eq!(play.rows(), [(NULL, 10, 40, 7, 3, 3)]);
}

#[test]
fn anchors_fire_once_per_cooldown_and_the_smallest_id_first() {
    let at_anchors = |cooldown| TriggerSpec {
        anchor: Some(0),
        cooldown,
        ..spec()
    };
    let limits = [(0, 7, Some(3))];
    let play = |cooldown| {
        let mut play = Play::with_limits(at_anchors(cooldown), &limits);
        play.instant(10, &[(4, true), (5, false), (6, true)], [3, 7]);
        play.instant(15, &[(7, false)], [4, 7]);
        play.instant(29, &[(8, true)], [5, 7]);
        play.instant(30, &[(9, true)], [6, 7]);
        play.instant(40, &[(10, true)], [NULL, 7]);
        play
    };
    let all = [
        (4, 10, NULL, 7, 3, 3),
        (6, 10, NULL, 7, 3, 3),
        (8, 29, NULL, 7, 5, 3),
        (9, 30, NULL, 7, 6, 3),
    ];
    assert_eq!(play(None).rows(), all);
    assert_eq!(play(Some(Span::ZERO)).rows(), all);
    let mut cooled = play(Some(Span(20)));
    assert_eq!(cooled.rows(), [all[0], all[3]]);
    assert_eq!(cooled.column(STATE), [code_of("fired"); 2]);
    // The cooldown is all there is to remember, and it ends.
    assert_eq!(cooled.trigger.wake(&cooled.state), Wake::At(EventTime(50)));
    cooled.pass(51);
    assert_eq!(cooled.trigger.wake(&cooled.state), Wake::Forget);
}

#[test]
fn those_held_out_get_the_row_without_the_action() {
    let with = |assume| {
        let holdout = HoldOut {
            salt_hash: 1,
            percent: 50.0,
            assume: Some(assume),
        };
        let spec = TriggerSpec {
            holdout: Some(holdout),
            ..spec()
        };
        let mut play = Play::with_limits(spec, &[(0, 7, Some(3))]);
        play.instant(10, &[], [3, 7]);
        (play.column(ARM)[0], play.column(ACTION)[0])
    };
    assert_eq!(with(Arm::HeldOut), (code_of("held_out"), NULL));
    assert_eq!(with(Arm::Treated), (code_of("treated"), code_of("call")));
}

#[test]
fn the_arm_is_a_stable_function_of_salt_and_key() {
    let arms = |salt: &str, percent| {
        let holdout = HoldOut {
            salt_hash: stable_hash(salt),
            percent,
            assume: None,
        };
        (0..100_000)
            .map(|n| holdout.arm(stable_hash(&format!("c{n:07}"))))
            .map(|arm| arm == Arm::HeldOut)
            .collect::<Vec<_>>()
    };
    let share = |arms: &[bool]| arms.iter().filter(|held| **held).count();
    let [a, b] = ["rescue-v3", "rescue-v4"].map(|salt| arms(salt, 10.0));
    for arms in [&a, &b] {
        let held = share(arms);
        assert!((9_600..10_400).contains(&held), "{held} of 100,000");
    }
    // Salts choose independently of each other: about 1% are held out by both.
    let both: Vec<_> = a.iter().zip(&b).map(|(a, b)| *a && *b).collect();
    assert!((850..1_150).contains(&share(&both)));
    // A larger share only adds keys.
    let more = arms("rescue-v3", 20.0);
    assert!(a.iter().zip(&more).all(|(a, more)| *more || !*a));
    assert_eq!(share(&arms("x", 0.0)), 0);
    assert_eq!(share(&arms("x", 100.0)), 100_000);
    // Arms outlive releases: these must never change.
    let first: Vec<_> = (0..100).filter(|n| a[*n]).collect();
    assert_eq!(first, [11, 26, 30, 34, 91]);
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let refused = |spec: TriggerSpec| Trigger::new(spec).expect_err("refused");
    let number = compiled(&Expr::Register(COUNT));
    assert!(matches!(
        refused(TriggerSpec {
            when: number,
            ..spec()
        }),
        SpecError::NotATruth { what: "when", .. }
    ));
    let limit = compiled(&Expr::Register(LIMIT));
    let circular = TriggerSpec {
        segment: Some(limit),
        ..spec()
    };
    assert_eq!(
        refused(circular).to_string(),
        "`segment` cannot see register 2"
    );
    assert_eq!(
        refused(TriggerSpec {
            segment: None,
            ..spec()
        }),
        SpecError::NoSegment
    );
    let clear = compiled(&Expr::Bool(true));
    let anchored = TriggerSpec {
        anchor: Some(0),
        clear_when: Some(clear),
        ..spec()
    };
    assert_eq!(refused(anchored), SpecError::ClearAtAnchors);
    let far = TriggerSpec {
        reasons: vec![4],
        ..spec()
    };
    assert!(matches!(refused(far), SpecError::Register { .. }));
    let share = HoldOut {
        salt_hash: 0,
        percent: f64::NAN,
        assume: None,
    };
    assert_eq!(
        refused(TriggerSpec {
            holdout: Some(share),
            ..spec()
        }),
        SpecError::Share
    );
}

#[test]
fn only_keys_that_look_a_row_up_are_affected_by_it() {
    let mut play = Play::with_limits(spec(), &[(0, 7, Some(3))]);
    let row = |at, segment| limit_row(at, 9, segment, Some(1));
    assert!(!play.trigger.affected(&play.state, &row(10, 7)));
    play.instant(10, &[], [1, 7]);
    play.instant(20, &[], [1, 7]);
    assert!(play.trigger.affected(&play.state, &row(15, 7)));
    assert!(play.trigger.affected(&play.state, &row(99, 7)));
    assert!(!play.trigger.affected(&play.state, &row(15, 8)));
    // What it looked up before is not remembered: earlier rows may matter.
    play.instant(30, &[], [1, 8]);
    assert!(play.trigger.affected(&play.state, &row(15, 5)));
    assert!(!play.trigger.affected(&play.state, &row(30, 7)));
    assert!(play.trigger.affected(&play.state, &row(30, 8)));
    // At anchors, only what an evaluation has seen can be wrong.
    let anchored = TriggerSpec {
        anchor: Some(0),
        ..spec()
    };
    let mut play = Play::new(anchored);
    play.instant(10, &[(1, true)], [1, 7]);
    play.instant(20, &[(2, false)], [1, 7]);
    assert!(play.trigger.affected(&play.state, &row(10, 7)));
    assert!(!play.trigger.affected(&play.state, &row(11, 7)));
}

#[test]
fn a_row_found_by_an_input_may_make_the_segment_that_finds_another() {
    // Registers: the count, a customer's group; the group's tier; the tier's limit; the segment.
    let kinds = [Kind::Int, Kind::Int, Kind::Int, Kind::Int, Kind::Int];
    let compiled = |expr: Expr| Program::compile(&expr, &kinds).expect("it has a meaning");
    let lookup = |table, part| Lookup {
        table,
        key: vec![part],
        columns: 1,
    };
    let count_reaches = |register| {
        let (count, limit) = (Expr::Register(COUNT), Expr::Register(register));
        compiled(compare(Comparison::GreaterEqual, count, limit))
    };
    let chained = TriggerSpec {
        // The limit stands first, and is looked up last.
        lookups: vec![
            lookup(0, KeyPart::Segment),
            lookup(1, KeyPart::Register(SOURCE)),
        ],
        segment: Some(compiled(Expr::Register(3))),
        when: count_reaches(2),
        ..spec()
    };
    let mut play = Play::with_limits(chained, &[(0, 70, Some(3))]);
    play.tables.tables.push(Table::new(1, 1));
    let tier = TableRow {
        table: 1,
        ..limit_row(20, 9, 5, Some(70))
    };
    play.tables.apply(&tier);
    play.instant(10, &[], [3, 5]);
    assert!(play.trigger.affected(&play.state, &tier));
    assert!(
        !play
            .trigger
            .affected(&play.state, &limit_row(20, 9, 5, None))
    );
    play.pass(100);
    assert_eq!(play.rows(), [(NULL, 20, NULL, 70, 3, 3)]);
    // Whichever of the two changes first is waited for.
    for (first, table_of_first) in [(30, 0), (40, 1)] {
        play.tables.apply(&TableRow {
            table: table_of_first,
            ..limit_row(first, 10, [70, 5][table_of_first], None)
        });
        assert_eq!(play.next(), Some(30));
    }
}

#[test]
fn damaged_states_are_errors() {
    let mut play = Play::with_limits(spec(), &[(0, 7, Some(3))]);
    play.instant(10, &[], [3, 7]);
    let mut to = Writer::default();
    play.trigger.encode(&play.state, &mut to);
    for end in 0..to.bytes.len() {
        assert!(
            play.trigger
                .decode(&mut Reader::new(&to.bytes[..end]))
                .is_err()
        );
    }
}

#[test]
fn rows_have_the_columns_they_say() {
    let columns = spec().columns(TimeUnit::Second, Kind::Int, vec![]);
    let names: Vec<_> = columns.iter().map(|column| &column.name[..]).collect();
    assert_eq!(columns.len(), REASONS);
    assert_eq!(
        names[CLOSED_AT..=ACTION],
        ["closed_at", "state", "segment", "arm", "action"]
    );
    assert_eq!(spec().identity(), [FIRED_AT]);
}
