//! A lane is a query: scores and weights are `[keys, queries]`, so that the softmax works lane by
//! lane, and neither keys nor values are ever rearranged.

use std::ops::Range;

use super::{
    Job, LOWEST, N_SUMS, SPAN, Span, Step, Task, blend, distance, factors, give_back, inverse,
    scratch,
};
use crate::model::vector::Lanes;

/// The state of a block is `[2 + D, N * L::N]`: largest scores, sums of weights, weighted values.
const STATE_HEAD: usize = 2;

/// What the lanes know, for the ring and for the pinned keys: each `[N * L::N]`.
struct Facts {
    /// `[D, N * L::N]` queries, scaled.
    query: *mut f32,
    /// First and last key seen, counted from the block's first.
    first: *mut f32,
    last: *mut f32,
    /// The query's own place, counted likewise.
    place: *mut f32,
}

/// Runs a task with blocks `N` registers wide.
///
/// # Safety
/// The slices of the job have the lengths that its shape says, the block's rows exist and its spans
/// lie in the cache; a state of [`Step`] is as long as the block needs.
#[inline(always)]
pub(super) unsafe fn run<L: Lanes, const N: usize>(l: L, task: &Task<'_>) {
    let (job, width, d) = (task.job, N * L::N, task.job.shape.head_dim);
    let state_len = (STATE_HEAD + d) * width;
    let mut memory = scratch(2 * (d + 3) * width + width + SPAN * width + state_len + 2 * width);
    // SAFETY: the pieces fit the memory just taken, which starts at a cache line; the rest is the
    // caller's promise.
    unsafe {
        let mut next = memory.floats();
        let mut piece = |len: usize| {
            let p = next;
            next = next.add(len);
            p
        };
        if let Step::Join(states, stride) = task.step {
            for i in 1..task.spans.len() {
                join::<L, N>(l, d, states, states.add(i * stride));
            }
            finish::<L, N>(l, task, states);
            give_back(memory);
            return;
        }
        let weights = piece(SPAN * width);
        let factors = piece(2 * width);
        let slopes = piece(width);
        let facts: [Facts; 2] = [(); 2].map(|()| Facts {
            query: piece(d * width),
            first: piece(width),
            last: piece(width),
            place: piece(width),
        });
        let own_state = piece(state_len);
        let state = if let Step::Keep(state) = task.step { state } else { own_state };
        for i in 0..N {
            l.store(state.add(i * L::N), l.splat(LOWEST));
        }
        for i in N..(STATE_HEAD + d) * N {
            l.store(state.add(i * L::N), l.splat(0.0));
        }
        for (is_pinned, facts) in [false, true].into_iter().zip(&facts) {
            if task.spans.iter().any(|s| s.is_pinned == is_pinned) {
                gather::<L, N>(l, task, is_pinned, facts);
            }
        }
        for lane in 0..width {
            *slopes.add(lane) = job.slope(task.kv, row_of(task, lane));
        }
        for span in task.spans {
            let facts = &facts[usize::from(span.is_pinned)];
            let first = task.block.first[usize::from(span.is_pinned)];
            let tile = Tile { job, kv: task.kv, span, facts, slopes, weights, factors, first };
            score::<L, N>(l, &tile);
            soften::<L, N>(l, &tile, state);
            weigh::<L, N>(l, &tile, state.add(STATE_HEAD * width));
        }
        if let Step::All = task.step {
            finish::<L, N>(l, task, state);
        }
    }
    give_back(memory);
}

/// The row of a lane; lanes too many repeat the last row.
#[inline(always)]
fn row_of(task: &Task<'_>, lane: usize) -> usize {
    (task.block.rows.start + lane).min(task.block.rows.end - 1)
}

/// One block and one span.
struct Tile<'a> {
    job: &'a Job<'a>,
    kv: usize,
    span: &'a Span,
    facts: &'a Facts,
    /// `[N * L::N]`.
    slopes: *const f32,
    /// `[SPAN, N * L::N]`: scores, then weights.
    weights: *mut f32,
    /// `[2, N * L::N]`: by what the old state and the span are multiplied.
    factors: *mut f32,
    /// The block's first key of this kind.
    first: usize,
}

