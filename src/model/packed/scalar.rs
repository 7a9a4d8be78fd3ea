//! The kernel for any processor, and the definition of what the others compute.
//!
//! Every kernel rounds in the same places (no fused multiply-add), so all give
//! the same bits.

use super::kernel::{Sums, Tile, TileFn};
use super::layout::{self, Layout, N_VECTORS, PANEL};

#[allow(clippy::wildcard_imports, reason = "one type for each format")]
use super::layout::*;
use super::formats::BlockFormat;

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
        let mut dots = [[[0_i32; PANEL]; 2]; WIDTH];
        for v in 0..N_VECTORS {
            let half = if shape.n_scales == 2 { v / (N_VECTORS / 2) } else { 0 };
            for r in 0..PANEL {
                let weights: [i32; 4] =
                    std::array::from_fn(|c| code(shape, codes, v, r * 4 + c).into());
                for (dots, x) in dots.iter_mut().zip(&x.codes) {
                    for c in 0..4 {
                        dots[half][r] += weights[c] * i32::from(x[v * 4 + c]);
                    }
                }
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

#[allow(clippy::cast_precision_loss, reason = "sums of 32 products stay below 2^24")]
fn exact(sum: i32) -> f32 {
    sum as f32
}
