//! What the kernels are told of a step, in integers.

use std::ops::Range;

use crate::cache::{Layout, Visible};

/// Rows that are taken together on tensor cores, as in the kernels.
pub const TILE: usize = 64;

/// Keys of a split, as in the kernels.
pub const SPLIT: usize = 128;

/// Rows of a lane from which on they are taken as tiles. An estimate, not measured: a tile takes
/// about the time of as many single rows, as it reads the keys once and one after another.
const N_TILED: usize = 32;

/// The heads of all layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Query heads, H.
    pub n_heads: usize,
    /// Key and value heads, G; divides H.
    pub n_kv_heads: usize,
    /// Width of a head, D.
    pub head_dim: usize,
}

/// The tokens that one lane is fed in a step, in layers of one layout.
#[derive(Debug, Clone, Copy)]
pub struct LaneStep<'a> {
    /// Stream index of each token.
    pub indices: &'a [usize],
    /// Position of each token as the pinned keys see it.
    pub pinned_positions: &'a [usize],
    /// What each token sees.
    pub visible: &'a [Visible],
    /// Where tokens lie in the lane's cache.
    pub layout: Layout,
    /// Runs of slots whose share in the attention of these tokens is wanted; at most three.
    pub watched: &'a [Range<usize>],
}

/// A token of a step, as the kernels see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Number of its lane.
    pub lane: usize,
    /// Where its key and value go.
    pub slot: usize,
    /// First of the pinned slots that it sees.
    pub pinned_start: usize,
    /// Behind the last of them.
    pub pinned_end: usize,
    /// Slot of the oldest ring key that it sees. The keys go on from there, and from the last slot
    /// to the first one behind the pinned.
    pub ring_start: usize,
    /// Ring keys that it sees, its own included.
    pub ring_len: usize,
    /// Its position as the pinned keys see it.
    pub pinned_position: usize,
}

/// What is done with the rows of a step.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// All rows, lane by lane.
    pub rows: Vec<Row>,
    /// Runs of rows of one lane that are taken together, each of at most [`TILE`].
    pub tiles: Vec<Range<usize>>,
    /// Rows that are taken one by one.
    pub singles: Vec<usize>,
    /// Splits of the keys of a single row, at most.
    pub n_splits: usize,
    /// Watched rows, and the slots that are watched.
    pub watches: Vec<(usize, Vec<Range<usize>>)>,
    /// Watched slots of a row, at most.
    pub n_watched: usize,
}

impl Plan {
    /// Plans a step of these lanes; without `has_tiles` all rows are taken one by one.
    ///
    /// How a lane's rows are taken depends on that lane alone, so its numbers do too.
    pub fn new(lanes: &[LaneStep<'_>], has_tiles: bool) -> Self {
        let mut plan = Self {
            rows: Vec::new(),
            tiles: Vec::new(),
            singles: Vec::new(),
            n_splits: 0,
            watches: Vec::new(),
            n_watched: 0,
        };
        for (number, lane) in lanes.iter().enumerate() {
            let rows = plan.rows.len()..plan.rows.len() + lane.indices.len();
            plan.rows.extend((0..lane.indices.len()).map(|n| Row::new(number, lane, n)));
            // Only what single rows leave behind tells shares.
            if has_tiles && rows.len() >= N_TILED && lane.watched.is_empty() {
                let starts = rows.clone().step_by(TILE);
                plan.tiles.extend(starts.map(|start| start..rows.end.min(start + TILE)));
            } else {
                plan.singles.extend(rows.clone());
            }
            let n_splits = |n: usize| n.div_ceil(SPLIT);
            let n_splits = n_splits(lane.layout.n_sink()) + n_splits(lane.layout.n_window());
            plan.n_splits = plan.n_splits.max(n_splits);
            if !lane.watched.is_empty() {
                plan.watches.extend(rows.map(|row| (row, lane.watched.to_vec())));
                let n_watched = lane.watched.iter().map(ExactSizeIterator::len).sum();
                plan.n_watched = plan.n_watched.max(n_watched);
            }
        }
        plan
    }
}

impl Row {
    /// The `n`-th token of a lane.
    fn new(number: usize, lane: &LaneStep<'_>, n: usize) -> Self {
        let Visible { pinned, ring, .. } = &lane.visible[n];
        let ring_len = ring[0].len() + ring[1].len();
        Self {
            lane: number,
            slot: lane.layout.slot(lane.indices[n]),
            pinned_start: pinned.start,
            pinned_end: pinned.end,
            // A run of no keys has no place; the kernels ask for one in the ring.
            ring_start: if ring_len == 0 { lane.layout.n_sink() } else { ring[0].start },
            ring_len,
            pinned_position: lane.pinned_positions[n],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(n_rows: &[usize], watched: &[Range<usize>], has_tiles: bool) -> Plan {
        let layout = Layout::new(200, 300, 256).unwrap();
        let tokens: Vec<_> = n_rows
            .iter()
            .map(|&n| {
                let indices: Vec<_> = (1000..1000 + n).collect();
                let visible: Vec<_> = indices.iter().map(|&i| layout.visible(i, 0, 200)).collect();
                let positions: Vec<_> =
                    indices.iter().map(|&i| layout.pinned_position(i)).collect();
                (indices, positions, visible)
            })
            .collect();
        let steps = tokens.iter().enumerate().map(|(lane, (indices, positions, visible))| {
            let watched = if lane == 1 { watched } else { &[] };
            LaneStep { indices, pinned_positions: positions, visible, layout, watched }
        });
        Plan::new(&steps.collect::<Vec<_>>(), has_tiles)
    }

    #[test]
    fn lanes_with_many_rows_are_cut_into_tiles() {
        let made = plan(&[1, 32, 31, 130, 1], &[], true);
        assert_eq!(made.tiles, [1..33, 64..128, 128..192, 192..194]);
        assert_eq!(made.singles, [0].into_iter().chain(33..64).chain([194]).collect::<Vec<_>>());
        assert_eq!(made.n_splits, 2 + 3);
        let made = plan(&[1, 32], &[], false);
        assert_eq!((made.tiles.len(), made.singles.len()), (0, 33));
    }

    #[test]
    fn watched_rows_are_single_rows() {
        let made = plan(&[40, 40], &[3..5, 7..8], true);
        assert_eq!((made.tiles.len(), &made.tiles[0]), (1, &(0..40)));
        assert_eq!(made.singles, (40..80).collect::<Vec<_>>());
        assert_eq!(made.watches.len(), 40);
        assert_eq!(made.watches[0], (40, vec![3..5, 7..8]));
        assert_eq!(made.n_watched, 3);
    }

    #[test]
    fn a_row_knows_where_its_keys_begin() {
        let layout = Layout::new(2, 3, 2).unwrap();
        let row = |i| {
            let visible = [layout.visible(i, 1, 2)];
            let pinned_positions = &[layout.pinned_position(i)];
            let lane = LaneStep {
                indices: &[i],
                pinned_positions,
                visible: &visible,
                layout,
                watched: &[],
            };
            Plan::new(&[lane], true).rows[0]
        };
        let ring = |row: Row| (row.slot, row.ring_start, row.ring_len);
        assert_eq!(ring(row(1)), (1, 2, 0));
        assert_eq!(ring(row(5)), (5, 3, 3));
        assert_eq!(ring(row(7)), (3, 5, 3));
        let pinned = |row: Row| (row.pinned_start, row.pinned_end, row.pinned_position);
        assert_eq!(pinned(row(1)), (1, 2, 1));
        assert_eq!(pinned(row(7)), (1, 2, 4));
    }
}
