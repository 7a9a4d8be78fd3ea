//! Attention over streaming caches on NVIDIA GPUs, for the tokens of many streams at once.
//!
//! A step has R rows: the tokens that are fed now, of any number of lanes. A lane is a stream; its
//! rows are neighbours. [`plan`] says in integers what the kernels (`kernels.cu`) do with each row,
//! [`host`] hands it to them.
//!
//! Two things are tested apart, as no GPU is needed for either: that the plan is right, by a plain
//! twin on the same integers, and, in `tests/kernels`, that the kernels do what they are told.

#[cfg(feature = "cuda")]
mod host;
mod plan;
#[cfg(test)]
mod twin;

#[cfg(feature = "cuda")]
pub use host::{Kernels, Rows};
#[cfg(feature = "cuda")]
pub use plan::{Heads, LaneStep};
