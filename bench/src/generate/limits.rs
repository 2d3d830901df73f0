//! The changelog of the thresholds: how many contacts in 24 h a segment's customer may open, from when on.

use std::{fmt::Write as _, fs, path::Path};

use crate::error::Error;

/// The day from which a version holds, and its thresholds for segments 0 to 3.
pub(super) const VERSIONS: [(u32, [u8; 4]); 3] =
    [(0, [3, 4, 5, 6]), (10, [2, 3, 4, 5]), (20, [4, 4, 6, 6])];

pub(super) fn write(path: &Path) -> Result<(), Error> {
    let mut text = "ts,segment,threshold\n".to_owned();
    for (day, thresholds) in VERSIONS {
        for (segment, threshold) in thresholds.iter().enumerate() {
            // The workload starts on the first of January, so the day of the month is the day of the workload, counted from 1.
            let _ = writeln!(
                text,
                "2024-01-{:02}T00:00:00Z,{segment},{threshold}",
                day + 1
            );
        }
    }
    fs::write(path, text).map_err(Error::write(path))
}
