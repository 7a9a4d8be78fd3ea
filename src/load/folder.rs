//! A folder as Hugging Face keeps it: `config.json` and `model.safetensors`, whole or in shards.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Device, Tensor};
use serde_json::Value;

use super::names::{self, Place};
use super::{LoadError, config};
use crate::model::{Linear, Part, Spec, Weights};

/// An opened folder.
pub struct Folder {
    /// What the model is made of.
    pub spec: Spec,
    /// The weight files, in order of their names.
    pub files: Vec<PathBuf>,
    tensors: Tensors,
    /// Whether matrices are quantized to eight bits when they are handed over.
    eight_bits: bool,
    dtype: DType,
    device: Device,
}

enum Tensors {
    Mapped(MmapedSafetensors),
    Held(HashMap<String, Tensor>),
}

impl Tensors {
    fn load(&self, name: &str, device: &Device) -> Result<Option<Tensor>, candle_core::Error> {
        match self {
            Self::Mapped(files) if files.get(name).is_err() => Ok(None),
            Self::Mapped(files) => files.load(name, device).map(Some),
            Self::Held(tensors) => tensors.get(name).map(|t| t.to_device(device)).transpose(),
        }
    }
}

impl Folder {
    /// From the contents of the files, quantized to eight bits.
    ///
    /// # Errors
    /// [`LoadError`] if one is damaged.
    pub fn held(config: &[u8], weights: &[u8], device: &Device) -> Result<Self, LoadError> {
        let damaged = |what: String| LoadError::Damaged { path: "builtin".into(), what };
        let config = serde_json::from_slice(config).map_err(|e| damaged(e.to_string()))?;
        let tensors = candle_core::safetensors::load_buffer(weights, device)
            .map_err(|e| damaged(e.to_string()))?;
        Ok(Self {
            spec: config::parse(&config)?,
            files: Vec::new(),
            tensors: Tensors::Held(tensors),
            eight_bits: true,
            dtype: DType::F32,
            device: device.clone(),
        })
    }

    /// Opens a folder; matrices are handed over in `dtype` on `device`.
    ///
    /// # Errors
    /// [`LoadError`] naming the file that is missing, damaged or not supported.
    pub fn open(dir: &Path, dtype: DType, device: &Device) -> Result<Self, LoadError> {
        let spec = config::parse(&read_json(&dir.join("config.json"))?)?;
        let files = weight_files(dir)?;
        for file in &files {
            fs::metadata(file).map_err(|source| LoadError::Read { path: file.clone(), source })?;
        }
        // SAFETY: the mapping is read-only. A file that another process shortens while it is
        // mapped ends this process by a signal; that is the price of not copying the weights.
        let tensors = unsafe { MmapedSafetensors::multi(&files) }
            .map_err(|e| LoadError::Damaged { path: dir.to_owned(), what: e.to_string() })?;
        Ok(Self {
            spec,
            files,
            tensors: Tensors::Mapped(tensors),
            eight_bits: false,
            dtype,
            device: device.clone(),
        })
    }

    fn tensor(&self, place: &Place, suffix: &str) -> Result<Option<Tensor>, candle_core::Error> {
        let name = format!("{}.{suffix}", place.module);
        // A text model may be kept as a part of one that sees as well (Gemma 3).
        let text_model = name.replacen("model.", "model.language_model.", 1);
        let names = [format!("language_model.{name}"), text_model];
        let mut whole = self.tensors.load(&name, &self.device)?;
        for name in names.iter().take_while(|_| self.spec.family.starts_with("gemma3")) {
            if whole.is_none() {
                whole = self.tensors.load(name, &self.device)?;
            }
        }
        let Some(whole) = whole else { return Ok(None) };
        let Some(rows) = &place.rows else { return Ok(Some(whole)) };
        let parts = rows
            .iter()
            .map(|r| whole.narrow(0, r.start, r.len()))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Some(Tensor::cat(&parts, 0)?))
    }
}

impl Weights for Folder {
    fn matrix(&self, part: Part, layer: usize) -> Result<Option<Linear>, candle_core::Error> {
        let Some(place) = names::hugging_face(&self.spec, part, layer) else { return Ok(None) };
        let Some(weight) = self.tensor(&place, "weight")? else { return Ok(None) };
        let bias = match part {
            Part::Embedding => None,
            _ => self.tensor(&place, "bias")?.map(|b| b.to_dtype(self.dtype)).transpose()?,
        };
        let linear = if self.eight_bits {
            Linear::eight_bits(&weight)?
        } else {
            Linear::plain(&weight, self.dtype)?
        };
        Ok(Some(linear.with_bias(bias)))
    }

    fn norm(
        &self,
        part: Part,
        layer: usize,
    ) -> Result<Option<(Tensor, Option<Tensor>)>, candle_core::Error> {
        let Some(place) = names::hugging_face(&self.spec, part, layer) else { return Ok(None) };
        let Some(weight) = self.tensor(&place, "weight")? else { return Ok(None) };
        let bias = self.tensor(&place, "bias")?.map(|b| b.to_dtype(DType::F32)).transpose()?;
        let weight = weight.to_dtype(DType::F32)?;
        Ok(Some(match names::norm_offset(&self.spec) {
            0.0 => (weight, bias),
            offset => ((weight + offset)?, bias),
        }))
    }
}

/// Reads a JSON file whole.
pub fn read_json(path: &Path) -> Result<Value, LoadError> {
    let bytes =
        fs::read(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
    serde_json::from_slice(&bytes)
        .map_err(|e| LoadError::Damaged { path: path.to_owned(), what: e.to_string() })
}

/// `model.safetensors`, or the shards that `model.safetensors.index.json` names.
fn weight_files(dir: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let index = dir.join("model.safetensors.index.json");
    if !index.is_file() {
        return Ok(vec![dir.join("model.safetensors")]);
    }
    Ok(shard_names(&index)?.into_iter().map(|name| dir.join(name)).collect())
}

/// The weight files that an index names: plain file names, beside the index.
pub fn shard_names(index: &Path) -> Result<BTreeSet<String>, LoadError> {
    let damaged = |what: String| LoadError::Damaged { path: index.to_owned(), what };
    let json = read_json(index)?;
    let map = json.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| damaged("it has no weight_map".to_owned()))?;
    let names: BTreeSet<String> =
        map.values().filter_map(Value::as_str).map(str::to_owned).collect();
    if names.is_empty() {
        return Err(damaged("its weight_map is empty".to_owned()));
    }
    if let Some(name) = names.iter().find(|n| n.contains(['/', '\\']) || n.starts_with('.')) {
        return Err(damaged(format!("the shard `{name}` lies outside the folder")));
    }
    Ok(names)
}
