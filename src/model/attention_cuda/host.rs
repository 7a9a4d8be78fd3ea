//! The host's side of the kernels: what is uploaded, and the launches.
//!
//! Everything goes to the device's stream, in order. Where several threads use one device, it must
//! have been made with a stream of its own ([`Device::new_cuda_with_stream`]): else each thread has
//! another one, and nothing says what comes first.
//!
//! All that is `unsafe` about the kernels is here. They trust what they are handed; shapes, dtypes
//! and devices are checked in [`Kernels::attend`], slots come from a [`Layout`].

#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::cuda_backend::cudarc::driver::{
    CudaFunction, CudaStream, DevicePtr, DeviceRepr, LaunchArgs, LaunchConfig, PushKernelArg, sys,
};
use candle_core::cuda_backend::{CudaStorageSlice, WrapErr};
use candle_core::{CudaDevice, DType, Device, Result, Storage, Tensor, bail};

use super::plan::{Heads, LaneStep, Plan, SPLIT, TILE};
use crate::cache::Layout;
use crate::cache::kv::LayerCache;
use crate::model::attention::Scoring;
use crate::model::rope::Angles;

/// The kernels, as nvcc made them of `kernels.cu`; the driver compiles them for its device.
const PTX: &str = include_str!(concat!(env!("OUT_DIR"), "/attention.ptx"));

/// Threads of a block, as in the kernels.
const N_THREADS: u32 = 128;

/// Query heads that share a block's keys, as in the kernels.
const HEADS: usize = 8;

/// Single rows of one launch, which bounds the memory for their splits. As every row has its own
/// splits, it matters to no number.
const N_SINGLES: usize = 64;

/// Tables of lanes that are kept. There is one for each layer and set of lanes.
const N_TABLES: usize = 4096;

/// Numbers of a row in the kernels' eyes.
const N_WORDS: usize = 7;

/// Attention with the kernels, for all layers of a model.
pub struct Kernels {
    device: Device,
    stream: Arc<CudaStream>,
    dtype: DType,
    heads: Heads,
    scale: f32,
    /// 0 where there is none.
    cap: f32,
    /// `[H]` f32.
    slopes: Option<Tensor>,
    rotate_store: CudaFunction,
    attend_rows: CudaFunction,
    join_rows: CudaFunction,
    add_shares: CudaFunction,
    /// For types and widths that tensor cores take.
    attend_tiles: Option<CudaFunction>,
    kept: Mutex<Kept>,
}

/// What is allocated once and used by every layer.
#[derive(Default)]
struct Kept {
    /// Pointers and shapes of lanes' caches, `[lanes, 3]` i64, by what they say.
    tables: HashMap<Vec<i64>, Tensor>,
    /// Rotated queries, `[2, R, H, D]`.
    queries: Option<Tensor>,
    /// `[singles, H, splits, D]` f32.
    sums: Option<Tensor>,
    /// `[singles, H, splits, 2]` f32.
    parts: Option<Tensor>,
    /// `[R, H, 2]` f32.
    totals: Option<Tensor>,
}

/// The rows of a step in layers of one layout and rotation, uploaded once for all of them.
pub struct Rows {
    plan: Plan,
    layouts: Vec<Layout>,
    /// All i32: rows, tiles, singles and watches, one behind the other.
    words: Tensor,
    /// `[4, R, half]` f32: cosines and sines at the stream index, then at the pinned position.
    angles: Option<Tensor>,
    half: usize,
    is_interleaved: bool,
    /// `[watches, n_watched]` f32, over all heads and layers so far.
    shares: Option<Tensor>,
}

/// What most kernels are given, as they declare it. Addresses are of device memory.
#[repr(C)]
#[derive(Clone, Copy)]
struct Call {
    q_ring: u64,
    q_pinned: u64,
    out: u64,
    rows: u64,
    lanes: u64,
    slopes: u64,
    sums: u64,
    parts: u64,
    totals: u64,
    scale: f32,
    cap: f32,
    n_heads: i32,
    n_kv_heads: i32,
    head_dim: i32,
    n_splits: i32,
}

