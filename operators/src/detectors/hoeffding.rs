//! What the two detectors by Hoeffding's bounds share: how likely they may err.

use super::Signal;
use super::settings::{Named, Parameter, must, must_be_probability};

/// How likely an error of each level may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Confidences {
    /// How likely a drift may be where there is none. Default 0.001.
    pub drift: f64,
    /// How likely a warning may be where there is none. Default 0.005.
    pub warning: f64,
}

impl Default for Confidences {
    fn default() -> Confidences {
        Confidences {
            drift: 0.001,
            warning: 0.005,
        }
    }
}

impl Confidences {
    pub(super) fn parameters(&mut self) -> [Named<'_>; 2] {
        [
            ("drift_confidence", Parameter::Number(&mut self.drift)),
            ("warning_confidence", Parameter::Number(&mut self.warning)),
        ]
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let (drift, warning) = (self.drift, self.warning);
        must_be_probability("warning_confidence", warning)?;
        let most = format!("above 0 and at most `warning_confidence`, which is {warning}");
        let holds = 0.0 < drift && drift <= warning;
        must(holds, "drift_confidence", drift, &most)
    }

    /// The highest level at which something has risen.
    pub(super) fn signal(&self, has_risen: impl Fn(f64) -> bool) -> Signal {
        if has_risen(self.drift) {
            Signal::Drift
        } else if has_risen(self.warning) {
            Signal::Warning
        } else {
            Signal::Quiet
        }
    }
}
