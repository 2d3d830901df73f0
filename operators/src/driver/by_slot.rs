//! Facts put side by side by slot.

/// Sorts `facts`, listed as (slot, place), by slot; what shares a slot keeps its order.
///
/// `spare` is room that is kept from call to call. Few are sorted by comparison, many by a radix sort
/// of 11 bits a pass.
pub(super) fn sort_by_slot(facts: &mut Vec<(u32, u32)>, spare: &mut Vec<(u32, u32)>) {
    const BITS: u32 = 11;
    const FEW: usize = 256;
    if facts.len() <= FEW {
        facts.sort_by_key(|(slot, _)| *slot);
        return;
    }
    let largest = facts.iter().map(|(slot, _)| *slot).max().unwrap_or(0);
    let mut shift = 0;
    while shift < 32 && largest >> shift > 0 {
        let digit = |slot: u32| (slot >> shift) as usize & ((1 << BITS) - 1);
        let mut starts = [0u32; 1 << BITS];
        for (slot, _) in &*facts {
            starts[digit(*slot)] += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += std::mem::replace(start, sum);
        }
        spare.resize(facts.len(), (0, 0));
        for entry in &*facts {
            let place = &mut starts[digit(entry.0)];
            spare[*place as usize] = *entry;
            *place += 1;
        }
        std::mem::swap(facts, spare);
        shift += BITS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    #[test]
    fn any_number_of_facts_is_sorted_and_keeps_its_order() {
        let mut spare = Vec::new();
        for seed in 0..200 {
            let mut random = StdRng::seed_from_u64(seed);
            let slots = [1, 3, 3_000, 5_000_000, u32::MAX][random.random_range(0..5)];
            let count = [0, 1, 256, 257, 3_000][random.random_range(0..5)];
            let mut facts: Vec<_> = (0..count)
                .map(|place| (random.random_range(0..slots), place))
                .collect();
            let mut expected = facts.clone();
            expected.sort_by_key(|(slot, _)| *slot);
            sort_by_slot(&mut facts, &mut spare);
            assert_eq!(facts, expected, "seed {seed}");
        }
    }
}
