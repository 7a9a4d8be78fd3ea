use proptest::prelude::*;

use super::*;
use crate::cache::Layout;

/// A stream of one layer: a cache, and the queries, keys and values of every token.
struct Stream {
    layout: Layout,
    shape: Shape,
    n_tokens: usize,
    slopes: Option<Vec<f32>>,
    /// `[n_tokens, H, D]`.
    q_ring: Vec<f32>,
    q_pinned: Vec<f32>,
    /// `[n_tokens, G, D]`.
    keys: Vec<f32>,
    values: Vec<f32>,
    /// Pinned slots that stay empty; the stream begins after them.
    n_vacant: usize,
    /// What scores are squeezed to.
    cap: Option<f32>,
    /// Pinned tokens leave the window as all others do.
    is_native: bool,
}

fn numbers(n: usize, seed: u64, scale: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    (0..n).map(|_| next() * scale).collect()
}

impl Stream {
    fn new(
        layout: Layout,
        heads: (usize, usize, usize),
        n_tokens: usize,
        has_slopes: bool,
        seed: u64,
    ) -> Self {
        let (n_heads, n_kv_heads, head_dim) = heads;
        let shape = Shape { n_heads, n_kv_heads, head_dim, n_slots: layout.n_slots() };
        let slopes = has_slopes.then(|| (0..n_heads).map(|h| 0.5 / (h + 1) as f32).collect());
        let n_q = n_tokens * n_heads * head_dim;
        let n_k = n_tokens * n_kv_heads * head_dim;
        Self {
            layout,
            shape,
            n_tokens,
            slopes,
            q_ring: numbers(n_q, seed, 3.0),
            q_pinned: numbers(n_q, seed + 1, 3.0),
            keys: numbers(n_k, seed + 2, 1.0),
            values: numbers(n_k, seed + 3, 1.0),
            n_vacant: 0,
            cap: None,
            is_native: false,
        }
    }

    fn scale(&self) -> f32 {
        1.0 / (self.shape.head_dim as f32).sqrt()
    }

    fn indices(&self) -> Range<usize> {
        self.n_vacant..self.n_vacant + self.n_tokens
    }

    /// Feeds the stream in chunks of these sizes, over and over; slots start as garbage.
    fn feed(&self, isa: Isa, kernel: Option<Kernel>, sizes: &[usize]) -> Vec<f32> {
        let Shape { n_heads, n_kv_heads, head_dim, n_slots } = self.shape;
        let row = n_heads * head_dim;
        let mut keys = vec![f32::NAN; n_kv_heads * n_slots * head_dim];
        let mut values = keys.clone();
        let mut out = vec![f32::NAN; self.n_tokens * row];
        let mut sizes = sizes.iter().cycle();
        let mut done = 0;
        while done < self.n_tokens {
            let n =
                (*sizes.next().unwrap()).clamp(1, self.layout.n_chunk()).min(self.n_tokens - done);
            let indices: Vec<usize> = (done..done + n).map(|t| t + self.n_vacant).collect();
            for (t, &index) in (done..).zip(&indices) {
                for g in 0..n_kv_heads {
                    let to = (g * n_slots + self.layout.slot(index)) * head_dim;
                    let from = (t * n_kv_heads + g) * head_dim;
                    keys[to..to + head_dim].copy_from_slice(&self.keys[from..from + head_dim]);
                    values[to..to + head_dim].copy_from_slice(&self.values[from..from + head_dim]);
                }
            }
            let visible: Vec<Visible> = indices
                .iter()
                .map(|&i| self.layout.visible(i, self.n_vacant, self.layout.n_sink()))
                .collect();
            let pinned_positions: Vec<usize> =
                indices.iter().map(|&i| self.layout.pinned_position(i)).collect();
            let queries = Queries {
                visible: &visible,
                indices: &indices,
                pinned_positions: &pinned_positions,
                ring: &self.q_ring[done * row..(done + n) * row],
                pinned: &self.q_pinned[done * row..(done + n) * row],
                scale: self.scale(),
                slopes: self.slopes.as_deref(),
                cap: self.cap,
            };
            let out = &mut out[done * row..(done + n) * row];
            attend_with(isa, kernel, &self.shape, &queries, [&keys, &values], out, None);
            done += n;
        }
        out
    }

