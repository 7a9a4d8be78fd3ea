//! Quantized weights multiplied as they are: integers times integers.
//!
//! Every block format of ggml becomes one layout, panels of 16 rows of unsigned
//! codes (`layout.rs`); activations are quantized to eight bits ([`Activations`]).
//! Within 32 columns all sums are exact integers; blocks are then added in
//! order, in f32.
//!
//! Invariant: a row of the result depends on that row of the activations and on
//! the weights, and on nothing else: not on how many rows come with it, how the
//! work is cut, how many threads share it or which instructions they use. A
//! prompt fed in chunks gives the same bits as one fed token by token.

#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]
#![allow(
    clippy::inline_always,
    clippy::must_use_candidate,
    clippy::needless_range_loop,
    clippy::similar_names,
    clippy::wildcard_imports,
    reason = "kernels: loops over several arrays at once, whole families of intrinsics and types"
)]

mod activations;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod dense;
mod formats;
mod kernel;
mod layout;
mod scalar;
pub mod team;
#[cfg(test)]
mod tests;

pub use activations::Activations;
pub use dense::{DenseMatrix, dense_matmul};
pub use formats::BlockFormat;

use std::ops::Range;

use formats::BLOCK;
use kernel::{Isa, MAX_WIDTH, Tile};
use layout::{GROUP, PANEL};
use team::{Scattered, Team};

/// The instructions that products of quantized matrices use here: `plain`, `AVX2` or `AVX-512 VNNI`.
pub fn instructions() -> &'static str {
    Isa::best().name()
}

/// A quantized matrix, packed for the kernels.
pub struct PackedMatrix {
    format: BlockFormat,
    n_rows: usize,
    n_cols: usize,
    /// Panels of 16 rows, one after the other.
    lines: Vec<Line>,
}

/// A cache line: what the alignment of the panels rests on.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Why a tensor cannot be packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// Rows do not hold a whole number of blocks.
    #[error("{format:?} stores {} columns at a time, and {n_cols} is no multiple of that", format.block_len())]
    Columns {
        /// How the tensor is stored.
        format: BlockFormat,
        /// Columns asked for.
        n_cols: usize,
    },
    /// The bytes do not match the shape.
    #[error("a {n_rows} x {n_cols} matrix in {format:?} does not take {n_bytes} bytes")]
    Bytes {
        /// How the tensor is stored.
        format: BlockFormat,
        /// Rows asked for.
        n_rows: usize,
        /// Columns asked for.
        n_cols: usize,
        /// Bytes given.
        n_bytes: usize,
    },
}

impl PackedMatrix {
    /// Packs a tensor as stored in a GGUF file.
    ///
    /// - `bytes`: row-major `[n_rows, n_cols]` in `format`
    ///
    /// # Errors
    /// [`PackError`] if `n_cols` is no multiple of the format's block length, or
    /// `bytes` has another length than the shape asks for.
    pub fn pack(
        format: BlockFormat,
        bytes: &[u8],
        n_rows: usize,
        n_cols: usize,
    ) -> Result<Self, PackError> {
        if n_cols == 0 || !n_cols.is_multiple_of(format.block_len()) {
            return Err(PackError::Columns { format, n_cols });
        }
        let row_bytes = n_cols / format.block_len() * format.block_bytes();
        if n_rows.checked_mul(row_bytes) != Some(bytes.len()) {
            return Err(PackError::Bytes { format, n_rows, n_cols, n_bytes: bytes.len() });
        }
        let n_lines = format.shape().panel_bytes(n_cols / BLOCK) / 64;
        let mut lines = vec![Line([0; 64]); n_rows.div_ceil(PANEL) * n_lines];
        team::for_each_chunk(&mut lines, n_lines, |p, panel| {
            let rows = &bytes[p * PANEL * row_bytes..bytes.len().min((p + 1) * PANEL * row_bytes)];
            layout::pack_panel(format, rows, n_cols, as_bytes_mut(panel));
        });
        Ok(Self { format, n_rows, n_cols, lines })
    }

    /// Rows: what a product has for each row of activations.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Columns: what a row of activations has.
    pub fn n_cols(&self) -> usize {
        self.n_cols
    }

    /// Bytes of memory the packed weights take.
    pub fn n_bytes(&self) -> usize {
        size_of_val(&*self.lines)
    }

    /// How the weights were stored.
    pub fn format(&self) -> BlockFormat {
        self.format
    }

    /// Writes the weights of one row to `out`, `[n_cols]`: an embedding look-up.
    ///
    /// # Panics
    /// If there is no such row, or `out` has another length.
    pub fn row_into(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.n_rows, "row {row} of {}", self.n_rows);
        assert_eq!(out.len(), self.n_cols, "one number for each column");
        let shape = self.format.shape();
        let (panel, r) = (self.panel(row / PANEL), row % PANEL);
        for (b, out) in out.chunks_exact_mut(BLOCK).enumerate() {
            let scales = layout::scales(shape, panel, self.n_blocks(), b);
            let codes = &panel[b * shape.code_bytes()..][..shape.code_bytes()];
            for (j, out) in out.iter_mut().enumerate() {
                let code = layout::code(shape, codes, j / 4, r * 4 + j % 4);
                let half = j / (BLOCK / 2);
                #[allow(clippy::cast_precision_loss, reason = "at most 255")]
                let steps = (i32::from(code) - shape.zero) as f32;
                *out = scales.d[half][r] * steps + scales.m[half][r];
            }
        }
    }

    fn n_blocks(&self) -> usize {
        self.n_cols / BLOCK
    }

    fn n_panels(&self) -> usize {
        self.n_rows.div_ceil(PANEL)
    }

    fn panel(&self, p: usize) -> &[u8] {
        let n_lines = self.lines.len() / self.n_panels();
        as_bytes(&self.lines[p * n_lines..][..n_lines])
    }
}

