//! Ctrl-C and its kin: the step in hand is finished and kept, then the program ends. The second time
//! it ends at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Which signal came.
pub struct Signals {
    /// Whether one came.
    pub stop: Arc<AtomicBool>,
    number: Arc<AtomicUsize>,
}

impl Signals {
    /// From now on signals are noted.
    pub fn listen() -> io::Result<Self> {
        let (stop, number) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds nothing noted yet.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop))?;
            flag::register(signal, Arc::clone(&stop))?;
            let number_of = usize::try_from(signal).unwrap_or_default();
            flag::register_usize(signal, Arc::clone(&number), number_of)?;
        }
        Ok(Self { stop, number })
    }

    /// The signal that came, if one did.
    pub fn number(&self) -> Option<u8> {
        u8::try_from(self.number.load(Ordering::Relaxed)).ok().filter(|&n| n > 0)
    }
}
