//! The streaming cache: what a stream still remembers of the tokens that went by.
//!
//! [`layout`] says in integers which slot each token occupies and which slots a query sees;
//! [`kv`] holds the tensors. The size is fixed when the cache is made and never grows.

pub mod kv;
pub mod layout;

pub use kv::{CacheError, KvCache, Snapshot};
pub use layout::{Layout, LayoutError, Visible};
