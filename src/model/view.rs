//! What layers look at: the same for many of them, and made once for all tokens that are fed at once.

use std::num::NonZeroUsize;
use std::ops::Range;

use super::attention::Step;
#[cfg(feature = "cuda")]
use super::attention_cuda::{Kernels, LaneStep, Rows};
use super::rope::Angles;
use super::spec::{Positions, Rope, Sight, Spec};
use crate::cache::KvCache;
#[cfg(feature = "cuda")]
use crate::cache::kv::Shares;

/// The tokens of one stream among the rows that are fed at once.
#[derive(Debug)]
pub struct Lane {
    /// Its rows.
    pub rows: Range<usize>,
    /// Their indices in the stream.
    pub indices: Vec<usize>,
}

/// The two rotations of queries.
pub struct Rotation {
    /// At the stream index: for the ring, and for the keys themselves.
    pub ring: Angles,
    /// At the clamped position, where any differs from the stream index.
    pub pinned: Option<Angles>,
}

/// What layers with one view share while rows are fed.
pub struct Seen {
    /// What the tokens of each stream see.
    pub steps: Vec<Step>,
    /// How all rows are rotated, where they are.
    pub rotation: Option<Rotation>,
    /// The same for the kernels of the GPU, where there are such.
    #[cfg(feature = "cuda")]
    pub rows: Option<Rows>,
}

#[cfg(feature = "cuda")]
impl Seen {
    /// The same, with what the kernels need of it on their device.
    pub fn on_device(
        mut self,
        kernels: &Kernels,
        shares: &[Option<Shares>],
    ) -> candle_core::Result<Self> {
        let lanes: Vec<LaneStep<'_>> = self
            .steps
            .iter()
            .zip(shares)
            .map(|(step, shares)| step.lane(shares.as_ref()))
            .collect();
        let rotation = self.rotation.as_ref();
        let angles = rotation.map(|r| (&r.ring, r.pinned.as_ref().unwrap_or(&r.ring)));
        self.rows = Some(kernels.rows(&lanes, angles)?);
        Ok(self)
    }
}

/// What layers look at, and how they tell it apart.
pub struct View {
    /// The window that such layers were trained to see, where it is theirs alone.
    pub window: Option<NonZeroUsize>,
    /// A rotary embedding with the angle per step of each rotated pair.
    rope: Option<(Rope, Vec<f64>)>,
}

impl View {
    /// The view of a layer, among those that there are already, or added to them.
    pub fn find(views: &mut Vec<Self>, spec: &Spec, layer: usize) -> usize {
        let sight = spec.sights.get(layer).unwrap_or(&Sight::Whole);
        let rope = match (sight, &spec.positions) {
            (Sight::Native { rope, .. }, _) | (Sight::Whole, Positions::Rope(rope)) => Some(rope),
            (Sight::Unplaced, _) | (Sight::Whole, Positions::Alibi { .. }) => None,
        };
        let window = sight.window();
        let is_same =
            |view: &Self| view.window == window && view.rope.as_ref().map(|(rope, _)| rope) == rope;
        views.iter().position(is_same).unwrap_or_else(|| {
            views.push(Self { window, rope: rope.map(|rope| (rope.clone(), rope.frequencies())) });
            views.len() - 1
        })
    }

    /// What layers with this view share while these lanes are fed into their caches.
    pub fn see<'a>(&self, lanes: &[Lane], caches: impl Iterator<Item = &'a KvCache>) -> Seen {
        let step = |(lane, cache): (&Lane, &KvCache)| {
            let layout = *cache.layout();
            let layout = self.window.map_or(layout, |window| layout.native(window));
            Step::new(cache, layout, lane.indices.clone())
        };
        let steps: Vec<Step> = lanes.iter().zip(caches).map(step).collect();
        let rotation = self.rope.as_ref().map(|(rope, frequencies)| {
            let all = |of: fn(&Step) -> &Vec<usize>| -> Vec<usize> {
                steps.iter().flat_map(|step| of(step).iter().copied()).collect()
            };
            let (indices, pinned) = (all(|step| &step.indices), all(|step| &step.pinned_positions));
            let angles = |positions: &[usize]| Angles::new(rope, frequencies, positions);
            let differs = pinned != indices;
            Rotation { ring: angles(&indices), pinned: differs.then(|| angles(&pinned)) }
        });
        Seen {
            steps,
            rotation,
            #[cfg(feature = "cuda")]
            rows: None,
        }
    }
}
