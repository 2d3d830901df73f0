//! What patterns must keep to is told, with its line and column.

use super::mistakes::{expect, help_of};

#[test]
fn each_key_of_a_pattern_fits_the_others() {
    let look = "within = \"2m\" }";
    let found = "absent = true, within";
    for (part, other, message) in [
        (
            "at_most = 9",
            "«at_most = 1",
            "`at_most` must not be less than `at_least`, 2",
        ),
        (
            "at_most = 9",
            "at_most = 9, «within = \"1m\"",
            "the first step takes no `within`: no row is before it",
        ),
        (
            look,
            "«within = \"0s\" }",
            "`within` must be longer than nothing",
        ),
        (
            look,
            "«within = \"11m\" }",
            "`within` must not be longer than that of the pattern, 10m",
        ),
        (
            found,
            "«at_least = 2, absent = true, within",
            "an absent step takes no `at_least`",
        ),
        (
            "name = \"look\"",
            "name = «\"errors\"",
            "step `errors` is named twice",
        ),
        (
            "name = \"look\"",
            "name = «\"how\"",
            "the column `how` is there already: it is a column that patterns have of themselves",
        ),
        (
            "name = \"worst\"",
            "name = «\"look\"",
            "the column `look` is there already: it is that of `look`",
        ),
        (
            "step = \"errors\"",
            "step = «\"error\"",
            "there is no step `error`",
        ),
        (
            "step = \"errors\"",
            "step = «\"found\"",
            "the step `found` is absent: it has no rows",
        ),
        (
            "op = \"max\", of = \"handle_secs\", step",
            "«op = \"list\", k = 3, of = \"handle_secs\", step",
            "`worst`: op `list` is not for patterns",
        ),
        (
            "of = \"handle_secs\", step",
            "of = \"handle_secs\", «windows = \"1h\", step",
            "`worst`: `windows` has no meaning in patterns",
        ),
    ] {
        expect(&[(part, other)], &[message]);
    }
    expect(
        &[("most_open = 4", "most_open = «0")],
        &["`pattern.stuck.most_open` must be a whole number from 1 to 4096"],
    );
    expect(
        &[
            ("within = \"10m\"", "«within = \"0s\""),
            (found, "absent = true, «within"),
            (", within = \"2m\" }", " }"),
        ],
        &[
            "`within` must be longer than nothing",
            "`within` must not be longer than that of the pattern, 0s",
        ],
    );
}

#[test]
fn steps_that_are_absent_follow_others() {
    let errors = "where = \"kind = 'error_shown'\", at_least = 2, at_most = 9";
    expect(
        &[
            ("within = \"2m\" }", "within = \"2m\", absent = true }"),
            ("absent = true, within", "«absent = true, within"),
        ],
        &["`look` and `found` are both absent, and no step is between them"],
    );
    let add =
        "add = [{ name = \"worst\", op = \"max\", of = \"handle_secs\", step = \"errors\" }]\n";
    expect(
        &[(errors, "where = \"true\", «absent = true"), (add, "")],
        &["the first step cannot be absent: a match begins with a row"],
    );
}

#[test]
fn the_keys_of_patterns_are_for_patterns() {
    expect(
        &[(
            "{ name = \"worst\", op = \"max\", of = \"handle_secs\", step = \"errors\" }",
            "«{ name = \"worst\", op = \"max\", of = \"handle_secs\" }",
        )],
        &["`worst`: op `max` needs `step`"],
    );
    expect(
        &[(
            "op = \"list\", of = \"kind\", k = 50",
            "op = \"list\", of = \"kind\", k = 50, «step = \"x\"",
        )],
        &["`path`: `step` is for patterns"],
    );
    expect(
        &[(
            "on = [\"contact\", \"visit\"",
            "on = [\"contact\", «\"stuck\"",
        )],
        &["there are no features, sessions or table `stuck`"],
    );
    assert_eq!(
        help_of("\"contact\", \"visit\"", "\"contact\", \"stuck\""),
        "it is a pattern, and triggers look at none"
    );
    assert_eq!(
        help_of("step = \"errors\"", "step = \"error\""),
        "did you mean `errors`?"
    );
}
