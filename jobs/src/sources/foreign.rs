//! Code of others that may panic, as decoders do on damaged input: here their panic becomes an error.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread, now, is caught and becomes an error. A panic hook that ends the
/// process has to let such a panic pass.
pub fn panic_is_contained() -> bool {
    CONTAINED.get()
}

/// Runs foreign code; what it was working on must not be used again when it panicked.
pub(crate) fn contain<T>(decode: impl FnOnce() -> T) -> Result<T, String> {
    CONTAINED.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(decode));
    CONTAINED.set(false);
    outcome.map_err(|panic| {
        let said = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        format!("it gave up: {}", said.unwrap_or("no reason given"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_and_only_there() {
        assert_eq!(contain(|| (7, panic_is_contained())), Ok((7, true)));
        let failed: Result<(), String> = contain(|| panic!("at byte {}", 9));
        assert_eq!(failed, Err("it gave up: at byte 9".into()));
        assert!(!panic_is_contained());
    }
}
