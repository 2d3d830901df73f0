//! SIGINT and SIGTERM: the first ends the run in order, the second at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals as Listener};

use crate::runtime::Watch;

/// Listens as long as it lives.
pub(super) struct Signals {
    handle: Handle,
    received: Arc<AtomicI32>,
}

impl Signals {
    /// From now on, signals stop the run that is watched.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub(super) fn stop(watch: &Arc<Watch>) -> io::Result<Signals> {
        let mut listener = Listener::new([SIGINT, SIGTERM])?;
        let received = Arc::new(AtomicI32::new(0));
        let signals = Signals {
            handle: listener.handle(),
            received: Arc::clone(&received),
        };
        let watch = Arc::clone(watch);
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                for signal in listener.forever() {
                    if received.swap(signal, Ordering::Relaxed) != 0 {
                        signal_hook::low_level::exit(128 + signal);
                    }
                    tracing::warn!("stopping: what was read is worked off; once more ends at once");
                    watch.stop();
                }
            })?;
        Ok(signals)
    }

    /// The signal that came, if one did.
    pub(super) fn received(&self) -> Option<i32> {
        match self.received.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(signal),
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.handle.close();
    }
}
