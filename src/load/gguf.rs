//! One GGUF file: weights, configuration, tokenizer and chat template in it.

use std::collections::HashMap;
use std::fs::File;
use std::io::Cursor;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{Content, TensorInfo, Value};
use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{DType, Device, Tensor};
use memmap2::Mmap;

use super::{LoadError, names};
use crate::model::packed::{BlockFormat, PackedMatrix};
use crate::model::{
    Activation, Linear, Mlp, Norm, NormKind, Part, Positions, Residual, Rope, RopeScaling, Sight,
    Spec, Weights, usual_score_scale,
};
use crate::token::GgufTokenizer;

/// Architectures of GGUF files that the decoder can describe. Mistral calls itself `llama` here.
pub const ARCHITECTURES: [&str; 3] = ["llama", "qwen2", "qwen3"];

/// An opened GGUF file, memory-mapped.
pub struct Gguf {
    /// What the model is made of.
    pub spec: Spec,
    /// The file.
    pub path: PathBuf,
    /// The name the file gives itself.
    pub name: Option<String>,
    content: Content,
    map: Mmap,
    dtype: DType,
    device: Device,
}

impl Gguf {
    /// Opens a file; activations will be in `dtype` on `device`.
    ///
    /// # Errors
    /// [`LoadError`] if the file is missing, cut off, damaged or of a family not supported.
    pub fn open(path: &Path, dtype: DType, device: &Device) -> Result<Self, LoadError> {
        let read = |source| LoadError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(read)?;
        // SAFETY: the mapping is read-only. A file that another process shortens while it is
        // mapped ends this process by a signal; that is the price of not copying the weights.
        let map = unsafe { Mmap::map(&file) }.map_err(read)?;
        let damaged = |what: String| LoadError::Damaged { path: path.to_owned(), what };
        if !map.starts_with(b"GGUF") {
            return Err(damaged("it does not begin with `GGUF`".to_owned()));
        }
        let content = read_content(&map).map_err(damaged)?;
        check_tensors(&content, &map).map_err(damaged)?;
        let meta = Metadata { content: &content };
        let spec = meta.spec(rope_factors(&content, &map).map_err(|e| damaged(first_line(&e)))?)?;
        let name = meta.text("general.name").map(str::to_owned);
        Ok(Self { spec, path: path.to_owned(), name, content, map, dtype, device: device.clone() })
    }

    /// The tokenizer's part of the metadata, with the chat template.
    #[must_use]
    pub fn tokenizer(&self) -> GgufTokenizer {
        let meta = Metadata { content: &self.content };
        let id = |key: &str| meta.number(key).and_then(|n| u32::try_from(n).ok());
        GgufTokenizer {
            model: meta.text("tokenizer.ggml.model").unwrap_or_default().to_owned(),
            pre: meta.text("tokenizer.ggml.pre").map(str::to_owned),
            tokens: meta.list("tokenizer.ggml.tokens", |v| v.to_string().ok().cloned()),
            scores: meta.list("tokenizer.ggml.scores", |v| v.to_f32().ok()),
            token_types: meta.list("tokenizer.ggml.token_type", |v| {
                integer(v).and_then(|n| u32::try_from(n).ok())
            }),
            merges: meta.list("tokenizer.ggml.merges", |v| v.to_string().ok().cloned()),
            bos_id: id("tokenizer.ggml.bos_token_id"),
            eos_id: id("tokenizer.ggml.eos_token_id"),
            unknown_id: id("tokenizer.ggml.unknown_token_id"),
            add_bos: meta.flag("tokenizer.ggml.add_bos_token"),
            add_space_prefix: meta.flag("tokenizer.ggml.add_space_prefix"),
            chat_template: meta.text("tokenizer.chat_template").map(str::to_owned),
        }
    }

    /// The quantization that most of the matrices have, such as `Q4_1`.
    #[must_use]
    pub fn quantization(&self) -> String {
        let mut counts: HashMap<GgmlDType, usize> = HashMap::new();
        for info in self.content.tensor_infos.values().filter(|i| i.shape.rank() == 2) {
            *counts.entry(info.ggml_dtype).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|&(dtype, n)| (n, format!("{dtype:?}")));
        most.map_or_else(|| "F32".to_owned(), |(dtype, _)| format!("{dtype:?}"))
    }

