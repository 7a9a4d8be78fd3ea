//! Weights that are not quantized, for few rows of activations: one row reads
//! every weight once, and the memory sets the pace.
//!
//! Panels of 16 rows as for quantized weights, column after column; products are
//! added in the order of the columns. The source has no intrinsics: it is
//! compiled once more for each set of instructions, and comes out as vector code.

use super::Plan;
use super::layout::PANEL;
use super::team::{Scattered, Team};

/// Most rows of activations in a tile.
const MAX_WIDTH: usize = 8;

/// A matrix of f32 or bf16 weights, packed for the kernels.
pub struct DenseMatrix {
    n_rows: usize,
    n_cols: usize,
    panels: Panels,
}

/// Panels one after the other; of each, `[n_cols]` times 16 rows.
enum Panels {
    F32(Vec<Column<f32>>),
    Bf16(Vec<Column<u16>>),
}

/// One column of a panel.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
struct Column<T>([T; PANEL]);

trait Weight: Copy + Default + Send + Sync {
    fn widen(self) -> f32;
}

impl Weight for f32 {
    fn widen(self) -> f32 {
        self
    }
}

/// The bits of a bf16: the upper half of an f32.
impl Weight for u16 {
    fn widen(self) -> f32 {
        f32::from_bits(u32::from(self) << 16)
    }
}

impl DenseMatrix {
    /// Packs `weights`, row-major `[n_rows, n_cols]`.
    ///
    /// # Panics
    /// If `weights` has another length.
    pub fn pack(weights: &[f32], n_rows: usize, n_cols: usize) -> Self {
        Self { n_rows, n_cols, panels: Panels::F32(columns(weights, n_rows, n_cols)) }
    }

    /// Packs bf16 `weights`, given as their bits, row-major `[n_rows, n_cols]`.
    ///
    /// # Panics
    /// If `weights` has another length.
    pub fn pack_bf16(weights: &[u16], n_rows: usize, n_cols: usize) -> Self {
        Self { n_rows, n_cols, panels: Panels::Bf16(columns(weights, n_rows, n_cols)) }
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
        match &self.panels {
            Panels::F32(columns) => size_of_val(&**columns),
            Panels::Bf16(columns) => size_of_val(&**columns),
        }
    }

    /// Writes the weights of one row to `out`, `[n_cols]`.
    ///
    /// # Panics
    /// If there is no such row, or `out` has another length.
    pub fn row_into(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.n_rows, "row {row} of {}", self.n_rows);
        assert_eq!(out.len(), self.n_cols, "one number for each column");
        let (start, r) = (row / PANEL * self.n_cols, row % PANEL);
        for (c, out) in out.iter_mut().enumerate() {
            *out = match &self.panels {
                Panels::F32(columns) => columns[start + c].0[r],
                Panels::Bf16(columns) => columns[start + c].0[r].widen(),
            };
        }
    }

    fn n_panels(&self) -> usize {
        self.n_rows.div_ceil(PANEL)
    }

    /// Multiplies panel `p` with `WIDTH` rows of activations.
    fn tile<const WIDTH: usize>(&self, p: usize, x: &[f32]) -> [[f32; PANEL]; WIDTH] {
        let columns = p * self.n_cols..(p + 1) * self.n_cols;
        match &self.panels {
            Panels::F32(panels) => tile(&panels[columns], x),
            Panels::Bf16(panels) => tile(&panels[columns], x),
        }
    }
}

fn columns<T: Weight>(weights: &[T], n_rows: usize, n_cols: usize) -> Vec<Column<T>> {
    assert_eq!(weights.len(), n_rows * n_cols, "weights of another shape");
    let mut columns = vec![Column([T::default(); PANEL]); n_rows.div_ceil(PANEL) * n_cols];
    if n_cols == 0 {
        return columns;
    }
    Team::global().for_each_chunk(&mut columns, n_cols, |p, panel| {
        for (r, row) in weights.chunks_exact(n_cols).skip(p * PANEL).take(PANEL).enumerate() {
            for (column, &weight) in panel.iter_mut().zip(row) {
                column.0[r] = weight;
            }
        }
    });
    columns
}

/// Multiplies rows of activations with several matrices in one go.
///
/// - `mats`: matrices of as many columns
/// - `x`: `[T, n_cols]`
/// - `outs`: for each matrix `[T, n_rows]`, row-major, overwritten
///
/// A row of a result depends on its row of `x` alone, to the bit.
///
/// # Panics
/// If a shape does not fit.
pub fn dense_matmul(mats: &[&DenseMatrix], x: &[f32], outs: &mut [&mut [f32]]) {
    dense_matmul_on(Team::global(), mats, x, outs);
}