// SAFETY: it is `repr(C)`, of plain numbers without padding between them, and `kernels.cu` declares
// the same fields in the same order.
unsafe impl DeviceRepr for Call {}

impl Kernels {
    /// The kernels for a model whose layers have these heads and score in this way. `None` where
    /// there are none for it: another dtype than f32, f16 and bf16, heads of an odd width or one above
    /// 256, or a device below compute capability 8.0, for which they are not compiled.
    ///
    /// # Errors
    /// If the driver refuses the kernels.
    pub fn new(
        device: &Device,
        dtype: DType,
        heads: Heads,
        scoring: Scoring<'_>,
    ) -> Result<Option<Self>> {
        let d = heads.head_dim;
        let (name, is_half) = match dtype {
            DType::F32 => ("f32", false),
            DType::F16 => ("f16", true),
            DType::BF16 => ("bf16", true),
            _ => return Ok(None),
        };
        if !d.is_multiple_of(2) || d > 256 {
            return Ok(None);
        }
        let cuda = device.as_cuda_device()?;
        let (major, _) = cuda.cuda_stream().context().compute_capability().w()?;
        if major < 8 {
            return Ok(None);
        }
        let load = |name: &str| load(cuda, name);
        let width = [64, 128, 256].into_iter().find(|&width| d <= width).unwrap_or(256);
        let has_tiles = is_half && [64, 80, 96, 128, 256].contains(&d);
        let attend_tiles = if has_tiles {
            lend_shared(cuda, load(&format!("attend_tiles_{name}_{d}"))?, n_tile_bytes(d))?
        } else {
            None
        };
        #[expect(clippy::cast_possible_truncation, reason = "scores are f32")]
        let (scale, cap) = (scoring.scale as f32, scoring.cap.unwrap_or(0.0) as f32);
        let slopes = scoring.slopes.map(|slopes| Tensor::new(slopes, device)).transpose()?;
        Ok(Some(Self {
            device: device.clone(),
            stream: cuda.cuda_stream(),
            dtype,
            heads,
            scale,
            cap,
            slopes,
            rotate_store: load(&format!("rotate_store_{name}"))?,
            attend_rows: load(&format!("attend_rows_{name}_{width}"))?,
            join_rows: load(&format!("join_rows_{name}"))?,
            add_shares: load(&format!("add_shares_{name}"))?,
            attend_tiles,
            kept: Mutex::default(),
        }))
    }

