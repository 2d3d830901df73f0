//! Facts put side by side by slot, and a key's facts put in order.

/// Sorts `facts` by slot; what shares a slot keeps its order.
///
/// `spare` is room that is kept from call to call. Few are sorted by comparison, many by a radix sort
/// of 11 bits a pass.
pub(super) fn sort_by_slot<T: Copy + Default>(
    facts: &mut Vec<T>,
    spare: &mut Vec<T>,
    slot: impl Fn(&T) -> u32,
) {
    const BITS: u32 = 11;
    const FEW: usize = 256;
    if facts.len() <= FEW {
        facts.sort_by_key(slot);
        return;
    }
    let largest = facts.iter().map(&slot).max().unwrap_or(0);
    let mut shift = 0;
    while shift < 32 && largest >> shift > 0 {
        let digit = |fact: &T| (slot(fact) >> shift) as usize & ((1 << BITS) - 1);
        let mut starts = [0u32; 1 << BITS];
        for fact in &*facts {
            starts[digit(fact)] += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += std::mem::replace(start, sum);
        }
        spare.resize(facts.len(), T::default());
        for fact in &*facts {
            let place = &mut starts[digit(fact)];
            spare[*place as usize] = *fact;
            *place += 1;
        }
        std::mem::swap(facts, spare);
        shift += BITS;
    }
}

/// Sorts the facts of a key, stably; most of them are in order already.
///
/// What comes before something that stood ahead of it is taken out, sorted, and merged back from the
/// end. `late` is room that is kept from call to call.
pub(super) fn sort_mostly_sorted<T: Copy, K: Ord>(
    facts: &mut [T],
    late: &mut Vec<T>,
    key: impl Fn(&T) -> K,
) {
    late.clear();
    let Some(mut last) = facts.first().map(&key) else {
        return;
    };
    let mut kept = 1;
    for place in 1..facts.len() {
        let fact = facts[place];
        let this = key(&fact);
        if this < last {
            late.push(fact);
        } else {
            facts[kept] = fact;
            kept += 1;
            last = this;
        }
    }
    late.sort_by_key(&key);
    for end in (0..facts.len()).rev() {
        let Some(fact) = late.last() else {
            return;
        };
        // A late fact came after every kept one that is not greater: it stays behind its equals.
        if kept > 0 && key(&facts[kept - 1]) > key(fact) {
            kept -= 1;
            facts[end] = facts[kept];
        } else {
            facts[end] = *fact;
            late.pop();
        }
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
            let mut facts: Vec<(u32, u32)> = (0..count)
                .map(|place| (random.random_range(0..slots), place))
                .collect();
            let mut expected = facts.clone();
            expected.sort_by_key(|(slot, _)| *slot);
            sort_by_slot(&mut facts, &mut spare, |(slot, _)| *slot);
            assert_eq!(facts, expected, "seed {seed}");
        }
    }
    #[test]
    fn facts_of_a_key_are_sorted_and_equals_keep_their_order() {
        let mut late = Vec::new();
        for seed in 0..500 {
            let mut random = StdRng::seed_from_u64(seed);
            let range = [1, 5, 1_000][random.random_range(0..3)];
            let count = random.random_range(0..80);
            let mut facts: Vec<(u32, u32)> = (0..count)
                .map(|n| (n * 2 + random.random_range(0..range), n))
                .collect();
            let mut expected = facts.clone();
            expected.sort_by_key(|(at, _)| *at);
            sort_mostly_sorted(&mut facts, &mut late, |(at, _)| *at);
            assert_eq!(facts, expected, "seed {seed}");
        }
    }
}
