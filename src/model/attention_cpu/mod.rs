//! Attention over a streaming cache on the CPU: pinned keys and ring keys in one softmax.
//!
//! Keys are taken in spans of [`SPAN`], pinned ones first, then the ring in the order of the stream.
//! Each span has its own largest score, sum and weighted values; these are then joined in order.
//! Two kernels compute a span: [`tile`] has one query per lane and suits many queries, [`row`] one
//! key per lane and suits few.
//!
//! Invariant: the result for a query depends on the query, its keys and their numbers in the stream,
//! and on nothing else: both kernels do the same operations on the same numbers in the same order,
//! and a span begins at a multiple of [`SPAN`] in the stream, wherever its keys are stored. So it
//! matters to no bit how tokens are cut into chunks, where the ring wraps, how many threads there
//! are, and how wide their registers.
//!
//! Invariant: a slot that no query of a call sees is not read.
//!
//! Sources: Milakov and Gimelshein, "Online normalizer calculation for softmax", arXiv:1805.02867;
//! Dao et al., arXiv:2205.14135, for the tiling.

#![expect(
    clippy::inline_always,
    clippy::many_single_char_names,
    reason = "what is not inlined is not compiled for the instructions; formulas have short names"
)]

mod row;
#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "numbers are made up")]
mod tests;
mod tile;

use std::cell::Cell;
use std::ops::Range;

use super::packed::team::{Team, parallel};
use super::vector::{Isa, Lanes, Op};
use crate::cache::Visible;

/// Keys of a span. A multiple of 16.
const SPAN: usize = 128;

/// Partial sums of the weights of a span: key `i` of the span goes to sum `i % 16`.
const N_SUMS: usize = 16;

/// Where the largest score starts from: below every score, but a number, so that differences are.
const LOWEST: f32 = f32::MIN;

/// What attention is computed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Query heads, H.
    pub n_heads: usize,
    /// Key and value heads, G; divides H.
    pub n_kv_heads: usize,
    /// Width of a head, D.
    pub head_dim: usize,
    /// Slots of the cache, S.
    pub n_slots: usize,
}

/// The queries of one call, T of them.
#[derive(Debug, Clone, Copy)]
pub struct Queries<'a> {
    /// What each query sees.
    pub visible: &'a [Visible],
    /// Stream index of each query; used with `slopes` only.
    pub indices: &'a [usize],
    /// Position of each query as the pinned keys see it; used with `slopes` only.
    pub pinned_positions: &'a [usize],
    /// `[T, H, D]`, rotated for the ring.
    pub ring: &'a [f32],
    /// `[T, H, D]`, rotated for the pinned keys; may be the same slice.
    pub pinned: &'a [f32],
    /// What scores are multiplied by.
    pub scale: f32,
    /// What a score loses per token of distance, for each head (arXiv:2108.12409).
    pub slopes: Option<&'a [f32]>,
    /// What scores are squeezed to, before the slopes: `cap * tanh(score / cap)`.
    pub cap: Option<f32>,
}

/// Attends to the keys that each query sees.
///
/// A query that sees nothing gets zeros.
///
/// - `keys`, `values`: `[G, S, D]`; slots that no query sees may hold anything
/// - `out`: `[T, H*D]`
/// - `shares`: `[T, H, S]` zeros, where it is wanted how much of its attention each query gives to
///   each slot
///
/// # Panics
/// If a slice has another length than the shape says, or a query sees slots beyond the cache.
pub fn attend(
    shape: &Shape,
    queries: &Queries<'_>,
    keys: &[f32],
    values: &[f32],
    out: &mut [f32],
    shares: Option<&mut [f32]>,
) {
    // Both kernels give the same numbers, and only the one for single tokens keeps its weights.
    let kernel = shares.is_some().then_some(Kernel::Row);
    attend_with(Isa::best(), kernel, shape, queries, [keys, values], out, shares);
}

/// The two ways to fill registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kernel {
    /// A lane is a query.
    Tile,
    /// A lane is a key.
    Row,
}

