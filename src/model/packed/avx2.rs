//! The kernel for AVX2: as [`super::avx512`], in two halves of eight rows.
//!
//! `maddubs` adds two products in 16 bits and saturates, so codes are multiplied
//! four bits at a time: 16 products of at most 15 * 127 stay below 2^15.

use std::arch::x86_64::*;

use super::activations::QuantBlock;
use super::formats::BlockFormat;
use super::kernel::{Sums, Tile, TileFn};
use super::layout::*;

/// Rows in a register.
const ROWS: usize = 8;

/// Tiles for `format`, widest first.
pub(super) fn tiles(format: BlockFormat) -> &'static [(usize, TileFn)] {
    macro_rules! make {
        ($layout:ident) => {
            &[(4, tile::<$layout, 4>), (1, tile::<$layout, 1>)]
        };
    }
    for_format!(format, make)
}

/// Scales of the two halves of 32 columns; alike if there is one scale.
struct Scales {
    d: [__m256; 2],
    m: [__m256; 2],
}

#[target_feature(enable = "avx2,f16c")]
unsafe fn tile<L: Layout, const WIDTH: usize>(tile: &Tile<'_>, out: &mut Sums) {
    let shape = L::SHAPE;
    let n_blocks = tile.n_blocks;
    assert!(shape.panel_bytes(n_blocks) <= tile.panel.len() && n_blocks <= tile.x.len());
    let panel = tile.panel.as_ptr();
    for first in [0, ROWS] {
        let mut sums = [_mm256_setzero_ps(); WIDTH];
        for (b, x) in tile.x[..n_blocks].iter().enumerate() {
            if first == 0 {
                tile.fetch_next(shape, b);
            }
            // SAFETY: all three runs are inside the panel, whose length was
            // checked; `first` picks half of every 16 rows.
            let (dots, scales) = unsafe {
                let supers = panel.add(shape.supers_at(n_blocks) + b / 8 * shape.super_bytes());
                let scales = panel.add(shape.scales_at(n_blocks) + b * shape.scale_bytes());
                let codes = panel.add(b * shape.code_bytes() + first * 4);
                (dots::<L, WIDTH>(codes, x), self::scales::<L>(scales, supers, first))
            };
            for lane in 0..WIDTH {
                let value = value::<L>(dots[lane], &scales, x, lane);
                let scaled = _mm256_mul_ps(value, _mm256_set1_ps(x.scale[lane]));
                sums[lane] = _mm256_add_ps(sums[lane], scaled);
            }
        }
        for (sums, out) in sums.iter().zip(out.iter_mut()) {
            // SAFETY: eight floats, from the first or the ninth of sixteen.
            unsafe { _mm256_storeu_ps(out[first..][..ROWS].as_mut_ptr(), *sums) };
        }
    }
}

/// The floats that the sums over 32 columns stand for, before the activations'
/// scale.
#[inline]
#[target_feature(enable = "avx2")]
fn value<L: Layout>(dots: [__m256i; 2], scales: &Scales, x: &QuantBlock, lane: usize) -> __m256 {
    let shape = L::SHAPE;
    let halves = shape.n_scales == 2;
    let neg_sums = if halves {
        [x.neg_first[lane], x.neg_sum[lane] - x.neg_first[lane]]
    } else {
        [x.neg_sum[lane], 0]
    };
    let scaled = |half: usize| {
        let zeros = _mm256_set1_epi32(shape.zero * neg_sums[half]);
        _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_add_epi32(dots[half], zeros)), scales.d[half])
    };
    let minimum = |half: usize| {
        _mm256_mul_ps(scales.m[half], _mm256_cvtepi32_ps(_mm256_set1_epi32(-neg_sums[half])))
    };
    let mut value = scaled(0);
    if halves {
        value = _mm256_add_ps(value, scaled(1));
    }
    if shape.has_minima() {
        value = _mm256_add_ps(value, minimum(0));
        if halves {
            value = _mm256_add_ps(value, minimum(1));
        }
    }
    value
}

