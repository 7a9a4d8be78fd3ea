//! The model inside the program: `models/builtin`, a small decoder trained to choose sentences.

use std::path::Path;

use candle_core::{DType, Device};
use sha2::{Digest, Sha256};

use super::folder::Folder;
use super::open::{decoder, hex};
use super::{Extractor, LoadError, Loaded};
use crate::model::{ModelError, Salience};
use crate::prompt::ChatTemplate;
use crate::token::Tokenizer;

const CONFIG: &[u8] = include_bytes!("../../models/builtin/config.json");
const TOKENIZER: &[u8] = include_bytes!("../../models/builtin/tokenizer.json");
const WEIGHTS: &[u8] = include_bytes!("../../models/builtin/model.safetensors");
const SALIENCE: &[u8] = include_bytes!("../../models/builtin/salience.safetensors");
const SELECTION: &[u8] = include_bytes!("../../models/builtin/selection.json");

impl Loaded {
    /// The model that the program carries. Its matrices run as integers of eight bits.
    ///
    /// # Errors
    /// [`LoadError`] if the device has no room for it.
    pub fn builtin(device: &Device) -> Result<Self, LoadError> {
        let path = Path::new("builtin");
        let damaged = |what: String| LoadError::Damaged { path: path.to_owned(), what };
        let model = |source: ModelError| LoadError::Model { path: path.to_owned(), source };
        let folder = Folder::held(CONFIG, WEIGHTS, device)?;
        let heads = candle_core::safetensors::load_buffer(SALIENCE, &Device::Cpu)
            .map_err(|e| damaged(e.to_string()))?;
        let salience = Salience::new(&heads, folder.spec.n_embd).map_err(model)?;
        let weights = serde_json::from_slice(SELECTION).map_err(|e| damaged(e.to_string()))?;
        let mut hash = Sha256::new();
        [CONFIG, TOKENIZER, WEIGHTS, SALIENCE, SELECTION].iter().for_each(|part| hash.update(part));
        let loaded = Self {
            decoder: decoder(folder.spec.clone(), &folder, path, DType::F32, device)?,
            tokenizer: Tokenizer::from_json_bytes(TOKENIZER)?,
            chat: ChatTemplate::plain(),
            stops: Vec::new(),
            sha256: hex(&hash.finalize()),
            quantization: Some("Q8_0".to_owned()),
            dtype: DType::F32,
            extractor: Some(Extractor { salience, weights }),
        };
        loaded.finish(None)
    }
}
