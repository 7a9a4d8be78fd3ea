//! Rotary embedding at any index: angles in f64, tables made per chunk on the host.
//!
//! At index 4,000,000 an f32 angle is off by 0.2 rad, so the product `index * frequency` is taken
//! and reduced in f64; only its sine and cosine are rounded.

use candle_core::{D, Device, Result, Tensor};

use super::ops::on_cpu;
use super::spec::Rope;

/// Sines and cosines for the tokens of one chunk.
#[derive(Debug)]
pub struct Angles {
    /// `[T, dim/2]`, f32.
    pub cos: Vec<f32>,
    /// `[T, dim/2]`, f32.
    pub sin: Vec<f32>,
    /// Pairs of numbers that are rotated.
    pub half: usize,
    /// Whether pairs are neighbours, or half of the rotated numbers apart.
    pub interleaved: bool,
}

impl Angles {
    /// Tables for tokens at these positions.
    pub fn new(rope: &Rope, frequencies: &[f64], positions: &[usize]) -> Self {
        let half = frequencies.len();
        let mut cos = Vec::with_capacity(positions.len() * half);
        let mut sin = Vec::with_capacity(positions.len() * half);
        for &position in positions {
            for &freq in frequencies {
                #[expect(clippy::cast_precision_loss, reason = "indices stay far below 2^52")]
                let (s, c) = (position as f64 * freq).sin_cos();
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "f32 is the precision of the tables"
                )]
                {
                    cos.push((c * rope.magnitude) as f32);
                    sin.push((s * rope.magnitude) as f32);
                }
            }
        }
        Self { cos, sin, half, interleaved: rope.interleaved }
    }

    /// Rotates every head of every token: `[T, N, D]` to the same shape, contiguous.
    pub fn rotate(&self, x: &Tensor) -> Result<Tensor> {
        let (t, n, d) = x.dims3()?;
        let x = x.contiguous()?;
        if let Some(data) = on_cpu(&x)?.as_deref() {
            let mut out = data.to_vec();
            for (token, rows) in out.chunks_exact_mut(n * d).enumerate() {
                let at = token * self.half..(token + 1) * self.half;
                let (cos, sin) = (&self.cos[at.clone()], &self.sin[at]);
                for head in rows.chunks_exact_mut(d) {
                    self.rotate_head(head, cos, sin);
                }
            }
            return Tensor::from_vec(out, (t, n, d), x.device());
        }
        self.rotate_tensor(&x)
    }

    fn rotate_head(&self, head: &mut [f32], cos: &[f32], sin: &[f32]) {
        if self.interleaved {
            for ((pair, c), s) in head.chunks_exact_mut(2).zip(cos).zip(sin) {
                let (a, b) = (pair[0], pair[1]);
                pair[0] = a * c - b * s;
                pair[1] = a * s + b * c;
            }
        } else {
            let (low, rest) = head.split_at_mut(self.half);
            for (((a, b), c), s) in low.iter_mut().zip(rest).zip(cos).zip(sin) {
                (*a, *b) = (*a * c - *b * s, *a * s + *b * c);
            }
        }
    }

    /// The same in plain tensor operations, for any device and dtype.
    fn rotate_tensor(&self, x: &Tensor) -> Result<Tensor> {
        let (t, n, d) = x.dims3()?;
        let table = |v: &[f32], device: &Device| {
            Tensor::from_slice(v, (t, 1, self.half), device)?.to_dtype(x.dtype())
        };
        let (cos, sin) = (table(&self.cos, x.device())?, table(&self.sin, x.device())?);
        let width = 2 * self.half;
        let turned = x.narrow(D::Minus1, 0, width)?;
        let (a, b) = if self.interleaved {
            let pairs = turned.reshape((t, n, self.half, 2))?;
            (pairs.narrow(3, 0, 1)?.squeeze(3)?, pairs.narrow(3, 1, 1)?.squeeze(3)?)
        } else {
            (turned.narrow(2, 0, self.half)?, turned.narrow(2, self.half, self.half)?)
        };
        let low = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
        let high = (a.broadcast_mul(&sin)? + b.broadcast_mul(&cos)?)?;
        let turned = if self.interleaved {
            Tensor::stack(&[low, high], 3)?.reshape((t, n, width))?
        } else {
            Tensor::cat(&[low, high], 2)?
        };
        if width == d {
            turned.contiguous()
        } else {
            Tensor::cat(&[turned, x.narrow(2, width, d - width)?], 2)?.contiguous()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::spec::RopeScaling;
    use super::*;

    #[test]
    fn both_ways_of_rotating_agree() {
        for interleaved in [false, true] {
            for dim in [8, 4] {
                let rope = Rope {
                    dim,
                    theta: 1e4,
                    scaling: RopeScaling::None,
                    magnitude: 1.5,
                    interleaved,
                };
                let angles = Angles::new(&rope, &rope.frequencies(), &[0, 7, 4_000_000]);
                let x = Tensor::randn(0f32, 1f32, (3, 2, 8), &Device::Cpu).unwrap();
                let fast = angles.rotate(&x).unwrap();
                let plain = angles.rotate_tensor(&x).unwrap();
                let diff = (fast - plain).unwrap().abs().unwrap().max_all().unwrap();
                assert!(diff.to_scalar::<f32>().unwrap() < 1e-6);
            }
        }
    }

    #[test]
    fn distances_far_away_are_those_near_zero() {
        let rope = Rope {
            dim: 8,
            theta: 1e4,
            scaling: RopeScaling::None,
            magnitude: 1.0,
            interleaved: false,
        };
        let q = Tensor::randn(0f32, 1f32, (1, 1, 8), &Device::Cpu).unwrap();
        let k = Tensor::randn(0f32, 1f32, (1, 1, 8), &Device::Cpu).unwrap();
        let score = |at: usize| {
            let angles = |p| Angles::new(&rope, &rope.frequencies(), &[p]);
            let product =
                (angles(at + 5).rotate(&q).unwrap() * angles(at).rotate(&k).unwrap()).unwrap();
            product.sum_all().unwrap().to_scalar::<f32>().unwrap()
        };
        assert!((score(0) - score(4_000_000)).abs() < 1e-5);
    }
}
