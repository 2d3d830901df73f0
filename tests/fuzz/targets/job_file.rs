//! Whatever the bytes of a job file are: reading them ends in a job or in problems that say what is wrong and where.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_schemas::job::load;

const NAME: &str = "any.toml";

fuzz_target!(|bytes: &[u8]| {
    // About half of the variables that a file may name are there.
    let env = |name: &str| (name.len() % 2 == 0).then(|| format!("{name}: 1"));
    let Err(problems) = load(NAME, bytes, &[], &env) else {
        return;
    };
    assert!(!problems.0.is_empty(), "refused without a problem");
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
    for problem in &problems.0 {
        assert!(!problem.message.trim().is_empty(), "{problem:?}");
        assert!(
            problem
                .help
                .as_ref()
                .is_none_or(|help| !help.trim().is_empty()),
            "{problem:?}"
        );
        let spot = problem
            .spot
            .as_ref()
            .expect("a problem of a file has a place");
        assert_eq!(spot.file, NAME);
        assert!(
            (1..=lines).contains(&spot.line) && spot.column >= 1,
            "{problem:?}"
        );
    }
    let shown = problems.to_string();
    assert!(shown.ends_with(" problem") || shown.ends_with(" problems"));
});