    /// The slow twin: the definition, token by token, in f64, without a cache.
    fn twin(&self) -> Vec<f64> {
        let Shape { n_heads, n_kv_heads, head_dim, .. } = self.shape;
        let (n_sink, n_window) = (self.layout.n_sink(), self.layout.n_window());
        let is_kept = |j| j < n_sink && !self.is_native;
        let mut out = Vec::new();
        for (t, i) in self.indices().enumerate() {
            for h in 0..n_heads {
                let g = h / (n_heads / n_kv_heads);
                let seen: Vec<usize> =
                    (self.n_vacant..=i).filter(|&j| is_kept(j) || i < j + n_window).collect();
                let row = |x: &[f32], t: usize, n: usize, h: usize| -> Vec<f64> {
                    x[(t * n + h) * head_dim..][..head_dim].iter().map(|&v| f64::from(v)).collect()
                };
                let score = |&j: &usize| {
                    let is_pinned = j < n_sink;
                    let q =
                        row(if is_pinned { &self.q_pinned } else { &self.q_ring }, t, n_heads, h);
                    let k = row(&self.keys, j - self.n_vacant, n_kv_heads, g);
                    let from = if is_pinned { i.min(n_sink + n_window - 1) } else { i };
                    let slope = self.slopes.as_ref().map_or(0.0, |s| f64::from(s[h]));
                    let dot: f64 = q.iter().zip(&k).map(|(q, k)| q * k).sum();
                    let score = dot * f64::from(self.scale());
                    let capped = self
                        .cap
                        .map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh());
                    capped - slope * (from - j) as f64
                };
                let scores: Vec<f64> = seen.iter().map(score).collect();
                let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let weights: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
                let sum: f64 = weights.iter().sum();
                for d in 0..head_dim {
                    let value = |&j: &usize| row(&self.values, j - self.n_vacant, n_kv_heads, g)[d];
                    out.push(seen.iter().map(value).zip(&weights).map(|(v, w)| v * w / sum).sum());
                }
            }
        }
        out
    }
}

