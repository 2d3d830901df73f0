//! The generator's random numbers: xoshiro256++ and an alias table, written out here.
//!
//! A library's small generator may change with its version; these files must be the same for the same seed for ever,
//! because answers are compared across versions.

/// A seeded source of random numbers (xoshiro256++, seeded by splitmix64).
#[derive(Clone)]
pub struct Dice {
    state: [u64; 4],
}

impl Dice {
    /// Dice that give the same numbers for the same seed.
    pub fn new(seed: u64) -> Dice {
        let mut x = seed;
        Dice {
            state: std::array::from_fn(|_| {
                x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = x;
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                z ^ (z >> 31)
            }),
        }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let bits = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        bits
    }

    /// A number in `[0, n)`; `n` must not be 0. The bias is under `n / 2^64`.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }

    /// A number in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// Draws indices in proportion to weights, in constant time each (Walker's alias method, as set up by Vose).
pub struct Alias {
    // (chance of keeping the slot, out of 2^32; the index taken otherwise)
    slots: Vec<(u32, u32)>,
}

impl Alias {
    /// A table for `weights`, of which there must be at least one and fewer than 2^32, all positive or zero.
    pub fn new(weights: &[f64]) -> Alias {
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        let mut scaled: Vec<f64> = weights.iter().map(|w| w / mean).collect();
        let mut slots: Vec<(u32, u32)> = (0..weights.len() as u32).map(|i| (u32::MAX, i)).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..scaled.len()).partition(|&i| scaled[i] < 1.0);
        while let (Some(low), Some(&high)) = (small.pop(), large.last()) {
            slots[low] = ((scaled[low] * 4_294_967_296.0) as u32, high as u32);
            scaled[high] -= 1.0 - scaled[low];
            if scaled[high] < 1.0 {
                large.pop();
                small.push(high);
            }
        }
        Alias { slots }
    }

    /// The next index.
    pub fn pick(&self, dice: &mut Dice) -> usize {
        let bits = dice.bits();
        let slot = (((bits >> 32) * self.slots.len() as u64) >> 32) as usize;
        let (keep, other) = self.slots[slot];
        if bits as u32 <= keep {
            slot
        } else {
            other as usize
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_numbers_for_ever() {
        // The reference implementation's numbers for the state [1, 2, 3, 4].
        let mut dice = Dice {
            state: [1, 2, 3, 4],
        };
        assert_eq!(
            [dice.bits(), dice.bits(), dice.bits()],
            [41_943_041, 58_720_359, 3_588_806_011_781_223]
        );
    }

    #[test]
    fn below_and_unit_stay_in_range() {
        let mut dice = Dice::new(7);
        for _ in 0..10_000 {
            assert!(dice.below(3) < 3);
            let unit = dice.unit();
            assert!((0.0..1.0).contains(&unit));
        }
    }

    #[test]
    fn alias_draws_in_proportion() {
        let weights = [1.0, 0.0, 5.0, 2.0, 0.5];
        let total: f64 = weights.iter().sum();
        let (table, mut dice) = (Alias::new(&weights), Dice::new(1));
        let mut seen = [0u32; 5];
        for _ in 0..400_000 {
            seen[table.pick(&mut dice)] += 1;
        }
        for (seen, weight) in seen.iter().zip(weights) {
            let share = f64::from(*seen) / 400_000.0;
            assert!(
                (share - weight / total).abs() < 0.004,
                "{share} for {}",
                weight / total
            );
        }
    }
}
