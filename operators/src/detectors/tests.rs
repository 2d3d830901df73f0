//! The promises of all detectors: the published rows, and that a state goes on where it was saved.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::bed::seeds;

mod oracles;

/// 0.000 … 0.999, each once in a thousand rows.
fn h(row: u32) -> f64 {
    f64::from(row * 7919 % 1000) / 1000.0
}

/// 2,000 rows of one level, 1,000 of a higher one, 1,000 of half the range.
fn levels() -> Vec<f64> {
    let value = |row| match row {
        0..2000 => h(row),
        2000..3000 => h(row) + 0.25,
        _ => 0.5 * h(row),
    };
    (0..4000).map(value).collect()
}

/// 1,000 rows of which a tenth are 1, then 1,000 of which three tenths are.
fn bits() -> Vec<f64> {
    let share = |row| if row < 1000 { 0.1 } else { 0.3 };
    let bit = |row| f64::from(u8::from(h(row) < share(row)));
    (0..2000).map(bit).collect()
}

/// What `adwin delta=0.1 clock=2` means.
fn settings(text: &str) -> Settings {
    let mut words = text.split(' ');
    let name = words.next().unwrap();
    let parameters = words.map(|word| word.split_once('=').unwrap());
    Settings::named(name, parameters).unwrap()
}

/// The rows at which there is that signal.
fn rows(detector: &str, signal: Signal, values: &[f64]) -> Vec<usize> {
    let mut detector = Detector::new(&settings(detector));
    let signals = values.iter().map(|value| detector.add(*value));
    let found = signals.enumerate().filter(|(_, found)| *found == signal);
    found.map(|(row, _)| row).collect()
}

#[track_caller]
fn drifts(detector: &str, values: &[f64], expected: &[usize]) {
    assert_eq!(
        rows(detector, Signal::Drift, values),
        expected,
        "{detector}"
    );
}

#[test]
fn adwin_finds_the_published_rows() {
    let values = levels();
    drifts("adwin", &values, &[2079, 3039]);
    drifts("adwin clock=1", &values, &[2066, 3026]);
    drifts("adwin delta=0.05", &values, &[2047, 3039]);
    let all = [2079, 2111, 2143, 2207, 3039, 3071, 3103];
    drifts("adwin after=keep", &values, &all);
}

#[test]
fn adwin_keeps_the_published_window() {
    let mut adwin = adwin::Adwin::new(&adwin::Settings::default());
    for value in &levels()[..1000] {
        assert_eq!(adwin.add(*value), Signal::Quiet);
    }
    assert_eq!(adwin.width(), 1000);
    assert_eq!(adwin.total(), 499.5);
    assert_eq!(adwin.squares(), 83.333_250_000_000_08);
}

#[test]
fn page_hinkley_finds_the_published_rows() {
    let values = levels();
    drifts("page_hinkley", &values, &[2213, 3105]);
    drifts("page_hinkley threshold=10", &values, &[2039, 3018]);
    drifts("page_hinkley threshold=10 direction=up", &values, &[2039]);
    drifts("page_hinkley threshold=10 direction=down", &values, &[3027]);
    drifts("page_hinkley threshold=10 delta=0", &values, &[2030, 3018]);
}

#[test]
fn cusum_and_kswin_find_the_rows_of_river() {
    // KSWIN with river's draw replaced by positions spread evenly.
    let values = levels();
    drifts("cusum", &values, &[2005, 3002]);
    drifts("kswin", &values, &[3013]);
}

#[test]
fn detectors_of_bits_find_the_published_rows() {
    let values = bits();
    drifts("ddm", &values, &[1086]);
    assert_eq!(rows("ddm", Signal::Warning, &values)[0], 37);
    drifts("eddm", &values, &[1182]);
    drifts("hddm_a", &values, &[1085]);
    drifts("hddm_w", &values, &[]);
    drifts("fhddm", &values, &[]);
}