/// Collects what the lanes know.
///
/// # Safety
/// As for [`run`]; the facts point to enough memory.
#[inline(always)]
unsafe fn gather<L: Lanes, const N: usize>(l: L, task: &Task<'_>, is_pinned: bool, facts: &Facts) {
    let (job, width, d) = (task.job, N * L::N, task.job.shape.head_dim);
    let queries = &job.queries;
    let (numbers, places) = if is_pinned {
        (queries.pinned.as_ptr(), queries.pinned_positions)
    } else {
        (queries.ring.as_ptr(), queries.indices)
    };
    let base = task.block.first[usize::from(is_pinned)];
    let scale = l.splat(job.scale);
    // SAFETY: rows are inside the queries, the caller's promise; `columns` reads four numbers of
    // each, at most up to `d`.
    unsafe {
        for n in 0..N {
            let mut rows = [numbers; 16];
            for (i, row) in rows.iter_mut().enumerate().take(L::N) {
                *row = numbers.add(job.offset(task.kv, row_of(task, n * L::N + i)));
            }
            let to = facts.query.add(n * L::N);
            for k in (0..d / 4 * 4).step_by(4) {
                let columns = l.columns(|i| rows[i].add(k));
                for (c, column) in columns.into_iter().enumerate() {
                    l.store(to.add((k + c) * width), l.mul(column, scale));
                }
            }
            for k in d / 4 * 4..d {
                for (i, row) in rows.iter().enumerate().take(L::N) {
                    *to.add(k * width + i) = *row.add(k) * job.scale;
                }
            }
        }
        for lane in 0..width {
            let token = job.token(row_of(task, lane));
            let seen = &queries.visible[token];
            let (first, len) = if is_pinned {
                (seen.pinned.start, seen.pinned.len())
            } else {
                (seen.first_index, seen.ring[0].len() + seen.ring[1].len())
            };
            let is_empty = len == 0;
            *facts.first.add(lane) = if is_empty { f32::INFINITY } else { distance(base, first) };
            *facts.last.add(lane) = if is_empty { 0.0 } else { distance(base, first + len) - 1.0 };
            *facts.place.add(lane) = distance(base, places[token]);
        }
    }
}

/// Writes the scores of a span.
///
/// # Safety
/// As for [`run`].
#[inline(always)]
unsafe fn score<L: Lanes, const N: usize>(l: L, tile: &Tile<'_>) {
    let (width, d) = (N * L::N, tile.job.shape.head_dim);
    // SAFETY: slots lie in the cache, and the tile has room for a span.
    unsafe {
        let keys = tile.job.keys.add(tile.job.head_start(tile.kv));
        let mut out = tile.weights.add(tile.span.keys.start * width);
        for run in &tile.span.runs {
            let mut slot = run.start;
            while slot + 8 <= run.end && L::TILE == 8 {
                score_some::<L, 8, N>(l, d, tile.facts.query, keys.add(slot * d), out);
                (slot, out) = (slot + 8, out.add(8 * width));
            }
            while slot + 4 <= run.end {
                score_some::<L, 4, N>(l, d, tile.facts.query, keys.add(slot * d), out);
                (slot, out) = (slot + 4, out.add(4 * width));
            }
            while slot < run.end {
                score_some::<L, 1, N>(l, d, tile.facts.query, keys.add(slot * d), out);
                (slot, out) = (slot + 1, out.add(width));
            }
        }
    }
}

/// Writes the scores of `M` keys.
///
/// # Safety
/// `query` points to `[d, N * L::N]` numbers, `keys` to `[M, d]`, `out` to `[M, N * L::N]`.
#[inline(always)]
unsafe fn score_some<L: Lanes, const M: usize, const N: usize>(
    l: L,
    d: usize,
    query: *const f32,
    keys: *const f32,
    out: *mut f32,
) {
    let mut sums = [[l.splat(0.0); N]; M];
    // SAFETY: the caller's promise.
    unsafe {
        for k in 0..d {
            let mut q = [l.splat(0.0); N];
            for (n, q) in q.iter_mut().enumerate() {
                *q = l.load(query.add((k * N + n) * L::N));
            }
            for (m, sums) in sums.iter_mut().enumerate() {
                let key = l.splat(*keys.add(m * d + k));
                for (sum, q) in sums.iter_mut().zip(q) {
                    *sum = l.mul_add(q, key, *sum);
                }
            }
        }
        for (m, sums) in sums.iter().enumerate() {
            for (n, sum) in sums.iter().enumerate() {
                l.store(out.add((m * N + n) * L::N), *sum);
            }
        }
    }
}

