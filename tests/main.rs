//! Tests of the whole: golden numbers, streams, the method with scripted and tiny models, the
//! program as users see it, and the layers of the code.

#[path = "../examples/golden.rs"]
#[allow(dead_code, reason = "the example's `main` is not called here")]
mod golden_example;

mod batches;
mod cli;
mod documents;
mod gguf;
mod golden;
mod hub;
mod layers;
mod method;
mod night;
mod readme;
mod resume;
mod streams;
mod terminal;
mod tiny;
