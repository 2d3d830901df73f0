//! Each op with its edges: empty, one fact, exactly at both window ends, ties, nulls.

use super::*;

pub(super) fn second(s: i64) -> EventTime {
    EventTime(Span::seconds(s).0)
}

/// Facts at these seconds with these values in word 0; ids in order, no bits.
pub(super) fn facts(values: &[(i64, i64)]) -> Vec<OracleFact> {
    let fact = |(id, (s, value)): (usize, &(i64, i64))| OracleFact {
        at: second(*s),
        id: id as u64,
        bits: 0,
        words: vec![*value],
    };
    values.iter().enumerate().map(fact).collect()
}

/// The words of a single column at a second, after these facts.
fn at(feature: &FeatureSpec, bounds: Bounds, values: &[(i64, i64)], s: i64) -> Vec<i64> {
    let names = Arc::new(Names::default());
    let spec = FeaturesSpec {
        bounds,
        anchor_output: None,
        current_output: None,
        ..spec(vec![feature.clone()])
    };
    let mut run = Run::new(&spec, &names);
    run.all(&facts(values));
    run.timers(second(s));
    run.features.settle(&mut run.state, second(s));
    let mut words = Vec::new();
    let column = &run.features.columns[0];
    let mut reading = run.features.reading(second(s));
    reading.append(&mut run.state, column, &mut words);
    words
}

fn exact(feature: &FeatureSpec, values: &[(i64, i64)], s: i64) -> Vec<i64> {
    at(feature, Bounds::OpenClosed, values, s)
}

const OLDEST: Order = Order::OldestFirst;
const NEWEST: Order = Order::NewestFirst;

#[test]
fn a_fact_counts_from_its_time_until_exactly_the_window_later() {
    let count = windowed(Op::Count, Kind::Int, 10);
    let one = [(100, 1)];
    let seen = |bounds| {
        [99, 100, 101, 109, 110, 111].map(|s| {
            let facts = if s < 100 { &one[..0] } else { &one[..] };
            at(&count, bounds, facts, s)[0]
        })
    };
    assert_eq!(seen(Bounds::OpenClosed), [0, 1, 1, 1, 0, 0]);
    assert_eq!(seen(Bounds::ClosedClosed), [0, 1, 1, 1, 1, 0]);
    assert_eq!(seen(Bounds::ClosedOpen), [0, 0, 1, 1, 1, 0]);
}

#[test]
fn counts_skip_nulls_only_with_a_measure() {
    let values = [(1, NULL), (1, 5), (2, NULL)];
    assert_eq!(exact(&windowed(Op::Count, Kind::Int, 10), &values, 2), [1]);
    let rows = FeatureSpec {
        of: None,
        ..windowed(Op::Count, Kind::Int, 10)
    };
    assert_eq!(exact(&rows, &values, 2), [3]);
    assert_eq!(exact(&feature(Op::Any), &values, 2), [1]);
    assert_eq!(exact(&feature(Op::Any), &[], 2), [0]);
}

#[test]
fn sums_and_means_are_null_where_nothing_was_seen() {
    let fixed = Kind::Fixed { scale: 2 };
    let values = [(1, 250), (2, NULL), (3, 350)];
    for (op, full, late) in [
        (Op::Sum, 600, 350),
        (Op::Mean, float_word(3.0), float_word(3.5)),
        (Op::Min, 250, 350),
        (Op::Max, 350, 350),
        (Op::First, 250, 350),
        (Op::Last, 350, 350),
    ] {
        let column = windowed(op, fixed.clone(), 10);
        assert_eq!(exact(&column, &[], 5), [NULL], "{op:?}");
        assert_eq!(exact(&column, &values, 5), [full], "{op:?}");
        assert_eq!(exact(&column, &values, 11), [late], "{op:?}");
        assert_eq!(exact(&column, &values, 13), [NULL], "{op:?}");
        let zero = FeatureSpec {
            empty: 0,
            ..column.clone()
        };
        assert_eq!(exact(&zero, &values, 13), [0], "{op:?}");
        let ever = FeatureSpec {
            window: None,
            ..column
        };
        assert_eq!(exact(&ever, &values, 1_000_000), [full], "{op:?}");
    }
}

#[test]
fn sums_beyond_words_are_null_whatever_an_empty_one_shows() {
    let values = [(1, i64::MAX), (2, i64::MAX), (3, i64::MAX)];
    for window in [None, Some(Span::seconds(2))] {
        let column = FeatureSpec {
            window,
            empty: 0,
            ..windowed(Op::Sum, Kind::Int, 2)
        };
        assert_eq!(exact(&column, &values, 3), [NULL]);
    }
    // What leaves takes the excess along.
    let column = windowed(Op::Sum, Kind::Int, 2);
    assert_eq!(
        exact(&column, &[(1, i64::MAX), (2, i64::MAX), (3, -1)], 3),
        [i64::MAX - 1]
    );
}

