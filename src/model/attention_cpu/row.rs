//! A lane is a key, and later a column of the values: for a few queries of one token, where all
//! that counts is how fast keys and values can be read.

use super::{
    Job, LOWEST, N_SUMS, SPAN, Span, Step, Task, blend, distance, factors, give_back, inverse,
    scratch,
};
use crate::model::vector::Lanes;

/// Runs a task whose block is one token.
///
/// The state is `[2 + D, rows]`: largest scores, sums of weights, then `[rows, D]` weighted values.
///
/// # Safety
/// The slices of the job have the lengths that its shape says, the block's rows exist and its spans
/// lie in the cache; a state of [`Step`] is as long as the block needs.
#[inline(always)]
pub(super) unsafe fn run<L: Lanes>(l: L, task: &Task<'_>) {
    let (job, d, n_rows) = (task.job, task.job.shape.head_dim, task.block.rows.len());
    let state_len = (2 + d) * n_rows;
    let mut memory = scratch((SPAN + 2 * d + 2) * n_rows + L::N * d + state_len);
    // SAFETY: the pieces fit the memory just taken; the rest is the caller's promise.
    unsafe {
        if let Step::Join(states, stride) = task.step {
            for i in 1..task.spans.len() {
                join(l, d, n_rows, states, states.add(i * stride));
            }
            finish(l, task, states);
            give_back(memory);
            return;
        }
        let weights = memory.floats();
        let rows = weights.add(SPAN * n_rows);
        let queries = rows.add(L::N * d);
        let factors = queries.add(2 * d * n_rows);
        let own_state = factors.add(2 * n_rows);
        let state = if let Step::Keep(state) = task.step { state } else { own_state };
        for i in 0..n_rows {
            *state.add(i) = LOWEST;
        }
        for i in n_rows..state_len {
            *state.add(i) = 0.0;
        }
        for is_pinned in [false, true] {
            if task.spans.iter().any(|s| s.is_pinned == is_pinned) {
                let from = if is_pinned { job.queries.pinned } else { job.queries.ring };
                // The rows of one token stand beside each other.
                let from = &from[job.offset(task.kv, task.block.rows.start)..][..d * n_rows];
                let to = queries.add(usize::from(is_pinned) * d * n_rows);
                for (i, q) in from.iter().enumerate() {
                    *to.add(i) = q * job.scale;
                }
            }
        }
        for span in task.spans {
            let query = queries.add(usize::from(span.is_pinned) * d * n_rows);
            let line = Line { job, task, span, query, rows, weights, factors, n_rows };
            score(l, &line);
            for row in 0..n_rows {
                soften(l, &line, row, state);
            }
            weigh(l, &line, state.add(2 * n_rows));
        }
        if let Step::All = task.step {
            finish(l, task, state);
        }
    }
    give_back(memory);
}

/// One token and one span.
struct Line<'a> {
    job: &'a Job<'a>,
    task: &'a Task<'a>,
    span: &'a Span,
    /// `[rows, D]`, scaled.
    query: *const f32,
    /// `[L::N, D]`: keys that do not fill a register, or lie in two runs.
    rows: *mut f32,
    /// `[rows, SPAN]`: scores, then weights.
    weights: *mut f32,
    /// `[rows, 2]`: by what the old state and the span are multiplied.
    factors: *mut f32,
    n_rows: usize,
}

