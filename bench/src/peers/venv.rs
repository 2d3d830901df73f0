//! The Python environment of the peers: made once, pinned, and the scripts put beside it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{error::Error, process, process::CommandLine};

const PINNED: [&str; 2] = ["duckdb==2.0.0", "polars==2.1.0"];
const VERSIONS: &str =
    "import duckdb, polars; print('DuckDB', duckdb.__version__ + ', Polars', polars.__version__)";
const PATIENCE: Duration = Duration::from_secs(900);

// The program carries its scripts, so that it runs from anywhere.
const SCRIPTS: [(&str, &str); 11] = [
    ("duckdb_peer.py", include_str!("../../peers/duckdb_peer.py")),
    ("polars_peer.py", include_str!("../../peers/polars_peer.py")),
    ("oracle.py", include_str!("../../peers/oracle.py")),
    ("compare.py", include_str!("../../peers/compare.py")),
    ("q1_apart.sql", include_str!("../../peers/q1_apart.sql")),
    ("q1_range.sql", include_str!("../../peers/q1_range.sql")),
    ("q1_asof.sql", include_str!("../../peers/q1_asof.sql")),
    ("q2_group.sql", include_str!("../../peers/q2_group.sql")),
    ("q2_asof.sql", include_str!("../../peers/q2_asof.sql")),
    ("q3.sql", include_str!("../../peers/q3.sql")),
    ("q4.sql", include_str!("../../peers/q4.sql")),
];

/// A Python environment that holds the peers.
pub(super) struct Venv {
    dir: PathBuf,
    /// The peers' versions, in words.
    pub(super) versions: String,
}

impl Venv {
    /// The environment in `dir`, made if it is not there or lacks a peer.
    pub(super) fn ready(dir: &Path) -> Result<Venv, Error> {
        let mut venv = Venv {
            dir: dir.to_owned(),
            versions: String::new(),
        };
        venv.versions = match venv.ask_versions() {
            Ok(versions) => versions,
            Err(_) => {
                venv.make()?;
                venv.ask_versions()?
            }
        };
        venv.unpack()?;
        Ok(venv)
    }

    /// The command line of one of the scripts.
    pub(super) fn script(&self, name: &str) -> CommandLine {
        self.python()
            .with([self.scripts().join(name).display().to_string()])
    }

    fn python(&self) -> CommandLine {
        CommandLine::new([self.dir.join("bin/python").display().to_string()])
    }

    fn scripts(&self) -> PathBuf {
        self.dir.join("tidegate-peers")
    }

    fn ask_versions(&self) -> Result<String, Error> {
        let said = process::measure(&self.python().with(["-c", VERSIONS]), PATIENCE)?.stdout;
        Ok(said.trim().to_owned())
    }

    fn make(&self) -> Result<(), Error> {
        eprintln!(
            "making a Python environment for the peers in {}",
            self.dir.display()
        );
        let dir = self.dir.display().to_string();
        process::measure(&CommandLine::new(["python3", "-m", "venv", &dir]), PATIENCE)?;
        let install = self.python().with([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]);
        if let Err(error) = process::measure(&install.clone().with(PINNED), PATIENCE) {
            eprintln!("the pinned versions cannot be had, so the newest are taken: {error}");
            let names = PINNED.map(|pinned| pinned.split("==").next().unwrap_or(pinned));
            process::measure(&install.with(names), PATIENCE)?;
        }
        Ok(())
    }

    fn unpack(&self) -> Result<(), Error> {
        let dir = self.scripts();
        fs::create_dir_all(&dir).map_err(Error::write(&dir))?;
        for (name, text) in SCRIPTS {
            let path = dir.join(name);
            fs::write(&path, text).map_err(Error::write(&path))?;
        }
        Ok(())
    }
}
