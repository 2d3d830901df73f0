//! What the sections of a job must agree on is told, with its line and column.

use super::mistakes::{expect, help_of};

#[test]
fn references_to_what_is_not_there() {
    expect(
        &[("from = \"events\"\ngap", "from = «\"event\"\ngap")],
        &["there is no source `event`"],
    );
    expect(
        &[("from = \"events\"\ngap", "from = «\"limits\"\ngap")],
        &["`limits` is a changelog, not a source of events"],
    );
    expect(
        &[(
            "from = \"events\"\ngap",
            "from = \"events\"\nentity = «\"client\"\ngap",
        )],
        &["there is no entity `client`"],
    );
    expect(
        &[(
            "on = [\"contact\", \"visit\"",
            "on = [\"contact\", «\"visits\"",
        )],
        &["there are no features, sessions or table `visits`"],
    );
    expect(
        &[("from = \"trigger.rescue\"", "from = «\"trigger.resuce\"")],
        &["there is no output `trigger.resuce`"],
    );
    expect(
        &[("from = \"trigger.rescue\"", "from = «\"triggers.rescue\"")],
        &["there are no outputs of the kind `triggers`"],
    );
    expect(
        &[("expect.trigger.rescue", "expect.trigger.«resuce")],
        &["there is no output `trigger.resuce`"],
    );
    expect(
        &[("tables.limits", "tables.«limit")],
        &["there is no table `limit`"],
    );
    expect(
        &[("fired_at = 2026", "«fire_at = 2026")],
        &["the output `trigger.rescue` has no column `fire_at`"],
    );
    expect(
        &[("carry = [\"event_id\"", "carry = [«\"event\"")],
        &["source `events` has no column `event`"],
    );
    expect(
        &[("key = \"event_id\"", "key = «\"event-id\"")],
        &["source `events` has no column `event-id`"],
    );
    expect(
        &[
            ("key = \"customer_id\"", "key = «\"customer\""),
            ("[{ customer_id =", "[{ «customer_id ="),
        ],
        &[
            "no source has a column `customer`, the key of the entity",
            "the output `trigger.rescue` has no column `customer_id`",
        ],
    );
    let calls = "[source.calls]\nformat = \"csv\"\npath = \"c.csv\"\ncolumns = { ts = \"timestamp\" }\n\n[source.limits]";
    expect(
        &[
            ("[source.limits]", calls),
            ("rows = \"\"\"", "rows.events = \"\"\""),
            (
                "from = \"events\"\ngap",
                "from = [\"events\", «\"calls\"]\ngap",
            ),
        ],
        &["source `calls` has no column `customer_id`, the key of the entity"],
    );
    assert_eq!(
        help_of("from = \"events\"\ngap", "from = \"event\"\ngap"),
        "did you mean `events`?"
    );
    assert_eq!(
        help_of("\"trigger.rescue\"", "\"trigger.resuce\""),
        "did you mean `trigger.rescue`?"
    );
    assert_eq!(
        help_of("\"event_id\", keep", "\"event-id\", keep"),
        "did you mean `event_id`?"
    );
}

#[test]
fn what_is_broken_is_not_missed_as_well() {
    // The source cannot be read, but those who refer to it are right.
    expect(
        &[(
            "format = \"jsonl\"\npath = \"events",
            "«fromat = \"jsonl\"\nformat = \"jsonl\"\npath = \"events",
        )],
        &["unknown key `fromat` in `source.events`"],
    );
    expect(
        &[("key = [\"segment\"]", "key = «7")],
        &["`source.limits.key` must be a text, or a list, not a whole number"],
    );
    expect(
        &[("at_gap = \"new\"", "at_gap = «7")],
        &["`sessions.visit.at_gap` must be one of `new`, `same`, not a whole number"],
    );
}

#[test]
fn names_that_clash() {
    expect(
        &[("{ name = \"handle_mean\"", "{ name = «\"contacts\"")],
        &["the column `contacts_7d` is there already: it is that of `contacts`"],
    );
    expect(
        &[("{ name = \"path\"", "{ name = «\"rows\"")],
        &["the column `rows` is there already: it is a column that sessions have of themselves"],
    );
    expect(
        &[(
            "carry = [\"event_id\", \"channel\"",
            "carry = [\"event_id\", «\"ts\"",
        )],
        &["the column `ts` is there already: it is the event time"],
    );
    expect(
        &[
            ("[sessions.visit]", "[sessions.«contact]"),
            ("\"visit\", \"limits\"", "\"limits\""),
        ],
        &[
            "[sessions.contact] and [features.contact] have the same name, and triggers could not tell their columns apart",
        ],
    );
    expect(
        &[("[sessions.visit]", "[sessions.visit]\n[sessions.«visit]")],
        &["duplicate key"],
    );
    expect(
        &[(
            "explain = [\"contacts_24h\",",
            "explain = [\"contacts_24h\", «\"a + 1 as contacts_24h\",",
        )],
        &["two columns have the name `contacts_24h`"],
    );
}