    /// Uploads what all layers of one layout and rotation share in a step.
    ///
    /// - `ring`, `pinned`: angles of all rows at their stream index and as the pinned keys see them;
    ///   `None` without rotation
    ///
    /// # Errors
    /// If the device has no room.
    pub fn rows(
        &self,
        lanes: &[LaneStep<'_>],
        rotation: Option<(&Angles, &Angles)>,
    ) -> Result<Rows> {
        let plan = Plan::new(lanes, self.attend_tiles.is_some());
        let n_rows = plan.rows.len();
        if n_rows == 0 || n_rows > usize::from(u16::MAX) {
            bail!("a step of {n_rows} tokens; the kernels take 1 to {}", u16::MAX)
        }
        let mut words: Vec<usize> = Vec::new();
        for row in &plan.rows {
            words.extend([row.lane, row.slot, row.pinned_start, row.pinned_end]);
            words.extend([row.ring_start, row.ring_len, row.pinned_position]);
        }
        words.extend(plan.tiles.iter().flat_map(|tile| [tile.start, tile.len()]));
        words.extend(&plan.singles);
        for (row, runs) in &plan.watches {
            let run = |n: usize| runs.get(n).cloned().unwrap_or_default();
            words.push(*row);
            words.extend([0, 1, 2].map(|n| run(n).start));
            words.extend([0, 1, 2].map(|n| run(n).len()));
        }
        let words: Vec<i32> = words.into_iter().map(int).collect();
        let n_words = words.len();
        let (mut angles, mut half, mut is_interleaved) = (None, 0, false);
        if let Some((ring, pinned)) = rotation {
            (half, is_interleaved) = (ring.half, ring.interleaved);
            let planes = [&ring.cos, &ring.sin, &pinned.cos, &pinned.sin];
            if planes.iter().any(|plane| plane.len() != n_rows * half) {
                bail!("angles of other tokens than the {n_rows} of the step")
            }
            let all: Vec<f32> = planes.into_iter().flatten().copied().collect();
            angles = Some(Tensor::from_vec(all, (4, n_rows, half), &self.device)?);
        }
        let shares = if plan.n_watched == 0 {
            None
        } else {
            let shape = (plan.watches.len(), plan.n_watched);
            Some(Tensor::zeros(shape, DType::F32, &self.device)?)
        };
        Ok(Rows {
            plan,
            layouts: lanes.iter().map(|lane| lane.layout).collect(),
            words: Tensor::from_vec(words, n_words, &self.device)?,
            angles,
            half,
            is_interleaved,
            shares,
        })
    }

    /// Rotates queries and keys, stores keys and values in the lanes' caches, and attends to what
    /// each row sees. Adds what watched rows give to the rows' shares.
    ///
    /// - `q`: `[R, H, D]`; `k`, `v`: `[R, G, D]`; not rotated
    /// - `caches`: of this layer, one for each lane
    /// - returns `[R, H*D]`
    ///
    /// # Errors
    /// If a shape, dtype or device is not that of the model and the rows, or the device fails.
    pub fn attend(
        &self,
        rows: &Rows,
        [q, k, v]: [&Tensor; 3],
        caches: &[&LayerCache],
    ) -> Result<Tensor> {
        let Heads { n_heads, n_kv_heads, head_dim } = self.heads;
        let (n_rows, plan) = (rows.plan.rows.len(), &rows.plan);
        let new = |x: &Tensor, n| {
            self.check(x, &[n_rows, n, head_dim])?;
            x.contiguous()
        };
        let (q, k, v) = (new(q, n_heads)?, new(k, n_kv_heads)?, new(v, n_kv_heads)?);
        if caches.len() != rows.layouts.len() {
            bail!("{} caches for {} lanes", caches.len(), rows.layouts.len())
        }
        // A panic of another thread leaves nothing half done here: memory is replaced as a whole.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = &mut *kept;
        let table = self.table(&mut kept.tables, rows, caches)?;
        // SAFETY: each row is in a tile or single, so a kernel writes each of the numbers.
        let out = unsafe { Tensor::empty((n_rows, n_heads * head_dim), self.dtype, &self.device) }?;
        let n_singles = plan.singles.len().min(N_SINGLES);
        let n_parts = n_singles * n_heads * plan.n_splits;
        let n_numbers = n_rows * n_heads * head_dim;
        let q_ring = self.room(&mut kept.queries, 2 * n_numbers, self.dtype)?;
        let at = |n: usize, size: usize| (n * size) as u64;
        let words = self.address(&rows.words)?;
        let tiles = words + at(n_rows * N_WORDS, 4);
        let singles = tiles + at(plan.tiles.len() * 2, 4);
        let watches = singles + at(plan.singles.len(), 4);
        let call = Call {
            q_ring,
            q_pinned: q_ring + at(n_numbers, self.dtype.size_in_bytes()),
            out: self.address(&out)?,
            rows: words,
            lanes: self.address(&table)?,
            slopes: self.slopes.as_ref().map_or(Ok(0), |slopes| self.address(slopes))?,
            sums: self.room(&mut kept.sums, n_parts * head_dim, DType::F32)?,
            parts: self.room(&mut kept.parts, n_parts * 2, DType::F32)?,
            totals: self.room(&mut kept.totals, n_rows * n_heads * 2, DType::F32)?,
            scale: self.scale,
            cap: self.cap,
            n_heads: int(n_heads),
            n_kv_heads: int(n_kv_heads),
            head_dim: int(head_dim),
            n_splits: int(plan.n_splits),
        };

        let [q, k, v] = [self.address(&q)?, self.address(&k)?, self.address(&v)?];
        let angles = rows.angles.as_ref().map_or(Ok(0), |angles| self.address(angles))?;
        let (half, is_interleaved) = (int(rows.half), i32::from(rows.is_interleaved));
        let grid = (n_heads + 2 * n_kv_heads, n_rows, 1);
        self.launch(&self.rotate_store, grid, 64, 0, |args| {
            args.arg(&q).arg(&k).arg(&v).arg(&angles).arg(&call.rows).arg(&call.lanes);
            args.arg(&call.q_ring).arg(&call.q_pinned);
            args.arg(&call.n_heads).arg(&call.n_kv_heads).arg(&call.head_dim);
            args.arg(&half).arg(&is_interleaved);
        })?;
        if let (Some(attend_tiles), 1..) = (&self.attend_tiles, plan.tiles.len()) {
            let grid = (plan.tiles.len(), n_heads, 1);
            let n_bytes = n_tile_bytes(head_dim);
            self.launch(attend_tiles, grid, N_THREADS, n_bytes, |args| {
                args.arg(&call).arg(&tiles);
            })?;
        }
        let n_blocks = n_kv_heads * (n_heads / n_kv_heads).div_ceil(HEADS);
        for first in (0..plan.singles.len()).step_by(N_SINGLES) {
            let n = (plan.singles.len() - first).min(N_SINGLES);
            let singles = singles + at(first, 4);
            self.launch(&self.attend_rows, (plan.n_splits, n_blocks, n), N_THREADS, 0, |args| {
                args.arg(&call).arg(&singles);
            })?;
            self.launch(&self.join_rows, (n_heads, n, 1), N_THREADS, 0, |args| {
                args.arg(&call).arg(&singles);
            })?;
        }
        if let Some(shares) = &rows.shares {
            let (n_watched, sums) = (int(plan.n_watched), self.address(shares)?);
            let grid = (plan.n_watched.div_ceil(4), plan.watches.len(), 1);
            self.launch(&self.add_shares, grid, N_THREADS, 0, |args| {
                args.arg(&call).arg(&watches).arg(&n_watched).arg(&sums);
            })?;
        }
        Ok(out)
    }

    /// The lanes' caches as the kernels see them: `[lanes, 3]` i64. Caches never move, so the same
    /// table serves all steps.
    fn table(
        &self,
        tables: &mut HashMap<Vec<i64>, Tensor>,
        rows: &Rows,
        caches: &[&LayerCache],
    ) -> Result<Tensor> {
        let Heads { n_kv_heads, head_dim, .. } = self.heads;
        let mut words = Vec::with_capacity(3 * caches.len());
        for (cache, layout) in caches.iter().zip(&rows.layouts) {
            if cache.layout != *layout {
                bail!("a lane's rows are planned for another layout than its cache has")
            }
            for x in [&cache.keys, &cache.values] {
                self.check(x, &[n_kv_heads, layout.n_slots(), head_dim])?;
                if !x.is_contiguous() {
                    bail!("the cache of a lane is not contiguous")
                }
                words.push(self.address(x)?.cast_signed());
            }
            let shape = i64::from(int(layout.n_slots())) << 32 | i64::from(int(layout.n_sink()));
            words.push(shape);
        }
        if let Some(table) = tables.get(&words) {
            return Ok(table.clone());
        }
        let table = Tensor::from_vec(words.clone(), (caches.len(), 3), &self.device)?;
        if tables.len() == N_TABLES {
            tables.clear();
        }
        tables.insert(words, table.clone());
        Ok(table)
    }

    /// Memory for at least `n` numbers, kept from call to call.
    fn room(&self, kept: &mut Option<Tensor>, n: usize, dtype: DType) -> Result<u64> {
        match kept {
            Some(x) if x.elem_count() >= n => self.address(x),
            _ => self.address(kept.insert(Tensor::zeros(n.max(1), dtype, &self.device)?)),
        }
    }

    fn check(&self, x: &Tensor, dims: &[usize]) -> Result<()> {
        if x.dims() != dims || x.dtype() != self.dtype {
            bail!("{:?} of {:?} where {dims:?} of {:?} is asked", x.dims(), x.dtype(), self.dtype)
        }
        if !x.device().same_device(&self.device) {
            bail!("a tensor is on another device than the kernels")
        }
        Ok(())
    }

    /// Where a tensor's numbers begin in device memory.
    fn address(&self, x: &Tensor) -> Result<u64> {
        let (storage, layout) = x.storage_and_layout();
        let Storage::Cuda(storage) = &*storage else { bail!("a tensor is not on the device") };
        let first = match &storage.slice {
            CudaStorageSlice::F32(x) => x.device_ptr(&self.stream).0,
            CudaStorageSlice::F16(x) => x.device_ptr(&self.stream).0,
            CudaStorageSlice::BF16(x) => x.device_ptr(&self.stream).0,
            CudaStorageSlice::I32(x) => x.device_ptr(&self.stream).0,
            CudaStorageSlice::I64(x) => x.device_ptr(&self.stream).0,
            _ => bail!("no kernel takes {:?}", x.dtype()),
        };
        Ok(first + (layout.start_offset() * x.dtype().size_in_bytes()) as u64)
    }

    /// Launches a kernel with what `push` hands over: its parameters, in order.
    fn launch<'a>(
        &'a self,
        function: &'a CudaFunction,
        grid: (usize, usize, usize),
        n_threads: u32,
        n_shared_bytes: u32,
        push: impl FnOnce(&mut LaunchArgs<'a>),
    ) -> Result<()> {
        let grid = [grid.0, grid.1, grid.2].map(|n| int(n).cast_unsigned());
        let mut args = self.stream.launch_builder(function);
        push(&mut args);
        // SAFETY: the parameters are those that the kernel declares; what they point to has the
        // shape that it expects, as `attend` checked, and lives until the stream has come so far,
        // because memory is freed on the same stream.
        unsafe {
            args.launch(LaunchConfig {
                grid_dim: grid.into(),
                block_dim: (n_threads, 1, 1),
                shared_mem_bytes: n_shared_bytes,
            })
        }
        .w()?;
        Ok(())
    }
}

impl Rows {
    /// Whether any row is watched.
    pub fn is_watched(&self) -> bool {
        self.shares.is_some()
    }

