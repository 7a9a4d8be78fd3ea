//! The kernel for AVX-512 with VNNI: a register holds four columns of the 16
//! rows of a panel, and one instruction multiplies it with four activations.
//!
//! The codes of 32 columns are unpacked once for all rows of a tile. The sums
//! over those columns are exact integers; how they become floats is in
//! [`super::scalar`], and is the same here to the bit.

use std::arch::x86_64::*;

use super::activations::QuantBlock;
use super::formats::BlockFormat;
use super::kernel::{Sums, Tile, TileFn};
use super::layout::*;

/// Tiles for `format`, widest first.
pub(super) fn tiles(format: BlockFormat) -> &'static [(usize, TileFn)] {
    macro_rules! make {
        ($layout:ident) => {
            &[
                (12, tile::<$layout, 12>),
                (8, tile::<$layout, 8>),
                (4, tile::<$layout, 4>),
                (1, tile::<$layout, 1>),
            ]
        };
    }
    for_format!(format, make)
}

/// Scales of the two halves of 32 columns; alike if there is one scale.
struct Scales {
    d: [__m512; 2],
    m: [__m512; 2],
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn tile<L: Layout, const WIDTH: usize>(tile: &Tile<'_>, out: &mut Sums) {
    let shape = L::SHAPE;
    let n_blocks = tile.n_blocks;
    let groups = WIDTH.div_ceil(GROUP);
    assert!(shape.panel_bytes(n_blocks) <= tile.panel.len() && groups * n_blocks <= tile.x.len());
    let panel = tile.panel.as_ptr();
    let mut sums = [_mm512_setzero_ps(); WIDTH];
    for b in 0..n_blocks {
        if WIDTH <= GROUP {
            tile.fetch_next(shape, b);
        }
        // SAFETY: all three runs are inside the panel, whose length was checked.
        let (codes, scales) = unsafe {
            let supers = panel.add(shape.supers_at(n_blocks) + b / 8 * shape.super_bytes());
            let scales = panel.add(shape.scales_at(n_blocks) + b * shape.scale_bytes());
            (codes::<L>(panel.add(b * shape.code_bytes())), self::scales::<L>(scales, supers))
        };
        for (g, sums) in sums.chunks_mut(GROUP).enumerate() {
            // SAFETY: b < n_blocks, and the length of x was checked.
            let x = unsafe { &*tile.x.as_ptr().add(g * n_blocks + b) };
            if WIDTH == 1 {
                add_block::<L, 1>(&codes, &scales, x, sums);
            } else {
                add_block::<L, GROUP>(&codes, &scales, x, sums);
            }
        }
    }
    for (sums, out) in sums.iter().zip(out) {
        // SAFETY: 16 floats are 64 bytes.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), *sums) };
    }
}

/// Adds the products of 32 columns of a panel with `LANES` rows.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn add_block<L: Layout, const LANES: usize>(
    codes: &[__m512i; N_VECTORS],
    scales: &Scales,
    x: &QuantBlock,
    sums: &mut [__m512],
) {
    let shape = L::SHAPE;
    let halves = shape.n_scales == 2;
    let mut dots = [[_mm512_setzero_si512(); 2]; LANES];
    if !shape.has_minima() {
        // Start from what `zero` takes away: -zero * sum.
        let times_zero = shape.zero.trailing_zeros();
        for lane in 0..LANES {
            let all = shift_left(_mm512_set1_epi32(x.neg_sum[lane]), times_zero);
            if halves {
                let first = shift_left(_mm512_set1_epi32(x.neg_first[lane]), times_zero);
                dots[lane] = [first, _mm512_sub_epi32(all, first)];
            } else {
                dots[lane][0] = all;
            }
        }
    }
    for (v, codes) in codes.iter().enumerate() {
        let half = if halves { v / (N_VECTORS / 2) } else { 0 };
        for (dots, x) in dots.iter_mut().zip(&x.codes) {
            let four = i32::from_le_bytes(
                [x[4 * v], x[4 * v + 1], x[4 * v + 2], x[4 * v + 3]].map(i8::cast_unsigned),
            );
            dots[half] = _mm512_dpbusd_epi32(dots[half], *codes, _mm512_set1_epi32(four));
        }
    }
    for lane in 0..LANES {
        let mut value = _mm512_mul_ps(_mm512_cvtepi32_ps(dots[lane][0]), scales.d[0]);
        if halves {
            let second = _mm512_mul_ps(_mm512_cvtepi32_ps(dots[lane][1]), scales.d[1]);
            value = _mm512_add_ps(value, second);
        }
        if shape.has_minima() {
            let sum = _mm512_set1_ps(x.sum[lane]);
            if halves {
                let neg_first = _mm512_cvtepi32_ps(_mm512_set1_epi32(x.neg_first[lane]));
                let first = _mm512_sub_ps(_mm512_setzero_ps(), neg_first);
                let second = _mm512_add_ps(sum, neg_first);
                value = _mm512_add_ps(value, _mm512_mul_ps(scales.m[0], first));
                value = _mm512_add_ps(value, _mm512_mul_ps(scales.m[1], second));
            } else {
                value = _mm512_add_ps(value, _mm512_mul_ps(scales.m[0], sum));
            }
        }
        let scaled = _mm512_mul_ps(value, _mm512_set1_ps(x.scale[lane]));
        sums[lane] = _mm512_add_ps(sums[lane], scaled);
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn shift_left(x: __m512i, by: u32) -> __m512i {
    match by {
        2 => _mm512_slli_epi32::<2>(x),
        3 => _mm512_slli_epi32::<3>(x),
        4 => _mm512_slli_epi32::<4>(x),
        5 => _mm512_slli_epi32::<5>(x),
        _ => _mm512_slli_epi32::<7>(x),
    }
}

/// Unpacks the codes of 32 columns.
///
/// # Safety
/// `at` must be the start of `L::SHAPE.code_bytes()` bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn codes<L: Layout>(at: *const u8) -> [__m512i; N_VECTORS] {
    // SAFETY: every vector read below is one of the `n_bits` stored ones.
    let load = |n: usize| unsafe { _mm512_loadu_si512(at.add(n * VECTOR).cast()) };
    let shape = L::SHAPE;
    let mut codes = [_mm512_setzero_si512(); N_VECTORS];
    let (two, four) = (_mm512_set1_epi8(3), _mm512_set1_epi8(15));
    for v in 0..N_VECTORS {
        codes[v] = match shape.base_bits() {
            2 => _mm512_and_si512(shift_right(load(v / 4), v % 4 * 2), two),
            4 => _mm512_and_si512(shift_right(load(v % 4), v / 4 * 4), four),
            _ => load(v),
        };
    }
    match shape.n_bits {
        3 | 5 => {
            let high = load(shape.base_bits());
            let bit = if shape.n_bits == 3 { 2 } else { 4 };
            let mask = _mm512_set1_epi8(1 << bit);
            for (v, code) in codes.iter_mut().enumerate() {
                *code = or_and(*code, shift(high, bit - v.cast_signed()), mask);
            }
        }
        6 => {
            let mask = _mm512_set1_epi8(0x30);
            for (v, code) in codes.iter_mut().enumerate() {
                let high = shift(load(4 + v / 4), 4 - 2 * (v % 4).cast_signed());
                *code = or_and(*code, high, mask);
            }
        }
        _ => {}
    }
    codes
}

/// `a | (b & c)`
#[inline]
#[target_feature(enable = "avx512f")]
fn or_and(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_or_si512(a, _mm512_and_si512(b, c))
}

/// Shifts left, or right if `by` is negative; bits cross bytes, for the caller to
/// mask off.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn shift(x: __m512i, by: isize) -> __m512i {
    match by {
        1 => _mm512_slli_epi16::<1>(x),
        2 => _mm512_slli_epi16::<2>(x),
        3 => _mm512_slli_epi16::<3>(x),
        4 => _mm512_slli_epi16::<4>(x),
        _ => shift_right(x, by.unsigned_abs()),
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn shift_right(x: __m512i, by: usize) -> __m512i {
    match by {
        0 => x,
        1 => _mm512_srli_epi16::<1>(x),
        2 => _mm512_srli_epi16::<2>(x),
        3 => _mm512_srli_epi16::<3>(x),
        4 => _mm512_srli_epi16::<4>(x),
        5 => _mm512_srli_epi16::<5>(x),
        _ => _mm512_srli_epi16::<6>(x),
    }
}

/// Reads the scales of 32 columns.
///
/// # Safety
/// `at` must be the start of `scale_bytes()` bytes, `supers` of `super_bytes()`.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn scales<L: Layout>(at: *const u8, supers: *const u8) -> Scales {
    let shape = L::SHAPE;
    // SAFETY: 32 bytes of f16, within the runs the caller vouches for.
    let halves = |at: *const u8| unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(at.cast())) };
    let zero = _mm512_setzero_ps();
    if !shape.is_super {
        let d = halves(at);
        // SAFETY: with minima, 16 more numbers follow.
        let m = if shape.has_minima() { halves(unsafe { at.add(2 * PANEL) }) } else { zero };
        return Scales { d: [d; 2], m: [m; 2] };
    }
    // SAFETY: scales, then minima, `n_scales` times 16 bytes each.
    let small = |n: usize| unsafe {
        _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(at.add(n * PANEL).cast())))
    };
    let last = shape.n_scales - 1;
    let d = halves(supers);
    let d = [_mm512_mul_ps(d, small(0)), _mm512_mul_ps(d, small(last))];
    let mut m = [zero; 2];
    if shape.has_minima() {
        // SAFETY: with minima, 16 more numbers follow.
        let super_m = halves(unsafe { supers.add(2 * PANEL) });
        m = [shape.n_scales, shape.n_scales + last].map(|n| _mm512_mul_ps(super_m, small(n)));
    }
    Scales { d, m }
}
