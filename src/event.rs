//! What happens while a document is summarized. The library tells; bars, logs and tests listen.

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    /// The document was read and cut into chunks.
    Started {
        /// Pages of the document.
        n_pages: u32,
        /// What they are: `pages` or `sections`.
        pages_are: &'static str,
        /// Chunks it makes.
        n_chunks: usize,
        /// Tokens pinned at the beginning of the stream.
        n_sink: usize,
        /// Recent tokens that the model sees.
        n_window: usize,
        /// Most tokens fed at once.
        n_at_once: usize,
    },
    /// An earlier run, which was stopped, has done so many steps of it.
    Resumed {
        /// Chunks that were read, summaries that were rolled, notes that were merged.
        n_steps: usize,
    },
    /// A chunk went through the stream.
    ChunkFed {
        /// Its number, from 0.
        seq: usize,
        /// Its last page.
        last_page: u32,
        /// Tokens of its text.
        n_tokens: usize,
    },
    /// The model wrote a token.
    TokenWritten,
    /// The rolling summary took in a chunk.
    Rolled {
        /// Number of the chunk, from 0.
        seq: usize,
        /// The rolling summary.
        text: &'a str,
    },
    /// Notes are merged: part `done` of `n_parts` at this level of the tree.
    Merging {
        /// Level of the tree, from 0.
        level: usize,
        /// Merges done at this level.
        done: usize,
        /// Merges to do at this level.
        n_parts: usize,
    },
}
