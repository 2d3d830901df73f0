//! A panic anywhere ends the process: a thread that has died would leave the others waiting.

use std::io::Write;
use std::panic::PanicHookInfo;

use super::failure::INTERNAL;
use crate::sources::panic_is_contained;

/// From now on, a panic of any thread prints one line and ends the process, unless it is caught
/// where it happens.
pub(super) fn end_the_process() {
    std::panic::set_hook(Box::new(|panic| {
        if panic_is_contained() {
            return;
        }
        let line = told(panic);
        // The process ends, whether or not anybody can read why.
        let _ = writeln!(std::io::stderr().lock(), "{line}");
        signal_hook::low_level::exit(i32::from(INTERNAL));
    }));
}

fn told(panic: &PanicHookInfo<'_>) -> String {
    let said = panic.payload_as_str().unwrap_or("no reason given");
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let place = panic
        .location()
        .map(|place| format!(" at {}:{}", place.file(), place.line()))
        .unwrap_or_default();
    format!("error: internal error{place}: {said}; this is a bug in tidegate: please report it")
}
