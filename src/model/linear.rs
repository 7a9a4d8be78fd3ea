//! A matrix of weights, in whichever form the file has it.

use std::cell::RefCell;
use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{DType, Device, Module, Result, Tensor};

use super::ops::on_cpu;
use super::packed::{self, Activations, DenseMatrix, PackedMatrix};

/// `y = x Wᵀ + b`.
#[derive(Clone)]
pub struct Linear {
    weight: Weight,
    /// `[out]`.
    bias: Option<Tensor>,
}

#[derive(Clone)]
enum Weight {
    /// `[out, in]`, multiplied by candle: other devices, other number types.
    Tensor(Tensor),
    /// f32 or bf16 numbers on the CPU.
    Dense(Arc<DenseMatrix>),
    /// Quantized blocks, multiplied by candle: other devices, rare formats.
    Quantized(QMatMul),
    /// Quantized blocks on the CPU, multiplied as integers.
    Packed(Arc<PackedMatrix>),
}

thread_local! {
    /// The quantized input of the product at hand; kept for its memory.
    static ACTIVATIONS: RefCell<Activations> = RefCell::new(Activations::new());
}

impl Linear {
    /// From plain numbers, `[out, in]`, for activations in `dtype`.
    ///
    /// On the CPU bf16 numbers stay as they are: half the bytes, and a product reads them all.
    ///
    /// # Errors
    /// If the device fails, or the weight is no matrix.
    pub fn plain(weight: &Tensor, dtype: DType) -> Result<Self> {
        let (n_rows, n_cols) = weight.dims2()?;
        let weight = match (weight.device(), dtype, weight.dtype()) {
            (Device::Cpu, DType::F32, DType::BF16) => {
                let bits: Vec<u16> = weight
                    .flatten_all()?
                    .to_vec1::<half::bf16>()?
                    .into_iter()
                    .map(half::bf16::to_bits)
                    .collect();
                Weight::Dense(Arc::new(DenseMatrix::pack_bf16(&bits, n_rows, n_cols)))
            }
            (Device::Cpu, DType::F32, _) => {
                let numbers: Vec<f32> = weight.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
                Weight::Dense(Arc::new(DenseMatrix::pack(&numbers, n_rows, n_cols)))
            }
            _ => Weight::Tensor(weight.to_dtype(dtype)?),
        };
        Ok(Self { weight, bias: None })
    }

    /// Quantized to eight bits on the spot, as ggml's Q8_0 has it: 32 columns share a scale.
    ///
    /// # Errors
    /// If the tensor is no matrix or its rows are not made of whole blocks.
    pub fn eight_bits(weight: &Tensor) -> Result<Self> {
        let (n_rows, n_cols) = weight.dims2()?;
        if !weight.device().is_cpu() {
            let blocks = QTensor::quantize(&weight.to_dtype(DType::F32)?, GgmlDType::Q8_0)?;
            return Ok(Self::quantized(QMatMul::from_qtensor(blocks)?));
        }
        let numbers: Vec<f32> = weight.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        let mut bytes = Vec::with_capacity(numbers.len() / 32 * 34);
        for block in numbers.chunks(32) {
            let most = block.iter().fold(0f32, |most, x| most.max(x.abs()));
            let scale = half::f16::from_f32(most / 127.0);
            let inverse = if scale.to_f32() > 0.0 { 1.0 / scale.to_f32() } else { 0.0 };
            bytes.extend(scale.to_le_bytes());
            #[expect(clippy::cast_possible_truncation, reason = "rounded and clamped to a byte")]
            bytes.extend(
                block.iter().map(|x| (x * inverse).round().clamp(-127.0, 127.0) as i8 as u8),
            );
        }
        let packed = PackedMatrix::pack(packed::BlockFormat::Q8_0, &bytes, n_rows, n_cols);
        Ok(Self::packed(packed.map_err(candle_core::Error::wrap)?))
    }

    /// From quantized blocks in candle's hands, `[out, in]`.
    #[must_use]
    pub fn quantized(weight: QMatMul) -> Self {
        Self { weight: Weight::Quantized(weight), bias: None }
    }

