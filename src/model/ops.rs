//! The small operations between the matrix products: norms and activations.
//!
//! Each has a path over plain slices for the CPU, where candle's are serial or allocate more than
//! they compute, and one in tensor operations for every other device.

use std::ops::Deref;

use candle_core::{CpuStorage, D, DType, Device, Result, Storage, Tensor};

use super::spec::{Activation, NormKind};

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
        let Some(data) = on_cpu(x)? else { return self.forward_tensor(x) };
        let Some(weight) = on_cpu(&self.weight)? else { return self.forward_tensor(x) };
        let bias = self.bias.as_ref().map(on_cpu).transpose()?.flatten();
        let mut out = vec![0f32; data.len()];
        for (row, out) in data.chunks_exact(weight.len()).zip(out.chunks_exact_mut(weight.len())) {
            self.row(row, &weight, bias.as_deref(), out);
        }
        Tensor::from_vec(out, x.shape(), x.device())
    }

    #[expect(clippy::cast_precision_loss, reason = "widths are small")]
    fn row(&self, row: &[f32], weight: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
        let n = row.len() as f32;
        let mean = match self.kind {
            NormKind::Rms => 0.0,
            NormKind::Layer => sum(row, |v| v) / n,
        };
        let scale = 1.0 / (sum(row, |v| (v - mean) * (v - mean)) / n + self.eps).sqrt();
        for ((out, v), w) in out.iter_mut().zip(row).zip(weight) {
            *out = (v - mean) * scale * w;
        }
        if let Some(bias) = bias {
            out.iter_mut().zip(bias).for_each(|(out, b)| *out += b);
        }
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

/// Sums in eight lanes, so that the compiler can use vector registers.
fn sum(row: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0f32; 8];
    let chunks = row.chunks_exact(8);
    let rest: f32 = chunks.remainder().iter().map(|&v| f(v)).sum();
    for chunk in chunks {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane += f(v);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

impl Activation {
    /// Applies the activation to every element.
    pub fn forward(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Silu => candle_nn::ops::silu(x),
            Self::Gelu => x.gelu_erf(),
            Self::GeluTanh => x.gelu(),
        }
    }

    /// `act(gate) * up`, element by element; both `[T, F]`.
    pub fn gated(self, gate: &Tensor, up: &Tensor) -> Result<Tensor> {
        if self == Self::Silu
            && let (Some(gate_data), Some(up_data)) = (on_cpu(gate)?, on_cpu(up)?)
        {
            let mut out = vec![0f32; gate_data.len()];
            for ((out, g), u) in out.iter_mut().zip(gate_data.iter()).zip(up_data.iter()) {
                *out = g / (1.0 + (-g).exp()) * u;
            }
            return Tensor::from_vec(out, gate.shape(), gate.device());
        }
        self.forward(gate)? * up
    }
}