/// Turns the scores of a span into weights and joins their sum to the state.
///
/// # Safety
/// As for [`run`].
#[inline(always)]
unsafe fn soften<L: Lanes, const N: usize>(l: L, tile: &Tile<'_>, state: *mut f32) {
    let width = N * L::N;
    let (Range { start, end }, cap) = (tile.span.keys.clone(), tile.job.cap());
    let mut max = [l.splat(LOWEST); N];
    // SAFETY: all offsets are inside the tile and the state.
    unsafe {
        if tile.span.is_ragged || tile.job.queries.slopes.is_some() || cap.is_some() {
            for key in start..end {
                let place = l.splat(distance(tile.first, tile.span.start + key));
                for (n, max) in max.iter_mut().enumerate() {
                    let at = n * L::N;
                    let p = tile.weights.add(key * width + at);
                    let fall = l.sub(l.load(tile.facts.place.add(at)), place);
                    let mut score = l.load(p);
                    if let Some(cap) = cap {
                        score = l.squeeze(score, l.splat(cap));
                    }
                    let biased = l.mul_add(l.load(tile.slopes.add(at)), fall, score);
                    let (first, last) = (tile.facts.first.add(at), tile.facts.last.add(at));
                    let score = l.keep(biased, place, l.load(first), l.load(last));
                    l.store(p, score);
                    *max = l.max(*max, score);
                }
            }
        } else {
            for key in start..end {
                for (n, max) in max.iter_mut().enumerate() {
                    *max = l.max(*max, l.load(tile.weights.add(key * width + n * L::N)));
                }
            }
        }
        let mut sums = [[l.splat(0.0); N]; N_SUMS];
        for (i, sums) in sums.iter_mut().enumerate() {
            // The first key from `start` on that belongs to this sum.
            let first = start + (N_SUMS + i - start % N_SUMS) % N_SUMS;
            for key in (first..end).step_by(N_SUMS) {
                for (n, (sum, max)) in sums.iter_mut().zip(max).enumerate() {
                    let p = tile.weights.add(key * width + n * L::N);
                    let weight = l.exp2(l.sub(l.load(p), max));
                    l.store(p, weight);
                    *sum = l.add(*sum, weight);
                }
            }
        }
        let mut half = N_SUMS / 2;
        while 0 < half {
            let (lower, upper) = sums.split_at_mut(half);
            for (lower, upper) in lower.iter_mut().zip(upper) {
                for (sum, more) in lower.iter_mut().zip(upper) {
                    *sum = l.add(*sum, *more);
                }
            }
            half /= 2;
        }
        for n in 0..N {
            let (at_max, at_sum) = (state.add(n * L::N), state.add(width + n * L::N));
            let (max, a, b) = factors(l, l.load(at_max), max[n]);
            l.store(at_max, max);
            l.store(at_sum, blend(l, l.load(at_sum), a, sums[0][n], b));
            l.store(tile.factors.add(n * L::N), a);
            l.store(tile.factors.add(width + n * L::N), b);
        }
    }
}

/// Joins the weighted values of a span to those of the state.
///
/// # Safety
/// As for [`run`].
#[inline(always)]
unsafe fn weigh<L: Lanes, const N: usize>(l: L, tile: &Tile<'_>, sums: *mut f32) {
    let (width, d) = (N * L::N, tile.job.shape.head_dim);
    let mut k = 0;
    // SAFETY: each call stays below `d`.
    unsafe {
        while k + 8 <= d && L::TILE == 8 {
            weigh_some::<L, 8, N>(l, tile, k, sums.add(k * width));
            k += 8;
        }
        while k + 4 <= d {
            weigh_some::<L, 4, N>(l, tile, k, sums.add(k * width));
            k += 4;
        }
        while k < d {
            weigh_some::<L, 1, N>(l, tile, k, sums.add(k * width));
            k += 1;
        }
    }
}