/// Writes the scores of a span, minus infinity for keys that are not seen.
///
/// # Safety
/// As for [`run`].
#[inline(always)]
unsafe fn score<L: Lanes>(l: L, line: &Line<'_>) {
    let (job, d, keys) = (line.job, line.job.shape.head_dim, &line.span.keys);
    // SAFETY: slots lie in the cache, lanes in the span.
    unsafe {
        let start = job.keys.add(job.head_start(line.task.kv));
        let values = job.values.add(job.head_start(line.task.kv));
        for at in (keys.start / L::N * L::N..keys.end).step_by(L::N) {
            let from = at.max(keys.start) - keys.start;
            let to = (at + L::N).min(keys.end) - keys.start;
            // The run that holds the first of these keys.
            let mut before = 0;
            let mut run = &line.span.runs[0];
            for next in &line.span.runs[1..] {
                if before + run.len() <= from {
                    before += run.len();
                    run = next;
                }
            }
            let p = if to - from == L::N && to <= before + run.len() {
                start.add((run.start + from - before) * d)
            } else {
                collect(line, start, at, L::N);
                line.rows
            };
            // The next keys and the values of these: beyond the end of the run it does no harm.
            let slot = run.start + from - before;
            let soon = [start.wrapping_add((slot + L::N) * d), values.wrapping_add(slot * d)];
            let out = line.weights.add(at);
            let mut row = 0;
            while row + 4 <= line.n_rows {
                score_some::<L, 4>(l, d, line.query.add(row * d), p, out.add(row * SPAN), soon);
                row += 4;
            }
            let (query, out) = (line.query.add(row * d), out.add(row * SPAN));
            match line.n_rows - row {
                0 => {}
                1 => score_some::<L, 1>(l, d, query, p, out, soon),
                2 => score_some::<L, 2>(l, d, query, p, out, soon),
                _ => score_some::<L, 3>(l, d, query, p, out, soon),
            }
        }
    }
}

/// Copies the keys `at..at + n` of the span that are seen, with zeros for the others.
///
/// # Safety
/// As for [`run`].
#[inline(never)]
unsafe fn collect(line: &Line<'_>, start: *const f32, at: usize, n: usize) {
    let d = line.job.shape.head_dim;
    // SAFETY: `n` rows fit `rows`; slots lie in the cache.
    unsafe {
        line.rows.write_bytes(0, n * d);
        let slots = line.span.runs.iter().cloned().flatten();
        for (key, slot) in (line.span.keys.start..).zip(slots) {
            if at <= key && key < at + n {
                start.add(slot * d).copy_to_nonoverlapping(line.rows.add((key - at) * d), d);
            }
        }
    }
}

/// Writes the scores of `L::N` keys for `H` queries.
///
/// # Safety
/// `query` points to `[H, d]` numbers, `keys` to `[L::N, d]`, `out` to `[H, SPAN]` less what
/// precedes the keys in the first row.
#[inline(always)]
unsafe fn score_some<L: Lanes, const H: usize>(
    l: L,
    d: usize,
    query: *const f32,
    keys: *const f32,
    out: *mut f32,
    soon: [*const f32; 2],
) {
    let mut sums = [l.splat(0.0); H];
    // SAFETY: the caller's promise.
    unsafe {
        let mut k = 0;
        while k + 4 <= d {
            // So that each piece of `L::N * d` numbers is asked for once.
            for line in 0..L::N / 4 {
                for piece in soon {
                    l.prefetch(piece.wrapping_add(k * L::N + line * 16));
                }
            }
            let columns = l.columns(|i| keys.add(i * d + k));
            for (c, column) in columns.into_iter().enumerate() {
                for (h, sum) in sums.iter_mut().enumerate() {
                    *sum = l.mul_add(l.splat(*query.add(h * d + k + c)), column, *sum);
                }
            }
            k += 4;
        }
        while k < d {
            let mut column = [0f32; 16];
            for (i, lane) in column.iter_mut().enumerate().take(L::N) {
                *lane = *keys.add(i * d + k);
            }
            let column = l.load(column.as_ptr());
            for (h, sum) in sums.iter_mut().enumerate() {
                *sum = l.mul_add(l.splat(*query.add(h * d + k)), column, *sum);
            }
            k += 1;
        }
        for (h, sum) in sums.iter().enumerate() {
            l.store(out.add(h * SPAN), *sum);
        }
    }
}