    fn bytes(&self, info: &TensorInfo) -> Result<&[u8], candle_core::Error> {
        tensor_bytes(&self.content, &self.map, info)
    }

    fn tensor(&self, name: &str) -> Result<Option<Tensor>, candle_core::Error> {
        let Some(info) = self.content.tensor_infos.get(name) else { return Ok(None) };
        dense(info, self.bytes(info)?, &self.device).map(Some)
    }
}

impl Weights for Gguf {
    fn matrix(&self, part: Part, layer: usize) -> Result<Option<Linear>, candle_core::Error> {
        let module = names::gguf(part, layer);
        let Some(info) = self.content.tensor_infos.get(&format!("{module}.weight")) else {
            return Ok(None);
        };
        let bytes = self.bytes(info)?;
        let (n_rows, n_cols) = info.shape.dims2()?;
        let linear = match (block_format(info.ggml_dtype), &self.device) {
            (Some(format), Device::Cpu) => {
                let packed = PackedMatrix::pack(format, bytes, n_rows, n_cols);
                Linear::packed(packed.map_err(candle_core::Error::wrap)?)
            }
            _ if matches!(info.ggml_dtype, GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16) => {
                Linear::plain(&dense(info, bytes, &self.device)?, self.dtype)?
            }
            _ => Linear::quantized(QMatMul::from_qtensor(quantized(info, bytes, &self.device)?)?),
        };
        let bias =
            self.tensor(&format!("{module}.bias"))?.map(|b| b.to_dtype(self.dtype)).transpose()?;
        Ok(Some(linear.with_bias(bias)))
    }

    fn norm(
        &self,
        part: Part,
        layer: usize,
    ) -> Result<Option<(Tensor, Option<Tensor>)>, candle_core::Error> {
        let module = names::gguf(part, layer);
        let Some(weight) = self.tensor(&format!("{module}.weight"))? else { return Ok(None) };
        let bias =
            self.tensor(&format!("{module}.bias"))?.map(|b| b.to_dtype(DType::F32)).transpose()?;
        Ok(Some((weight.to_dtype(DType::F32)?, bias)))
    }
}

/// The metadata with the questions asked of it.
struct Metadata<'a> {
    content: &'a Content,
}

