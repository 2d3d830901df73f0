//! The name of a key: short ones lie in the slot itself, so that a key costs no allocation of its own.

/// Names of up to this many bytes are kept in place.
const SHORT: usize = 22;

/// A key's name in 24 bytes.
#[derive(Clone, Debug)]
pub(super) enum Name {
    Short(u8, [u8; SHORT]),
    Long(Box<str>),
}

impl Name {
    #[inline]
    pub(super) fn new(text: &str) -> Name {
        let length = text.len();
        if length > SHORT {
            return Name::Long(text.into());
        }
        let mut bytes = [0; SHORT];
        bytes[..length].copy_from_slice(text.as_bytes());
        Name::Short(length as u8, bytes)
    }

    #[inline]
    pub(super) fn text(&self) -> &str {
        match self {
            Name::Short(length, bytes) => {
                let bytes = &bytes[..usize::from(*length)];
                str::from_utf8(bytes).expect("the bytes were copied from a text")
            }
            Name::Long(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_length_come_back() {
        for length in 0..60 {
            let text: String = "aü界b".chars().cycle().take(length).collect();
            assert_eq!(Name::new(&text).text(), text);
        }
        assert_eq!(size_of::<Option<Name>>(), 24);
    }
}
