//! A file of one format, as it comes. `LONGSUM_FUZZ` names the format by its extension.
#![no_main]

use std::sync::LazyLock;

use longsum_fuzz::{check, document};

static EXTENSION: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("LONGSUM_FUZZ").ok());

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    check(document::read_bytes("fuzz", data.to_vec(), EXTENSION.as_deref()));
});
