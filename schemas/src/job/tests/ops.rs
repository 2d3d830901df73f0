//! What an aggregate's op needs and refuses is told, with its line and column.

use super::mistakes::expect;

#[test]
fn keys_that_an_op_needs_or_refuses() {
    let contacts = "{ name = \"contacts\",       op = \"count\", where = \"kind = 'contact_opened'\", windows = [\"1h\", \"24h\", \"7d\"] }";
    for (written, message) in [
        (
            "«{ name = 'a', op = 'count' }",
            "`a`: op `count` needs `windows`",
        ),
        (
            "«{ name = 'a', op = 'sum', windows = '1h' }",
            "`a`: op `sum` needs `of`",
        ),
        (
            "«{ name = 'a', op = 'last_k', of = 'topic', windows = '1h' }",
            "`a`: op `last_k` needs `k`",
        ),
        (
            "{ name = 'a', op = 'sum', of = 'x', «k = 3, windows = '1h' }",
            "`a`: op `sum` takes no `k`",
        ),
        (
            "{ name = 'a', op = 'sum', of = 'x', «order = 'newest_first', windows = '1h' }",
            "`a`: op `sum` takes no `order`",
        ),
        (
            "{ name = 'a', op = 'sum', of = 'x', «kind = 'sample', windows = '1h' }",
            "`a`: op `sum` takes no `kind`",
        ),
        (
            "{ name = 'a', op = 'last', of = 'x', «scale = 3, windows = '1h' }",
            "`a`: op `last` takes no `scale`",
        ),
        (
            "{ name = 'a', op = 'sum', of = 'x', «nulls = 'keep', windows = '1h' }",
            "`a`: op `sum` takes no `nulls`",
        ),
        (
            "{ name = 'a', op = 'last', of = 'x', «empty = 'zero', windows = '1h' }",
            "`a`: an empty `last` cannot be zero",
        ),
        (
            "«{ name = 'a', op = 'ratio', where = 'x', windows = '1h' }",
            "`a`: op `ratio` needs `per`",
        ),
        (
            "«{ name = 'a', op = 'any', windows = '1h' }",
            "`a`: op `any` needs `where`",
        ),
        (
            "«{ name = 'a', op = 'decayed_sum', of = 'x' }",
            "`a`: op `decayed_sum` needs `half_life`",
        ),
        (
            "{ name = 'a', op = 'decayed_sum', of = 'x', half_life = '1d', «windows = '1h' }",
            "`a`: op `decayed_sum` takes no `windows`",
        ),
        (
            "{ name = 'a', op = 'count', windows = '1h', «half_life = '1h' }",
            "`a`: op `count` takes no `half_life`",
        ),
        (
            "{ name = 'a', op = 'count', «windows = ['24h', '1d'] }",
            "`a`: two windows have the same length",
        ),
        (
            "{ name = 'a', op = 'count', «windows = [] }",
            "`features.contact.add.a.windows` needs at least 1",
        ),
        (
            "{ name = 'a', op = 'count', windows = ['1h', '30d'], «hop = '1h' }",
            "`a`: `hop` must be shorter than the shortest window, 1h",
        ),
        (
            "{ name = 'a', «op = 'list', of = 'x', k = 2, windows = '1h' }",
            "`a`: op `list` is for sessions",
        ),
    ] {
        let written = match message.contains("at least") {
            true => written.replace("«windows = ", "windows = «"),
            false => written.to_owned(),
        };
        expect(&[(contacts, &written)], &[message]);
    }
}

#[test]
fn sessions_take_no_windows() {
    expect(
        &[(
            "op = \"list\", of",
            "op = \"list\", «windows = [\"1h\"], «hop = \"1m\", of",
        )],
        &[
            "`path`: `windows` has no meaning in sessions",
            "`path`: `hop` has no meaning in sessions",
        ],
    );
    expect(
        &[(
            "op = \"list\", of = \"kind\", k = 50",
            "«op = \"decayed_sum\", of = \"x\", half_life = \"1d\"",
        )],
        &["`path`: op `decayed_sum` is for features"],
    );
}

#[test]
fn sessions_have_their_own_ops_and_skip_nulls() {
    expect(
        &[(
            "op = \"list\", of = \"kind\", k = 50",
            "op = \"first\", of = \"kind\", «nulls = \"keep\"",
        )],
        &["`path`: op `first` takes no `nulls`"],
    );
    expect(
        &[(
            "op = \"list\", of = \"kind\", k = 50",
            "«op = \"entropy\", of = \"kind\"",
        )],
        &["`path`: op `entropy` is for features"],
    );
}
