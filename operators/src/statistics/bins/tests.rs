//! Bins against published measures, against a look at every edge, and at their ends.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::statistics::divergence::{Direction, Unit, hellinger, js_distance, kl, psi};
use crate::statistics::golden::{close, current, reference};
use crate::statistics::sample::Sample;
use crate::statistics::{Share, Smoothing, shares_of, to_one};

fn sample(values: &[f64]) -> Sample<'_> {
    Sample::sorted(values).expect("ascending numbers")
}

fn shares(edges: &Edges, smoothing: Smoothing) -> Vec<Share> {
    let counts = edges.count_both(&reference(), &current());
    shares_of(&counts, smoothing).expect("both sides have rows")
}

const PLAIN: Smoothing = Smoothing::Floor(0.0);

#[test]
fn evidentlys_bins_give_its_published_values() {
    let (reference, current) = (reference(), current());
    let (reference, current) = (sample(&reference), sample(&current));
    let edges = Edges::of_both_as_evidently(reference, current, Numbers::Real);
    assert_eq!(edges.bins(), 11);
    assert_eq!((edges.edges()[0], edges.edges()[11]), (0.0, 1.096_004));
    let filled = shares(&edges, Smoothing::FillEmpty);
    close(psi(&filled), 1.232_938_916_112_831);
    close(
        kl(&to_one(&filled), Direction::ReferenceFromCurrent),
        0.810_014_717_486_812_8,
    );
    close(
        js_distance(&shares(&edges, PLAIN), Unit::Nats),
        0.305_630_375_372_254_8,
    );

    let both = reference.merged(current);
    let distinct = sample(&both).distinct();
    let edges = Edges::sturges(sample(&distinct), Numbers::Real);
    assert_eq!(edges.bins(), 11);
    close(hellinger(&shares(&edges, PLAIN)), 0.335_157_025_784_967_2);
}

#[test]
fn nannymls_bins_give_its_published_values() {
    let edges = Edges::doane(sample(&reference()), Numbers::Real);
    assert_eq!(edges.bins(), 11);
    let shares = shares(&edges, PLAIN);
    assert_eq!(shares.len(), 12);
    assert_eq!((shares[11].reference, shares[11].current), (0.0, 0.05));
    close(js_distance(&shares, Unit::Bits), 0.364_397_584_275_263_03);
    close(hellinger(&shares), 0.339_095_953_816_044_3);
}

#[test]
fn even_bins_of_both_and_deciles_give_the_published_values() {
    let (of_reference, of_current) = (reference(), current());
    let edges = Edges::of_both_evenly(sample(&of_reference), sample(&of_current), 10);
    close(
        psi(&shares(&edges, Smoothing::Floor(f64::MIN_POSITIVE))),
        0.310_375_661_546_648_75,
    );
    let edges = Edges::deciles(sample(&of_reference));
    assert_eq!(edges.bins(), 10);
    close(
        psi(&shares(&edges, Smoothing::Floor(1e-4))),
        1.020_849_309_307_976_7,
    );
}

#[test]
fn every_bin_is_found_as_by_looking_at_each() {
    for seed in 0..300 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let scale = 10f64.powi(rng.random_range(-9..9));
        let mut values: Vec<f64> = (0..rng.random_range(1..200))
            .map(|_| f64::from(rng.random_range(-50..50)) * scale)
            .collect();
        values.sort_by(f64::total_cmp);
        let of = sample(&values);
        let given: Vec<f64> = of.distinct();
        let all = [
            Edges::deciles(of),
            Edges::quantiles(of, rng.random_range(1..40)),
            Edges::distinct(of),
            Edges::even(of.least(), of.greatest(), rng.random_range(1..2000)),
            Edges::sturges(of, Numbers::Real),
            Edges::doane(of, Numbers::Real),
            Edges::doane(of, Numbers::Whole),
            Edges::given(given, Ends::Open).expect("ascending"),
        ];
        for edges in all {
            assert!(
                edges.edges().is_sorted_by(|a, b| a < b),
                "seed {seed}: {edges:?}"
            );
            let near = edges
                .edges()
                .iter()
                .flat_map(|e| [e.next_down(), *e, e.next_up()]);
            for value in values.iter().copied().chain(near) {
                let mut places = edges.edges().iter().filter(|edge| **edge <= value).count();
                let expected = match edges.ends() {
                    Ends::Open => Some(places),
                    Ends::Closed => {
                        let last = edges.edges()[edges.bins()];
                        if value == last {
                            places -= 1;
                        }
                        places.checked_sub(1).filter(|_| value <= last)
                    }
                };
                assert_eq!(edges.bin(value), expected, "seed {seed}: {value} {edges:?}");
            }
            let counts = edges.count(&values);
            assert_eq!(counts.iter().sum::<i64>(), values.len() as i64);
            assert_eq!(counts.last(), Some(&0), "seed {seed}: {edges:?}");
        }
    }
}