#[test]
fn sources_say_what_their_format_needs() {
    expect(
        &[
            ("[source.events]", "[source.«events]"),
            ("\ncolumns = { event_id", "\n# columns = { event_id"),
        ],
        &["source `events` needs `columns`: its format does not say their types"],
    );
    expect(
        &[(
            "expect = [\"channel",
            "«key = [\"event_id\"]\n«delete_when = \"true\"\nexpect = [\"channel",
        )],
        &["`key` is for changelogs", "`delete_when` is for changelogs"],
    );
    expect(
        &[
            ("[source.limits]", "[source.«limits]"),
            ("key = [\"segment\"]\n", ""),
            (", \"limits\"]", "]"),
            (", \"limits.contacts_24h\"", ""),
            ("tables.limits", "tables.«limits"),
        ],
        &[
            "the changelog `limits` needs `key`: the columns that name a row of the table",
            "there is no table `limits`",
        ],
    );
    expect(
        &[("ts = \"timestamp_ms\"", "«ts = \"i64\"")],
        &["`ts` is the event time of source `events` and must be a timestamp, not i64"],
    );
    expect(
        &[(
            "columns = { ts = \"timestamp\", segment",
            "«columns = { segment",
        )],
        &["source `limits` has no column `ts`, the event time of the job"],
    );
    expect(
        &[(
            "path = \"limits.csv\"",
            "path = \"limits.csv\"\ndelimiter = «\"||\"",
        )],
        &["`delimiter` must be one ASCII character"],
    );
    expect(
        &[
            (
                "path = \"events/*.jsonl\"",
                "path = \"-\"\ndelimiter = «\";\"",
            ),
            ("path = \"limits.csv\"", "path = «\"-\""),
        ],
        &[
            "`delimiter` is for CSV",
            "standard input already feeds the source `events`",
        ],
    );
    expect(
        &[(
            "key = [\"segment\"]",
            "key = [\"segment\", «\"segment\"]\n«dedupe = { key = \"segment\", keep = \"1h\" }",
        )],
        &[
            "column `segment` is named twice",
            "a changelog takes no `dedupe`: a version that comes twice changes nothing",
        ],
    );
}

#[test]
fn tables_read_changelogs() {
    let table = "[table.«thresholds]\nfrom = \"limits\"\nkey = [\"segment\"]\n\n[entity";
    let plain = table.replace('«', "");
    expect(
        &[
            ("key = [\"segment\"]\n", ""),
            ("[entity", &plain),
            (", \"limits\"]", ", \"thresholds\"]"),
            ("tables.limits", "tables.thresholds"),
        ],
        &[],
    );
    expect(
        &[("[entity", &plain.replace("\"limits\"", "«\"events\""))],
        &["`events` is a source of events, not a changelog"],
    );
    expect(
        &[("[entity", &table.replace("thresholds", "limits"))],
        &["the source `limits` has a `key` and so is a table of the same name already"],
    );
    expect(
        &[("[entity", &plain.replace("\"segment\"", "«\"segmnet\""))],
        &["source `limits` has no column `segmnet`"],
    );
}

#[test]
fn features_need_to_know_their_entity() {
    expect(
        &[
            (
                "[entity.customer]",
                "[entity.agent]\nkey = \"channel\"\n[entity.customer]",
            ),
            ("[features.contact]", "[features.«contact]"),
            (
                "[features.training]",
                "[features.training]\nentity = \"customer\"",
            ),
            ("[sessions.visit]", "[sessions.visit]\nentity = \"agent\""),
            ("[pattern.stuck]", "[pattern.«stuck]"),
            ("[journey.path]", "[journey.«path]"),
            (
                "on = [\"contact\", \"visit\", \"limits\"]",
                "on = [\"training\", «\"visit\", \"limits\"]",
            ),
        ],
        &[
            "`features.contact` needs the key `entity`",
            "`pattern.stuck` needs the key `entity`",
            "`journey.path` needs the key `entity`",
            "`visit` is kept for `agent`, but `training` for `customer`",
        ],
    );
    expect(
        &[
            ("carry = [\"event_id\", \"channel\"]", ""),
            ("at = \"kind = 'contact_opened'\"", "«carry = [\"channel\"]"),
        ],
        &["`carry` needs `at`: only anchor rows can carry columns of theirs"],
    );
}