#[test]
fn variance_of_both_kinds() {
    let values = [(1, 2), (2, 4), (3, 9)];
    for (op, all, last) in [
        (
            Op::Variance(Spread::Population),
            Some(26.0 / 3.0),
            Some(0.0),
        ),
        (Op::Variance(Spread::Sample), Some(13.0), None),
        (Op::Deviation(Spread::Sample), Some(13f64.sqrt()), None),
    ] {
        let word = |value: Option<f64>| value.map_or(NULL, float_word);
        let column = windowed(op, Kind::Int, 10);
        assert_eq!(exact(&column, &values, 3), [word(all)]);
        assert_eq!(exact(&column, &values, 12), [word(last)]);
        assert_eq!(exact(&column, &values, 13), [NULL]);
    }
}

#[test]
fn lists_go_by_time_then_id_and_name_their_order() {
    let values = [(1, 7), (1, 8), (2, NULL), (2, 9), (3, 7)];
    for window in [None, Some(Span::seconds(10))] {
        let list = |op| {
            let column = FeatureSpec {
                window,
                ..windowed(op, Kind::Int, 1)
            };
            exact(&column, &values, 3)
        };
        assert_eq!(
            list(Op::FirstK {
                k: 2,
                order: OLDEST
            }),
            [7, 8]
        );
        assert_eq!(
            list(Op::FirstK {
                k: 3,
                order: NEWEST
            }),
            [9, 8, 7]
        );
        assert_eq!(
            list(Op::LastK {
                k: 2,
                order: OLDEST
            }),
            [9, 7]
        );
        assert_eq!(
            list(Op::LastK {
                k: 9,
                order: NEWEST
            }),
            [7, 9, 8, 7]
        );
        // Of the distinct values 8 (at 1), 9 (at 2) and 7 (at 3), the last two.
        assert_eq!(
            list(Op::DistinctK {
                k: 2,
                order: NEWEST
            }),
            [7, 9]
        );
        assert_eq!(
            list(Op::DistinctK {
                k: 2,
                order: OLDEST
            }),
            [9, 7]
        );
        assert_eq!(list(Op::First), [7]);
        assert_eq!(list(Op::Last), [7]);
    }
    let column = windowed(
        Op::LastK {
            k: 3,
            order: OLDEST,
        },
        Kind::Int,
        2,
    );
    assert_eq!(exact(&column, &values, 3), [9, 7]);
    assert_eq!(exact(&column, &values, 5), [0; 0]);
}

#[test]
fn nulls_count_as_values_only_where_asked() {
    let values = [(1, NULL), (2, 4), (3, NULL)];
    let keep = |op| FeatureSpec {
        nulls: Nulls::Keep,
        ..windowed(op, Kind::Int, 10)
    };
    assert_eq!(exact(&keep(Op::Last), &values, 3), [NULL]);
    assert_eq!(exact(&keep(Op::CountDistinct), &values, 3), [2]);
    assert_eq!(
        exact(
            &keep(Op::LastK {
                k: 9,
                order: OLDEST
            }),
            &values,
            3
        ),
        [NULL, 4, NULL]
    );
    assert_eq!(
        exact(&keep(Op::Histogram { k: 9 }), &values, 3),
        [NULL, 2, 4, 1]
    );
    assert!(keep(Op::Sum).check().is_err());
}

#[test]
fn categories_by_count_then_by_text() {
    let names = Arc::new(Names::default());
    let codes = ["b", "a", "c", "c"].map(|text| names.code(text).unwrap());
    let values: Vec<(i64, i64)> = codes.iter().map(|code| (1, *code)).collect();
    let columns = [
        Op::Histogram { k: 2 },
        Op::MaxCountBy,
        Op::CountDistinct,
        Op::Entropy,
    ];
    for window in [None, Some(Span::seconds(10))] {
        let columns = columns.map(|op| FeatureSpec {
            window,
            ..windowed(op, Kind::Text, 1)
        });
        let spec = FeaturesSpec {
            anchor_output: None,
            ..spec(columns.to_vec())
        };
        let mut run = Run::new(&spec, &names);
        run.all(&facts(&values));
        let row = owned(&run.out.rows[CURRENT])[0].1.clone();
        assert_eq!(row[1], [codes[2], 2, codes[1], 1]);
        assert_eq!((&row[2], &row[3]), (&vec![2], &vec![3]));
        let nats = -0.5 * 0.5f64.ln() - 0.25 * 0.25f64.ln() - 0.25 * 0.25f64.ln();
        assert_eq!(row[4], [float_word(nats)]);
    }
    let one = windowed(Op::Entropy, Kind::Int, 10);
    assert_eq!(exact(&one, &[(1, 5), (2, 5)], 3), [0]);
    assert_eq!(exact(&one, &[], 3), [NULL]);
    assert_eq!(exact(&windowed(Op::MaxCountBy, Kind::Int, 10), &[], 3), [0]);
}