    /// What each watched row gave to the slots that are watched, over all heads of the layers that
    /// were asked so far: rows in their order, slots in theirs.
    ///
    /// # Errors
    /// If the device fails.
    pub fn shares(&self) -> Result<Vec<Vec<f32>>> {
        let Some(shares) = &self.shares else { return Ok(Vec::new()) };
        let mut shares = shares.to_vec2::<f32>()?;
        for (row, (_, runs)) in shares.iter_mut().zip(&self.plan.watches) {
            row.truncate(runs.iter().map(ExactSizeIterator::len).sum());
        }
        Ok(shares)
    }
}

/// The kernel of this name; all come in one module, which is loaded once.
fn load(device: &CudaDevice, name: &str) -> Result<CudaFunction> {
    Ok(device.get_or_load_custom_func(name, "longsum_attention", PTX)?.into_cuda_function())
}

/// The kernel, allowed to use so much shared memory; `None` if the device has less.
fn lend_shared(
    device: &CudaDevice,
    kernel: CudaFunction,
    n_bytes: u32,
) -> Result<Option<CudaFunction>> {
    let most = sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN;
    let n_most = device.cuda_stream().context().attribute(most).w()?;
    let n_bytes = n_bytes.cast_signed();
    // The kernel has a little of its own besides.
    if n_bytes + 1024 > n_most {
        return Ok(None);
    }
    let dynamic = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
    kernel.set_attribute(dynamic, n_bytes).w()?;
    Ok(Some(kernel))
}

/// Shared memory of a tile: queries, keys and values of [`TILE`] rows, and scores.
fn n_tile_bytes(head_dim: usize) -> u32 {
    let (inputs, scores) = (3 * TILE * (head_dim + 8) * 2, TILE * (TILE + 8) * 4);
    int(inputs + scores).cast_unsigned()
}

/// A number of tokens, slots or heads.
fn int(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

const _: () = assert!(SPLIT == 128, "the kernels cut keys in the same way");