#[test]
fn frequent_values_make_fewer_bins() {
    let mut values = vec![0.0; 60];
    values.extend((1..=40).map(f64::from));
    let edges = Edges::deciles(sample(&values));
    // Quantiles 0 to 50 % are 0, the first edge, which is open.
    assert_eq!(edges.bins(), 5);
    assert_eq!(edges.bin(-1.0), edges.bin(0.0));
    assert_ne!(edges.bin(0.0), edges.bin(40.0));

    let constant = Edges::deciles(sample(&[3.0, 3.0]));
    assert_eq!((constant.bins(), constant.bin(1e9)), (1, Some(0)));
    assert_eq!(Edges::distinct(sample(&[3.0, 3.0])).bins(), 1);
}

#[test]
fn equal_values_get_one_bin_of_width_one() {
    for edges in [
        Edges::sturges(sample(&[7.0; 9]), Numbers::Real),
        Edges::sturges(sample(&[7.0]), Numbers::Whole),
        Edges::doane(sample(&[7.0; 9]), Numbers::Real),
    ] {
        assert_eq!(edges.edges(), [6.5, 7.5]);
    }
    // Doane's rule says nothing of two values.
    assert_eq!(Edges::doane(sample(&[1.0, 5.0]), Numbers::Real).bins(), 1);
}

#[test]
fn a_reference_of_few_values_has_a_bin_for_each_of_both() {
    let reference: Vec<f64> = (0..20).map(f64::from).collect();
    let of = |current: &[f64]| {
        Edges::of_both_as_evidently(sample(&reference), sample(current), Numbers::Real)
    };
    assert_eq!(of(&[0.5, 3.0, 99.0]).bins(), 22);
    assert_eq!(
        of(&[3.0]).count(&reference),
        [vec![1; 20], vec![0]].concat()
    );
}

#[test]
fn edges_that_cannot_be_are_refused_with_their_place() {
    let refused = |edges: &[f64], ends| match Edges::given(edges.to_vec(), ends) {
        Ok(edges) => panic!("{edges:?}"),
        Err(problem) => problem,
    };
    assert!(refused(&[1.0, f64::NAN], Ends::Open).contains("edge 2 is NaN"));
    assert!(refused(&[1.0, 3.0, 3.0], Ends::Open).contains("edge 2 is 3, and edge 3 is 3"));
    assert!(refused(&[1.0], Ends::Closed).contains("at least two"));
    let none = Edges::given(vec![], Ends::Open).expect("one bin of everything");
    assert_eq!((none.bins(), none.bin(f64::INFINITY)), (1, Some(0)));
}

#[test]
fn what_is_no_number_is_in_no_bin() {
    assert_eq!(Edges::even(0.0, 1.0, 3).bin(f64::NAN), None);
    assert_eq!(Edges::deciles(sample(&[1.0, 2.0])).bin(f64::NAN), None);
}

#[test]
fn bins_narrower_than_numbers_lie_apart_are_merged() {
    let (least, greatest) = (1e16, 1e16 + 4.0);
    let edges = Edges::even(least, greatest, 100);
    assert!(edges.bins() <= 2);
    assert_eq!(edges.bin(greatest), Some(edges.bins() - 1));
}

#[test]
fn centres_are_between_the_edges() {
    assert_eq!(Edges::even(0.0, 1.0, 2).centres(), Some(vec![0.25, 0.75]));
    assert_eq!(Edges::deciles(sample(&[1.0, 2.0])).centres(), None);
}
