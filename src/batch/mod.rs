//! Many documents: found, read ahead in processes of their own, summarized side by side by one model,
//! written whole, and never done twice.
//!
//! `input` says which files are meant, `isolate` reads one where it can do no harm, `run` is the loop
//! over all of them; `key` tells whether a report still stands, `journal` lets one go on that was
//! stopped, `place` and `output` write, `objects` knows the stores that are no folders, `shard` shares
//! an archive out to many machines, `parts` one document.

mod input;
pub mod isolate;
mod journal;
mod key;
mod objects;
pub mod output;
mod parts;
mod place;
mod run;
mod shard;

use sha2::{Digest, Sha256};

use crate::device;
use crate::load::Loaded;
use crate::report::Model;
use crate::summary::Reader;

pub use input::{Found, Input, InputError, Search};
pub use isolate::{Isolate, Limits};
pub use journal::FileJournal;
pub use key::Keys;
pub use objects::{Bucket, Location, Uri};
pub use output::{Output, Store, WriteError};
pub use parts::{PartOf, PartsError, read_parts};
pub use place::Place;
pub use run::{Batch, Outcome, RunError, Watch, n_jobs, n_streams};
pub use shard::{Shard, ShardError};

/// SHA-256 of some bytes, in hexadecimal.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A loaded model as a summary takes it.
#[must_use]
pub fn reader<'a>(loaded: &'a Loaded, about: &'a Model) -> Reader<'a> {
    Reader {
        model: &loaded.decoder,
        tokenizer: &loaded.tokenizer,
        chat: &loaded.chat,
        stops: &loaded.stops,
        about,
        extract: loaded.extractor.as_ref().map(|e| (&e.salience, &e.weights)),
    }
}

/// What a report says of a loaded model.
#[must_use]
pub fn about(loaded: &Loaded, id: &str, revision: Option<String>) -> Model {
    use crate::model::LanguageModel;
    Model {
        id: id.to_owned(),
        revision,
        sha256: loaded.sha256.clone(),
        architecture: loaded.decoder.spec().family.clone(),
        quantization: loaded.quantization.clone(),
        dtype: loaded.dtype.as_str().to_owned(),
        device: device::kind(loaded.decoder.device()).to_owned(),
        gpu: device::gpu(loaded.decoder.device()),
    }
}