/// Turns the scores of a row into weights and joins their sum to the state.
///
/// # Safety
/// As for [`run`].
#[inline(always)]
unsafe fn soften<L: Lanes>(l: L, line: &Line<'_>, row: usize, state: *mut f32) {
    let (job, kv, span) = (line.job, line.task.kv, line.span);
    let block = line.task.block;
    let token = job.token(block.rows.start);
    let base = block.first[usize::from(span.is_pinned)];
    let places = if span.is_pinned { job.queries.pinned_positions } else { job.queries.indices };
    let place = l.splat(distance(base, places[token]));
    let slope = l.splat(job.slope(kv, block.rows.start + row));
    let (biased, cap) = (job.queries.slopes.is_some(), job.cap());
    let (first, last) = (distance(0, span.keys.start), distance(0, span.keys.end) - 1.0);
    let counting: [f32; 16] = std::array::from_fn(|i| distance(0, i));
    let mut max = [LOWEST; 16];
    let mut sums = [0f32; N_SUMS];
    // SAFETY: weights from the first key, rounded down to a register, to the last, rounded up, were
    // written by `score`; they are within a span.
    unsafe {
        let weights = line.weights.add(row * SPAN);
        let counting = l.load(counting.as_ptr());
        let offsets = (span.keys.start / L::N * L::N..span.keys.end).step_by(L::N);
        let mut largest = l.splat(LOWEST);
        for at in offsets.clone() {
            let p = weights.add(at);
            let key = l.add(l.splat(distance(0, at)), counting);
            let mut score = l.load(p);
            if let Some(cap) = cap {
                score = l.squeeze(score, l.splat(cap));
            }
            if biased {
                let fall = l.sub(place, l.add(l.splat(distance(base, span.start)), key));
                score = l.mul_add(slope, fall, score);
            }
            let score = l.keep(score, key, l.splat(first), l.splat(last));
            l.store(p, score);
            largest = l.max(largest, score);
        }
        if let Some(shares) = job.shares(line.task.kv, block.rows.start + row) {
            // As they are, until the sum of all weights is known.
            let mut from = weights.add(span.keys.start).cast_const();
            for run in &span.runs {
                from.copy_to_nonoverlapping(shares.add(run.start), run.len());
                from = from.add(run.len());
            }
        }
        l.store(max.as_mut_ptr(), largest);
        let largest = l.splat(max.iter().fold(LOWEST, |a, &b| if a > b { a } else { b }));
        // A register of 8 lanes holds every other half of the sums.
        let mut halves = [l.splat(0.0); 2];
        for at in offsets {
            let p = weights.add(at);
            let weight = l.exp2(l.sub(l.load(p), largest));
            l.store(p, weight);
            let half = &mut halves[at / L::N % (N_SUMS / L::N)];
            *half = l.add(*half, weight);
        }
        for (i, half) in halves.into_iter().enumerate().take(N_SUMS / L::N) {
            l.store(sums.as_mut_ptr().add(i * L::N), half);
        }
        let mut half = N_SUMS / 2;
        while 0 < half {
            for i in 0..half {
                sums[i] += sums[i + half];
            }
            half /= 2;
        }
        let (at_max, at_sum) = (state.add(row), state.add(line.n_rows + row));
        let (max, a, b) = factors(l, l.splat(*at_max), largest);
        l.store_first(at_max, 1, max);
        l.store_first(at_sum, 1, blend(l, l.splat(*at_sum), a, l.splat(sums[0]), b));
        l.store_first(line.factors.add(2 * row), 1, a);
        l.store_first(line.factors.add(2 * row + 1), 1, b);
    }
}

/// Joins the weighted values of a span to those of the state.
///
/// # Safety
/// As for [`run`].
#[inline(always)]
unsafe fn weigh<L: Lanes>(l: L, line: &Line<'_>, out: *mut f32) {
    let mut row = 0;
    // SAFETY: rows exist.
    unsafe {
        while row + 4 <= line.n_rows {
            weigh_rows::<L, 4>(l, line, row, out);
            row += 4;
        }
        match line.n_rows - row {
            0 => {}
            1 => weigh_rows::<L, 1>(l, line, row, out),
            2 => weigh_rows::<L, 2>(l, line, row, out),
            _ => weigh_rows::<L, 3>(l, line, row, out),
        }
    }
}

/// Joins the weighted values of `H` rows.
///
/// # Safety
/// As for [`run`].
#[inline(always)]
unsafe fn weigh_rows<L: Lanes, const H: usize>(l: L, line: &Line<'_>, row: usize, out: *mut f32) {
    let d = line.job.shape.head_dim;
    let mut k = 0;
    // SAFETY: each call stays below `d`.
    unsafe {
        while k + 4 * L::N <= d && L::BLOCK == 4 {
            weigh_some::<L, H, 4>(l, line, row, k, L::N, out);
            k += 4 * L::N;
        }
        while k + 2 * L::N <= d {
            weigh_some::<L, H, 2>(l, line, row, k, L::N, out);
            k += 2 * L::N;
        }
        while k < d {
            weigh_some::<L, H, 1>(l, line, row, k, L::N.min(d - k), out);
            k += L::N;
        }
    }
}

