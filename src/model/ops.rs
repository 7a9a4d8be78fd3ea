//! The small operations between the matrix products: norms and activations.
//!
//! Each has a path over plain slices for the CPU, where candle's are serial or allocate more than
//! they compute, and one in tensor operations for every other device.

use std::ops::Deref;

use candle_core::{CpuStorage, D, DType, Device, Result, Storage, Tensor};

use super::packed::team;
use super::spec::{Activation, NormKind};
use super::vector;

/// A tensor's numbers, borrowed.
pub struct CpuSlice<S> {
    storage: S,
    start: usize,
    end: usize,
}

impl<S: Deref<Target = Storage>> Deref for CpuSlice<S> {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        match &*self.storage {
            Storage::Cpu(CpuStorage::F32(data)) => &data[self.start..self.end],
            // `on_cpu` makes a `CpuSlice` of nothing else.
            _ => &[],
        }
    }
}

/// The numbers of a contiguous f32 tensor on the CPU; `None` for any other.
pub fn on_cpu(x: &Tensor) -> Result<Option<CpuSlice<impl Deref<Target = Storage> + '_>>> {
    if x.dtype() != DType::F32 || !matches!(x.device(), Device::Cpu) {
        return Ok(None);
    }
    let (storage, layout) = x.storage_and_layout();
    Ok(layout.contiguous_offsets().map(|(start, end)| CpuSlice { storage, start, end }))
}

/// A norm with its weights.
#[derive(Debug)]
pub struct NormLayer {
    kind: NormKind,
    eps: f32,
    /// `[C]` f32.
    weight: Tensor,
    /// `[C]` f32.
    bias: Option<Tensor>,
}

impl NormLayer {
    /// A norm of rows as wide as `weight`.
    pub fn new(kind: NormKind, eps: f32, weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { kind, eps, weight, bias }
    }

    /// Normalizes every row: `[.., C]` to the same shape.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let bias = self.bias.as_ref().map(on_cpu).transpose()?.flatten();
        let (Some(data), Some(weight)) = (on_cpu(x)?, on_cpu(&self.weight)?) else {
            return self.forward_tensor(x);
        };
        let width = weight.len();
        let mut out = vec![0f32; data.len()];
        in_parts(&mut out, width, |at, out| {
            let rows = data[at..at + out.len()].chunks_exact(width);
            for (row, out) in rows.zip(out.chunks_exact_mut(width)) {
                match self.kind {
                    NormKind::Rms => vector::rms_norm_row(row, &weight, self.eps, out),
                    NormKind::Layer => {
                        vector::layer_norm_row(row, &weight, bias.as_deref(), self.eps, out)
                    }
                }
            }
        });
        Tensor::from_vec(out, x.shape(), x.device())
    }

    fn forward_tensor(&self, x: &Tensor) -> Result<Tensor> {
        let dtype = x.dtype();
        let mut x = x.to_dtype(DType::F32)?;
        if self.kind == NormKind::Layer {
            x = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        }
        let variance = (x.sqr()?.mean_keepdim(D::Minus1)? + f64::from(self.eps))?;
        let mut out = x.broadcast_div(&variance.sqrt()?)?.broadcast_mul(&self.weight)?;
        if let Some(bias) = &self.bias {
            out = out.broadcast_add(bias)?;
        }
        out.to_dtype(dtype)
    }
}

/// Numbers that are worth another thread.
const N_PART: usize = 1 << 14;

/// Fills `out` part by part, on all threads where it is long: the function gets the place of the
/// part and the part. Parts are whole rows of `width` numbers.
fn in_parts(out: &mut [f32], width: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    let n_rows = N_PART.div_ceil(width.max(1)).max(1);
    let n_part = n_rows * width.max(1);
    if out.len() <= n_part {
        f(0, out);
    } else {
        team::for_each_chunk(out, n_part, |k, part| f(k * n_part, part));
    }
}

impl Activation {
    /// Applies the activation to every element.
    pub fn forward(self, x: &Tensor) -> Result<Tensor> {
        let (fused, plain): (_, fn(&Tensor) -> Result<Tensor>) = match self {
            Self::Silu => (vector::silu as fn(&[f32], &mut [f32]), candle_nn::ops::silu),
            Self::Gelu => return x.gelu_erf(),
            Self::GeluTanh => (vector::gelu_tanh as fn(&[f32], &mut [f32]), Tensor::gelu),
        };
        let Some(data) = on_cpu(x)? else { return plain(x) };
        let mut out = vec![0f32; data.len()];
        in_parts(&mut out, 1, |at, out| fused(&data[at..at + out.len()], out));
        Tensor::from_vec(out, x.shape(), x.device())
    }

    /// `act(gate) * up`, element by element; both `[T, F]`.
    pub fn gated(self, gate: &Tensor, up: &Tensor) -> Result<Tensor> {
        let fused = match self {
            Self::Silu => vector::silu_mul,
            Self::GeluTanh => vector::gelu_tanh_mul,
            Self::Gelu => return self.forward(gate)? * up,
        };
        let (Some(gate_data), Some(up_data)) = (on_cpu(gate)?, on_cpu(up)?) else {
            return self.forward(gate)? * up;
        };
        let mut out = vec![0f32; gate_data.len()];
        in_parts(&mut out, 1, |at, out| {
            let range = at..at + out.len();
            fused(&gate_data[range.clone()], &up_data[range], out);
        });
        Tensor::from_vec(out, gate.shape(), gate.device())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(a: &Tensor, b: &Tensor) -> f32 {
        (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
    }

    #[test]
    fn both_ways_of_every_operation_agree() {
        for shape in [(1, 40), (700, 40)] {
            let random = || Tensor::randn(0f32, 1f32, shape, &Device::Cpu).unwrap();
            let (x, y) = (random(), random());
            let row = |x: &Tensor| x.narrow(0, 0, 1).unwrap().squeeze(0).unwrap();
            for (kind, bias) in
                [(NormKind::Rms, None), (NormKind::Layer, None), (NormKind::Layer, Some(row(&y)))]
            {
                let norm = NormLayer::new(kind, 1e-5, row(&x), bias);
                assert!(gap(&norm.forward(&x).unwrap(), &norm.forward_tensor(&x).unwrap()) < 1e-5);
            }
            for (act, plain) in [
                (Activation::Silu, candle_nn::ops::silu(&x).unwrap()),
                (Activation::Gelu, x.gelu_erf().unwrap()),
                (Activation::GeluTanh, x.gelu().unwrap()),
            ] {
                assert!(gap(&act.forward(&x).unwrap(), &plain) < 1e-5);
                assert!(gap(&act.gated(&x, &y).unwrap(), &(plain * &y).unwrap()) < 1e-5);
            }
        }
    }
}
