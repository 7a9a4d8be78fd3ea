//! One decoder for every family, described by data.
//!
//! A [`Spec`] says what a model is made of; [`Weights`] hands over its tensors; [`Decoder`] feeds
//! tokens through them into a [`KvCache`](crate::cache::KvCache). A new family is a new `Spec` and
//! a table of names in [`crate::load`], not a new decoder.

mod attention;
mod attention_cpu;
#[cfg(any(test, feature = "cuda"))]
mod attention_cuda;
mod decoder;
mod linear;
mod ops;
pub mod packed;
mod rope;
mod salience;
mod spec;
mod together;
mod vector;
mod view;

pub use decoder::{Decoder, Feed, LanguageModel, ModelError, Part, Want, Weights};
pub use linear::Linear;
pub use packed::team::Busy;
pub use salience::{Ends, Salience, Scores};
pub use spec::{
    Activation, Mlp, Norm, NormKind, Positions, Residual, Rope, RopeScaling, Sight, Spec,
    usual_score_scale,
};
pub use together::Together;