#[test]
fn detectors_of_bits_find_the_rows_of_river() {
    let shares = [0.1, 0.3, 0.05, 0.5, 0.2, 0.8, 0.4, 0.02];
    let bit = |row: u32| f64::from(u8::from(h(row) < shares[row as usize / 500]));
    let values: Vec<_> = (0..4000).map(bit).collect();
    // Rows of drifts, and how many rows are warnings.
    let expected: [(&str, &[usize], usize); 13] = [
        ("ddm", &[580, 1566, 2565], 129),
        (
            "ddm warm_start=100 warning_threshold=1.5 drift_threshold=2",
            &[530, 1529, 2529],
            87,
        ),
        (
            "eddm",
            &[
                579, 679, 788, 1553, 1617, 1679, 1740, 1801, 2567, 2626, 2665, 2728,
            ],
            1126,
        ),
        (
            "eddm warm_start=10 alpha=0.8 beta=0.7",
            &[874, 1678, 2935],
            768,
        ),
        ("fhddm", &[1322, 2094, 3062, 3566], 0),
        (
            "fhddm confidence=0.01 short_window=20",
            &[1020, 2017, 3006, 3511],
            0,
        ),
        ("fhddm window=25 confidence=0.0001", &[3025, 3531], 0),
        ("hddm_a", &[591, 1506, 2514], 22),
        (
            "hddm_a direction=both",
            &[591, 1068, 1505, 2034, 2513, 3007, 3522],
            44,
        ),
        (
            "hddm_a drift_confidence=0.00001 direction=both",
            &[690, 1142, 1518, 2071, 2514, 3030, 3539],
            301,
        ),
        ("hddm_w", &[1528, 2515], 7),
        ("hddm_w direction=both", &[1528, 2069, 2515, 3030, 3536], 58),
        (
            "hddm_w lambda=0.01 warning_confidence=0.05 direction=both",
            &[690, 1212, 1617, 2192, 2599, 3127, 3658],
            455,
        ),
    ];
    for (detector, rows_of_drifts, warnings) in expected {
        drifts(detector, &values, rows_of_drifts);
        let found = rows(detector, Signal::Warning, &values).len();
        assert_eq!(found, warnings, "{detector}");
    }
}

#[test]
fn fhddm_sees_the_share_of_ones_fall_and_not_rise() {
    let bit = |row: u32, share| f64::from(u8::from(h(row) < share));
    let errors = |row| bit(row, if row < 1000 { 0.1 } else { 0.6 });
    let errors: Vec<_> = (0..2000).map(errors).collect();
    let right: Vec<_> = errors.iter().map(|error| 1.0 - error).collect();
    drifts("fhddm", &errors, &[]);
    drifts("fhddm", &right, &[1047]);
}

#[test]
fn both_directions_are_each_by_itself_up_to_the_first_drift() {
    for seed in seeds(100) {
        let values = random_values(&mut SmallRng::seed_from_u64(seed), 400);
        for name in [
            "page_hinkley threshold=5",
            "cusum",
            "hddm_a drift_confidence=0.005",
            "hddm_w",
        ] {
            let first = |direction| {
                let detector = format!("{name} direction={direction}");
                let drift = rows(&detector, Signal::Drift, &values).first().copied();
                drift.unwrap_or(usize::MAX)
            };
            let either = first("up").min(first("down"));
            assert_eq!(first("both"), either, "seed {seed}: {name}");
        }
    }
}

#[test]
fn detectors_of_shares_take_what_is_outside_as_the_nearer_end() {
    let far: Vec<_> = bits().iter().map(|bit| bit * 9.0 - 4.0).collect();
    for name in ["ddm", "hddm_a", "hddm_w direction=both lambda=0.01"] {
        drifts(name, &far, &rows(name, Signal::Drift, &bits()));
    }
}

#[test]
#[should_panic(expected = "NaN was given to a detector")]
fn nan_is_not_taken() {
    Detector::new(&settings("ddm")).add(f64::NAN);
}

#[test]
fn values_are_taken_up_to_the_largest() {
    assert!(takes(LARGEST) && takes(-LARGEST) && takes(0.0));
    assert!(!takes(f64::NAN) && !takes(f64::INFINITY) && !takes(-2.0 * LARGEST));
    let adwin = settings("adwin clock=1 max_buckets=1 min_window_length=1 after=keep");
    for settings in Settings::all().into_iter().chain([adwin]) {
        let mut detector = Detector::new(&settings);
        for row in 0..1000 {
            detector.add(if row % 2 == 0 { LARGEST } else { -LARGEST });
        }
        assert!(!format!("{detector:?}").contains("NaN"), "{detector:?}");
    }
}

#[test]
fn adwin_forgets_a_large_value_for_good() {
    let mut adwin = adwin::Adwin::new(&adwin::Settings {
        clock: 1,
        after: After::Keep,
        ..adwin::Settings::default()
    });
    let mut given = [vec![1e30; 100], vec![1.0; 1000]].concat().into_iter();
    assert!(given.any(|value| adwin.add(value) == Signal::Drift));
    for value in given {
        adwin.add(value);
    }
    assert_eq!(adwin.total(), adwin.width() as f64);
    assert_eq!(adwin.squares(), 0.0);
}

