#![allow(clippy::cast_precision_loss, clippy::many_single_char_names, reason = "small numbers")]

use half::f16;
use proptest::prelude::*;

use super::dense::{DenseMatrix, dense_matmul, dense_matmul_on};
use super::formats::BlockFormat;
use super::kernel::Isa;
use super::team::Team;
use super::{Activations, PackError, PackedMatrix, matmul_on};

/// Bytes from a seed: the plainest of generators will do.
fn noise(seed: u64, n: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..n).map(|_| next()).collect()
}

fn noise_f32(seed: u64, n: usize) -> Vec<f32> {
    let bytes = noise(seed, 4 * n);
    let number = |b: &[u8]| (f32::from(b[0]) - 127.5) / 16.0 * (f32::from(b[1] >> 5) + 0.1);
    bytes.chunks_exact(4).map(number).collect()
}

/// Bytes where each block of `format` keeps its f16 numbers.
fn halves(format: BlockFormat) -> &'static [usize] {
    match format {
        BlockFormat::Q4_0 | BlockFormat::Q5_0 | BlockFormat::Q8_0 => &[0],
        BlockFormat::Q4_1 | BlockFormat::Q5_1 | BlockFormat::Q4K | BlockFormat::Q5K => &[0, 2],
        BlockFormat::Q2K => &[80, 82],
        BlockFormat::Q3K => &[108],
        BlockFormat::Q6K => &[208],
    }
}

/// A tensor of any codes, with scales between -2 and 2.
fn tensor(format: BlockFormat, seed: u64, n_rows: usize, n_cols: usize) -> Vec<u8> {
    let n_blocks = n_rows * n_cols / format.block_len();
    let mut bytes = noise(seed, n_blocks * format.block_bytes());
    for block in bytes.chunks_exact_mut(format.block_bytes()) {
        for &at in halves(format) {
            let scale = (f32::from(block[at]) - 128.0) / 64.0;
            block[at..at + 2].copy_from_slice(&f16::from_f32(scale).to_le_bytes());
        }
    }
    bytes
}

fn half_at(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

/// The weights of one stored block, one after the other: written out from the
/// format's definition with no regard to how the packed code reads it.
fn decode(format: BlockFormat, b: &[u8]) -> Vec<f32> {
    let nibble = |at: usize, j: usize| if j < 16 { b[at + j] & 15 } else { b[at + j - 16] >> 4 };
    let fifth = |at: usize, j: usize| {
        let bits = u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]]);
        if bits >> j & 1 == 1 { 16 } else { 0 }
    };
    let (d, m) = (half_at(b, 0), half_at(b, 2));
    let steps = |code: u8, zero: i32| (i32::from(code) - zero) as f32;
    match format {
        BlockFormat::Q4_0 => (0..32).map(|j| d * steps(nibble(2, j), 8)).collect(),
        BlockFormat::Q4_1 => (0..32).map(|j| d * steps(nibble(4, j), 0) + m).collect(),
        BlockFormat::Q5_0 => (0..32).map(|j| d * steps(nibble(6, j) + fifth(2, j), 16)).collect(),
        BlockFormat::Q5_1 => {
            (0..32).map(|j| d * steps(nibble(8, j) + fifth(4, j), 0) + m).collect()
        }
        BlockFormat::Q8_0 => (0..32).map(|j| d * f32::from(b[2 + j].cast_signed())).collect(),
        BlockFormat::Q2K => decode_q2k(b),
        BlockFormat::Q3K => decode_q3k(b),
        BlockFormat::Q4K | BlockFormat::Q5K => decode_q4k_q5k(b, format == BlockFormat::Q5K),
        BlockFormat::Q6K => decode_q6k(b),
    }
}

