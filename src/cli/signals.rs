//! Ctrl-C and its kin: the step in hand is finished and kept, then the program ends. The second time
//! it ends at once.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

static STOP: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
static NUMBER: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// From now on signals are noted; until now they end the program, which has nothing to save.
pub fn listen() -> io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds nothing noted yet, and who sees it noted sees which.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&STOP))?;
        let number = usize::try_from(signal).unwrap_or_default();
        flag::register_usize(signal, Arc::clone(&NUMBER), number)?;
        flag::register(signal, Arc::clone(&STOP))?;
    }
    Ok(())
}

/// Whether one came.
pub fn stop() -> &'static AtomicBool {
    &STOP
}

/// The signal that came, if one did.
pub fn number() -> Option<u8> {
    u8::try_from(NUMBER.load(Ordering::Relaxed)).ok().filter(|&n| n > 0)
}