fn all_sets() -> Vec<Isa> {
    #[cfg(target_arch = "x86_64")]
    let sets = vec![Isa::Plain, Isa::Avx2, Isa::Avx512];
    #[cfg(not(target_arch = "x86_64"))]
    let sets = vec![Isa::Plain];
    sets.into_iter().filter(|isa| isa.is_present()).collect()
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

#[track_caller]
fn assert_close(ours: &[f32], twin: &[f64]) {
    assert_eq!(ours.len(), twin.len());
    for (i, (&ours, &twin)) in ours.iter().zip(twin).enumerate() {
        assert!((f64::from(ours) - twin).abs() < 3e-6, "number {i}: {ours} is not {twin}");
    }
}

/// Feeds a stream in all ways: all agree with the twin, and with each other to the last bit.
#[track_caller]
fn check(stream: &Stream, sizes: &[usize]) {
    let first = stream.feed(Isa::best(), None, sizes);
    assert_close(&first, &stream.twin());
    for isa in all_sets() {
        // Without fused multiplication plain Rust rounds twice.
        let is_fused = cfg!(any(target_feature = "fma", target_arch = "aarch64"));
        for (kernel, sizes) in [
            (None, &[1][..]),
            (Some(Kernel::Tile), sizes),
            (Some(Kernel::Row), &[usize::MAX]),
            (Some(Kernel::Tile), &[usize::MAX]),
        ] {
            let again = stream.feed(isa, kernel, sizes);
            if isa != Isa::Plain || is_fused {
                assert!(bits(&first) == bits(&again), "{isa:?} {kernel:?} {sizes:?}");
            } else {
                assert_close(&again, &stream.twin());
            }
        }
    }
}

fn stream(layout: (usize, usize, usize), heads: (usize, usize, usize), n_tokens: usize) -> Stream {
    let (n_sink, n_window, n_chunk) = layout;
    Stream::new(Layout::new(n_sink, n_window, n_chunk).unwrap(), heads, n_tokens, false, 7)
}

#[test]
fn one_token_that_sees_itself_gets_its_own_value() {
    let stream = stream((0, 1, 1), (2, 1, 8), 1);
    let out = stream.feed(Isa::best(), None, &[1]);
    assert_eq!(out[..8], stream.values[..]);
    assert_eq!(out[8..], stream.values[..]);
}

#[test]
fn a_window_of_several_spans_wraps_around() {
    check(&stream((4, 300, 64), (3, 1, 64), 700), &[64, 17, 1, 50]);
}

#[test]
fn a_long_pinned_prefix_is_seen_whole() {
    check(&stream((200, 40, 32), (4, 2, 16), 400), &[32, 5]);
}

#[test]
fn many_heads_share_one_key_head() {
    check(&stream((4, 30, 16), (71, 1, 8), 80), &[16, 3]);
}

#[test]
fn every_head_has_its_own_keys() {
    check(&stream((4, 150, 60), (5, 5, 32), 300), &[60, 59]);
}

#[test]
fn odd_widths_are_right() {
    for d in [1, 3, 4, 7, 12, 20, 72, 80, 96, 100, 128, 256] {
        check(&stream((3, 37, 20), (6, 2, d), 90), &[20, 7]);
    }
}

#[test]
fn a_prefix_shorter_than_its_region_stands_at_its_end() {
    let mut stream = stream((140, 50, 16), (3, 3, 24), 200);
    stream.n_vacant = 133;
    check(&stream, &[16, 2]);
}

#[test]
fn large_scores_do_not_overflow() {
    let mut stream = stream((4, 200, 16), (2, 1, 16), 300);
    stream.q_ring.iter_mut().for_each(|q| *q *= 1000.0);
    stream.q_pinned.iter_mut().for_each(|q| *q *= 900.0);
    let out = stream.feed(Isa::best(), None, &[16]);
    assert!(out.iter().all(|x| x.abs() <= 1.0));
    assert_eq!(bits(&out), bits(&stream.feed(Isa::best(), Some(Kernel::Tile), &[5])));
}

#[test]
fn a_query_that_sees_nothing_gets_zeros() {
    let shape = Shape { n_heads: 2, n_kv_heads: 1, head_dim: 8, n_slots: 3 };
    let nothing = Visible { pinned: 0..0, ring: [0..0, 0..0], first_index: 0 };
    let some = Visible { pinned: 0..1, ring: [1..2, 0..0], first_index: 5 };
    let q = numbers(32, 1, 1.0);
    let mut keys = numbers(24, 2, 1.0);
    keys[16..].fill(f32::NAN);
    for kernel in [Kernel::Tile, Kernel::Row] {
        let queries = Queries {
            visible: &[nothing.clone(), some.clone()],
            indices: &[4, 5],
            pinned_positions: &[4, 5],
            ring: &q,
            pinned: &q,
            scale: 1.0,
            slopes: None,
            cap: None,
        };
        let mut out = [f32::NAN; 32];
        attend_with(Isa::best(), Some(kernel), &shape, &queries, [&keys, &keys], &mut out, None);
        assert_eq!(out[..16], [0.0; 16]);
        assert!(out[16..].iter().all(|x| x.is_finite()));
    }
}

#[test]
fn queries_far_apart_are_not_read_together() {
    // Slots 2 and 3 lie between what the two queries see, and hold garbage.
    let shape = Shape { n_heads: 1, n_kv_heads: 1, head_dim: 4, n_slots: 6 };
    let seen = |slots: Range<usize>, first_index| Visible {
        pinned: 0..0,
        ring: [slots, 0..0],
        first_index,
    };
    let mut keys = numbers(24, 2, 1.0);
    keys[8..16].fill(f32::NAN);
    let q = numbers(8, 1, 1.0);
    let queries = Queries {
        visible: &[seen(0..2, 10), seen(4..6, 14)],
        indices: &[11, 15],
        pinned_positions: &[11, 15],
        ring: &q,
        pinned: &q,
        scale: 1.0,
        slopes: None,
        cap: None,
    };
    let mut out = [0.0; 8];
    attend_with(Isa::best(), Some(Kernel::Tile), &shape, &queries, [&keys, &keys], &mut out, None);
    assert!(out.iter().all(|x| x.is_finite()));
}

#[test]
#[should_panic(expected = "of 3")]
fn slots_beyond_the_cache_are_refused() {
    let shape = Shape { n_heads: 1, n_kv_heads: 1, head_dim: 4, n_slots: 3 };
    let queries = Queries {
        visible: &[Visible { pinned: 0..0, ring: [2..4, 0..0], first_index: 0 }],
        indices: &[1],
        pinned_positions: &[1],
        ring: &[0.0; 4],
        pinned: &[0.0; 4],
        scale: 1.0,
        slopes: None,
        cap: None,
    };
    attend(&shape, &queries, &[0.0; 12], &[0.0; 12], &mut [0.0; 4], None);
}

#[test]
fn keys_that_join_up_are_one() {
    let layout = Layout::new(2, 3, 2).unwrap(); // a ring of 4: slots 2..6
    let of = |i| ring_keys(&layout.visible(i, 0, 2));
    assert_eq!(of(7), Keys { some: 5..8, all: 5..8, runs: [5..6, 2..4, 0..0] });
    let both = of(7).with(&of(8)).unwrap();
    assert_eq!(both, Keys { some: 5..9, all: 6..8, runs: [5..6, 2..5, 0..0] });
    assert_eq!(both.with(&of(12)), None);
    assert_eq!(of(8).with(&of(7)), None);
    let mut spans = Vec::new();
    both.spans(false, &mut spans);
    assert_eq!(spans.len(), 1);
    assert_eq!((spans[0].start, spans[0].keys.clone(), spans[0].is_ragged), (0, 5..9, true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn chunks_of_any_size_agree_with_the_definition(
        n_sink in 0usize..10, n_window in 1usize..200, n_chunk in 1usize..70,
        sizes in prop::collection::vec(1usize..70, 1..6),
        group in 1usize..6, n_kv_heads in 1usize..4, d in 1usize..40,
        n_tokens in 1usize..260, has_slopes: bool, seed in 0u64..1000, n_vacant in 0usize..10,
        cap in prop::option::of(0.3f32..60.0), is_native: bool,
    ) {
        let mut layout = Layout::new(n_sink, n_window, n_chunk).unwrap();
        if is_native {
            layout = layout.native(layout.n_window().try_into().unwrap());
        }
        let heads = (group * n_kv_heads, n_kv_heads, d);
        let mut stream = Stream::new(layout, heads, n_tokens, has_slopes, seed);
        stream.n_vacant = n_vacant.min(n_sink);
        (stream.cap, stream.is_native) = (cap, is_native);
        check(&stream, &sizes);
    }
}
