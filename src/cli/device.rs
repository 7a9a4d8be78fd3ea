//! `--device` and `--dtype`: where a model computes, and whether it has room there.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use candle_core::{DType, Device};
use longsum::batch;
use longsum::cache::Layout;
use longsum::device::{self, Choice};
use longsum::load::known::Known;
use longsum::load::{Loaded, Outline};
use longsum::measure::{Storage, fit};
use longsum::model::{Spec, packed};
use longsum::report::Model;

use super::args::{BUILTIN, DeviceArgs, NumberType};
use super::exit::Failure;
use super::progress::Progress;
use super::{find_model, n_threads, say};

/// The streams that are wanted, as far as that is said before the model is there.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// Pinned tokens.
    pub n_sink: Option<usize>,
    /// Recent tokens.
    pub n_window: Option<usize>,
    /// Most tokens fed at once.
    pub n_chunk: Option<usize>,
    /// Streams at once.
    pub n_streams: Option<usize>,
}

/// About what a summary takes where nothing is said: its exact budget needs the tokenizer.
const N_SINK: usize = 512;
const N_WINDOW: usize = 1536;
const N_CHUNK: usize = 1024;

impl From<NumberType> for DType {
    fn from(dtype: NumberType) -> Self {
        match dtype {
            NumberType::F32 => Self::F32,
            NumberType::F16 => Self::F16,
            NumberType::Bf16 => Self::BF16,
        }
    }
}

impl DeviceArgs {
    /// Opens the device; says why where a GPU is passed over.
    pub fn open(&self) -> Result<(Device, DType)> {
        let (device, passed_over) = device::open(self.device)?;
        if let Some(error) = passed_over {
            say(&format!("warning: {error}; the CPU computes\n hint: {}", error.hint()));
        }
        let dtype = device::dtype(&device, self.dtype.map(DType::from))?;
        Ok((device, dtype))
    }

    /// What was planned, where nothing else is asked for.
    pub fn or(&self, device: Option<&str>, dtype: Option<NumberType>) -> Self {
        let planned = device.and_then(|device| device.parse().ok());
        match (self.device, planned) {
            (Choice::Auto, Some(device)) => Self { device, dtype: self.dtype.or(dtype) },
            _ => self.clone(),
        }
    }
}

/// The model of that name, and what a report says of it.
pub fn load(
    id: &str,
    on: &DeviceArgs,
    wanted: Wanted,
    progress: &Progress,
) -> Result<(Loaded, Model)> {
    let started = Instant::now();
    // A short name says less than the repository.
    let short = Known::of(id).filter(|_| !Path::new(id).exists());
    let id = short.map_or(id, |known| known.repo);
    let (loaded, revision) = open(id, on, wanted, progress)?;
    let about = batch::about(&loaded, id, revision);
    progress.explain(|| {
        format!(
            "model {}: {}{}, {}, loaded in {:.2} s; runs on {} with {} threads, {} instructions",
            about.id,
            about.architecture,
            about.quantization.as_ref().map_or(String::new(), |how| format!(", {how}")),
            if loaded.extractor.is_some() { "chooses sentences" } else { "writes" },
            started.elapsed().as_secs_f64(),
            about.gpu.as_deref().unwrap_or(&about.device),
            n_threads(),
            packed::instructions(),
        )
    });
    Ok((loaded, about))
}

fn open(
    id: &str,
    on: &DeviceArgs,
    wanted: Wanted,
    progress: &Progress,
) -> Result<(Loaded, Option<String>)> {
    if id == BUILTIN {
        // It is small, and its kernels are those of the CPU: integers of eight bits. A GPU would be
        // waited for longer than it computes.
        if !matches!(on.device, Choice::Auto | Choice::Cpu) {
            return Err(Failure::BuiltinOnGpu { device: on.device }.into());
        }
        device::dtype(&Device::Cpu, on.dtype.map(DType::from))?;
        return Ok((Loaded::builtin(&Device::Cpu)?, None));
    }
    let (mut device, mut dtype) = on.open()?;
    let (path, revision) = find_model(id, progress)?;
    if !device.is_cpu() {
        let outline = Outline::of(&path, dtype)?;
        if outline.chooses && on.device == Choice::Auto {
            device = Device::Cpu; // it is small too
            dtype = device::dtype(&device, on.dtype.map(DType::from))?;
        } else {
            check_room(&outline.spec, outline.storage, dtype, wanted, &device)?;
        }
    }
    let open = || Loaded::open_in(&path, dtype, &device).map_err(anyhow::Error::from);
    Ok((progress.while_loading(id, open)?, revision))
}

/// Refuses what would run out of memory, before it is loaded.
pub fn check_room(
    spec: &Spec,
    storage: Storage,
    dtype: DType,
    wanted: Wanted,
    device: &Device,
) -> Result<()> {
    let Some(n_free) = device::free_bytes(device) else { return Ok(()) };
    let n_sink = wanted.n_sink.unwrap_or(N_SINK);
    let most = spec.context.saturating_sub(n_sink).max(1);
    let n_window = wanted.n_window.unwrap_or(N_WINDOW.min(most));
    let n_chunk = wanted.n_chunk.unwrap_or(N_CHUNK).min(n_window);
    // What makes no sense is refused with better words where the budget is made.
    let Ok(layout) = Layout::new(n_sink, n_window, n_chunk) else { return Ok(()) };
    let n_streams = wanted.n_streams.unwrap_or(1) as u64;
    fit(spec, &layout, storage, dtype.size_in_bytes() as u64, n_streams, n_free)?;
    Ok(())
}
