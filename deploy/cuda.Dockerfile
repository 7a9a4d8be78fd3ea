# longsum for NVIDIA GPUs: docker build -f deploy/cuda.Dockerfile -t longsum:cuda .
# docker run --rm --gpus all --user "$(id -u)" -v "$PWD:/work:ro" -v "$HOME/.cache/huggingface:/models" longsum:cuda --model ... report.pdf
FROM rust:1.95.0-slim-bookworm AS rust

FROM nvidia/cuda:12.8.1-devel-ubuntu22.04 AS build
COPY --from=rust /usr/local/rustup /usr/local/rustup
COPY --from=rust /usr/local/cargo /usr/local/cargo
WORKDIR /src
ARG TARGET_CPU=x86-64-v3
# No GPU is there to ask while an image is built: 80 for A100, 90 for H100 and H200. Kernels for 8.0 run on
# later ones too, but for those of quantized weights (GGUF).
ARG CUDA_COMPUTE_CAP=80
ENV PATH=/usr/local/cargo/bin:$PATH RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo \
    RUSTFLAGS="-C target-cpu=${TARGET_CPU}" CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP}
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --profile dist --locked --bin longsum --features cuda && cp target/dist/longsum /longsum

FROM nvidia/cuda:12.8.1-runtime-ubuntu22.04
COPY --from=build /longsum /usr/local/bin/longsum
USER 65532:65532
ENV HF_HOME=/models XDG_STATE_HOME=/tmp
WORKDIR /work
ENTRYPOINT ["longsum"]