#[test]
fn triggers_need_an_entity_a_segment_and_anchors() {
    expect(
        &[(
            "on = [\"contact\", \"visit\", \"limits\"]",
            "«on = \"limits\"",
        )],
        &["trigger `rescue` needs features or sessions in `on`"],
    );
    expect(
        &[
            ("[trigger.rescue]", "[trigger.«rescue]"),
            ("\nsegment = \"case", "\n# segment = \"case"),
        ],
        &["table `limits` is keyed by `segment`: trigger `rescue` needs `segment` to look it up"],
    );
    expect(
        &[(
            "cooldown = \"24h\"",
            "«at = \"anchors\"\ncooldown = \"24h\"",
        )],
        &["at = \"anchors\" needs features with anchor rows in `on`"],
    );
    expect(
        &[
            ("cooldown = \"24h\"", "at = \"anchors\"\ncooldown = \"24h\""),
            ("on = [\"contact\"", "on = [\"training\""),
        ],
        &[],
    );
}

#[test]
fn drift_needs_a_reference_of_whole_windows() {
    for (reference, message) in [
        (
            "{ «until = \"90m\" }",
            "a reference without `from` must be a whole number of windows long",
        ),
        ("{ «until = \"0s\" }", "the reference is empty"),
        (
            "{ «from = \"7d\", until = \"7d\" }",
            "`from` must be a time, not a duration",
        ),
        (
            "{ from = 2026-01-02T00:00:00Z, «until = \"2026-01-01T00:00:00Z\" }",
            "the reference ends before it begins",
        ),
        (
            "{ until = «\"soon\" }",
            "`soon` is neither a duration such as 7d nor a time such as 2026-01-31T00:00:00Z",
        ),
        ("«{ }", "`drift.topic.reference` needs the key `until`"),
    ] {
        expect(&[("{ until = \"7d\" }", reference)], &[message]);
    }
    expect(
        &[(
            "{ until = \"7d\" }",
            "{ from = 2026-01-01T00:00:00Z, until = \"90m\" }",
        )],
        &[],
    );
    expect(
        &[("every = \"1h\"", "«every = \"0s\"")],
        &["`every` must be longer than nothing"],
    );
}

#[test]
fn journeys_end_after_a_gap_and_count_a_part_of_all() {
    expect(
        &[("gap = \"12h\"", "«gap = \"0s\"")],
        &["`gap` must be longer than nothing"],
    );
    expect(
        &[("order = 2", "order = «17")],
        &["`journey.path.order` must be a whole number from 1 to 16"],
    );
    for train in ["3/3", "0/3", "2", "0.8", "a/b", "-1/3"] {
        let message =
            format!("`{train}` is no part of a whole; write it like 2/3, between 0 and 1");
        expect(
            &[("train = \"2/3\"", &format!("train = «\"{train}\""))],
            &[&message],
        );
    }
    expect(
        &[(
            "from = \"events\"\nkind = \"kind\"",
            "from = «\"event\"\nkind = \"kind\"",
        )],
        &["there is no source `event`"],
    );
    expect(
        &[
            ("holdout = { train = \"2/3\" }\n", ""),
            ("from = \"late.events\"", "from = «\"holdout.path\""),
        ],
        &["`journey.path` holds nothing out"],
    );
    expect(
        &[("from = \"late.events\"", "from = «\"transitions.paths\"")],
        &["there is no output `transitions.paths`"],
    );
}

#[test]
fn sinks_have_a_path_that_fits_their_format() {
    expect(
        &[("format = \"stdout\"", "format = \"stdout\"\npath = «\"x\"")],
        &["format stdout takes no `path`"],
    );
    expect(
        &[
            ("[sink.late]", "[sink.«late]"),
            ("format = \"stdout\"", "format = \"csv\""),
        ],
        &["`sink.late` needs the key `path`"],
    );
    expect(
        &[("format = \"stdout\"", "format = \"parquet\"\npath = «\"-\"")],
        &["Parquet cannot be written to standard output"],
    );
    expect(
        &[(
            "from = \"late.events\"",
            "from = «\"late.events\"\nmode = \"changes\"",
        )],
        &["late rows are final when they come: they take no other `mode`"],
    );
}

#[test]
fn current_values_are_never_final() {
    expect(
        &[("from = \"late.events\"", "from = «\"current.training\"")],
        &["current values are never final"],
    );
    expect(
        &[("from = \"late.events\"", "from = «\"features.contact\"")],
        &["current values are never final"],
    );
    expect(&[("\"late.events\"", "\"features.training\"")], &[]);
    expect(
        &[(
            "\"late.events\"",
            "\"features.contact\"\nmode = \"changes\"",
        )],
        &[],
    );
}
