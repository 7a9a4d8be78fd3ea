//! Which slot each token occupies, and which slots a query sees. Integers only: no tensors, no I/O.
//!
//! A stream keeps its first `n_sink` tokens for good (the sinks, or a longer pinned prefix) and its
//! last `n_window` tokens, the query itself included. Query `i` sees `{0..n_sink-1}` and
//! `{j : i - n_window < j <= i}`.
//!
//! Invariant: slots `0..n_sink` hold pinned tokens only, each at its own index; the ring holds the
//! token of index `j >= n_sink` in slot `n_sink + (j - n_sink) % n_ring`.
//!
//! The ring has `n_window - 1 + n_chunk` slots, so that a chunk of `n_chunk` tokens can be written
//! before any of its queries is answered: what the first query still sees is not yet overwritten
//! when the last token is stored. That is what makes chunked prefill exact.
//!
//! A pinned prefix may be shorter than `n_sink`. It then stands at the end of the pinned region,
//! `n_vacant..n_sink`, right before the ring, so that all distances stay what they would be in a
//! stream whose `n_sink` is exactly the length of the prefix.
//!
//! Some models have layers that were trained to see only a window of their own. There pinned tokens
//! are no sinks: they leave that window as all others do ([`Layout::native`]).
//!
//! Source: Xiao et al., "Efficient Streaming Language Models with Attention Sinks",
//! arXiv:2309.17453, section 3.2.

use std::num::NonZeroUsize;
use std::ops::Range;

/// The fixed shape of a stream's cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    n_sink: usize,
    n_window: NonZeroUsize,
    n_chunk: NonZeroUsize,
    /// Whether the pinned tokens stay in sight for good.
    has_sinks: bool,
}

/// Why a cache of the asked shape cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The window holds at least the query itself.
    #[error("a window of 0 tokens keeps nothing, not even the token being read")]
    NoWindow,
    /// A chunk holds at least one token.
    #[error("a chunk of 0 tokens cannot be fed")]
    NoChunk,
    /// The number of slots does not fit a machine word.
    #[error(
        "a cache of {n_sink} sinks, a window of {n_window} and chunks of {n_chunk} is too large"
    )]
    TooLarge {
        /// Pinned tokens.
        n_sink: usize,
        /// Recent tokens.
        n_window: usize,
        /// Tokens fed at once.
        n_chunk: usize,
    },
}

/// The slots that one query sees: pinned ones, and at most two runs of the ring (it may wrap).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visible {
    /// Slots of pinned tokens, which are also their positions.
    pub pinned: Range<usize>,
    /// Slots of ring tokens, oldest first; the second run is empty unless the ring wraps.
    pub ring: [Range<usize>; 2],
    /// Index of the token in the first slot of `ring[0]`; the indices go on without a gap.
    pub first_index: usize,
}

