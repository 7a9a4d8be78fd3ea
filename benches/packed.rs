//! How fast the packed kernels are, on the matrices of a small Llama:
//! `cargo bench --bench packed -- [repetitions]`; threads as `RAYON_NUM_THREADS`
//! says.
//!
//! Prints the best of all repetitions. Attention is not in it, so tokens/s are a
//! bound for the whole model.

#![allow(clippy::cast_precision_loss, clippy::print_stdout, reason = "a benchmark's business")]

use std::time::Instant;

use longsum::model::packed::{
    Activations, BlockFormat, DenseMatrix, PackedMatrix, dense_matmul, matmul, team,
};

/// SmolLM2-135M: width, width of the feed-forward, of keys, and vocabulary.
const WIDTH: usize = 576;
const FEED: usize = 1536;
const KEYS: usize = 192;
const VOCABULARY: usize = 49_152;
const N_LAYERS: usize = 30;

struct Layer {
    qkv: [PackedMatrix; 3],
    output: PackedMatrix,
    gate_up: [PackedMatrix; 2],
    down: PackedMatrix,
}

impl Layer {
    fn matrices(&self) -> impl Iterator<Item = &PackedMatrix> {
        self.qkv.iter().chain(&self.gate_up).chain([&self.output, &self.down])
    }
}

fn main() {
    let asked = std::env::args().find_map(|arg| arg.parse().ok());
    let n_times: usize = asked.unwrap_or(20);
    println!("{} threads", team::Team::global().n_threads());
    model(n_times);
    for format in BlockFormat::ALL {
        one_matrix(format, 2048, 2048, n_times);
    }
    dense(4096, 4096, n_times);
}

/// All matrices of the model in `Q4_1`, with a `Q8_0` head.
fn model(n_times: usize) {
    let q4 = |n_rows, n_cols| noise(BlockFormat::Q4_1, n_rows, n_cols);
    let layers: Vec<_> = (0..N_LAYERS)
        .map(|_| Layer {
            qkv: [q4(WIDTH, WIDTH), q4(KEYS, WIDTH), q4(KEYS, WIDTH)],
            output: q4(WIDTH, WIDTH),
            gate_up: [q4(FEED, WIDTH), q4(FEED, WIDTH)],
            down: q4(WIDTH, FEED),
        })
        .collect();
    let head = noise(BlockFormat::Q8_0, VOCABULARY, WIDTH);
    let matrices = || layers.iter().flat_map(Layer::matrices);
    let n_weights: usize = matrices().map(|mat| mat.n_rows() * mat.n_cols()).sum();
    let n_bytes = matrices().map(PackedMatrix::n_bytes).sum::<usize>() + head.n_bytes();
    for t in [1, 4, 32, 512] {
        let x: Vec<f32> = (0..t * FEED).map(|i| (i * 7919 % 1000) as f32 / 300.0 - 1.7).collect();
        let mut activations = Activations::new();
        let mut narrow = [vec![0.0; t * WIDTH], vec![0.0; t * KEYS], vec![0.0; t * KEYS]];
        let mut wide = [vec![0.0; t * FEED], vec![0.0; t * FEED]];
        let mut logits = vec![0.0; VOCABULARY];
        let secs = best_secs(n_times, || {
            for layer in &layers {
                activations.quantize(&x[..t * WIDTH], t, WIDTH);
                let [q, k, v] = &mut narrow;
                matmul(&layer.qkv.each_ref(), &activations, &mut [q, k, v]);
                activations.quantize(&x[..t * WIDTH], t, WIDTH);
                matmul(&[&layer.output], &activations, &mut [&mut narrow[0]]);
                activations.quantize(&x[..t * WIDTH], t, WIDTH);
                let [gate, up] = &mut wide;
                matmul(&layer.gate_up.each_ref(), &activations, &mut [gate, up]);
                activations.quantize(&x, t, FEED);
                matmul(&[&layer.down], &activations, &mut [&mut narrow[0]]);
            }
            activations.quantize(&x[..WIDTH], 1, WIDTH);
            matmul(&[&head], &activations, &mut [&mut logits]);
        });
        let n_flops = 2 * (n_weights * t + VOCABULARY * WIDTH);
        println!(
            "model, {t:>3} rows: {:8.2} ms {:6.0} tokens/s {:5.0} GFLOP/s {:5.1} GB/s",
            secs * 1e3,
            t as f64 / secs,
            n_flops as f64 / secs / 1e9,
            n_bytes as f64 / secs / 1e9,
        );
    }
}

fn one_matrix(format: BlockFormat, n_rows: usize, n_cols: usize, n_times: usize) {
    let mat = noise(format, n_rows, n_cols);
    for t in [1, 512] {
        let x: Vec<f32> = (0..t * n_cols).map(|i| (i * 7919 % 1000) as f32 / 300.0 - 1.7).collect();
        let mut activations = Activations::new();
        activations.quantize(&x, t, n_cols);
        let mut out = vec![0.0; t * n_rows];
        let secs = best_secs(n_times, || matmul(&[&mat], &activations, &mut [&mut out]));
        println!(
            "{format:?} {n_rows} x {n_cols}, {t:>3} rows: {:8.1} us {:5.0} GFLOP/s {:5.1} GB/s",
            secs * 1e6,
            (2 * n_rows * n_cols * t) as f64 / secs / 1e9,
            mat.n_bytes() as f64 / secs / 1e9,
        );
    }
}

fn dense(n_rows: usize, n_cols: usize, n_times: usize) {
    let weights = vec![0.5; n_rows * n_cols];
    let bits = vec![0x3f00; n_rows * n_cols];
    let mats = [
        ("f32", DenseMatrix::pack(&weights, n_rows, n_cols)),
        ("bf16", DenseMatrix::pack_bf16(&bits, n_rows, n_cols)),
    ];
    for (name, mat) in &mats {
        for t in [1, 4, 64] {
            let x = vec![0.25; t * n_cols];
            let mut out = vec![0.0; t * n_rows];
            let secs = best_secs(n_times, || dense_matmul(&[mat], &x, &mut [&mut out]));
            println!(
                "{name} {n_rows} x {n_cols}, {t:>3} rows: {:8.1} us {:5.0} GFLOP/s {:5.1} GB/s",
                secs * 1e6,
                (2 * n_rows * n_cols * t) as f64 / secs / 1e9,
                mat.n_bytes() as f64 / secs / 1e9,
            );
        }
    }
}

/// A matrix of arbitrary codes; speed does not depend on them.
fn noise(format: BlockFormat, n_rows: usize, n_cols: usize) -> PackedMatrix {
    let n_bytes = n_rows * n_cols / format.block_len() * format.block_bytes();
    // Below 0x3c, so that no two bytes make an f16 that is not finite.
    let bytes: Vec<_> = (0..n_bytes).map(|i| [5, 21, 40, 59, 33][i % 5]).collect();
    PackedMatrix::pack(format, &bytes, n_rows, n_cols).expect("a whole number of blocks")
}

fn best_secs(n_times: usize, mut f: impl FnMut()) -> f64 {
    let time = |_| {
        let since = Instant::now();
        f();
        since.elapsed().as_secs_f64()
    };
    (0..n_times).map(time).fold(f64::INFINITY, f64::min)
}
