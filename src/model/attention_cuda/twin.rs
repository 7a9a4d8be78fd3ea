//! The plain twin of the kernels: the same plan, one number after another. It proves the plan, by a
//! real cache whose ring turns under several lanes.

use std::num::NonZeroUsize;
use std::ops::Range;

use candle_core::{DType, Device, Tensor};

use super::plan::{Heads, LaneStep, Plan, Row};
use crate::cache::kv::{KvShape, Shares};
use crate::cache::{KvCache, Layout, Visible};
use crate::model::attention::{self, Scoring, Step};
use crate::model::rope::Angles;
use crate::model::spec::{Rope, RopeScaling};

/// Keys and values of a lane, each `[G, S, D]`.
struct Lane {
    keys: Vec<f32>,
    values: Vec<f32>,
    layout: Layout,
}

/// Stores keys and values, `[R, G, D]`, then attends with queries, `[R, H, D]`: returns `[R, H, D]`
/// and what each watched row gives to the slots that are watched.
fn attend(
    plan: &Plan,
    [q_ring, q_pinned, k, v]: [&[f32]; 4],
    lanes: &mut [Lane],
    heads: Heads,
    scoring: Scoring<'_>,
) -> (Vec<f32>, Vec<Vec<f32>>) {
    let Heads { n_heads, n_kv_heads, head_dim: d } = heads;
    for (r, row) in plan.rows.iter().enumerate() {
        let lane = &mut lanes[row.lane];
        for g in 0..n_kv_heads {
            let to = (g * lane.layout.n_slots() + row.slot) * d;
            let from = (r * n_kv_heads + g) * d;
            lane.keys[to..to + d].copy_from_slice(&k[from..from + d]);
            lane.values[to..to + d].copy_from_slice(&v[from..from + d]);
        }
    }
    let mut out = vec![0.0; plan.rows.len() * n_heads * d];
    let mut given = vec![Vec::new(); plan.rows.len()]; // by row, head and key: slot and weight
    for r in plan.tiles.iter().cloned().flatten().chain(plan.singles.iter().copied()) {
        let row = plan.rows[r];
        let lane = &lanes[row.lane];
        for head in 0..n_heads {
            let at = (r * n_heads + head) * d..(r * n_heads + head + 1) * d;
            let key_at = |slot: usize| {
                let from = (head / (n_heads / n_kv_heads) * lane.layout.n_slots() + slot) * d;
                from..from + d
            };
            let mut weights: Vec<(usize, f64)> = keys(row, &lane.layout)
                .map(|(slot, distance, is_pinned)| {
                    let q = &if is_pinned { q_pinned } else { q_ring }[at.clone()];
                    let pairs = q.iter().zip(&lane.keys[key_at(slot)]);
                    let product: f64 = pairs.map(|(a, b)| f64::from(a * b)).sum();
                    let mut score = product * scoring.scale;
                    if let Some(cap) = scoring.cap {
                        score = (score / cap).tanh() * cap;
                    }
                    let slope = scoring.slopes.map_or(0.0, |slopes| f64::from(slopes[head]));
                    (slot, (score - slope * distance as f64).exp())
                })
                .collect();
            let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
            for (slot, weight) in &mut weights {
                *weight /= sum;
                for (out, value) in out[at.clone()].iter_mut().zip(&lane.values[key_at(*slot)]) {
                    *out += *weight as f32 * value;
                }
            }
            given[r].extend(weights);
        }
    }
    let shares = plan.watches.iter().map(|(r, runs)| {
        let share = |slot| {
            let of_slot = given[*r].iter().filter(|(s, _)| *s == slot);
            of_slot.map(|(_, weight)| *weight as f32).sum()
        };
        runs.iter().cloned().flatten().map(share).collect()
    });
    let shares = shares.collect();
    (out, shares)
}

/// The keys that a row sees: slot, distance, and whether it is pinned.
fn keys(row: Row, layout: &Layout) -> impl Iterator<Item = (usize, usize, bool)> {
    let pinned = row.pinned_start..row.pinned_end;
    let pinned = pinned.map(move |slot| (slot, row.pinned_position - slot, true));
    let (first, n_ring) = (layout.n_sink(), layout.n_ring());
    let ring = (0..row.ring_len).map(move |n| {
        let slot = first + (row.ring_start - first + n) % n_ring;
        (slot, row.ring_len - 1 - n, false)
    });
    pinned.chain(ring)
}

