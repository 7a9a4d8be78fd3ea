//! One GGUF file: weights, configuration, tokenizer and chat template in it.

mod meta;

use std::collections::HashMap;
use std::fs::File;
use std::io::Cursor;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{Content, TensorInfo, Value};
use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{DType, Device, Tensor};
use memmap2::Mmap;

use self::meta::Metadata;
use super::LoadError;
use super::names::{self, Place};
use crate::measure::Storage;
use crate::model::packed::{BlockFormat, PackedMatrix};
use crate::model::{Linear, Part, Spec, Weights};
use crate::token::GgufTokenizer;

pub use self::meta::ARCHITECTURES;

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

    /// How the matrices will lie in memory: quantized ones as they are, in bits of a weight on the
    /// whole, others in the type of the activations.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "bytes of memory, for people")]
    pub fn storage(&self) -> Storage {
        let matrices = self.content.tensor_infos.values().filter(|info| info.shape.rank() == 2);
        let (mut n_weights, mut n_bytes_all) = (0, 0);
        for info in matrices {
            let n = info.shape.elem_count();
            n_weights += n;
            n_bytes_all += match info.ggml_dtype {
                GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16 => n * self.dtype.size_in_bytes(),
                _ => n_bytes(info).unwrap_or(0),
            };
        }
        Storage { name: "quantized", n_bits: 8.0 * n_bytes_all as f64 / n_weights.max(1) as f64 }
    }

    fn bytes(&self, info: &TensorInfo) -> Result<&[u8], candle_core::Error> {
        tensor_bytes(&self.content, &self.map, info)
    }

    fn tensor(&self, place: &Place, suffix: &str) -> Result<Option<Tensor>, candle_core::Error> {
        let name = format!("{}.{suffix}", place.module);
        let Some(info) = self.content.tensor_infos.get(&name) else { return Ok(None) };
        let (bytes, dims) = rows(place, info, self.bytes(info)?)?;
        quantized(info, bytes, dims, &self.device)?.dequantize(&self.device).map(Some)
    }
}

impl Weights for Gguf {
    fn matrix(&self, part: Part, layer: usize) -> Result<Option<Linear>, candle_core::Error> {
        let place = names::gguf(&self.spec, part, layer);
        let Some(info) = self.content.tensor_infos.get(&format!("{}.weight", place.module)) else {
            return Ok(None);
        };
        let (_, n_cols) = info.shape.dims2()?;
        let (bytes, dims) = rows(&place, info, self.bytes(info)?)?;
        let n_rows = dims[0];
        let linear = match (block_format(info.ggml_dtype), &self.device) {
            (Some(format), Device::Cpu) => {
                let packed = PackedMatrix::pack(format, bytes, n_rows, n_cols);
                Linear::packed(packed.map_err(candle_core::Error::wrap)?)
            }
            _ if matches!(info.ggml_dtype, GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16) => {
                let dense = quantized(info, bytes, dims, &self.device)?.dequantize(&self.device)?;
                Linear::plain(&dense, self.dtype)?
            }
            _ => {
                let tensor = quantized(info, bytes, dims, &self.device)?;
                Linear::quantized(QMatMul::from_qtensor(tensor)?)
            }
        };
        let bias = self.tensor(&place, "bias")?.map(|b| b.to_dtype(self.dtype)).transpose()?;
        Ok(Some(linear.with_bias(bias)))
    }

    fn norm(
        &self,
        part: Part,
        layer: usize,
    ) -> Result<Option<(Tensor, Option<Tensor>)>, candle_core::Error> {
        let place = names::gguf(&self.spec, part, layer);
        let Some(weight) = self.tensor(&place, "weight")? else { return Ok(None) };
        let bias = self.tensor(&place, "bias")?.map(|b| b.to_dtype(DType::F32)).transpose()?;
        Ok(Some((weight.to_dtype(DType::F32)?, bias)))
    }
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

/// The rows of a tensor that belong to a part, and their shape. Blocks of quantized numbers never go
/// over the end of a row.
fn rows<'a>(
    place: &Place,
    info: &TensorInfo,
    bytes: &'a [u8],
) -> Result<(&'a [u8], Vec<usize>), candle_core::Error> {
    let mut dims = info.shape.dims().to_vec();
    let Some([rows]) = place.rows.as_deref() else { return Ok((bytes, dims)) };
    let n_all = dims.first().copied().unwrap_or(0);
    let n_row: usize = dims.iter().skip(1).product();
    if rows.end > n_all || !n_row.is_multiple_of(info.ggml_dtype.block_size()) {
        let what = format!("`{}` cannot be cut into rows {rows:?}: it is {dims:?}", place.module);
        return Err(candle_core::Error::Msg(what));
    }
    let n_bytes = bytes.len() / n_all;
    dims[0] = rows.len();
    Ok((&bytes[rows.start * n_bytes..rows.end * n_bytes], dims))
}

fn quantized(
    info: &TensorInfo,
    bytes: &[u8],
    dims: Vec<usize>,
    device: &Device,
) -> Result<QTensor, candle_core::Error> {
    candle_core::quantized::ggml_file::qtensor_from_ggml(info.ggml_dtype, bytes, dims, device)
}

/// What frequencies are divided by: Llama 3.1 and later, and Phi-3 in texts that are not long.
fn rope_factors(content: &Content, map: &Mmap) -> Result<Option<Vec<f64>>, candle_core::Error> {
    let names = ["rope_freqs.weight", "rope_factors_short.weight"];
    let Some(info) = names.iter().find_map(|name| content.tensor_infos.get(*name)) else {
        return Ok(None);
    };
    let bytes = tensor_bytes(content, map, info)?;
    let tensor = quantized(info, bytes, info.shape.dims().to_vec(), &Device::Cpu)?;
    let factors: Vec<f32> = tensor.dequantize(&Device::Cpu)?.to_dtype(DType::F32)?.to_vec1()?;
    Ok(Some(factors.into_iter().map(f64::from).collect()))
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
