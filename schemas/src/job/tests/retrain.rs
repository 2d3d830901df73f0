//! What requests for training must keep to is told, with its line and column.

use super::mistakes::{expect, help_of};
use super::*;

const END: &str = "\n[[test]]";

#[test]
fn each_key_of_a_model_fits_the_others() {
    for (keys, message) in [
        ("on = «\"alerts.topic\"", "`alerts.topic` is no drift"),
        ("on = «\"drift.topic\"", "`drift.topic` makes no alerts"),
        (
            "max_age = \"30d\"\nfrom = «\"evnts\"",
            "there is no source `evnts`",
        ),
        (
            "from = \"events\"\nmax_age = \"1d\"\n«cooldown = \"2d\"",
            "the cooldown is 2d, longer than `max_age`",
        ),
        (
            "from = \"events\"\nrows = 10\n«window = \"0s\"",
            "`window` must be longer than nothing",
        ),
        (
            "from = \"events\"\nrows = 10\ntrain = «\"current.contact\"",
            "`current.contact` has no rows to train on",
        ),
        (
            "from = \"events\"\nrows = 10\ntrain = «\"features.contakt\"",
            "there is no output `features.contakt`",
        ),
    ] {
        let section = format!("\n[retrain.model]\n{keys}\n{END}");
        expect(&[(END, &section)], &[message]);
    }
    let nothing = "\n[retrain.«model]\nfrom = \"events\"\n\n[[test]]";
    expect(&[(END, nothing)], &["nothing asks for `retrain.model`"]);
    assert_eq!(
        help_of(END, "\n[retrain.model]\non = \"drift.topik\"\n\n[[test]]"),
        "did you mean `drift.topic`?"
    );
}

#[test]
fn a_model_is_asked_for_by_the_alerts_of_drifts() {
    let alert = "every = \"1h\"\nalert = { when = \"psi > 0.2\" }";
    let text = example_with("every = \"1h\"", alert).replace(
        END,
        "\n[retrain.model]\non = \"drift.topic\"\nsince = \"2026-01-01T00:00:00Z\"\n\n[[test]]",
    );
    let job = load_text(&text).unwrap_or_else(|problems| panic!("{problems}"));
    let model = &job.retrain["model"];
    assert_eq!(model.source(&job).map(Text::as_str), Some("events"));
    let output = "retrain.model".parse().unwrap();
    let columns = job.output_columns(&output).unwrap();
    assert_eq!(columns[1], "requested_at");
    assert!(
        ["psi", "kl", "rows", "no_drift_95", "train_until"]
            .iter()
            .all(|it| columns.contains(&(*it).to_owned()))
    );
}
