//! The small operations between the matrix products: norms and activations.
//!
//! Each has a path over plain slices for the CPU, where candle's are serial or allocate more than
//! they compute, and one in tensor operations for every other device.

use std::ops::Deref;

use candle_core::{CpuStorage, DType, Device, Result, Storage, Tensor};

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
    /// `[C]`, as is the bias: in the type of the activations if that loses nothing, otherwise f32.
    weight: Tensor,
    bias: Option<Tensor>,
}

impl NormLayer {
    /// A norm of rows as wide as `weight`, for activations in `dtype`; weight and bias are f32.
    pub fn new(
        kind: NormKind,
        eps: f32,
        weight: Tensor,
        bias: Option<Tensor>,
        dtype: DType,
    ) -> Result<Self> {
        // Weights come from files in sixteen bits and are f32 here; Gemma's have got a 1 added.
        let fits = matches!(dtype, DType::F16 | DType::BF16)
            && is_exact(&weight, dtype)?
            && bias.as_ref().map_or(Ok(true), |bias| is_exact(bias, dtype))?;
        let dtype = if fits { dtype } else { DType::F32 };
        let bias = bias.map(|bias| bias.to_dtype(dtype)).transpose()?;
        Ok(Self { kind, eps, weight: weight.to_dtype(dtype)?, bias })
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

    /// By candle's kernels, which on GPUs compute in f32 whatever comes in.
    fn forward_tensor(&self, x: &Tensor) -> Result<Tensor> {
        let dtype = x.dtype();
        let x = x.to_dtype(self.weight.dtype())?.contiguous()?;
        let out = match (self.kind, &self.bias) {
            (NormKind::Rms, _) => candle_nn::ops::rms_norm(&x, &self.weight, self.eps)?,
            (NormKind::Layer, Some(bias)) => {
                candle_nn::ops::layer_norm(&x, &self.weight, bias, self.eps)?
            }
            (NormKind::Layer, None) => {
                candle_nn::ops::layer_norm(&x, &self.weight, &self.weight.zeros_like()?, self.eps)?
            }
        };
        out.to_dtype(dtype)
    }
}

/// Whether a tensor comes back from this type as it was.
fn is_exact(tensor: &Tensor, dtype: DType) -> Result<bool> {
    let back = tensor.to_dtype(dtype)?.to_dtype(tensor.dtype())?;
    Ok(back.ne(tensor)?.to_dtype(DType::F32)?.sum_all()?.to_scalar::<f32>()? == 0.0)
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
    fn norms_of_sixteen_bits_keep_weights_that_need_more() {
        let x = Tensor::randn(0f32, 3f32, (5, 40), &Device::Cpu).unwrap();
        let exact = Tensor::randn(0f32, 1f32, 40, &Device::Cpu).unwrap();
        let exact = exact.to_dtype(DType::BF16).unwrap().to_dtype(DType::F32).unwrap();
        let (whole, rounded) = (NormKind::Rms, DType::BF16);
        for (weight, kept) in [(exact.clone(), DType::BF16), ((exact + 1.0).unwrap(), DType::F32)] {
            let right = NormLayer::new(whole, 1e-5, weight.clone(), None, DType::F32).unwrap();
            let norm = NormLayer::new(whole, 1e-5, weight, None, rounded).unwrap();
            assert_eq!(norm.weight.dtype(), kept);
            let x = x.to_dtype(rounded).unwrap();
            let out = norm.forward(&x).unwrap();
            assert_eq!(out.dtype(), rounded);
            let right = right.forward(&x.to_dtype(DType::F32).unwrap()).unwrap();
            // Half a step of the last of eight bits, three times, at numbers up to about 10.
            assert!(gap(&out.to_dtype(DType::F32).unwrap(), &right) < 0.12);
        }
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
                let norm = NormLayer::new(kind, 1e-5, row(&x), bias, DType::F32).unwrap();
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
