//! longsum summarizes documents of any length on one machine.

pub mod batch;
pub mod cache;
pub mod chunk;
pub mod document;
pub mod event;
pub mod load;
pub mod memory;
pub mod model;
pub mod prompt;
pub mod report;
pub mod sentence;
pub mod stream;
pub mod summary;
pub mod token;