impl Kernel {
    /// The faster one for so many tokens with so many query heads per key head.
    ///
    /// Measured: four rows as rows take 3/8 of the time of sixteen as a tile.
    fn for_rows(n_tokens: usize, group: usize) -> Self {
        let as_rows = 3 * n_tokens * group.div_ceil(4);
        let as_tiles = 8 * (n_tokens * group).div_ceil(16);
        if as_rows <= as_tiles { Self::Row } else { Self::Tile }
    }
}

/// [`attend`] with chosen instructions and, if it is given, a chosen kernel.
fn attend_with(
    isa: Isa,
    kernel: Option<Kernel>,
    shape: &Shape,
    queries: &Queries<'_>,
    [keys, values]: [&[f32]; 2],
    out: &mut [f32],
    shares: Option<&mut [f32]>,
) {
    check(shape, queries, keys, values, out);
    let n_tokens = queries.visible.len();
    if let Some(shares) = &shares {
        assert_eq!(shares.len(), n_tokens * shape.n_heads * shape.n_slots, "shares");
        assert_eq!(kernel, Some(Kernel::Row), "who keeps the weights");
    }
    if n_tokens == 0 || shape.n_heads == 0 || shape.head_dim == 0 {
        return;
    }
    let n_lanes = isa.run(Width);
    let n_threads = Team::global().n_threads();
    let (n_groups, group) = (shape.n_kv_heads, shape.n_heads / shape.n_kv_heads);
    let kernel = kernel.unwrap_or(Kernel::for_rows(n_tokens, group));
    let (n_rows, n_block_tokens) = match kernel {
        Kernel::Row => (group, 1),
        Kernel::Tile => {
            // Wide blocks are faster, but every thread should have some.
            let enough =
                |&n: &usize| 2 * n_threads <= n_groups * (n_tokens * group).div_ceil(n * n_lanes);
            ([3, 2].into_iter().find(enough).unwrap_or(1) * n_lanes, usize::MAX)
        }
    };
    let plan = Plan::new(queries.visible, group, n_rows, n_block_tokens);
    let (n_blocks, n_spans) = (plan.blocks.len(), plan.spans.len());
    let job = Job {
        shape: *shape,
        group,
        queries: *queries,
        // Powers of two are cheaper than powers of e.
        scale: queries.scale * std::f32::consts::LOG2_E,
        keys: keys.as_ptr(),
        values: values.as_ptr(),
        out: out.as_mut_ptr(),
        shares: shares.map(<[f32]>::as_mut_ptr),
    };
    let task = |kv, block: &Block, spans: Range<usize>, partial| {
        isa.run(Task { job: &job, kernel, kv, block, spans: &plan.spans[spans], step: partial });
    };
    if 4 * n_threads <= n_groups * n_blocks || n_threads == 1 || n_spans == n_blocks {
        // The last blocks see most: first things first.
        parallel(n_groups * n_blocks, &|i| {
            let block = &plan.blocks[n_blocks - 1 - i / n_groups];
            task(i % n_groups, block, block.spans.clone(), Step::All);
        });
        return;
    }
    // Few blocks: each span is a task, and then they are joined.
    let state_len = (n_rows * (shape.head_dim + 2)).next_multiple_of(16);
    let mut states = scratch(n_groups * n_spans * state_len);
    let start = Shared(states.floats());
    let start = &start;
    // SAFETY: `kv < n_groups` and `span <= n_spans`, so this points into the states.
    let state =
        move |kv: usize, span: usize| unsafe { start.0.add((kv * n_spans + span) * state_len) };
    let mut block_of = Vec::with_capacity(n_spans);
    for (b, block) in plan.blocks.iter().enumerate() {
        block_of.resize(block.spans.end, b);
    }
    parallel(n_groups * n_spans, &|i| {
        let (kv, span) = (i / n_spans, i % n_spans);
        task(kv, &plan.blocks[block_of[span]], span..span + 1, Step::Keep(state(kv, span)));
    });
    let join = |i| {
        let (kv, block) = (i % n_groups, &plan.blocks[i / n_groups]);
        task(kv, block, block.spans.clone(), Step::Join(state(kv, block.spans.start), state_len));
    };
    if n_groups * n_spans * state_len < WORTH_A_THREAD {
        (0..n_groups * n_blocks).for_each(join);
    } else {
        parallel(n_groups * n_blocks, &join);
    }
    give_back(states);
}

