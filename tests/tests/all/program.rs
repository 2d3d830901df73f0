//! The program as its users start it, and what it answers.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use tempfile::TempDir;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent()
        .expect("the crate lies in the repository")
        .to_owned()
}

/// The built program: what `variable` names, or else what lies beside the tests.
pub(crate) fn built(name: &str, variable: &str) -> PathBuf {
    if let Some(named) = std::env::var_os(variable) {
        return named.into();
    }
    let tests = std::env::current_exe().expect("the test knows where it lies");
    let path = tests
        .ancestors()
        .nth(2)
        .expect("a target folder")
        .join(name);
    assert!(
        path.exists(),
        "{} is not there: build it with `cargo build --release --workspace --bins`, or name it in {variable}",
        path.display()
    );
    path
}

/// A folder like a checkout, in which a test may write: the catalogue lies where jobs look for it.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Place {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let jobs = folder.path().join("jobs");
        std::os::unix::fs::symlink(root().join("jobs"), jobs).expect("a link to the jobs");
        Place { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file and answers its name, for arguments.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), content).expect("a file for the test");
        name.to_owned()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// What lies in a folder, hidden files too, sorted.
    pub(crate) fn list(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(folder)) else {
            return Vec::new();
        };
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
        let mut names: Vec<_> = entries
            .map(|e| name(e).to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// The program, about to be started here.
    pub(crate) fn tidegate<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Call {
        let mut command = Command::new(built("tidegate", "TIDEGATE"));
        command.args(arguments).current_dir(self.folder.path());
        for variable in [
            "TIDEGATE_DATA",
            "TIDEGATE_EVENTS",
            "TIDEGATE_LIMITS",
            "TIDEGATE_LOG",
        ] {
            command.env_remove(variable);
        }
        Call { command }
    }
}

/// The program, about to be started.
pub(crate) struct Call {
    command: Command,
}

impl Call {
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Call {
        self.command.arg(argument);
        self
    }

    /// Sets a key of the job file.
    pub(crate) fn set(self, key: &str, value: impl fmt::Display) -> Call {
        self.arg("--set").arg(format!("{key}={value}"))
    }

    /// Runs it to its end.
    pub(crate) fn run(mut self) -> Ended {
        self.command.stdin(Stdio::null());
        Ended::of(
            self.shown(),
            self.command.output().expect("the program starts"),
        )
    }

    /// Starts it, with pipes on all sides.
    pub(crate) fn start(mut self) -> Child {
        let pipes = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        pipes.spawn().expect("the program starts")
    }

    fn shown(&self) -> String {
        format!("{:?}", self.command)
    }
}

/// What a run of the program came to.
pub(crate) struct Ended {
    command: String,
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn of(command: String, output: Output) -> Ended {
        Ended {
            command,
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// It ended with this exit code, and without a panic.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Ended {
        assert_eq!(self.status.code(), Some(code), "{self}");
        assert!(!self.stderr.contains("panicked"), "{self}");
        self
    }

    /// It said each of these on its error output.
    #[track_caller]
    pub(crate) fn says(self, texts: &[&str]) -> Ended {
        for text in texts {
            assert!(self.stderr.contains(text), "`{text}` is not said: {self}");
        }
        self
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ended {
            command,
            status,
            stdout,
            stderr,
        } = self;
        write!(
            f,
            "{command}\n{status}\n--- output\n{stdout}\n--- errors\n{stderr}"
        )
    }
}