pub(super) fn dense_matmul_on(
    team: &Team,
    mats: &[&DenseMatrix],
    x: &[f32],
    outs: &mut [&mut [f32]],
) {
    assert_eq!(mats.len(), outs.len(), "one result for each matrix");
    let Some(n_cols) = mats.first().map(|mat| mat.n_cols) else { return };
    let n_rows = x.len().checked_div(n_cols).unwrap_or(0);
    assert_eq!(x.len(), n_rows * n_cols, "activations of another shape");
    for (mat, out) in mats.iter().zip(outs.iter()) {
        assert_eq!(mat.n_cols, n_cols, "columns of weights and activations");
        assert_eq!(out.len(), n_rows * mat.n_rows, "length of a result");
    }
    let outs: Vec<_> = outs.iter_mut().map(|out| Scattered::new(out)).collect();
    let n_panels = mats.iter().map(|mat| mat.n_panels()).sum();
    if n_rows == 0 || n_panels == 0 {
        return;
    }
    // Weights four times as wide as the plan reckons with.
    let plan = Plan::new(team.n_threads(), n_panels, n_rows, n_cols * 4);
    team.run(plan.n_tasks(), &|task| {
        let (mut panels, rows) = plan.task(task);
        for (mat, out) in mats.iter().zip(&outs) {
            let here = panels.start.min(mat.n_panels())..panels.end.min(mat.n_panels());
            for t in rows.clone().step_by(MAX_WIDTH) {
                let x = &x[t * n_cols..rows.end.min(t + MAX_WIDTH) * n_cols];
                for p in here.clone() {
                    // SAFETY: tasks differ in their panels or in their rows, so no
                    // two write the same part of a result.
                    unsafe { multiply(mat, p, x, t, out) };
                }
            }
            panels.start = panels.start.saturating_sub(mat.n_panels());
            panels.end = panels.end.saturating_sub(mat.n_panels());
        }
    });
}

/// Multiplies panel `p` with `x`, up to 8 rows, of which the first is row `t`.
///
/// # Safety
/// Nobody else may write those rows of the panel's part of `out` meanwhile.
unsafe fn multiply(mat: &DenseMatrix, p: usize, x: &[f32], t: usize, out: &Scattered<'_, f32>) {
    let mut sums = [[0.0; PANEL]; MAX_WIDTH];
    let n_here = PANEL.min(mat.n_rows - p * PANEL);
    let n = x.len() / mat.n_cols;
    let mut done = 0;
    while done < n {
        let x = &x[done * mat.n_cols..];
        let width = match n - done {
            8.. => tile_into::<8>(mat, p, x, &mut sums[done..]),
            4.. => tile_into::<4>(mat, p, x, &mut sums[done..]),
            _ => tile_into::<1>(mat, p, x, &mut sums[done..]),
        };
        done += width;
    }
    for (i, sums) in sums[..n].iter().enumerate() {
        // SAFETY: this row of this panel is this call's own.
        let out = unsafe { out.part((t + i) * mat.n_rows + p * PANEL, n_here) };
        out.copy_from_slice(&sums[..n_here]);
    }
}

fn tile_into<const WIDTH: usize>(
    mat: &DenseMatrix,
    p: usize,
    x: &[f32],
    sums: &mut [[f32; PANEL]],
) -> usize {
    sums[..WIDTH].copy_from_slice(&mat.tile::<WIDTH>(p, x));
    WIDTH
}

/// Multiplies one panel with the first `WIDTH` rows of `x`.
fn tile<T: Weight, const WIDTH: usize>(panel: &[Column<T>], x: &[f32]) -> [[f32; PANEL]; WIDTH] {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("fma")
        {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { tile_avx512(panel, x) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: as above.
            return unsafe { tile_avx2(panel, x) };
        }
    }
    tile_any(panel, x, |w, x, sum| w * x + sum)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,fma")]
fn tile_avx512<T: Weight, const WIDTH: usize>(
    panel: &[Column<T>],
    x: &[f32],
) -> [[f32; PANEL]; WIDTH] {
    tile_any(panel, x, f32::mul_add)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn tile_avx2<T: Weight, const WIDTH: usize>(
    panel: &[Column<T>],
    x: &[f32],
) -> [[f32; PANEL]; WIDTH] {
    tile_any(panel, x, f32::mul_add)
}

#[inline(always)]
fn tile_any<T: Weight, const WIDTH: usize>(
    panel: &[Column<T>],
    x: &[f32],
    add_product: impl Fn(f32, f32, f32) -> f32,
) -> [[f32; PANEL]; WIDTH] {
    let n_cols = panel.len();
    let rows: [&[f32]; WIDTH] = std::array::from_fn(|i| &x[i * n_cols..][..n_cols]);
    let mut sums = [[0.0; PANEL]; WIDTH];
    for (c, column) in panel.iter().enumerate() {
        let weights = column.0.map(T::widen);
        for i in 0..WIDTH {
            let x = rows[i][c];
            for r in 0..PANEL {
                sums[i][r] = add_product(weights[r], x, sums[i][r]);
            }
        }
    }
    sums
}
