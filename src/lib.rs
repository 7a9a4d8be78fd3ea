//! Summarizes documents of any length with a streaming language model, on one machine.
//!
//! A document is read chunk by chunk through a key-value cache that never grows
//! ([`cache`], arXiv:2309.17453); notes are taken of each chunk, and the notes make the summary
//! ([`summary`]). What comes out is a [`report`] in which every statement points at pages and
//! words, and every page is accounted for.
//!
//! Text and tensors are two sides that meet in [`summary`] only: [`document`], [`chunk`],
//! [`prompt`], [`token`], [`check`] and [`eval`] know no tensors; [`model`], [`cache`] and [`stream`] know no files, and [`device`] says
//! where they compute.
//!
//! ```no_run
//! use candle_core::Device;
//! use longsum::load::Loaded;
//! use longsum::summary::{Options, Reader, summarize};
//! use longsum::{batch, document};
//!
//! let loaded = Loaded::open("model.gguf".as_ref(), &Device::Cpu)?;
//! let about = batch::about(&loaded, "model.gguf", None);
//! let reader = Reader {
//!     model: &loaded.decoder,
//!     tokenizer: &loaded.tokenizer,
//!     chat: &loaded.chat,
//!     stops: &loaded.stops,
//!     about: &about,
//!     extract: None,
//! };
//! let document = document::read("report.pdf".as_ref())?;
//! let report = summarize(&reader, &document, &Options::default(), &mut |_| {})?;
//! for statement in report.summary.map(|s| s.statements).unwrap_or_default() {
//!     println!("{} {:?}", statement.text, statement.citations[0].pages);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

pub mod batch;
pub mod cache;
pub mod check;
pub mod chunk;
pub mod device;
pub mod document;
pub mod eval;
pub mod event;
pub mod language;
pub mod load;
pub mod measure;
pub mod memory;
pub mod model;
pub mod prompt;
pub mod report;
pub mod select;
pub mod sentence;
pub mod stream;
pub mod summary;
pub mod token;