#[test]
#[should_panic(expected = "ddm: `warm_start` is 0 and must be at least 1")]
fn settings_that_make_no_sense_are_not_taken() {
    let _ = Detector::new(&Settings::Ddm(ddm::Settings {
        warm_start: 0,
        ..ddm::Settings::default()
    }));
}

#[test]
fn a_state_goes_on_where_it_was_saved() {
    for seed in seeds(100) {
        let random = &mut SmallRng::seed_from_u64(seed);
        for settings in random_settings(random) {
            let values = random_values(random, 600);
            let (before, after) = values.split_at(random.random_range(0..values.len()));
            let mut detector = Detector::new(&settings);
            for value in before {
                detector.add(*value);
            }
            let bytes = encoded(&detector);
            let mut from = Reader::new(&bytes);
            let mut restored = Detector::decode(&settings, &mut from).unwrap();
            assert!(from.is_empty(), "seed {seed}: {settings}");
            assert_eq!(restored, detector, "seed {seed}: {settings}");
            for value in after {
                let signal = detector.add(*value);
                assert_eq!(restored.add(*value), signal, "seed {seed}: {settings}");
            }
            assert_eq!(encoded(&restored), encoded(&detector));
        }
    }
}

#[test]
fn damaged_states_are_errors_and_never_panics() {
    for seed in seeds(100) {
        let random = &mut SmallRng::seed_from_u64(seed);
        for settings in random_settings(random) {
            let mut detector = Detector::new(&settings);
            for value in random_values(random, 200) {
                detector.add(value);
            }
            let bytes = encoded(&detector);
            for end in 0..bytes.len() {
                assert!(Detector::decode(&settings, &mut Reader::new(&bytes[..end])).is_err());
            }
            let mut damaged = bytes.clone();
            for _ in 0..random.random_range(1..4) {
                let at = random.random_range(0..bytes.len());
                damaged[at] = random.random();
            }
            if let Ok(mut detector) = Detector::decode(&settings, &mut Reader::new(&damaged)) {
                for value in random_values(random, 200) {
                    detector.add(value);
                }
            }
        }
    }
}

fn encoded(detector: &Detector) -> Vec<u8> {
    let mut to = Writer::default();
    detector.encode(&mut to);
    to.bytes
}

/// Bits, coarse or fine numbers, between changes of their level.
fn random_values(random: &mut SmallRng, rows: usize) -> Vec<f64> {
    let kind = random.random_range(0..3);
    let mut level = 0.5;
    let mut value = || {
        if random.random_bool(0.005) {
            level = random.random::<f64>();
        }
        match kind {
            0 => f64::from(u8::from(random.random_bool(level))),
            1 => f64::from(random.random_range(0..8u8)) / 8.0 + level.round(),
            _ => random.random::<f64>() * 0.3 + level * 2.0,
        }
    };
    (0..rows).map(|_| value()).collect()
}

/// Every detector, by default and otherwise.
fn random_settings(random: &mut SmallRng) -> Vec<Settings> {
    let mut any = |choices: &[&'static str]| choices[random.random_range(0..choices.len())];
    let after = any(&["restart", "keep"]);
    let direction = any(&["up", "down", "both"]);
    let adwin = format!(
        "adwin delta={} clock={} max_buckets={} min_window_length={} grace_period={} after={after}",
        any(&["0.002", "0.3"]),
        any(&["1", "7", "32"]),
        any(&["1", "2", "5"]),
        any(&["1", "5", "20"]),
        any(&["0", "10", "100"]),
    );
    let texts = [
        adwin,
        format!(
            "page_hinkley threshold={} direction={direction}",
            any(&["1", "10"])
        ),
        format!("cusum slack={} direction={direction}", any(&["0.1", "1"])),
        format!(
            "kswin alpha={} window_size={} stat_size={} after={after}",
            any(&["0.005", "0.1"]),
            any(&["40", "100"]),
            any(&["10", "20"])
        ),
        format!("ddm warm_start={}", any(&["1", "30", "100"])),
        format!("eddm warm_start={}", any(&["1", "10", "30"])),
        format!("fhddm window=50 short_window={}", any(&["none", "20"])),
        format!("hddm_a direction={direction}"),
        format!(
            "hddm_w lambda={} direction={direction}",
            any(&["0.05", "0.2"])
        ),
    ];
    let changed = texts.iter().map(|text| settings(text));
    Settings::all().into_iter().chain(changed).collect()
}