/// Sums of products over 32 columns, or over 16 and the other 16 if they have
/// scales of their own.
///
/// # Safety
/// `at` must be the first or second half of `L::SHAPE.code_bytes()` bytes.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn dots<L: Layout, const WIDTH: usize>(
    at: *const u8,
    x: &QuantBlock,
) -> [[__m256i; 2]; WIDTH] {
    let shape = L::SHAPE;
    let zero = _mm256_setzero_si256();
    let mut low = [[zero; 2]; WIDTH];
    let mut high = [[zero; 2]; WIDTH];
    for v in 0..N_VECTORS {
        // SAFETY: as the caller vouches.
        let (codes, rest) = unsafe { codes::<L>(at, v) };
        let half = if shape.n_scales == 2 { v / (N_VECTORS / 2) } else { 0 };
        for lane in 0..WIDTH {
            let x = &x.codes[lane][4 * v..][..4];
            let four = i32::from_le_bytes([x[0], x[1], x[2], x[3]].map(i8::cast_unsigned));
            let four = _mm256_set1_epi32(four);
            let add = |sum, codes| _mm256_add_epi16(sum, _mm256_maddubs_epi16(codes, four));
            low[lane][half] = add(low[lane][half], codes);
            if 4 < shape.n_bits {
                high[lane][half] = add(high[lane][half], rest);
            }
        }
    }
    let mut dots = [[zero; 2]; WIDTH];
    for lane in 0..WIDTH {
        for half in 0..shape.n_scales {
            dots[lane][half] = _mm256_madd_epi16(low[lane][half], _mm256_set1_epi16(1));
            if 4 < shape.n_bits {
                let rest = _mm256_madd_epi16(high[lane][half], _mm256_set1_epi16(16));
                dots[lane][half] = _mm256_add_epi32(dots[lane][half], rest);
            }
        }
    }
    dots
}

/// Vector `v` of codes: their low four bits, and what is above.
///
/// # Safety
/// As for [`dots`].
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn codes<L: Layout>(at: *const u8, v: usize) -> (__m256i, __m256i) {
    let shape = L::SHAPE;
    // SAFETY: every vector read below is one of the `n_bits` stored ones.
    let load = |n: usize| unsafe { _mm256_loadu_si256(at.add(n * VECTOR).cast()) };
    let bits = |x, by, mask| _mm256_and_si256(shift_right(x, by), _mm256_set1_epi8(mask));
    let low = match shape.base_bits() {
        2 => bits(load(v / 4), v % 4 * 2, 3),
        4 => bits(load(v % 4), v / 4 * 4, 15),
        _ => bits(load(v), 0, 15),
    };
    let high = match shape.n_bits {
        3 | 5 => bits(load(shape.base_bits()), v, 1),
        6 => bits(load(4 + v / 4), v % 4 * 2, 3),
        8 => bits(load(v), 4, 15),
        _ => low,
    };
    if shape.n_bits == 3 {
        return (_mm256_or_si256(low, _mm256_slli_epi16::<2>(high)), high);
    }
    (low, high)
}

#[inline]
#[target_feature(enable = "avx2")]
fn shift_right(x: __m256i, by: usize) -> __m256i {
    match by {
        0 => x,
        1 => _mm256_srli_epi16::<1>(x),
        2 => _mm256_srli_epi16::<2>(x),
        3 => _mm256_srli_epi16::<3>(x),
        4 => _mm256_srli_epi16::<4>(x),
        5 => _mm256_srli_epi16::<5>(x),
        6 => _mm256_srli_epi16::<6>(x),
        _ => _mm256_srli_epi16::<7>(x),
    }
}

/// Reads the scales of 32 columns, for eight rows from `first` on.
///
/// # Safety
/// `at` must be the start of `scale_bytes()` bytes, `supers` of `super_bytes()`,
/// and `first` 0 or 8.
#[inline]
#[target_feature(enable = "avx2,f16c")]
unsafe fn scales<L: Layout>(at: *const u8, supers: *const u8, first: usize) -> Scales {
    let shape = L::SHAPE;
    // SAFETY: 16 bytes of f16, within the runs the caller vouches for.
    let halves =
        |at: *const u8| unsafe { _mm256_cvtph_ps(_mm_loadu_si128(at.add(2 * first).cast())) };
    let zero = _mm256_setzero_ps();
    if !shape.is_super {
        let d = halves(at);
        // SAFETY: with minima, 16 more numbers follow.
        let m = if shape.has_minima() { halves(unsafe { at.add(2 * PANEL) }) } else { zero };
        return Scales { d: [d; 2], m: [m; 2] };
    }
    // SAFETY: scales, then minima, `n_scales` times 16 bytes each.
    let small = |n: usize| unsafe {
        let eight = _mm_loadl_epi64(at.add(n * PANEL + first).cast());
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(eight))
    };
    let last = shape.n_scales - 1;
    let d = halves(supers);
    let d = [_mm256_mul_ps(d, small(0)), _mm256_mul_ps(d, small(last))];
    let mut m = [zero; 2];
    if shape.has_minima() {
        // SAFETY: with minima, 16 more numbers follow.
        let super_m = halves(unsafe { supers.add(2 * PANEL) });
        m = [shape.n_scales, shape.n_scales + last].map(|n| _mm256_mul_ps(super_m, small(n)));
    }
    Scales { d, m }
}
