//! Bits that say whether a measure has a value: with them a row's bits alone tell whether features look
//! at it, and words that nobody reads are not fetched.

use tidegate_operators::features::spec::{FeaturesSpec, Nulls, Op};

/// The bits of a fact.
const BITS: usize = 64;

/// Gives columns of all values of a measure the bit of its presence as their filter, and answers each
/// such measure's word and bit. Bits that the job's own `filters` leave are taken from the top; when
/// they have run out, columns look at the words themselves.
pub(super) fn ask_for_presence(features: &mut [FeaturesSpec], filters: usize) -> Vec<(usize, u8)> {
    let mut present: Vec<(usize, u8)> = Vec::new();
    for column in features.iter_mut().flat_map(|spec| &mut spec.features) {
        let of_all = column.filter.is_none()
            && column.nulls == Nulls::Skip
            && !matches!(column.op, Op::Ratio { .. });
        let Some(of) = column.of.as_ref().filter(|_| of_all) else {
            continue;
        };
        let known = present.iter().find(|(word, _)| *word == of.word);
        column.filter = match known {
            Some((_, bit)) => Some(*bit),
            None if filters + present.len() < BITS => {
                let bit = (BITS - 1 - present.len()) as u8;
                present.push((of.word, bit));
                Some(bit)
            }
            None => None,
        };
    }
    present
}

#[cfg(test)]
mod tests {
    use tidegate_operators::aggregate::window::Bounds;
    use tidegate_operators::features::spec::{FeatureSpec, Measure};
    use tidegate_schemas::fact::NULL;
    use tidegate_schemas::rows::Kind;

    use super::*;

    fn column(word: usize, filter: Option<u8>, nulls: Nulls) -> FeatureSpec {
        FeatureSpec {
            op: Op::Sum,
            filter,
            of: Some(Measure {
                word,
                kind: Kind::Int,
            }),
            nulls,
            window: None,
            hop: None,
            empty: NULL,
        }
    }

    fn asked(filters: usize) -> (Vec<(usize, u8)>, Vec<Option<u8>>) {
        let mut features = [FeaturesSpec {
            features: vec![
                column(4, None, Nulls::Skip),
                column(2, Some(1), Nulls::Skip),
                column(3, None, Nulls::Keep),
                column(2, None, Nulls::Skip),
                column(4, None, Nulls::Skip),
            ],
            anchor: None,
            carry: Vec::new(),
            bounds: Bounds::OpenClosed,
            anchor_output: None,
            current_output: None,
            tracked: Default::default(),
        }];
        let present = ask_for_presence(&mut features, filters);
        let filters = features[0].features.iter().map(|column| column.filter);
        (present, filters.collect())
    }

    #[test]
    fn measures_without_a_filter_get_the_bits_that_filters_leave() {
        let (present, filters) = asked(2);
        assert_eq!(present, [(4, 63), (2, 62)]);
        assert_eq!(filters, [Some(63), Some(1), None, Some(62), Some(63)]);
        let (present, filters) = asked(63);
        assert_eq!(present, [(4, 63)]);
        assert_eq!(filters, [Some(63), Some(1), None, None, Some(63)]);
        assert_eq!(asked(64).0, []);
    }
}