    /// From quantized blocks for the CPU, `[out, in]`.
    #[must_use]
    pub fn packed(weight: PackedMatrix) -> Self {
        Self { weight: Weight::Packed(Arc::new(weight)), bias: None }
    }

    /// The same with a bias, `[out]`.
    #[must_use]
    pub fn with_bias(self, bias: Option<Tensor>) -> Self {
        Self { bias, ..self }
    }

    /// Rows and columns, `(out, in)`.
    ///
    /// # Errors
    /// If the tensor, or the bias, is not what a matrix has.
    pub fn shape(&self) -> Result<(usize, usize)> {
        let (n_rows, n_cols) = match &self.weight {
            Weight::Tensor(w) => w.dims2()?,
            Weight::Dense(w) => (w.n_rows(), w.n_cols()),
            Weight::Packed(w) => (w.n_rows(), w.n_cols()),
            Weight::Quantized(QMatMul::QTensor(w)) => w.shape().dims2()?,
            Weight::Quantized(QMatMul::Tensor(w) | QMatMul::TensorF16(w)) => w.dims2()?,
        };
        if let Some(bias) = &self.bias
            && bias.dims() != [n_rows]
        {
            candle_core::bail!("a bias of shape {:?} for {n_rows} rows", bias.dims());
        }
        Ok((n_rows, n_cols))
    }

    /// `[T, in]` to `[T, out]`.
    ///
    /// # Errors
    /// If the widths do not match or the device fails.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let [y] = Self::forward_many([self], x)?;
        Ok(y)
    }

    /// Several matrices with the same input: packed ones share its quantization and one dispatch.
    ///
    /// # Errors
    /// If the widths do not match or the device fails.
    pub fn forward_many<const N: usize>(layers: [&Self; N], x: &Tensor) -> Result<[Tensor; N]> {
        let packed: Vec<&PackedMatrix> = layers.iter().filter_map(|l| l.as_packed()).collect();
        let dense: Vec<&DenseMatrix> = layers.iter().filter_map(|l| l.as_dense()).collect();
        let outs: Vec<Tensor> = if packed.len() == N {
            multiply_packed(&packed, x)?
        } else if dense.len() == N {
            multiply_dense(&dense, x)?
        } else {
            layers.iter().map(|l| l.multiply(x)).collect::<Result<_>>()?
        };
        let outs = outs
            .into_iter()
            .zip(layers)
            .map(|(y, l)| match &l.bias {
                Some(bias) => y.broadcast_add(bias),
                None => Ok(y),
            })
            .collect::<Result<Vec<_>>>()?;
        outs.try_into().map_err(|_| candle_core::Error::Msg("as many outputs as matrices".into()))
    }

    fn as_packed(&self) -> Option<&PackedMatrix> {
        match &self.weight {
            Weight::Packed(w) => Some(w),
            _ => None,
        }
    }

    fn as_dense(&self) -> Option<&DenseMatrix> {
        match &self.weight {
            Weight::Dense(w) => Some(w),
            _ => None,
        }
    }

    fn multiply(&self, x: &Tensor) -> Result<Tensor> {
        match &self.weight {
            Weight::Tensor(w) => x.matmul(&w.t()?),
            // candle's CUDA kernels for the common block formats take sixteen bits and give them back.
            Weight::Quantized(QMatMul::QTensor(w))
                if x.device().is_cuda() && is_common(w.dtype()) =>
            {
                x.contiguous()?.apply_op1_no_bwd(w.as_ref())
            }
            Weight::Quantized(w) => {
                w.forward(&x.to_dtype(DType::F32)?.contiguous()?)?.to_dtype(x.dtype())
            }
            Weight::Dense(w) => Ok(multiply_dense(&[w], x)?.swap_remove(0)),
            Weight::Packed(w) => Ok(multiply_packed(&[w], x)?.swap_remove(0)),
        }
    }

    /// Rows of the matrix: the embeddings of tokens, `[T, in]` in `dtype`.
    ///
    /// # Errors
    /// If an id lies outside the vocabulary or the device fails.
    pub fn rows(&self, ids: &[u32], dtype: DType) -> Result<Tensor> {
        match &self.weight {
            Weight::Tensor(w) => w.embedding(&Tensor::new(ids, w.device())?)?.to_dtype(dtype),
            Weight::Quantized(w) => w.embedding(&Tensor::new(ids, &Device::Cpu)?)?.to_dtype(dtype),
            Weight::Dense(w) => {
                gather(ids, (w.n_rows(), w.n_cols()), |id, row| w.row_into(id, row))?
                    .to_dtype(dtype)
            }
            Weight::Packed(w) => {
                gather(ids, (w.n_rows(), w.n_cols()), |id, row| w.row_into(id, row))?
                    .to_dtype(dtype)
            }
        }
    }
}