fn decode_q2k(b: &[u8]) -> Vec<f32> {
    let (d, min) = (half_at(b, 80), half_at(b, 82));
    let mut out = Vec::new();
    let mut scale = 0;
    for half in 0..2 {
        for shift in [0, 2, 4, 6] {
            for sixteen in 0..2 {
                let both = b[scale];
                scale += 1;
                for l in 0..16 {
                    let code = b[16 + half * 32 + sixteen * 16 + l] >> shift & 3;
                    let (d, min) = (d * f32::from(both & 15), min * f32::from(both >> 4));
                    out.push(d * f32::from(code) - min);
                }
            }
        }
    }
    out
}

fn decode_q3k(b: &[u8]) -> Vec<f32> {
    let d = half_at(b, 108);
    let packed = &b[96..108];
    let scale = |i: usize| {
        let low = if i < 8 { packed[i] & 15 } else { packed[i - 8] >> 4 };
        let high = packed[8 + i % 4] >> (2 * (i / 4)) & 3;
        f32::from(low + 16 * high) - 32.0
    };
    let mut out = Vec::new();
    for half in 0..2 {
        for j in 0..4 {
            for l in 0..32 {
                let low = b[32 + half * 32 + l] >> (2 * j) & 3;
                let minus = if b[l] >> (half * 4 + j) & 1 == 1 { 0.0 } else { 4.0 };
                out.push(d * scale(half * 8 + j * 2 + l / 16) * (f32::from(low) - minus));
            }
        }
    }
    out
}

fn decode_q4k_q5k(b: &[u8], is_five: bool) -> Vec<f32> {
    let (d, min) = (half_at(b, 0), half_at(b, 2));
    let packed = &b[4..16];
    let scale_min = |j: usize| {
        if j < 4 {
            return (packed[j] & 63, packed[j + 4] & 63);
        }
        let scale = (packed[j + 4] & 15) | ((packed[j - 4] >> 6) << 4);
        let min = (packed[j + 4] >> 4) | ((packed[j] >> 6) << 4);
        (scale, min)
    };
    let low_at = if is_five { 48 } else { 16 };
    let mut out = Vec::new();
    for j in 0..8 {
        let (scale, minimum) = scale_min(j);
        for l in 0..32 {
            let byte = b[low_at + j / 2 * 32 + l];
            let mut code = if j % 2 == 0 { byte & 15 } else { byte >> 4 };
            if is_five && b[16 + l] >> j & 1 == 1 {
                code += 16;
            }
            out.push(d * f32::from(scale) * f32::from(code) - min * f32::from(minimum));
        }
    }
    out
}

fn decode_q6k(b: &[u8]) -> Vec<f32> {
    let d = half_at(b, 208);
    let mut out = vec![0.0; 256];
    for half in 0..2 {
        let (low, high) = (&b[half * 64..], &b[128 + half * 32..]);
        let scales = &b[192 + half * 8..];
        for l in 0..32 {
            let codes = [
                (low[l] & 15) | ((high[l] & 3) << 4),
                (low[l + 32] & 15) | ((high[l] >> 2 & 3) << 4),
                (low[l] >> 4) | ((high[l] >> 4 & 3) << 4),
                (low[l + 32] >> 4) | ((high[l] >> 6 & 3) << 4),
            ];
            for (quarter, code) in codes.into_iter().enumerate() {
                let scale = f32::from(scales[l / 16 + 2 * quarter].cast_signed());
                out[half * 128 + quarter * 32 + l] = d * scale * (f32::from(code) - 32.0);
            }
        }
    }
    out
}

fn decode_all(format: BlockFormat, bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(format.block_bytes()).flat_map(|block| decode(format, block)).collect()
}