impl Metadata<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.content.metadata.get(key)
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(|v| v.to_string().ok()).map(String::as_str)
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.get(key).and_then(integer)
    }

    fn float(&self, key: &str) -> Option<f64> {
        self.get(key).and_then(|v| v.to_f32().map(f64::from).or_else(|_| v.to_f64()).ok())
    }

    fn flag(&self, key: &str) -> Option<bool> {
        self.get(key).and_then(|v| v.to_bool().ok())
    }

    fn list<T>(&self, key: &str, f: impl Fn(&Value) -> Option<T>) -> Vec<T> {
        self.get(key)
            .and_then(|v| v.to_vec().ok())
            .map_or_else(Vec::new, |v| v.iter().filter_map(f).collect())
    }

    fn spec(&self, factors: Option<Vec<f64>>) -> Result<Spec, LoadError> {
        let family = self
            .text("general.architecture")
            .ok_or_else(|| LoadError::config("general.architecture", "is missing"))?;
        let key = |suffix: &str| format!("{family}.{suffix}");
        if !ARCHITECTURES.contains(&family) {
            return Err(LoadError::GgufFamily { family: family.to_owned() });
        }
        if self.number(&key("expert_count")).is_some_and(|n| n > 0) {
            return Err(LoadError::GgufFamily {
                family: format!("{family} with a mixture of experts"),
            });
        }
        let maybe_count = |suffix: &str| {
            self.number(&key(suffix))
                .and_then(|n| usize::try_from(n).ok())
                .filter(|n| (1..=super::MOST).contains(n))
        };
        let count = |suffix: &str| {
            maybe_count(suffix)
                .ok_or_else(|| LoadError::config(&key(suffix), "is missing or not a count"))
        };
        let (n_embd, n_heads) = (count("embedding_length")?, count("attention.head_count")?);
        let n_kv_heads = maybe_count("attention.head_count_kv").unwrap_or(n_heads);
        if !n_heads.is_multiple_of(n_kv_heads) {
            let what = format!("is {n_kv_heads}, which does not divide {n_heads} query heads");
            return Err(LoadError::config(&key("attention.head_count_kv"), what));
        }
        let head_dim = match maybe_count("attention.key_length") {
            Some(head_dim) => head_dim,
            None if n_embd.is_multiple_of(n_heads) => n_embd / n_heads,
            None => {
                let what = format!("is {n_heads}, which does not divide the width of {n_embd}");
                return Err(LoadError::config(&key("attention.head_count"), what));
            }
        };
        let embedding = self.content.tensor_infos.get("token_embd.weight");
        let n_vocab = embedding
            .and_then(|i| i.shape.dims().first().copied())
            .ok_or_else(|| LoadError::config("token_embd.weight", "is missing"))?;
        let dim = maybe_count("rope.dimension_count").unwrap_or(head_dim);
        if dim > head_dim || !dim.is_multiple_of(2) {
            return Err(LoadError::config(
                &key("rope.dimension_count"),
                format!("is {dim} of {head_dim}"),
            ));
        }
        let theta = self.float(&key("rope.freq_base")).unwrap_or(10_000.0);
        if !theta.is_finite() || theta <= 0.0 {
            return Err(LoadError::config(&key("rope.freq_base"), format!("is {theta}")));
        }
        let rope = Rope {
            dim,
            theta,
            scaling: self.scaling(family, factors)?,
            magnitude: 1.0,
            interleaved: family == "llama",
        };
        #[expect(clippy::cast_possible_truncation, reason = "an epsilon needs no f64")]
        let eps = self.float(&key("attention.layer_norm_rms_epsilon")).unwrap_or(1e-6) as f32;
        let n_layers = count("block_count")?;
        Ok(Spec {
            family: family.to_owned(),
            n_layers,
            n_embd,
            n_heads,
            n_kv_heads,
            head_dim,
            n_ff: count("feed_forward_length")?,
            n_vocab,
            context: maybe_count("context_length").unwrap_or(2048),
            norm: Norm { kind: NormKind::Rms, eps },
            positions: Positions::Rope(rope),
            residual: Residual::Sequential,
            mlp: Mlp::Gated(Activation::Silu),
            qk_norm: family == "qwen3",
            tied: !self.content.tensor_infos.contains_key("output.weight"),
            sights: vec![Sight::Whole; n_layers],
            embedding_scale: 1.0,
            score_scale: usual_score_scale(head_dim),
            score_cap: None,
            logit_cap: None,
            remarks: Vec::new(),
        })
    }

    fn scaling(&self, family: &str, factors: Option<Vec<f64>>) -> Result<RopeScaling, LoadError> {
        if let Some(factors) = factors {
            return Ok(RopeScaling::Factors(factors));
        }
        let key = format!("{family}.rope.scaling.type");
        match self.text(&key) {
            None | Some("none") => Ok(RopeScaling::None),
            Some("linear") => {
                let factor =
                    self.float(&format!("{family}.rope.scaling.factor")).filter(|f| *f > 0.0);
                let factor =
                    factor.ok_or_else(|| LoadError::config(&key, "is linear without a factor"))?;
                Ok(RopeScaling::Linear { factor })
            }
            Some(other) => {
                Err(LoadError::config(&key, format!("is `{other}`; supported are none and linear")))
            }
        }
    }
}

/// What Llama 3.1 and later divide their frequencies by.
fn rope_factors(content: &Content, map: &Mmap) -> Result<Option<Vec<f64>>, candle_core::Error> {
    let Some(info) = content.tensor_infos.get("rope_freqs.weight") else { return Ok(None) };
    let factors: Vec<f32> = dense(info, tensor_bytes(content, map, info)?, &Device::Cpu)?
        .to_dtype(DType::F32)?
        .to_vec1()?;
    Ok(Some(factors.into_iter().map(f64::from).collect()))
}

