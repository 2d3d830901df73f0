//! The measures of shares against published values, and what holds for any shares.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::statistics::golden::{channels, close};
use crate::statistics::{Counts, Smoothing, shares_of, to_one};

#[test]
fn psi_equals_the_published_values() {
    for (smoothing, expected) in [
        (Smoothing::Floor(1e-4), 1.103_601_408_044_551),
        (Smoothing::FillEmpty, 1.103_601_408_044_551),
        (Smoothing::FloorToOne(1e-4), 1.103_569_528_717_054),
        (Smoothing::MoveToEmpty(1e-6), 1.454_916_907_233_600_8),
        (Smoothing::AddToCounts(1e-6), 2.025_326_135_757_022_3),
        (Smoothing::AddToShares(1e-10), 2.485_843_239_328_876_7),
        (Smoothing::Floor(f64::MIN_POSITIVE), 71.022_899_999_601_24),
        (Smoothing::AddToCounts(1.0), 0.615_183_088_054_12),
    ] {
        close(psi(&channels(smoothing)), expected);
    }
    assert_eq!(psi(&channels(Smoothing::Floor(0.0))), f64::INFINITY);
}

#[test]
fn kl_equals_the_published_values() {
    let plain = channels(Smoothing::Floor(0.0));
    close(
        kl(&plain, Direction::ReferenceFromCurrent),
        0.319_515_929_825_088_5,
    );
    assert_eq!(kl(&plain, Direction::CurrentFromReference), f64::INFINITY);
    close(
        kl(
            &channels(Smoothing::AddToCounts(1e-6)),
            Direction::CurrentFromReference,
        ),
        1.705_810_387_662_085_4,
    );
    // Evidently fills, and SciPy scales.
    let filled = to_one(&channels(Smoothing::FillEmpty));
    close(
        kl(&filled, Direction::ReferenceFromCurrent),
        0.318_693_279_969_359_8,
    );
    let floored = channels(Smoothing::FloorToOne(1e-4));
    close(
        kl(&floored, Direction::ReferenceFromCurrent),
        0.318_693_279_969_359_8,
    );
}

#[test]
fn distances_that_need_no_smoothing_equal_the_published_values() {
    let plain = channels(Smoothing::Floor(0.0));
    close(js_distance(&plain, Unit::Nats), 0.291_297_819_934_646_7);
    close(js_distance(&plain, Unit::Bits), 0.349_884_339_154_144_35);
    close(js_divergence(&plain, Unit::Nats), 0.084_854_419_898_677_85);
    close(js_divergence(&plain, Unit::Bits), 0.122_419_050_785_332_31);
    close(hellinger(&plain), 0.317_694_069_048_421_3);
    close(total_variation(&plain), 0.3);
    close(largest_difference(&plain), 0.3);
}

/// Every measure of these shares.
fn all(shares: &[Share]) -> [f64; 10] {
    [
        psi(shares),
        kl(shares, Direction::CurrentFromReference),
        kl(shares, Direction::ReferenceFromCurrent),
        js_divergence(shares, Unit::Nats),
        js_divergence(shares, Unit::Bits),
        js_distance(shares, Unit::Nats),
        js_distance(shares, Unit::Bits),
        hellinger(shares),
        total_variation(shares),
        largest_difference(shares),
    ]
}

fn random(rng: &mut SmallRng) -> Vec<Counts> {
    let rows = |rng: &mut SmallRng| match rng.random_bool(0.3) {
        true => 0,
        false => rng.random_range(1..1000),
    };
    let mut counts: Vec<Counts> = (0..rng.random_range(1..30))
        .map(|_| Counts {
            reference: rows(rng),
            current: rows(rng),
        })
        .collect();
    counts.push(Counts {
        reference: 1,
        current: 1,
    });
    counts
}

#[test]
fn measures_keep_their_bounds_and_their_symmetry() {
    for seed in 0..500 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let counts = random(&mut rng);
        let plain = shares_of(&counts, Smoothing::Floor(0.0)).expect("rows");
        let smooth = shares_of(&counts, Smoothing::AddToCounts(0.5)).expect("rows");
        let swap = |shares: &[Share]| -> Vec<Share> {
            let swapped = |share: &Share| Share {
                reference: share.current,
                current: share.reference,
            };
            shares.iter().map(swapped).collect()
        };
        let (one, other) = (all(&smooth), all(&swap(&smooth)));
        let mut mirrored = other;
        mirrored.swap(1, 2);
        for (one, other) in one.iter().zip(mirrored) {
            assert!(
                (one - other).abs() <= 1e-13 * one.abs(),
                "seed {seed}: {one} {other}"
            );
        }
        // Jeffreys: PSI is KL both ways together.
        assert!((one[0] - one[1] - one[2]).abs() < 1e-13, "seed {seed}");

        let [
            _,
            _,
            _,
            nats,
            bits,
            _,
            distance,
            hellinger,
            variation,
            largest,
        ] = all(&plain);
        let slack = 1e-14;
        assert!(nats <= LN_2 + slack && bits <= 1.0 + slack, "seed {seed}");
        assert!(
            hellinger <= 1.0 + slack && variation <= 1.0 + slack,
            "seed {seed}"
        );
        assert!(largest <= variation + slack, "seed {seed}");
        // Le Cam and Lin: what is far by one measure is not near by another.
        assert!(hellinger * hellinger <= variation + slack, "seed {seed}");
        assert!(variation <= hellinger * 2f64.sqrt() + slack, "seed {seed}");
        assert!(
            bits <= variation + slack && distance + slack >= bits,
            "seed {seed}"
        );
        assert!(
            one.iter().all(|measure| *measure >= -slack),
            "seed {seed}: {one:?}"
        );
    }
}

#[test]
fn equal_shares_are_no_distance() {
    for seed in 0..100 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let counts: Vec<Counts> = random(&mut rng)
            .iter()
            .map(|counts| Counts {
                reference: counts.reference,
                current: 3 * counts.reference,
            })
            .collect();
        let shares = shares_of(&counts, Smoothing::Floor(1e-4)).expect("rows");
        assert_eq!(all(&shares), [0.0; 10], "seed {seed}");
    }
}

#[test]
fn without_shares_there_is_no_distance() {
    assert_eq!(all(&[]), [0.0; 10]);
}

#[test]
fn sides_without_a_common_category_are_as_far_as_can_be() {
    let apart = [(1, 0), (0, 2), (2, 0)].map(|(reference, current)| Counts { reference, current });
    let shares = shares_of(&apart, Smoothing::Floor(0.0)).expect("rows");
    close(js_divergence(&shares, Unit::Nats), LN_2);
    close(js_distance(&shares, Unit::Bits), 1.0);
    close(hellinger(&shares), 1.0);
    close(total_variation(&shares), 1.0);
    assert_eq!(largest_difference(&shares), 1.0);
}