/// From so many numbers on, handing out the joining is faster than doing it.
const WORTH_A_THREAD: usize = 16_384;

fn check(shape: &Shape, queries: &Queries<'_>, keys: &[f32], values: &[f32], out: &[f32]) {
    let Shape { n_heads, n_kv_heads, head_dim, n_slots } = *shape;
    let n_tokens = queries.visible.len();
    assert!(
        n_kv_heads != 0 && n_heads % n_kv_heads == 0,
        "{n_kv_heads} key heads for {n_heads} heads"
    );
    let [n_query, n_key] =
        [[n_tokens, n_heads, head_dim], [n_kv_heads, n_slots, head_dim]].map(|dims| {
            dims.into_iter().try_fold(1usize, usize::checked_mul).expect("no slice is so long")
        });
    assert_eq!(queries.ring.len(), n_query, "queries for the ring");
    assert_eq!(queries.pinned.len(), n_query, "queries for the pinned keys");
    assert_eq!(out.len(), n_query, "output");
    assert_eq!(keys.len(), n_key, "keys");
    assert_eq!(values.len(), n_key, "values");
    assert_eq!(queries.indices.len(), n_tokens, "indices");
    assert_eq!(queries.pinned_positions.len(), n_tokens, "pinned positions");
    assert!(queries.slopes.is_none_or(|s| s.len() == n_heads), "a slope per head");
    for seen in queries.visible {
        for run in [&seen.pinned, &seen.ring[0], &seen.ring[1]] {
            assert!(run.is_empty() || run.end <= n_slots, "slots {run:?} of {n_slots}");
        }
    }
}

/// Asks for the width of a register.
struct Width;

impl Op for Width {
    type Output = usize;
    #[inline(always)]
    fn run<L: Lanes>(self, _: L) -> usize {
        L::N
    }
}

/// What all tasks of a call share. The pointers have been checked against the shape.
struct Job<'a> {
    shape: Shape,
    /// Query heads per key head.
    group: usize,
    queries: Queries<'a>,
    /// Of scores, in powers of two.
    scale: f32,
    keys: *const f32,
    values: *const f32,
    /// Each task writes rows of its own.
    out: *mut f32,
    /// Of each row its scores, and then what it gives to each slot; each task writes those of its own
    /// rows and spans.
    shares: Option<*mut f32>,
}

// SAFETY: keys and values are only read, and no two tasks write the same row of `out`.
unsafe impl Sync for Job<'_> {}

/// A pointer to memory of which every task touches a part of its own.
struct Shared(*mut f32);

// SAFETY: as said.
unsafe impl Sync for Shared {}

impl Job<'_> {
    /// Token of a row: rows are the queries of one key head, token by token.
    #[inline(always)]
    fn token(&self, row: usize) -> usize {
        row / self.group
    }

    /// Head of a row.
    #[inline(always)]
    fn head(&self, kv: usize, row: usize) -> usize {
        kv * self.group + row % self.group
    }

    /// Where the numbers of a row start, in the queries and in the output.
    #[inline(always)]
    fn offset(&self, kv: usize, row: usize) -> usize {
        (self.token(row) * self.shape.n_heads + self.head(kv, row)) * self.shape.head_dim
    }

    /// Where the shares of a row start, if they are wanted.
    #[inline(always)]
    fn shares(&self, kv: usize, row: usize) -> Option<*mut f32> {
        let at = (self.token(row) * self.shape.n_heads + self.head(kv, row)) * self.shape.n_slots;
        // SAFETY: the row exists, and there are so many numbers for each.
        self.shares.map(|shares| unsafe { shares.add(at) })
    }

    /// What the score of a row gains per token of distance, in powers of two.
    #[inline(always)]
    fn slope(&self, kv: usize, row: usize) -> f32 {
        self.queries.slopes.map_or(0.0, |s| -s[self.head(kv, row)] * std::f32::consts::LOG2_E)
    }

    /// What scores are squeezed to, in powers of two.
    #[inline(always)]
    fn cap(&self) -> Option<f32> {
        self.queries.cap.map(|cap| cap * std::f32::consts::LOG2_E)
    }

    /// Where the keys or the values of a head start.
    #[inline(always)]
    fn head_start(&self, kv: usize) -> usize {
        kv * self.shape.n_slots * self.shape.head_dim
    }
}

