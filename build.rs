//! Compiles the CUDA kernels, with the feature `cuda` only.
//!
//! A build script, because the kernels become a text that the program carries with it, and only
//! nvcc makes it. PTX of compute capability 8.0 runs on every later device: the driver compiles it
//! for the one that is there.

use std::env;
use std::path::PathBuf;
use std::process::Command;

const KERNELS: &str = "src/model/attention_cuda/kernels.cu";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return;
    }
    println!("cargo::rerun-if-changed=src/model/attention_cuda");
    println!("cargo::rerun-if-env-changed=NVCC");
    println!("cargo::rerun-if-env-changed=CUDA_HOME");
    println!("cargo::rerun-if-env-changed=PATH");
    let of_home = env::var_os("CUDA_HOME").map(|home| PathBuf::from(home).join("bin/nvcc"));
    let nvcc = env::var_os("NVCC")
        .map(PathBuf::from)
        .or(of_home.filter(|nvcc| nvcc.is_file()))
        .unwrap_or_else(|| PathBuf::from("nvcc"));
    let out =
        PathBuf::from(env::var_os("OUT_DIR").expect("Cargo says where to")).join("attention.ptx");
    let status = Command::new(&nvcc)
        .args(["--ptx", "-arch=compute_80", "-std=c++17", "-O3", "-o"])
        .arg(out)
        .arg(KERNELS)
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("`{}` could not compile {KERNELS}: {status}", nvcc.display()),
        Err(err) => panic!(
            "`{}` does not start: {err}; the feature `cuda` needs nvcc, found by NVCC, CUDA_HOME or PATH",
            nvcc.display()
        ),
    }
}