#[test]
fn a_ratio_has_two_filters_and_one_window() {
    let ratio = FeatureSpec {
        filter: Some(0),
        window: Some(Span::seconds(10)),
        ..feature(Op::Ratio { over: Some(1) })
    };
    let names = Arc::new(Names::default());
    let mut run = Run::new(&spec(vec![ratio]), &names);
    assert_eq!(run.values(second(0)), [NULL]);
    let fact = |s, bits| OracleFact {
        at: second(s),
        id: s as u64,
        bits,
        words: vec![],
    };
    run.all(&[fact(1, 0b10), fact(2, 0b10), fact(3, 0b11), fact(4, 0b01)]);
    assert_eq!(run.values(second(4)), [float_word(2.0 / 3.0)]);
    run.timers(second(13));
    // Only the fact above the line is left: no denominator.
    assert_eq!(run.values(second(13)), [NULL]);
}

#[test]
fn time_since_last_looks_before_the_instant() {
    for window in [None, Some(Span::seconds(10))] {
        let since = FeatureSpec {
            window,
            ..feature(Op::TimeSinceLast)
        };
        let values = [(1, 0), (4, 0), (4, 0)];
        assert_eq!(exact(&since, &[], 4), [NULL]);
        assert_eq!(exact(&since, &values[..1], 1), [NULL]);
        assert_eq!(exact(&since, &values, 4), [Span::seconds(3).0]);
        assert_eq!(exact(&since, &values, 5), [Span::seconds(1).0]);
        let later = exact(&since, &values, 14);
        assert_eq!(
            later,
            [if window.is_some() {
                NULL
            } else {
                Span::seconds(10).0
            }]
        );
    }
}

#[test]
fn the_longest_gap_is_between_two_facts_inside() {
    for window in [None, Some(Span::seconds(10))] {
        let gap = FeatureSpec {
            window,
            ..feature(Op::LongestGap)
        };
        let values = [(1, 0), (6, 0), (6, 0), (9, 0)];
        assert_eq!(exact(&gap, &values[..1], 1), [NULL]);
        assert_eq!(exact(&gap, &values, 9), [Span::seconds(5).0]);
        if window.is_some() {
            assert_eq!(exact(&gap, &values, 11), [Span::seconds(3).0]);
            assert_eq!(exact(&gap, &values, 16), [NULL]);
        }
    }
}

#[test]
fn a_decayed_sum_halves() {
    let column = FeatureSpec {
        of: Some(Measure {
            word: 0,
            kind: Kind::Fixed { scale: 1 },
        }),
        ..feature(Op::DecayedSum {
            half_life: Span::seconds(10),
        })
    };
    assert_eq!(exact(&column, &[], 5), [NULL]);
    assert_eq!(exact(&column, &[(0, 80)], 0), [float_word(8.0)]);
    assert_eq!(exact(&column, &[(0, 80), (10, 20)], 20), [float_word(3.0)]);
}

#[test]
fn a_hop_lets_whole_buckets_leave() {
    // Window of 60 s with hops of 10 s: at t it starts at the multiple of 10 at or below t − 60.
    for op in [Op::Count, Op::CountDistinct] {
        let column = FeatureSpec {
            hop: Some(Span::seconds(10)),
            ..windowed(op, Kind::Int, 60)
        };
        let values = [(1, 1), (9, 2), (10, 3), (11, 4)];
        let seen =
            |bounds| [60, 61, 69, 70, 71, 79, 80, 81].map(|s| at(&column, bounds, &values, s)[0]);
        // (start, t]: 10 belongs to the bucket (0, 10].
        assert_eq!(seen(Bounds::OpenClosed), [4, 4, 4, 1, 1, 1, 0, 0]);
        // [start, t]: 10 belongs to the bucket [10, 20).
        assert_eq!(seen(Bounds::ClosedClosed), [4, 4, 4, 2, 2, 2, 0, 0]);
    }
}

#[test]
fn what_cannot_be_computed_is_refused() {
    let refused = |feature: FeatureSpec| {
        let features = Features::new(&spec(vec![feature]), Arc::default());
        features.expect_err("it cannot be computed").to_string()
    };
    for (feature, why) in [
        (feature(Op::Sum), "number"),
        (windowed(Op::Mean, Kind::Text, 10), "number"),
        (windowed(Op::Min, Kind::Text, 10), "number or a time"),
        (feature(Op::Last), "measure"),
        (windowed(Op::Count, Kind::Int, 0), "window"),
        (
            windowed(Op::Last, Kind::List(Box::new(Kind::Int)), 1),
            "list",
        ),
        (
            windowed(
                Op::LastK {
                    k: 0,
                    order: OLDEST,
                },
                Kind::Int,
                1,
            ),
            "no values",
        ),
        (
            windowed(Op::DecayedSum { half_life: Span(1) }, Kind::Int, 1),
            "half-life",
        ),
    ] {
        let said = refused(feature);
        assert!(said.contains(why) && said.contains("column 0"), "{said}");
    }
}
