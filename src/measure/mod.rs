//! The experiments of the streaming paper: how well a model predicts a text, and how fast it reads,
//! with attention sinks and without (arXiv:2309.17453).

mod perplexity;
mod plan;
mod speed;

pub use perplexity::{Attention, Scored, losses, perplexity};
pub use plan::{Memory, STORAGES, Storage, TooLarge, fit, memory};
pub use speed::{
    RandomWeights, Time, bytes_of_token, operations_of_token, time_of_reading, time_of_streams,
    time_per_token,
};