impl Visible {
    /// How many tokens the query sees.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pinned.len() + self.ring[0].len() + self.ring[1].len()
    }

    /// Whether the query sees nothing at all; never so for a query that is itself stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Layout {
    /// Returns the layout of `n_sink` pinned tokens, a window of `n_window` tokens (the query
    /// included), fed in chunks of at most `n_chunk`.
    ///
    /// # Errors
    /// [`LayoutError`] if the window or the chunk is 0, or the number of slots overflows.
    pub fn new(n_sink: usize, n_window: usize, n_chunk: usize) -> Result<Self, LayoutError> {
        let window = NonZeroUsize::new(n_window).ok_or(LayoutError::NoWindow)?;
        let chunk = NonZeroUsize::new(n_chunk).ok_or(LayoutError::NoChunk)?;
        n_sink
            .checked_add(n_window)
            .and_then(|n| n.checked_add(n_chunk))
            .ok_or(LayoutError::TooLarge { n_sink, n_window, n_chunk })?;
        Ok(Self { n_sink, n_window: window, n_chunk: chunk, has_sinks: true })
    }

    /// No pinned token, a window and chunks of one.
    #[must_use]
    pub(super) fn least() -> Self {
        let one = NonZeroUsize::MIN;
        Self { n_sink: 0, n_window: one, n_chunk: one, has_sinks: true }
    }

    /// The layout of a layer of the same stream that was trained to see `n_window` tokens and no
    /// others. It takes the same prefix and the same chunks.
    #[must_use]
    pub fn native(self, n_window: NonZeroUsize) -> Self {
        Self { n_window, has_sinks: false, ..self }
    }

    /// Pinned slots.
    #[must_use]
    pub fn n_sink(&self) -> usize {
        self.n_sink
    }

    /// Recent tokens a query sees, itself included.
    #[must_use]
    pub fn n_window(&self) -> usize {
        self.n_window.get()
    }

    /// Most tokens that can be fed at once.
    #[must_use]
    pub fn n_chunk(&self) -> usize {
        self.n_chunk.get()
    }

    /// Slots of the ring: `n_window - 1 + n_chunk`.
    #[must_use]
    pub fn n_ring(&self) -> usize {
        self.n_window.get() - 1 + self.n_chunk.get()
    }

    /// Slots in all: `n_sink + n_window - 1 + n_chunk`. The cache never holds more.
    #[must_use]
    pub fn n_slots(&self) -> usize {
        self.n_sink + self.n_ring()
    }

    /// Slot of the token with this index.
    #[must_use]
    pub fn slot(&self, index: usize) -> usize {
        match index.checked_sub(self.n_sink) {
            None => index,                              // pinned
            Some(n) => self.n_sink + n % self.n_ring(), // the ring: oldest goes first
        }
    }

    /// Position from which the query with this index looks at pinned tokens.
    ///
    /// Positions are ranks inside the cache, so the query never stands further from the pinned
    /// tokens than a full window: the distance to pinned token `s` is this minus `s`, while the
    /// distance to a ring token `j` is `index - j`.
    #[must_use]
    pub fn pinned_position(&self, index: usize) -> usize {
        index.min(self.n_sink + self.n_window.get() - 1)
    }

    /// The runs of slots into which tokens `indices` are written, in order.
    ///
    /// At most three: pinned slots, the end of the ring, its beginning.
    #[must_use]
    pub fn runs(&self, indices: Range<usize>) -> Vec<Range<usize>> {
        let mut runs = Vec::with_capacity(3);
        let mut index = indices.start;
        while index < indices.end {
            let slot = self.slot(index);
            let room = if index < self.n_sink { self.n_sink } else { self.n_slots() } - slot;
            let len = room.min(indices.end - index);
            runs.push(slot..slot + len);
            index += len;
        }
        runs
    }

    /// What the query with this index sees, once its chunk is stored, when the first `n_vacant`
    /// pinned slots are empty.
    ///
    /// `first` is the index of the oldest token that was ever put into the ring; it equals
    /// [`Layout::n_sink`] in a stream that was fed without a break.
    #[must_use]
    pub fn visible(&self, index: usize, n_vacant: usize, first: usize) -> Visible {
        let pinned_end = self.n_sink.min(index + 1);
        let gone = if self.has_sinks { 0 } else { (index + 1).saturating_sub(self.n_window.get()) };
        let pinned = n_vacant.max(gone).min(pinned_end)..pinned_end;
        let end = index + 1;
        let start = end.saturating_sub(self.n_window.get()).max(first.max(self.n_sink));
        if start >= end {
            return Visible { pinned, ring: [0..0, 0..0], first_index: start };
        }
        let slot = self.slot(start);
        let len = (self.n_slots() - slot).min(end - start);
        let rest = end - start - len;
        Visible {
            pinned,
            ring: [slot..slot + len, self.n_sink..self.n_sink + rest],
            first_index: start,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_small_stream_written_out_in_full() {
        // 2 sinks, a window of 3, chunks of 2: a ring of 4, 6 slots in all.
        let layout = Layout::new(2, 3, 2).unwrap();
        assert_eq!((layout.n_ring(), layout.n_slots()), (4, 6));
        let slots: Vec<_> = (0..11).map(|i| layout.slot(i)).collect();
        assert_eq!(slots, [0, 1, 2, 3, 4, 5, 2, 3, 4, 5, 2]);
        let positions: Vec<_> = (0..8).map(|i| layout.pinned_position(i)).collect();
        assert_eq!(positions, [0, 1, 2, 3, 4, 4, 4, 4]);
        let seen = |i| {
            let v = layout.visible(i, 0, 2);
            (v.pinned, v.ring)
        };
        assert_eq!(seen(0), (0..1, [0..0, 0..0]));
        assert_eq!(seen(1), (0..2, [0..0, 0..0]));
        assert_eq!(seen(2), (0..2, [2..3, 2..2]));
        assert_eq!(seen(4), (0..2, [2..5, 2..2]));
        assert_eq!(seen(5), (0..2, [3..6, 2..2]));
        assert_eq!(seen(6), (0..2, [4..6, 2..3]));
        assert_eq!(seen(7), (0..2, [5..6, 2..4]));
        assert_eq!(seen(8), (0..2, [2..5, 2..2]));
    }

    #[test]
    fn vacant_slots_are_never_seen() {
        let layout = Layout::new(4, 3, 2).unwrap();
        assert_eq!(layout.visible(9, 3, 4).pinned, 3..4);
        assert_eq!(layout.visible(2, 2, 4).pinned, 2..3);
        assert_eq!(layout.visible(9, 4, 4).pinned, 4..4);
    }

    #[test]
    fn pinned_tokens_leave_a_native_window() {
        let layout = Layout::new(4, 9, 2).unwrap().native(NonZeroUsize::new(3).unwrap());
        assert_eq!(layout.n_slots(), 4 + 3 - 1 + 2);
        let seen = |i| {
            let seen = layout.visible(i, 1, 4);
            (seen.pinned, seen.ring[0].len() + seen.ring[1].len())
        };
        // Slot 0 is vacant; every query sees three tokens, itself among them.
        assert_eq!(seen(1), (1..2, 0));
        assert_eq!(seen(3), (1..4, 0));
        assert_eq!(seen(4), (2..4, 1));
        assert_eq!(seen(5), (3..4, 2));
        assert_eq!(seen(6), (4..4, 3));
        assert_eq!(seen(60), (4..4, 3));
    }

    #[test]
    fn shapes_that_hold_nothing_are_refused() {
        assert_eq!(Layout::new(4, 0, 1), Err(LayoutError::NoWindow));
        assert_eq!(Layout::new(4, 1, 0), Err(LayoutError::NoChunk));
        assert!(matches!(Layout::new(usize::MAX, 1, 1), Err(LayoutError::TooLarge { .. })));
    }

    proptest! {
        /// The slow twin: a plain list of slots, each holding the last index written to it.
        #[test]
        fn the_ring_holds_what_the_plain_definition_keeps(
            n_sink in 0usize..9, n_window in 1usize..20, n_chunk in 1usize..9,
            sizes in prop::collection::vec(1usize..9, 1..40),
        ) {
            let layout = Layout::new(n_sink, n_window, n_chunk).unwrap();
            let mut held = vec![None; layout.n_slots()];
            let mut next = 0;
            for size in sizes {
                let size = size.min(n_chunk);
                let fed = next..next + size;
                let runs = layout.runs(fed.clone());
                prop_assert!(runs.len() <= 3);
                let slots: Vec<usize> = runs.into_iter().flatten().collect();
                prop_assert_eq!(&slots, &fed.clone().map(|i| layout.slot(i)).collect::<Vec<_>>());
                for (index, slot) in fed.clone().zip(slots) {
                    held[slot] = Some(index);
                }
                for i in fed {
                    let seen = layout.visible(i, 0, n_sink);
                    let mut ours: Vec<_> = seen.pinned.clone().map(|s| held[s].unwrap()).collect();
                    let ring: Vec<_> = seen.ring.iter().cloned().flatten().map(|s| held[s].unwrap()).collect();
                    for (k, &index) in ring.iter().enumerate() {
                        prop_assert_eq!(index, seen.first_index + k);
                    }
                    ours.extend(ring);
                    let twin: Vec<_> = (0..=i).filter(|&j| j < n_sink || i < j + n_window).collect();
                    prop_assert_eq!(ours, twin);
                }
                next += size;
            }
        }
    }
}
