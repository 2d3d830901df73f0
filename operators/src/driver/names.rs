//! The names of a worker's keys, end to end in one text: a name costs no allocation of its own.
//!
//! A name that is dropped leaves a hole. When the holes are more than the names, the owner builds the
//! text anew ([`Names::is_sparse`]).
//!
//! # State
//! The bytes of each name, rounded up to 8, and as many again in holes and spare room at most.

/// Where a name is: in steps of 8 bytes, so that 32 GiB can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    step: u32,
    length: u32,
}

impl Place {
    /// No name.
    pub(super) const NOWHERE: Place = Place {
        step: 0,
        length: u32::MAX,
    };

    fn room(self) -> usize {
        (self.length as usize).next_multiple_of(STEP)
    }
}

const STEP: usize = 8;

/// Fewer bytes than this are never built anew.
const SMALL: usize = 1 << 16;

/// Names end to end.
#[derive(Debug, Default)]
pub(super) struct Names {
    text: String,
    holes: usize,
}

impl Names {
    /// Adds a name.
    ///
    /// # Panics
    /// When the names come to more than 32 GiB, or one has 4 GiB.
    #[inline]
    pub(super) fn add(&mut self, name: &str) -> Place {
        let step = u32::try_from(self.text.len() / STEP).expect("names stay below 32 GiB");
        let length = u32::try_from(name.len()).expect("a name stays below 4 GiB");
        let place = Place { step, length };
        self.text.push_str(name);
        self.text
            .push_str(&"\0\0\0\0\0\0\0\0"[..place.room() - name.len()]);
        place
    }

    /// The name at a place.
    #[inline]
    pub(super) fn get(&self, place: Place) -> &str {
        let start = place.step as usize * STEP;
        &self.text[start..start + place.length as usize]
    }

    /// Brings a name nearer to the processor.
    #[inline]
    pub(super) fn touch(&self, place: Place) -> u8 {
        let text = self.text.as_bytes();
        text.get(place.step as usize * STEP).map_or(0, |byte| *byte)
    }

    /// Drops a name.
    #[inline]
    pub(super) fn remove(&mut self, place: Place) {
        self.holes += place.room();
    }

    /// Whether it should be built anew.
    #[inline]
    pub(super) fn is_sparse(&self) -> bool {
        self.holes > SMALL && self.holes * 2 > self.text.len()
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.text.capacity()
    }

    /// Room for what is left.
    pub(super) fn room_for_rest(&self) -> Names {
        Names {
            text: String::with_capacity(self.text.len() - self.holes),
            holes: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_length_come_back() {
        let mut names = Names::default();
        let name = |length: usize| "aü界b".chars().cycle().take(length).collect::<String>();
        let places: Vec<_> = (0..60).map(|length| names.add(&name(length))).collect();
        for (length, place) in places.iter().enumerate() {
            assert_eq!(names.get(*place), name(length));
        }
    }

    #[test]
    fn holes_are_noticed() {
        let mut names = Names::default();
        let places: Vec<_> = (0..20_000).map(|n| names.add(&n.to_string())).collect();
        places[..10_000].iter().for_each(|p| names.remove(*p));
        assert!(!names.is_sparse());
        names.remove(places[10_000]);
        assert!(names.is_sparse());
        assert_eq!(names.room_for_rest().text.capacity(), 9_999 * 8);
    }
}
