//! What each detector is told, by name: what a command line or a job file says becomes [`Settings`].

use std::fmt;

use tidegate_schemas::job::closest;

use super::{
    After, Direction, adwin, cusum, ddm, eddm, fhddm, hddm_a, hddm_w, kswin, page_hinkley,
};

/// Which detector, and what it is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Settings {
    /// Of [`adwin`].
    Adwin(adwin::Settings),
    /// Of [`page_hinkley`].
    PageHinkley(page_hinkley::Settings),
    /// Of [`cusum`].
    Cusum(cusum::Settings),
    /// Of [`kswin`].
    Kswin(kswin::Settings),
    /// Of [`ddm`].
    Ddm(ddm::Settings),
    /// Of [`eddm`].
    Eddm(eddm::Settings),
    /// Of [`fhddm`].
    Fhddm(fhddm::Settings),
    /// Of [`hddm_a`].
    HddmA(hddm_a::Settings),
    /// Of [`hddm_w`].
    HddmW(hddm_w::Settings),
}

impl Settings {
    /// Every detector with its defaults, which are those of river.
    #[must_use]
    pub fn all() -> [Settings; 9] {
        [
            Settings::Adwin(adwin::Settings::default()),
            Settings::PageHinkley(page_hinkley::Settings::default()),
            Settings::Cusum(cusum::Settings::default()),
            Settings::Kswin(kswin::Settings::default()),
            Settings::Ddm(ddm::Settings::default()),
            Settings::Eddm(eddm::Settings::default()),
            Settings::Fhddm(fhddm::Settings::default()),
            Settings::HddmA(hddm_a::Settings::default()),
            Settings::HddmW(hddm_w::Settings::default()),
        ]
    }

    /// The detector of that name. Parameters that are not given have their defaults; of one that is
    /// given twice the last counts.
    ///
    /// # Errors
    /// An unknown detector or parameter, a value that cannot be read or makes no sense: in words,
    /// with what there is.
    ///
    /// # Example
    /// ```
    /// use tidegate_operators::detectors::Settings;
    ///
    /// let settings = Settings::named("adwin", [("delta", "0.05"), ("after", "keep")]).unwrap();
    /// assert_eq!(
    ///     settings.to_string(),
    ///     "adwin delta=0.05 clock=32 max_buckets=5 min_window_length=5 grace_period=10 after=keep"
    /// );
    /// assert_eq!(
    ///     Settings::named("adwin", [("dleta", "0.05")]).unwrap_err(),
    ///     "adwin: there is no parameter `dleta`; did you mean `delta`?"
    /// );
    /// ```
    pub fn named<'a>(
        name: &str,
        parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Settings, String> {
        let all = Settings::all();
        let names: Vec<_> = all.iter().map(Settings::name).collect();
        let found = all.into_iter().find(|settings| settings.name() == name);
        let mut settings = found.ok_or_else(|| unknown("detector", name, &names))?;
        for (parameter, text) in parameters {
            let set = settings.set(parameter, text);
            set.map_err(|problem| format!("{name}: {problem}"))?;
        }
        settings.check()?;
        Ok(settings)
    }

    /// What [`Settings::named`] calls the detector.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Settings::Adwin(_) => "adwin",
            Settings::PageHinkley(_) => "page_hinkley",
            Settings::Cusum(_) => "cusum",
            Settings::Kswin(_) => "kswin",
            Settings::Ddm(_) => "ddm",
            Settings::Eddm(_) => "eddm",
            Settings::Fhddm(_) => "fhddm",
            Settings::HddmA(_) => "hddm_a",
            Settings::HddmW(_) => "hddm_w",
        }
    }

    /// Whether the values make sense.
    ///
    /// # Errors
    /// The first that does not, and what it must be.
    pub fn check(&self) -> Result<(), String> {
        let checked = match self {
            Settings::Adwin(settings) => settings.check(),
            Settings::PageHinkley(settings) => settings.check(),
            Settings::Cusum(settings) => settings.check(),
            Settings::Kswin(settings) => settings.check(),
            Settings::Ddm(settings) => settings.check(),
            Settings::Eddm(settings) => settings.check(),
            Settings::Fhddm(settings) => settings.check(),
            Settings::HddmA(settings) => settings.check(),
            Settings::HddmW(settings) => settings.check(),
        };
        checked.map_err(|problem| format!("{}: {problem}", self.name()))
    }

    fn parameters(&mut self) -> Vec<Named<'_>> {
        match self {
            Settings::Adwin(settings) => settings.parameters(),
            Settings::PageHinkley(settings) => settings.parameters(),
            Settings::Cusum(settings) => settings.parameters(),
            Settings::Kswin(settings) => settings.parameters(),
            Settings::Ddm(settings) => settings.parameters(),
            Settings::Eddm(settings) => settings.parameters(),
            Settings::Fhddm(settings) => settings.parameters(),
            Settings::HddmA(settings) => settings.parameters(),
            Settings::HddmW(settings) => settings.parameters(),
        }
    }

    fn set(&mut self, name: &str, text: &str) -> Result<(), String> {
        let parameters = self.parameters();
        let names: Vec<_> = parameters.iter().map(|(name, _)| *name).collect();
        let found = parameters.into_iter().find(|(known, _)| *known == name);
        let (_, parameter) = found.ok_or_else(|| unknown("parameter", name, &names))?;
        parameter
            .set(text)
            .map_err(|wanted| format!("`{name}` is `{text}` and must be {wanted}"))
    }
}