/// Joins `W` registers of columns for `H` rows; each register holds `n` columns.
///
/// # Safety
/// As for [`run`]; columns `k..k + W * n` exist.
#[inline(always)]
unsafe fn weigh_some<L: Lanes, const H: usize, const W: usize>(
    l: L,
    line: &Line<'_>,
    row: usize,
    k: usize,
    n: usize,
    out: *mut f32,
) {
    let d = line.job.shape.head_dim;
    let mut sums = [[l.splat(0.0); W]; H];
    // SAFETY: slots lie in the cache, keys in the span.
    unsafe {
        let values = line.job.values.add(line.job.head_start(line.task.kv) + k);
        let mut weights = line.weights.add(row * SPAN + line.span.keys.start).cast_const();
        for run in &line.span.runs {
            let mut value = values.add(run.start * d);
            for _ in run.clone() {
                let mut v = [l.splat(0.0); W];
                for (w, v) in v.iter_mut().enumerate() {
                    let p = value.add(w * L::N);
                    *v = if n == L::N { l.load(p) } else { l.load_first(p, n) };
                }
                for (h, sums) in sums.iter_mut().enumerate() {
                    let weight = l.splat(*weights.add(h * SPAN));
                    for (sum, v) in sums.iter_mut().zip(v) {
                        *sum = l.mul_add(weight, v, *sum);
                    }
                }
                weights = weights.add(1);
                value = value.wrapping_add(d);
            }
        }
        for (h, sums) in sums.iter().enumerate() {
            let a = l.splat(*line.factors.add(2 * (row + h)));
            let b = l.splat(*line.factors.add(2 * (row + h) + 1));
            for (w, sum) in sums.iter().enumerate() {
                let p = out.add((row + h) * d + k + w * L::N);
                l.store_first(p, n, blend(l, l.load_first(p, n), a, *sum, b));
            }
        }
    }
}

/// Joins the state of a span to that of all before it.
///
/// # Safety
/// Both point to states of `n_rows` rows.
#[inline(always)]
unsafe fn join<L: Lanes>(l: L, d: usize, n_rows: usize, state: *mut f32, span: *const f32) {
    for row in 0..n_rows {
        // SAFETY: offsets up to `(2 + d) * n_rows`, the length of a state.
        unsafe {
            let (max, a, b) = factors(l, l.splat(*state.add(row)), l.splat(*span.add(row)));
            l.store_first(state.add(row), 1, max);
            let part = |at: usize, n: usize| {
                let p = state.add(at);
                l.store_first(
                    p,
                    n,
                    blend(l, l.load_first(p, n), a, l.load_first(span.add(at), n), b),
                );
            };
            part(n_rows + row, 1);
            for k in (0..d).step_by(L::N) {
                part(2 * n_rows + row * d + k, L::N.min(d - k));
            }
        }
    }
}

/// Divides by the sums of weights and writes the rows of the block.
///
/// # Safety
/// As for [`run`]; the state belongs to the block.
#[inline(always)]
unsafe fn finish<L: Lanes>(l: L, task: &Task<'_>, state: *const f32) {
    let (job, d, n_rows) = (task.job, task.job.shape.head_dim, task.block.rows.len());
    for row in 0..n_rows {
        // SAFETY: the block's rows are inside the output, and no other task writes them.
        unsafe {
            let by = inverse(l, l.splat(*state.add(n_rows + row)));
            let from = state.add((2 * n_rows) + row * d);
            let to = job.out.add(job.offset(task.kv, task.block.rows.start + row));
            for k in (0..d).step_by(L::N) {
                let n = L::N.min(d - k);
                l.store_first(to.add(k), n, l.mul(l.load_first(from.add(k), n), by));
            }
            let Some(shares) = job.shares(task.kv, task.block.rows.start + row) else { continue };
            let max = l.splat(*state.add(row));
            for run in task.spans.iter().flat_map(|span| &span.runs) {
                for slot in run.clone().step_by(L::N) {
                    let (p, n) = (shares.add(slot), L::N.min(run.end - slot));
                    let weight = l.exp2(l.sub(l.load_first(p, n), max));
                    l.store_first(p, n, l.mul(weight, by));
                }
            }
        }
    }
}