fn gap(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn numbers(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

/// What all lanes share.
struct Case<'a> {
    heads: Heads,
    layout: Layout,
    rope: Rope,
    frequencies: Vec<f64>,
    scoring: Scoring<'a>,
}

/// What one lane is fed, and what comes out where it is alone.
struct Fed {
    step: Step,
    visible: Vec<Visible>,
    /// `[T, H or G, D]`: queries, keys, values.
    inputs: [Tensor; 3],
    out: Vec<f32>,
    shares: Vec<f32>,
}

impl Case<'_> {
    fn angles(&self, positions: &[usize]) -> Angles {
        Angles::new(&self.rope, &self.frequencies, positions)
    }

    /// Feeds random tokens to one stream in the ordinary way.
    fn feed(&self, cache: &mut KvCache, n_tokens: usize, watched: &[Range<usize>]) -> Fed {
        let Heads { n_heads, n_kv_heads, head_dim } = self.heads;
        let random = |n| Tensor::randn(0f32, 1f32, (n_tokens, n, head_dim), &Device::Cpu).unwrap();
        let inputs = [random(n_heads), random(n_kv_heads), random(n_kv_heads)];
        let indices = if n_tokens == 0 { vec![] } else { cache.plan(n_tokens).unwrap() };
        let visible = indices.iter().map(|&i| cache.visible(&self.layout, i)).collect();
        let step = Step::new(cache, self.layout, indices);
        let mut fed = Fed { step, visible, inputs, out: vec![], shares: vec![] };
        if n_tokens > 0 {
            let [q, k, v] = &fed.inputs;
            let ring = self.angles(&fed.step.indices);
            let pinned = self.angles(&fed.step.pinned_positions);
            let by_head = |x: &Tensor| x.transpose(0, 1).unwrap().contiguous().unwrap();
            let stored = cache.store(0, &by_head(&ring.rotate(k).unwrap()), &by_head(v)).unwrap();
            let (q_ring, q_pinned) = (ring.rotate(q).unwrap(), pinned.rotate(q).unwrap());
            let n_watched: usize = watched.iter().map(ExactSizeIterator::len).sum();
            let sums = vec![0.0; n_tokens * n_watched];
            let mut shares = Shares { runs: watched.to_vec(), sums, n_added: 0 };
            let out = attention::attend(
                &fed.step,
                &q_ring,
                &q_pinned,
                stored,
                self.scoring,
                Some(&mut shares),
            );
            (fed.out, fed.shares) = (numbers(&out.unwrap()), shares.sums);
            cache.advance(n_tokens);
        }
        fed
    }
}

#[test]
fn the_plan_of_many_lanes_says_what_each_lane_does_alone() {
    let slopes = [0.5, 0.25, 0.1, 0.01];
    for (n_kv_heads, slopes, window, cap, interleaved, dim) in [
        (2, None, None, None, false, 8),
        (4, Some(&slopes[..]), None, None, false, 0),
        (1, None, None, Some(1.5), true, 4),
        (2, None, NonZeroUsize::new(4), Some(0.7), false, 6),
    ] {
        let heads = Heads { n_heads: 4, n_kv_heads, head_dim: 8 };
        let whole = Layout::new(3, 10, 40).unwrap();
        let layout = window.map_or(whole, |window| whole.native(window));
        let rope =
            Rope { dim, theta: 1e4, scaling: RopeScaling::None, magnitude: 1.0, interleaved };
        let frequencies = rope.frequencies();
        let scoring = Scoring { scale: 0.35, slopes, cap };
        let case = Case { heads, layout, rope, frequencies, scoring };
        let new = |n_pinned, offset| {
            let shape = KvShape { native_windows: vec![window], n_kv_heads, head_dim: 8 };
            let mut cache = KvCache::new(whole, shape, DType::F32, &Device::Cpu).unwrap();
            cache.begin_at(n_pinned, offset);
            cache
        };
        let mut caches = [new(2, 0), new(0, 4_000_000), new(3, 0)];
        let empty = || vec![0f32; n_kv_heads * layout.n_slots() * 8];
        let mut lanes = [(); 3].map(|()| Lane { keys: empty(), values: empty(), layout });
        let runs = [1..3, layout.n_slots() - 1..layout.n_slots(), 4..6];
        // A lane may have no rows, which is not fed. Lane 1 is watched.
        for sizes in [[2, 7, 3], [7, 0, 1], [1; 3], [40, 35, 0], [1, 1, 40], [33, 1, 7], [7, 40, 1]]
        {
            let fed = [0, 1, 2].map(|l| case.feed(&mut caches[l], sizes[l], &runs));
            let steps = fed.iter().enumerate().map(|(l, fed)| LaneStep {
                indices: &fed.step.indices,
                pinned_positions: &fed.step.pinned_positions,
                visible: &fed.visible,
                layout,
                watched: if l == 1 { &runs } else { &[] },
            });
            let plan = Plan::new(&steps.collect::<Vec<_>>(), true);
            let of_all = |what: fn(&Step) -> &[usize]| -> Vec<usize> {
                fed.iter().flat_map(|fed| what(&fed.step)).copied().collect()
            };
            let ring = case.angles(&of_all(|step| &step.indices));
            let pinned = case.angles(&of_all(|step| &step.pinned_positions));
            let [q, k, v] = [0, 1, 2].map(|n| {
                let lanes = fed.iter().filter(|fed| !fed.visible.is_empty());
                Tensor::cat(&lanes.map(|fed| &fed.inputs[n]).collect::<Vec<_>>(), 0).unwrap()
            });
            let turn = |angles: &Angles, x| numbers(&angles.rotate(x).unwrap());
            let inputs = [&turn(&ring, &q), &turn(&pinned, &q), &turn(&ring, &k), &numbers(&v)];
            let (out, shares) = attend(&plan, inputs.map(|x| &x[..]), &mut lanes, heads, scoring);
            let expected: Vec<_> = fed.iter().flat_map(|fed| fed.out.clone()).collect();
            assert!(gap(&out, &expected) < 1e-5);
            assert!(gap(&shares.concat(), &fed[1].shares) < 1e-5);
            for (cache, lane) in caches.iter_mut().zip(&lanes) {
                let nothing = Tensor::zeros((n_kv_heads, 0, 8), DType::F32, &Device::Cpu).unwrap();
                let stored = cache.store(0, &nothing, &nothing).unwrap();
                assert!(numbers(&stored.keys) == lane.keys);
                assert!(numbers(&stored.values) == lane.values);
            }
        }
    }
}