/// Keys of one kind that stand beside each other: pinned keys are known by their slots, ring keys by
/// their indices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Keys {
    /// Those that some query of the block sees.
    some: Range<usize>,
    /// Those that all of them see.
    all: Range<usize>,
    /// Their slots, in order; at most three runs.
    runs: [Range<usize>; 3],
}

impl Keys {
    /// The keys that one query sees.
    fn new(keys: Range<usize>, first: &Range<usize>, second: &Range<usize>) -> Self {
        if keys.is_empty() {
            return Self::default();
        }
        let mut runs = [first.clone(), second.clone(), 0..0];
        if first.is_empty() {
            runs.swap(0, 1);
        }
        Self { some: keys.clone(), all: keys, runs }
    }

    /// Those that a further query sees as well; `None` if they do not join up.
    fn with(&self, other: &Self) -> Option<Self> {
        if self.some.is_empty() || other.some.is_empty() {
            let some = if self.some.is_empty() { other } else { self };
            return Some(Self { all: 0..0, ..some.clone() });
        }
        let mut joined = self.clone();
        joined.all = self.all.start.max(other.all.start)..self.all.end.min(other.all.end);
        if joined.all.is_empty() {
            joined.all = 0..0;
        }
        if other.some.start < self.some.start || self.some.end < other.some.start {
            return None;
        }
        let mut key = other.some.start;
        for run in &other.runs {
            let n_known = joined.some.end.saturating_sub(key).min(run.len());
            let new = run.start + n_known..run.end;
            key += run.len();
            if new.is_empty() {
                continue;
            }
            joined.some.end = key;
            let used = joined.runs.iter().filter(|r| !r.is_empty()).count();
            if used != 0 && joined.runs[used - 1].end == new.start {
                joined.runs[used - 1].end = new.end;
            } else {
                *joined.runs.get_mut(used)? = new;
            }
        }
        Some(joined)
    }

    /// Appends the spans of these keys.
    fn spans(&self, is_pinned: bool, spans: &mut Vec<Span>) {
        let mut key = self.some.start;
        while key < self.some.end {
            let start = key - key % SPAN;
            let end = self.some.end.min(start + SPAN);
            let mut runs = self.runs.clone();
            let mut before = self.some.start;
            for run in &mut runs {
                let n = run.len();
                let cut = |at: usize| run.start + at.saturating_sub(before).min(n);
                *run = cut(key)..cut(end);
                before += n;
            }
            let is_ragged = key < self.all.start || self.all.end < end;
            spans.push(Span { is_pinned, start, keys: key - start..end - start, runs, is_ragged });
            key = end;
        }
    }
}

/// What one query sees, as [`Keys`].
fn pinned_keys(seen: &Visible) -> Keys {
    Keys::new(seen.pinned.clone(), &seen.pinned, &(0..0))
}

/// What one query sees, as [`Keys`].
fn ring_keys(seen: &Visible) -> Keys {
    let n = seen.ring[0].len() + seen.ring[1].len();
    Keys::new(seen.first_index..seen.first_index + n, &seen.ring[0], &seen.ring[1])
}

/// Keys of a span that a block sees.
#[derive(Debug)]
struct Span {
    is_pinned: bool,
    /// First key of the whole span.
    start: usize,
    /// The seen part, counted from there.
    keys: Range<usize>,
    /// Slots of the seen part, in order.
    runs: [Range<usize>; 3],
    /// Whether some query of the block does not see all of the seen part.
    is_ragged: bool,
}

/// Rows that are computed together.
#[derive(Debug)]
struct Block {
    rows: Range<usize>,
    /// Which of the plan's spans it sees.
    spans: Range<usize>,
    /// The first key seen, by [`Span::is_pinned`].
    first: [usize; 2],
}

/// Who is computed with whom, and what they see.
#[derive(Debug)]
struct Plan {
    blocks: Vec<Block>,
    spans: Vec<Span>,
}