/// Joins `M` columns of the weighted values, from column `k` on.
///
/// # Safety
/// As for [`run`]; `sums` points to `[M, N * L::N]` numbers.
#[inline(always)]
unsafe fn weigh_some<L: Lanes, const M: usize, const N: usize>(
    l: L,
    tile: &Tile<'_>,
    k: usize,
    out: *mut f32,
) {
    let (width, d) = (N * L::N, tile.job.shape.head_dim);
    let mut sums = [[l.splat(0.0); N]; M];
    // SAFETY: slots lie in the cache, keys in the tile.
    unsafe {
        let values = tile.job.values.add(tile.job.head_start(tile.kv) + k);
        let mut weights = tile.weights.add(tile.span.keys.start * width).cast_const();
        for run in &tile.span.runs {
            let mut value = values.add(run.start * d);
            for _ in run.clone() {
                let mut w = [l.splat(0.0); N];
                for (n, w) in w.iter_mut().enumerate() {
                    *w = l.load(weights.add(n * L::N));
                }
                for (m, sums) in sums.iter_mut().enumerate() {
                    let v = l.splat(*value.add(m));
                    for (sum, w) in sums.iter_mut().zip(w) {
                        *sum = l.mul_add(w, v, *sum);
                    }
                }
                weights = weights.add(width);
                value = value.wrapping_add(d);
            }
        }
        for (m, sums) in sums.iter().enumerate() {
            for (n, sum) in sums.iter().enumerate() {
                let (a, b) = (tile.factors.add(n * L::N), tile.factors.add(width + n * L::N));
                let p = out.add((m * N + n) * L::N);
                l.store(p, blend(l, l.load(p), l.load(a), *sum, l.load(b)));
            }
        }
    }
}

/// Joins the state of a span to that of all before it.
///
/// # Safety
/// Both point to states of blocks `N` registers wide.
#[inline(always)]
unsafe fn join<L: Lanes, const N: usize>(l: L, d: usize, state: *mut f32, span: *const f32) {
    let width = N * L::N;
    for n in 0..N {
        // SAFETY: offsets up to `(2 + d) * width`, the length of a state.
        unsafe {
            let at = n * L::N;
            let (max, a, b) = factors(l, l.load(state.add(at)), l.load(span.add(at)));
            l.store(state.add(at), max);
            for k in 1..STATE_HEAD + d {
                let p = state.add(k * width + at);
                l.store(p, blend(l, l.load(p), a, l.load(span.add(k * width + at)), b));
            }
        }
    }
}

/// Divides by the sums of weights and writes the rows of the block.
///
/// # Safety
/// As for [`run`]; the state belongs to a block `N` registers wide.
#[inline(always)]
unsafe fn finish<L: Lanes, const N: usize>(l: L, task: &Task<'_>, state: *mut f32) {
    let (job, width, d) = (task.job, N * L::N, task.job.shape.head_dim);
    // SAFETY: the block's rows are inside the output, and no other task writes them.
    unsafe {
        let sums = state.add(STATE_HEAD * width);
        for n in 0..N {
            let by = inverse(l, l.load(state.add(width + n * L::N)));
            for k in 0..d {
                let p = sums.add(k * width + n * L::N);
                l.store(p, l.mul(l.load(p), by));
            }
        }
        let n_rows = task.block.rows.len();
        let whole = d / L::N * L::N;
        for lane in (0..n_rows.next_multiple_of(4)).step_by(4) {
            let mut rows = [job.out; 4];
            for (i, row) in rows.iter_mut().enumerate() {
                *row = job.out.add(job.offset(task.kv, row_of(task, lane + i)));
            }
            // Lanes too many repeat the last row but may hold something else: they are left out.
            let rows = &rows[..4.min(n_rows - lane)];
            for k in (0..whole).step_by(L::N) {
                let columns = l.columns(|i| sums.add((k + i) * width + lane));
                for (row, column) in rows.iter().zip(columns) {
                    l.store(row.add(k), column);
                }
            }
            for k in whole..d {
                for (i, row) in rows.iter().enumerate() {
                    *row.add(k) = *sums.add(k * width + lane + i);
                }
            }
        }
    }
}