/// Multiplies rows of activations with several matrices in one go.
///
/// - `mats`: matrices with as many columns as `x`
/// - `x`: T rows
/// - `outs`: for each matrix `[T, n_rows]`, row-major, overwritten
///
/// # Panics
/// If a shape does not fit.
pub fn matmul(mats: &[&PackedMatrix], x: &Activations, outs: &mut [&mut [f32]]) {
    matmul_on(Team::global(), Isa::best(), mats, x, outs);
}

fn matmul_on(
    team: &Team,
    isa: Isa,
    mats: &[&PackedMatrix],
    x: &Activations,
    outs: &mut [&mut [f32]],
) {
    let n_rows = x.n_rows();
    assert_eq!(mats.len(), outs.len(), "one result for each matrix");
    for (mat, out) in mats.iter().zip(outs.iter()) {
        assert_eq!(mat.n_cols, x.n_cols(), "columns of weights and activations");
        assert_eq!(out.len(), n_rows * mat.n_rows, "length of a result");
    }
    let outs: Vec<_> = outs.iter_mut().map(|out| Scattered::new(out)).collect();
    let n_panels: usize = mats.iter().map(|mat| mat.n_panels()).sum();
    if n_rows == 0 || n_panels == 0 {
        return;
    }
    let plan = Plan::new(team.n_threads(), n_panels, n_rows, x.n_cols());
    team.run(plan.n_tasks(), &|task| {
        let (mut panels, rows) = plan.task(task);
        for (mat, out) in mats.iter().zip(&outs) {
            let here = panels.start.min(mat.n_panels())..panels.end.min(mat.n_panels());
            // SAFETY: tasks differ in their panels or in their rows, so no two
            // write the same part of a result.
            unsafe { multiply(isa, mat, here, x, rows.clone(), out) };
            panels.start = panels.start.saturating_sub(mat.n_panels());
            panels.end = panels.end.saturating_sub(mat.n_panels());
        }
    });
}

/// Multiplies some panels with some rows of activations: tile after tile of
/// rows, which stay in the first-level cache while the panels go by.
///
/// # Safety
/// Nobody else may write those rows of the panels' part of `out` meanwhile.
unsafe fn multiply(
    isa: Isa,
    mat: &PackedMatrix,
    panels: Range<usize>,
    x: &Activations,
    rows: Range<usize>,
    out: &Scattered<'_, f32>,
) {
    let (tiles, n_blocks) = (isa.tiles(mat.format), mat.n_blocks());
    let mut sums = [[0.0; PANEL]; MAX_WIDTH];
    let mut t = rows.start;
    while t < rows.end {
        let left = rows.end - t;
        // Two or three rows at the end are taken for four: the activations are
        // stored in fours.
        let most = if left == 1 { 1 } else { left.next_multiple_of(GROUP) };
        let fits = |tile: &&(usize, _)| tile.0 <= most;
        let Some(&(width, multiply)) = tiles.iter().find(fits) else { unreachable!("width 1") };
        let x = x.rows_from(t);
        for p in panels.clone() {
            // SAFETY: `isa` is one of the available; the panel is of this format
            // and has n_blocks blocks, as have the rows, of which there are
            // enough.
            unsafe { multiply(&Tile { panel: mat.panel(p), x, n_blocks }, &mut sums) };
            let n_here = PANEL.min(mat.n_rows - p * PANEL);
            for (i, sums) in sums[..width.min(left)].iter().enumerate() {
                // SAFETY: this row of this panel is this call's own.
                let out = unsafe { out.part((t + i) * mat.n_rows + p * PANEL, n_here) };
                match out.as_mut_array() {
                    Some(out) => *out = *sums,
                    None => out.copy_from_slice(&sums[..n_here]),
                }
            }
        }
        t += width.min(left);
    }
}

/// How a multiplication is cut into tasks: runs of panels, and runs of rows.
struct Plan {
    n_panels: usize,
    n_rows: usize,
    /// Panels in a task.
    panels: usize,
    /// Rows in a task, a whole number of tiles.
    rows: usize,
}

impl Plan {
    fn new(n_threads: usize, n_panels: usize, n_rows: usize, n_cols: usize) -> Self {
        // Some 400 kB of activations (1.5 bytes each) stay in the second-level
        // cache while the panels go by.
        let rows = (400_000 * 2 / 3 / n_cols).next_multiple_of(MAX_WIDTH).clamp(48, 504);
        let rows = if n_rows <= rows + MAX_WIDTH { n_rows } else { rows };
        let panels = n_panels.div_ceil(n_threads * 12).max(2);
        // Some 256 kB of weights stay there too while tiles of rows go by.
        let panels =
            if n_rows <= MAX_WIDTH { panels } else { panels.min(262_144 / PANEL / n_cols).max(2) };
        Self { n_panels, n_rows, panels, rows }
    }

    fn n_tasks(&self) -> usize {
        self.n_panels.div_ceil(self.panels) * self.n_rows.div_ceil(self.rows)
    }

    /// The panels and rows of a task.
    fn task(&self, task: usize) -> (Range<usize>, Range<usize>) {
        let n = self.n_panels.div_ceil(self.panels);
        let (p, t) = (task % n * self.panels, task / n * self.rows);
        (p..self.n_panels.min(p + self.panels), t..self.n_rows.min(t + self.rows))
    }
}

fn as_bytes(lines: &[Line]) -> &[u8] {
    // SAFETY: a line is 64 bytes without padding.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), size_of_val(lines)) }
}

fn as_bytes_mut(lines: &mut [Line]) -> &mut [u8] {
    // SAFETY: as above, and any bytes make a line.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), size_of_val(lines)) }
}
