//! Activations in eight bits, quantized anew for every multiplication.
//!
//! Each row has one scale for 32 columns, `max |x| / 127`, so a row's codes do
//! not depend on the rows beside it.

use super::formats::BLOCK;
use super::layout::GROUP;
use super::team::Team;

/// Rows of activations, quantized; the buffer is kept from one use to the next.
#[derive(Default)]
pub struct Activations {
    /// `[ceil(T / 4), n_cols / 32]`: four rows side by side.
    blocks: Vec<QuantBlock>,
    n_rows: usize,
    n_cols: usize,
}

/// 32 columns of four rows.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct QuantBlock {
    pub(super) codes: [[i8; BLOCK]; GROUP],
    pub(super) scale: [f32; GROUP],
    /// Sum of the 32 codes.
    pub(super) sum: [f32; GROUP],
    /// The same, negated.
    pub(super) neg_sum: [i32; GROUP],
    /// Sum of the first 16 codes, negated.
    pub(super) neg_first: [i32; GROUP],
}

const ZERO: QuantBlock = QuantBlock {
    codes: [[0; BLOCK]; GROUP],
    scale: [0.0; GROUP],
    sum: [0.0; GROUP],
    neg_sum: [0; GROUP],
    neg_first: [0; GROUP],
};

impl Activations {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Rows of the activations last quantized.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Columns of the activations last quantized.
    pub fn n_cols(&self) -> usize {
        self.n_cols
    }

    /// Takes in `x`, `[n_rows, n_cols]`; what was held before is gone.
    ///
    /// A block that holds a NaN or an infinity makes its row's products NaN.
    ///
    /// # Panics
    /// If `x` has another length, or `n_cols` is not a multiple of 32.
    pub fn quantize(&mut self, x: &[f32], n_rows: usize, n_cols: usize) {
        self.quantize_on(Team::global(), x, n_rows, n_cols);
    }

    pub(super) fn quantize_on(&mut self, team: &Team, x: &[f32], n_rows: usize, n_cols: usize) {
        assert_eq!(x.len(), n_rows * n_cols, "activations of another shape");
        assert!(n_cols.is_multiple_of(BLOCK), "{n_cols} columns are not a multiple of {BLOCK}");
        (self.n_rows, self.n_cols) = (n_rows, n_cols);
        let n_blocks = self.n_blocks();
        self.blocks.resize(n_rows.div_ceil(GROUP) * n_blocks, ZERO);
        if n_blocks == 0 {
            return;
        }
        // Some 16,000 numbers a task: a few microseconds.
        let n_groups = (16_384 / (GROUP * n_cols)).max(1);
        team.for_each_chunk(&mut self.blocks, n_groups * n_blocks, |i, blocks| {
            let first = i * n_groups * GROUP * n_cols;
            let last = x.len().min(first + n_groups * GROUP * n_cols);
            quantize_groups(&x[first..last], n_cols, blocks);
        });
    }

    /// Blocks of 32 columns in a row.
    pub(super) fn n_blocks(&self) -> usize {
        self.n_cols / BLOCK
    }

    /// The blocks from row `row` on, a multiple of 4.
    pub(super) fn rows_from(&self, row: usize) -> &[QuantBlock] {
        &self.blocks[row / GROUP * self.n_blocks()..]
    }
}

/// Quantizes `x` with the widest instructions there are; the results are alike.
fn quantize_groups(x: &[f32], n_cols: usize, out: &mut [QuantBlock]) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
        {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { quantize_avx512(x, n_cols, out) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: as above.
            return unsafe { quantize_avx2(x, n_cols, out) };
        }
    }
    quantize_any(x, n_cols, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn quantize_avx512(x: &[f32], n_cols: usize, out: &mut [QuantBlock]) {
    quantize_any(x, n_cols, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn quantize_avx2(x: &[f32], n_cols: usize, out: &mut [QuantBlock]) {
    quantize_any(x, n_cols, out);
}

#[inline(always)]
fn quantize_any(x: &[f32], n_cols: usize, out: &mut [QuantBlock]) {
    let n_blocks = n_cols / BLOCK;
    for (t, row) in x.chunks_exact(n_cols).enumerate() {
        let out = &mut out[t / GROUP * n_blocks..][..n_blocks];
        for (block, x) in out.iter_mut().zip(row.as_chunks().0) {
            quantize_block(x, t % GROUP, block);
        }
    }
}

/// Added to a small number, rounds it to an integer (ties to even), which is then
/// in the low bits of the sum: this constant's own low byte is zero.
const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23

#[inline(always)]
fn quantize_block(x: &[f32; BLOCK], lane: usize, out: &mut QuantBlock) {
    // As bits, magnitudes compare as integers, and a NaN beats them all.
    let largest = x.iter().map(|x| x.to_bits() & 0x7fff_ffff).fold(0, u32::max);
    let largest = f32::from_bits(largest);
    // Too small for its inverse: as good as zero.
    let (scale, inverse) =
        if largest < 1e-35 { (0.0, 0.0) } else { (largest / 127.0, 127.0 / largest) };
    let codes = &mut out.codes[lane];
    for (code, x) in codes.iter_mut().zip(x) {
        #[allow(clippy::cast_possible_truncation, reason = "the low byte is meant")]
        let byte = (x * inverse + ROUND).to_bits() as u8;
        *code = byte.cast_signed();
    }
    let sum = |codes: &[i8]| codes.iter().map(|&code| i32::from(code)).sum::<i32>();
    let (first, second) = (sum(&codes[..BLOCK / 2]), sum(&codes[BLOCK / 2..]));
    out.scale[lane] = if largest.is_finite() { scale } else { f32::NAN };
    #[allow(clippy::cast_precision_loss, reason = "at most 32 * 127")]
    let as_float = (first + second) as f32;
    out.sum[lane] = as_float;
    out.neg_sum[lane] = -(first + second);
    out.neg_first[lane] = -first;
}