fn integer(value: &Value) -> Option<u64> {
    match value {
        Value::U8(n) => Some(u64::from(*n)),
        Value::U16(n) => Some(u64::from(*n)),
        Value::U32(n) => Some(u64::from(*n)),
        Value::U64(n) => Some(*n),
        Value::I8(n) => u64::try_from(*n).ok(),
        Value::I16(n) => u64::try_from(*n).ok(),
        Value::I32(n) => u64::try_from(*n).ok(),
        Value::I64(n) => u64::try_from(*n).ok(),
        _ => None,
    }
}

/// Tensors are read in place, so they stand where the format says they must.
const ALIGNMENT: u64 = 32;

/// The header of a file. The reader divides by what some headers say.
fn read_content(map: &Mmap) -> Result<Content, String> {
    let read = || Content::read(&mut Cursor::new(&map[..])).map_err(|e| first_line(&e));
    catch_unwind(read).unwrap_or_else(|_| Err("its header makes no sense".to_owned()))
}

/// Whether every tensor lies in the file, with a shape that makes sense.
fn check_tensors(content: &Content, map: &Mmap) -> Result<(), String> {
    let mut infos: Vec<_> = content.tensor_infos.iter().collect();
    infos.sort_by_key(|(name, _)| *name);
    for (name, info) in infos {
        let start = content.tensor_data_offset.saturating_add(info.offset);
        let n_bytes = n_bytes(info).ok_or_else(|| {
            format!("`{name}` has the shape {:?}, which makes no sense", info.shape.dims())
        })?;
        let end = start.saturating_add(n_bytes as u64);
        if end > map.len() as u64 {
            return Err(format!(
                "it is cut off: {} bytes long, but `{name}` ends at {end}",
                map.len()
            ));
        }
        if !start.is_multiple_of(ALIGNMENT) {
            return Err(format!("`{name}` begins at {start}, no multiple of {ALIGNMENT}"));
        }
    }
    Ok(())
}

/// Bytes of a tensor; `None` if no file could hold it.
fn n_bytes(info: &TensorInfo) -> Option<usize> {
    let product = |n: usize, &dim: &usize| n.checked_mul(dim).filter(|n| *n > 0);
    let n = info.shape.dims().iter().try_fold(1, product)?;
    n.div_ceil(info.ggml_dtype.block_size()).checked_mul(info.ggml_dtype.type_size())
}

fn tensor_bytes<'a>(
    content: &Content,
    map: &'a Mmap,
    info: &TensorInfo,
) -> Result<&'a [u8], candle_core::Error> {
    let start = usize::try_from(content.tensor_data_offset.saturating_add(info.offset))
        .unwrap_or(usize::MAX);
    map.get(start..start.saturating_add(n_bytes(info).unwrap_or(usize::MAX)))
        .ok_or_else(|| candle_core::Error::Msg("a tensor lies outside the file".to_owned()))
}

fn quantized(
    info: &TensorInfo,
    bytes: &[u8],
    device: &Device,
) -> Result<QTensor, candle_core::Error> {
    let dims = info.shape.dims().to_vec();
    candle_core::quantized::ggml_file::qtensor_from_ggml(info.ggml_dtype, bytes, dims, device)
}

fn dense(info: &TensorInfo, bytes: &[u8], device: &Device) -> Result<Tensor, candle_core::Error> {
    quantized(info, bytes, device)?.dequantize(device)
}

fn block_format(dtype: GgmlDType) -> Option<BlockFormat> {
    match dtype {
        GgmlDType::Q4_0 => Some(BlockFormat::Q4_0),
        GgmlDType::Q4_1 => Some(BlockFormat::Q4_1),
        GgmlDType::Q5_0 => Some(BlockFormat::Q5_0),
        GgmlDType::Q5_1 => Some(BlockFormat::Q5_1),
        GgmlDType::Q8_0 => Some(BlockFormat::Q8_0),
        GgmlDType::Q2K => Some(BlockFormat::Q2K),
        GgmlDType::Q3K => Some(BlockFormat::Q3K),
        GgmlDType::Q4K => Some(BlockFormat::Q4K),
        GgmlDType::Q5K => Some(BlockFormat::Q5K),
        GgmlDType::Q6K => Some(BlockFormat::Q6K),
        _ => None,
    }
}

/// candle's errors carry a backtrace below the first line.
fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