/// The detector, and all its parameters as [`Settings::named`] reads them.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        for (name, parameter) in self.clone().parameters() {
            write!(f, " {name}={parameter}")?;
        }
        Ok(())
    }
}

fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    match closest(name, known.iter().copied()) {
        Some(close) => format!("there is no {what} `{name}`; did you mean `{close}`?"),
        None => format!(
            "there is no {what} `{name}`; there are {}",
            known.join(", ")
        ),
    }
}

/// A parameter and its name.
pub(super) type Named<'a> = (&'static str, Parameter<'a>);

/// Where a parameter is kept.
#[derive(Debug)]
pub(super) enum Parameter<'a> {
    Number(&'a mut f64),
    Count(&'a mut u32),
    OptionalCount(&'a mut Option<u32>),
    Direction(&'a mut Direction),
    After(&'a mut After),
}

impl Parameter<'_> {
    /// Reads the value, or says what was expected.
    fn set(self, text: &str) -> Result<(), &'static str> {
        let count = || text.parse().map_err(|_| "a whole number");
        match self {
            Parameter::Number(number) => *number = text.parse().map_err(|_| "a number")?,
            Parameter::Count(number) => *number = count()?,
            Parameter::OptionalCount(number) => {
                *number = match text {
                    "none" => None,
                    _ => Some(count().map_err(|_| "a whole number or none")?),
                }
            }
            Parameter::Direction(direction) => {
                *direction = match text {
                    "up" => Direction::Up,
                    "down" => Direction::Down,
                    "both" => Direction::Both,
                    _ => return Err("up, down or both"),
                }
            }
            Parameter::After(after) => {
                *after = match text {
                    "restart" => After::Restart,
                    "keep" => After::Keep,
                    _ => return Err("restart or keep"),
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Parameter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Parameter::Number(number) => write!(f, "{number}"),
            Parameter::Count(count) => write!(f, "{count}"),
            Parameter::OptionalCount(Some(count)) => write!(f, "{count}"),
            Parameter::OptionalCount(None) => f.write_str("none"),
            Parameter::Direction(Direction::Up) => f.write_str("up"),
            Parameter::Direction(Direction::Down) => f.write_str("down"),
            Parameter::Direction(Direction::Both) => f.write_str("both"),
            Parameter::After(After::Restart) => f.write_str("restart"),
            Parameter::After(After::Keep) => f.write_str("keep"),
        }
    }
}

/// Says that a parameter's value makes no sense, and what it must be.
pub(super) fn must(
    holds: bool,
    name: &str,
    value: impl fmt::Display,
    be: &str,
) -> Result<(), String> {
    if holds {
        return Ok(());
    }
    Err(format!("`{name}` is {value} and must be {be}"))
}

/// Checks a probability.
pub(super) fn must_be_probability(name: &str, value: f64) -> Result<(), String> {
    must(
        0.0 < value && value < 1.0,
        name,
        value,
        "above 0 and below 1",
    )
}

/// Checks a threshold.
pub(super) fn must_be_above_0(name: &str, value: f64) -> Result<(), String> {
    must(0.0 < value && value.is_finite(), name, value, "above 0")
}

/// Checks a part of something.
pub(super) fn must_be_a_part(name: &str, value: f64) -> Result<(), String> {
    must(
        0.0 < value && value <= 1.0,
        name,
        value,
        "above 0 and at most 1",
    )
}

/// Checks an allowance.
pub(super) fn must_be_at_least_0(name: &str, value: f64) -> Result<(), String> {
    must(0.0 <= value && value.is_finite(), name, value, "at least 0")
}

/// Checks a count.
pub(super) fn must_be_at_least(name: &str, value: u32, least: u32) -> Result<(), String> {
    must(value >= least, name, value, &format!("at least {least}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn problem(name: &str, parameter: (&str, &str), expected: &str) {
        assert_eq!(
            Settings::named(name, [parameter]).unwrap_err(),
            expected,
            "{name} {parameter:?}"
        );
    }

    #[test]
    fn defaults_make_sense_and_read_back() {
        for settings in Settings::all() {
            assert_eq!(settings.check(), Ok(()));
            let text = settings.to_string();
            let (name, parameters) = text.split_once(' ').unwrap();
            let parameters = parameters.split(' ').map(|p| p.split_once('=').unwrap());
            assert_eq!(Settings::named(name, parameters), Ok(settings));
        }
    }

    #[test]
    fn what_is_unknown_is_told_with_what_there_is() {
        problem(
            "adwim",
            ("delta", "0.1"),
            "there is no detector `adwim`; did you mean `adwin`?",
        );
        problem(
            "magic",
            ("delta", "0.1"),
            "there is no detector `magic`; there are adwin, page_hinkley, cusum, kswin, ddm, eddm, \
             fhddm, hddm_a, hddm_w",
        );
        problem(
            "ddm",
            ("lambda", "1"),
            "ddm: there is no parameter `lambda`; there are warm_start, warning_threshold, \
             drift_threshold",
        );
    }

    #[test]
    fn values_that_cannot_be_read_are_told() {
        for (name, parameter, expected) in [
            ("adwin", ("delta", "x"), "a number"),
            ("adwin", ("clock", "-1"), "a whole number"),
            ("fhddm", ("short_window", "1.5"), "a whole number or none"),
            ("cusum", ("direction", "left"), "up, down or both"),
            ("kswin", ("after", "stop"), "restart or keep"),
        ] {
            let (key, text) = parameter;
            let expected = format!("{name}: `{key}` is `{text}` and must be {expected}");
            problem(name, parameter, &expected);
        }
    }

    #[test]
    fn values_that_make_no_sense_are_told() {
        let probability = "above 0 and below 1";
        for (name, parameter, expected) in [
            ("adwin", ("delta", "0"), probability),
            ("adwin", ("delta", "NaN"), probability),
            ("adwin", ("clock", "0"), "at least 1"),
            ("adwin", ("max_buckets", "0"), "at least 1"),
            ("adwin", ("min_window_length", "0"), "at least 1"),
            ("page_hinkley", ("min_instances", "0"), "at least 1"),
            ("page_hinkley", ("delta", "-1"), "at least 0"),
            ("page_hinkley", ("threshold", "0"), "above 0"),
            ("page_hinkley", ("alpha", "1.5"), "above 0 and at most 1"),
            ("cusum", ("min_instances", "1"), "at least 2"),
            ("cusum", ("slack", "inf"), "at least 0"),
            ("cusum", ("threshold", "inf"), "above 0"),
            ("kswin", ("alpha", "1"), probability),
            ("kswin", ("stat_size", "0"), "at least 1"),
            (
                "kswin",
                ("stat_size", "4"),
                "more: samples of 4 never differ so much that it is as unlikely as `alpha`, which \
                 is 0.005",
            ),
            (
                "kswin",
                ("stat_size", "51"),
                "at most half of `window_size`, which is 100",
            ),
            ("ddm", ("warm_start", "0"), "at least 1"),
            ("ddm", ("warning_threshold", "0"), "above 0"),
            (
                "ddm",
                ("drift_threshold", "1"),
                "at least `warning_threshold`, which is 2",
            ),
            ("eddm", ("warm_start", "0"), "at least 1"),
            ("eddm", ("alpha", "1.5"), "above 0 and at most 1"),
            (
                "eddm",
                ("beta", "0.96"),
                "above 0 and at most `alpha`, which is 0.95",
            ),
            ("fhddm", ("window", "0"), "at least 1"),
            ("fhddm", ("confidence", "1"), probability),
            ("fhddm", ("short_window", "0"), "at least 1"),
            (
                "fhddm",
                ("short_window", "101"),
                "at most `window`, which is 100",
            ),
            ("hddm_a", ("warning_confidence", "1"), probability),
            (
                "hddm_a",
                ("drift_confidence", "0.01"),
                "above 0 and at most `warning_confidence`, which is 0.005",
            ),
            (
                "hddm_w",
                ("drift_confidence", "0"),
                "above 0 and at most `warning_confidence`, which is 0.005",
            ),
            ("hddm_w", ("lambda", "0"), "above 0 and at most 1"),
        ] {
            let (key, text) = parameter;
            let expected = format!("{name}: `{key}` is {text} and must be {expected}");
            problem(name, parameter, &expected);
        }
    }
}