/// The formats of `candle_core`'s `quantized/fast_mmvq.rs` and `fast_mmq.rs`.
fn is_common(format: GgmlDType) -> bool {
    !matches!(
        format,
        GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16 | GgmlDType::Q8_1 | GgmlDType::Q8K
    )
}

/// Rows `ids` of a matrix of this shape, `[T, in]`.
fn gather(
    ids: &[u32],
    shape: (usize, usize),
    row_into: impl Fn(usize, &mut [f32]),
) -> Result<Tensor> {
    let (n_rows, n_cols) = shape;
    let mut rows = vec![0f32; ids.len() * n_cols];
    for (&id, row) in ids.iter().zip(rows.chunks_exact_mut(n_cols)) {
        if id as usize >= n_rows {
            candle_core::bail!("token {id} has no row in an embedding of {n_rows}");
        }
        row_into(id as usize, row);
    }
    Tensor::from_vec(rows, (ids.len(), n_cols), &Device::Cpu)
}

/// Multiplies one input with several packed matrices: `[T, in]` to one `[T, out]` each.
fn multiply_packed(matrices: &[&PackedMatrix], x: &Tensor) -> Result<Vec<Tensor>> {
    let shapes: Vec<_> = matrices.iter().map(|w| (w.n_rows(), w.n_cols())).collect();
    multiply(&shapes, x, |x, n_tokens, n_cols, outs| {
        ACTIVATIONS.with_borrow_mut(|activations| {
            activations.quantize(x, n_tokens, n_cols);
            packed::matmul(matrices, activations, outs);
        });
    })
}

/// Multiplies one input with several dense matrices: `[T, in]` to one `[T, out]` each.
fn multiply_dense(matrices: &[&DenseMatrix], x: &Tensor) -> Result<Vec<Tensor>> {
    let shapes: Vec<_> = matrices.iter().map(|w| (w.n_rows(), w.n_cols())).collect();
    multiply(&shapes, x, |x, _, _, outs| packed::dense_matmul(matrices, x, outs))
}

/// Checks the shapes, which the kernels trust, and makes room for the products.
fn multiply(
    shapes: &[(usize, usize)],
    x: &Tensor,
    kernel: impl FnOnce(&[f32], usize, usize, &mut [&mut [f32]]),
) -> Result<Vec<Tensor>> {
    let (n_tokens, n_cols) = x.dims2()?;
    if let Some((_, wide)) = shapes.iter().find(|(_, wide)| *wide != n_cols) {
        candle_core::bail!("a row of {n_cols} numbers for a matrix of {wide} columns");
    }
    let x = x.contiguous()?;
    let Some(data) = on_cpu(&x)? else { candle_core::bail!("these weights need f32 on the CPU") };
    let mut outs: Vec<Vec<f32>> =
        shapes.iter().map(|(n_rows, _)| vec![0f32; n_tokens * n_rows]).collect();
    let mut slices: Vec<&mut [f32]> = outs.iter_mut().map(Vec::as_mut_slice).collect();
    kernel(&data, n_tokens, n_cols, &mut slices);
    let outs = outs.into_iter().zip(shapes);
    outs.map(|(out, (n_rows, _))| Tensor::from_vec(out, (n_tokens, *n_rows), &Device::Cpu))
        .collect()
}