impl Plan {
    /// Cuts the rows into blocks of at most `n_rows` rows of `n_tokens` tokens.
    fn new(visible: &[Visible], group: usize, n_rows: usize, n_tokens: usize) -> Self {
        let mut plan = Self { blocks: Vec::new(), spans: Vec::new() };
        let mut start = 0;
        while start < visible.len() * group {
            let first = start / group;
            let mut token = first + 1;
            let (mut pinned, mut ring) = (pinned_keys(&visible[first]), ring_keys(&visible[first]));
            while token < visible.len()
                && token * group < start + n_rows
                && token - first < n_tokens
            {
                let more = (
                    pinned.with(&pinned_keys(&visible[token])),
                    ring.with(&ring_keys(&visible[token])),
                );
                let (Some(p), Some(r)) = more else { break };
                (pinned, ring) = (p, r);
                token += 1;
            }
            let end = (token * group).min(start + n_rows);
            let n_before = plan.spans.len();
            pinned.spans(true, &mut plan.spans);
            ring.spans(false, &mut plan.spans);
            plan.blocks.push(Block {
                rows: start..end,
                spans: n_before..plan.spans.len(),
                first: [ring.some.start, pinned.some.start],
            });
            start = end;
        }
        plan
    }
}

/// What a task does with the states of its spans.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Computes and joins all, and writes the result.
    All,
    /// Leaves the state of its only span here.
    Keep(*mut f32),
    /// Joins the states that lie here, each so far from the one before, and writes the result.
    Join(*mut f32, usize),
}

/// Some spans of one block and one key head.
struct Task<'a> {
    job: &'a Job<'a>,
    kernel: Kernel,
    kv: usize,
    block: &'a Block,
    spans: &'a [Span],
    step: Step,
}

impl Op for Task<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        // SAFETY: `check` has compared all slices with the shape, and plans see no further.
        unsafe {
            match (self.kernel, self.block.rows.len().div_ceil(L::N)) {
                (Kernel::Row, _) => row::run(l, &self),
                (Kernel::Tile, 1) => tile::run::<L, 1>(l, &self),
                (Kernel::Tile, 2) => tile::run::<L, 2>(l, &self),
                (Kernel::Tile, _) => tile::run::<L, 3>(l, &self),
            }
        }
    }
}

/// How a span joins what came before: both are brought to the same largest score.
///
/// Returns the new largest score and the factors of the old state and of the span.
#[inline(always)]
fn factors<L: Lanes>(l: L, old: L::V, new: L::V) -> (L::V, L::V, L::V) {
    let max = l.max(old, new);
    (max, l.exp2(l.sub(old, max)), l.exp2(l.sub(new, max)))
}

/// `old * a + new * b`.
#[inline(always)]
fn blend<L: Lanes>(l: L, old: L::V, a: L::V, new: L::V, b: L::V) -> L::V {
    l.mul_add(new, b, l.mul(old, a))
}

/// One over a sum of weights; 0 for the sum of none.
#[inline(always)]
fn inverse<L: Lanes>(l: L, sum: L::V) -> L::V {
    l.zero_below(l.div(l.splat(1.0), sum), sum, l.splat(f32::MIN_POSITIVE))
}

/// The difference of two keys, small enough for an f32 to hold it.
#[inline(always)]
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "below the window, 2^24"
)]
fn distance(from: usize, to: usize) -> f32 {
    (to as isize - from as isize) as f32
}

/// A cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "written through pointers")] [f32; 16]);

/// Memory that a thread keeps between tasks; its contents are those of the last task.
struct Scratch(Vec<Line>);

impl Scratch {
    fn floats(&mut self) -> *mut f32 {
        self.0.as_mut_ptr().cast()
    }
}

thread_local! {
    static SCRATCH: Cell<[Vec<Line>; 2]> = const { Cell::new([Vec::new(), Vec::new()]) };
}

/// Takes memory for `n` numbers from the thread's stock, of two pieces.
fn scratch(n: usize) -> Scratch {
    let [mut lines, other] = SCRATCH.take();
    SCRATCH.set([other, Vec::new()]);
    if lines.len() < n.div_ceil(16) {
        lines.resize(n.div_ceil(16), Line([0.0; 16]));
    }
    Scratch(lines)
}

/// Puts it back.
fn give_back(scratch: Scratch) {
    let [first, _] = SCRATCH.take();
    SCRATCH.set([scratch.0, first]);
}