/// The product in f64, of the decoded weights and the activations as quantized.
fn slow_product(weights: &[f32], x: &[f32], n_rows: usize, n_cols: usize) -> Vec<(f64, f64)> {
    let quantized: Vec<f64> = x
        .chunks_exact(32)
        .flat_map(|block| {
            let largest = block.iter().fold(0.0_f32, |a, b| a.max(b.abs()));
            let inverse = if largest < 1e-35 { 0.0 } else { 127.0 / largest };
            let number = move |x: &f32| {
                f64::from((x * inverse).round_ties_even()) * f64::from(largest / 127.0)
            };
            block.iter().map(number).collect::<Vec<_>>()
        })
        .collect();
    let mut out = Vec::new();
    for x in quantized.chunks_exact(n_cols) {
        for row in weights.chunks_exact(n_cols).take(n_rows) {
            let products = || row.iter().zip(x).map(|(w, x)| f64::from(*w) * x);
            out.push((products().sum(), products().map(f64::abs).sum()));
        }
    }
    out
}

fn product(isa: Isa, team: &Team, mat: &PackedMatrix, x: &[f32]) -> Vec<f32> {
    let n_rows = x.len() / mat.n_cols();
    let mut activations = Activations::new();
    activations.quantize_on(team, x, n_rows, mat.n_cols());
    let mut out = vec![f32::NAN; n_rows * mat.n_rows()];
    matmul_on(team, isa, &[mat], &activations, &mut [&mut out]);
    out
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

fn any_format() -> impl Strategy<Value = BlockFormat> {
    prop::sample::select(BlockFormat::ALL.to_vec())
}

#[test]
fn rows_come_back_as_the_format_defines_them() {
    for format in BlockFormat::ALL {
        for (n_rows, n_blocks) in [(1, 1), (16, 2), (19, 3), (33, 1)] {
            let n_cols = n_blocks * format.block_len();
            let bytes = tensor(format, 7, n_rows, n_cols);
            let mat = PackedMatrix::pack(format, &bytes, n_rows, n_cols).unwrap();
            let mut rows = vec![f32::NAN; n_rows * n_cols];
            for (r, row) in rows.chunks_exact_mut(n_cols).enumerate() {
                mat.row_into(r, row);
            }
            assert_eq!(rows, decode_all(format, &bytes), "{format:?}, {n_rows} rows");
        }
    }
}

#[test]
fn packed_weights_take_hardly_more_bytes_than_stored_ones() {
    for format in BlockFormat::ALL {
        let bytes = tensor(format, 7, 64, 2048);
        let mat = PackedMatrix::pack(format, &bytes, 64, 2048).unwrap();
        let ratio = mat.n_bytes() as f64 / bytes.len() as f64;
        // Q2_K has scales of four bits, here in eight.
        let most = if format == BlockFormat::Q2K { 1.2 } else { 1.05 };
        assert!(ratio < most, "{format:?}: {ratio}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_kernel_agrees_with_the_slow_twin(
        format in any_format(),
        n_rows in 1_usize..50,
        n_blocks in 1_usize..12,
        t in 1_usize..30,
        seed: u64,
    ) {
        let n_cols = n_blocks.div_ceil(format.block_len() / 32) * format.block_len();
        let bytes = tensor(format, seed, n_rows, n_cols);
        let mat = PackedMatrix::pack(format, &bytes, n_rows, n_cols).unwrap();
        let x = noise_f32(seed ^ 1, t * n_cols);
        let twin = slow_product(&decode_all(format, &bytes), &x, n_rows, n_cols);
        let team = Team::new(1);
        let mut first: Option<Vec<u32>> = None;
        for isa in Isa::available() {
            let out = product(isa, &team, &mat, &x);
            for (out, (sum, magnitude)) in out.iter().zip(&twin) {
                prop_assert!(
                    (f64::from(*out) - sum).abs() <= 2e-6 * magnitude + 1e-6,
                    "{isa:?}: {out} is not {sum}"
                );
            }
            // All kernels round alike.
            let first = first.get_or_insert_with(|| bits(&out));
            prop_assert_eq!(&*first, &bits(&out), "{:?}", isa);
        }
    }

    #[test]
    fn rows_do_not_depend_on_their_company(
        format in any_format(),
        t in 1_usize..40,
        cut in 0_usize..40,
        n_threads in 1_usize..5,
        seed: u64,
    ) {
        let (n_rows, n_cols) = (83, 256);
        let mat = PackedMatrix::pack(format, &tensor(format, seed, n_rows, n_cols), n_rows, n_cols);
        let mat = mat.unwrap();
        let x = noise_f32(seed ^ 1, t * n_cols);
        let (alone, team) = (Team::new(1), Team::new(n_threads));
        let cut = cut.min(t) * n_cols;
        for isa in Isa::available() {
            let whole = product(isa, &team, &mat, &x);
            let parts = [&x[..cut], &x[cut..]].map(|x| product(isa, &alone, &mat, x)).concat();
            prop_assert_eq!(bits(&whole), bits(&parts));
            let rows = x.chunks_exact(n_cols).flat_map(|x| product(isa, &alone, &mat, x));
            prop_assert_eq!(bits(&whole), bits(&rows.collect::<Vec<_>>()));
        }
    }
}

#[test]
fn many_rows_are_cut_without_a_trace() {
    let (n_rows, n_cols) = (40, 8192); // 48 rows a task
    let mat = PackedMatrix::pack(
        BlockFormat::Q4_0,
        &tensor(BlockFormat::Q4_0, 3, n_rows, n_cols),
        n_rows,
        n_cols,
    );
    let (mat, x) = (mat.unwrap(), noise_f32(4, 131 * n_cols));
    let whole = product(Isa::best(), &Team::new(3), &mat, &x);
    let rows = x.chunks_exact(n_cols).flat_map(|x| product(Isa::best(), &Team::new(1), &mat, x));
    assert_eq!(bits(&whole), bits(&rows.collect::<Vec<_>>()));
}

#[test]
fn several_matrices_share_their_input() {
    let (n_cols, t) = (96, 5);
    let shapes = [(BlockFormat::Q4_1, 48), (BlockFormat::Q8_0, 7), (BlockFormat::Q5_0, 100)];
    let mats = shapes.map(|(format, n)| {
        PackedMatrix::pack(format, &tensor(format, 5, n, n_cols), n, n_cols).unwrap()
    });
    let x = noise_f32(6, t * n_cols);
    let mut activations = Activations::new();
    activations.quantize(&x, t, n_cols);
    let mut outs = shapes.map(|(_, n)| vec![0.0; t * n]);
    let [a, b, c] = &mut outs;
    super::matmul(&mats.each_ref(), &activations, &mut [a, b, c]);
    for (mat, out) in mats.iter().zip(&outs) {
        assert_eq!(bits(out), bits(&product(Isa::best(), &Team::new(1), mat, &x)));
    }
}

#[test]
fn extreme_codes_do_not_saturate() {
    let n_cols = 256;
    for format in BlockFormat::ALL {
        for fill in [0x00, 0x7f, 0x80, 0xff] {
            let mut bytes = vec![fill; 16 * n_cols / format.block_len() * format.block_bytes()];
            for block in bytes.chunks_exact_mut(format.block_bytes()) {
                for &at in halves(format) {
                    block[at..at + 2].copy_from_slice(&f16::ONE.to_le_bytes());
                }
            }
            let mat = PackedMatrix::pack(format, &bytes, 16, n_cols).unwrap();
            for sign in [1.0, -1.0] {
                let x = vec![sign; n_cols];
                let twin = slow_product(&decode_all(format, &bytes), &x, 16, n_cols);
                for isa in Isa::available() {
                    for (out, (sum, _)) in product(isa, &Team::new(1), &mat, &x).iter().zip(&twin) {
                        assert!((f64::from(*out) - sum).abs() <= 1e-5 * sum.abs(), "{format:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_block_with_a_nan_gives_nan_and_zeros_give_zero() {
    let bytes = tensor(BlockFormat::Q8_0, 8, 16, 64);
    let mat = PackedMatrix::pack(BlockFormat::Q8_0, &bytes, 16, 64).unwrap();
    for bad in [f32::NAN, f32::INFINITY, -f32::INFINITY] {
        let mut x = vec![1.0; 128];
        x[70] = bad;
        let out = product(Isa::best(), &Team::new(1), &mat, &x);
        assert!(out[..16].iter().all(|x| x.is_finite()) && out[16..].iter().all(|x| x.is_nan()));
    }
    assert!(product(Isa::best(), &Team::new(1), &mat, &[0.0; 64]).iter().all(|&x| x == 0.0));
    assert!(product(Isa::best(), &Team::new(1), &mat, &[1e-40; 64]).iter().all(|&x| x == 0.0));
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let check = |format, n_bytes, n_rows, n_cols, expected: &str| {
        let result = PackedMatrix::pack(format, &vec![0; n_bytes], n_rows, n_cols);
        assert_eq!(result.err().map(|err: PackError| err.to_string()).as_deref(), Some(expected));
    };
    check(
        BlockFormat::Q4K,
        144,
        1,
        576,
        "Q4K stores 256 columns at a time, and 576 is no multiple of that",
    );
    check(BlockFormat::Q4_1, 19, 1, 32, "a 1 x 32 matrix in Q4_1 does not take 19 bytes");
}

#[test]
fn no_rows_are_no_work() {
    let mat = PackedMatrix::pack(BlockFormat::Q4_0, &[], 0, 32).unwrap();
    assert!(product(Isa::best(), &Team::new(2), &mat, &[1.0; 64]).is_empty());
    let mat = PackedMatrix::pack(BlockFormat::Q4_0, &[0; 18], 1, 32).unwrap();
    assert!(product(Isa::best(), &Team::new(2), &mat, &[]).is_empty());
}

#[test]
fn dense_weights_agree_with_f64_and_rows_do_not_depend_on_their_company() {
    for (n_rows, n_cols, t) in [(1, 1, 1), (16, 64, 8), (37, 50, 21), (100, 576, 13), (5, 7, 130)] {
        let weights: Vec<f32> = noise_f32(1, n_rows * n_cols);
        // Cut to what bf16 holds.
        let bf16: Vec<u16> = weights.iter().map(|w| (w.to_bits() >> 16) as u16).collect();
        let weights: Vec<f32> = bf16.iter().map(|&w| f32::from_bits(u32::from(w) << 16)).collect();
        let x = noise_f32(2, t * n_cols);
        let mats = [
            DenseMatrix::pack(&weights, n_rows, n_cols),
            DenseMatrix::pack_bf16(&bf16, n_rows, n_cols),
        ];
        assert_eq!(mats[0].n_bytes(), 2 * mats[1].n_bytes());
        let mut outs = [vec![f32::NAN; t * n_rows], vec![f32::NAN; t * n_rows]];
        let [first, second] = &mut outs;
        dense_matmul_on(&Team::new(3), &mats.each_ref(), &x, &mut [first, second]);
        assert_eq!(bits(&outs[0]), bits(&outs[1]));
        for (i, out) in outs[0].iter().enumerate() {
            let row = &weights[i % n_rows * n_cols..][..n_cols];
            let x = &x[i / n_rows * n_cols..][..n_cols];
            let products = || row.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x));
            let (sum, magnitude): (f64, f64) = (products().sum(), products().map(f64::abs).sum());
            assert!((f64::from(*out) - sum).abs() <= 5e-6 * magnitude, "{out} is not {sum}");
        }
        for (i, x) in x.chunks_exact(n_cols).enumerate() {
            let mut out = vec![0.0; n_rows];
            dense_matmul(&[&mats[0]], x, &mut [&mut out]);
            assert_eq!(bits(&out), bits(&outs[0][i * n_rows..][..n_rows]));
        }
        let mut row = vec![0.0; n_cols];
        for mat in &mats {
            mat.row_into(n_rows - 1, &mut row);
            assert_eq!(row, weights[(n_rows - 1) * n_cols..]);
        }
    }
}
