//! The kernel for any processor, and the definition of what the others compute.
//!
//! Every kernel rounds in the same places (no fused multiply-add), so all give
//! the same bits.

use super::formats::{BLOCK, BlockFormat};
use super::kernel::{Sums, Tile, TileFn};
use super::layout::{self, *};

/// Tiles for `format`, widest first.
pub(super) fn tiles(format: BlockFormat) -> &'static [(usize, TileFn)] {
    macro_rules! make {
        ($layout:ident) => {
            &[(4, tile::<$layout, 4>), (1, tile::<$layout, 1>)]
        };
    }
    for_format!(format, make)
}

fn tile<L: Layout, const WIDTH: usize>(tile: &Tile<'_>, out: &mut Sums) {
    let shape = L::SHAPE;
    out[..WIDTH].fill([0.0; PANEL]);
    for b in 0..tile.n_blocks {
        let scales = layout::scales(shape, tile.panel, tile.n_blocks, b);
        let codes = &tile.panel[b * shape.code_bytes()..][..shape.code_bytes()];
        let x = &tile.x[b];
        let columns = columns::<L>(codes);
        let mut dots = [[[0_i32; PANEL]; 2]; WIDTH];
        let n = BLOCK / shape.n_scales;
        for (dots, x) in dots.iter_mut().zip(&x.codes) {
            let halves = columns.chunks_exact(n).zip(x.chunks_exact(n));
            for (dot, (columns, x)) in dots.iter_mut().zip(halves) {
                let mut sums = [0_i32; PANEL];
                for (column, &x) in columns.iter().zip(x) {
                    for r in 0..PANEL {
                        sums[r] += i32::from(column[r]) * i32::from(x);
                    }
                }
                *dot = sums;
            }
        }
        for (lane, out) in out[..WIDTH].iter_mut().enumerate() {
            let neg_sums = if shape.n_scales == 2 {
                [x.neg_first[lane], x.neg_sum[lane] - x.neg_first[lane]]
            } else {
                [x.neg_sum[lane], 0]
            };
            for r in 0..PANEL {
                let mut value = 0.0;
                for half in 0..shape.n_scales {
                    let dot = dots[lane][half][r] + shape.zero * neg_sums[half];
                    let scaled = exact(dot) * scales.d[half][r];
                    value = if half == 0 { scaled } else { value + scaled };
                }
                if shape.has_minima() {
                    for half in 0..shape.n_scales {
                        value += scales.m[half][r] * exact(-neg_sums[half]);
                    }
                }
                out[r] += value * x.scale[lane];
            }
        }
    }
}

/// The codes of 32 columns of 16 rows, unpacked.
#[inline]
fn columns<L: Layout>(codes: &[u8]) -> [[i16; PANEL]; BLOCK] {
    let mut columns = [[0; PANEL]; BLOCK];
    for (v, four) in columns.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        // In order first: the compiler makes vector code of this loop.
        let vector: [u8; VECTOR] = std::array::from_fn(|byte| code(L::SHAPE, codes, v, byte));
        for (byte, code) in vector.into_iter().enumerate() {
            four[byte % 4][byte / 4] = code.into();
        }
    }
    columns
}

#[allow(clippy::cast_precision_loss, reason = "sums of 32 products stay below 2^24")]
fn exact(sum: i32) -> f32 {
    sum as f32
}
