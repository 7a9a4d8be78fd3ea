//! The choice of kernel: what the processor offers, and how rows of activations
//! are cut into tiles.

use super::activations::QuantBlock;
use super::formats::BlockFormat;
use super::layout::PANEL;
use super::scalar;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};

/// Most rows of activations in a tile.
pub(super) const MAX_WIDTH: usize = 12;

/// Products of one panel with the rows of a tile.
pub(super) type Sums = [[f32; PANEL]; MAX_WIDTH];

/// Multiplies one panel with a number of rows that is the function's own: the
/// first sums are written, the others are left alone.
///
/// # Safety
/// The processor must have the instructions of the module it comes from, and
/// the tile must be as its fields say.
pub(super) type TileFn = unsafe fn(&Tile<'_>, &mut Sums);

/// What one call works on.
pub(super) struct Tile<'a> {
    /// `Shape::panel_bytes(n_blocks)` bytes, at a multiple of 64.
    pub(super) panel: &'a [u8],
    /// `[ceil(width / 4), n_blocks]`, or more.
    pub(super) x: &'a [QuantBlock],
    /// Blocks of 32 columns.
    pub(super) n_blocks: usize,
}

#[cfg(target_arch = "x86_64")]
impl Tile<'_> {
    /// Asks for the part of the next panel that corresponds to block `b`, which
    /// with few rows of activations would otherwise be waited for.
    #[inline]
    pub(super) fn fetch_next(&self, shape: super::formats::Shape, b: usize) {
        use super::layout::VECTOR;
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        let next = self.panel.as_ptr_range().end;
        // Into the second-level cache: asking for the first halves the speed,
        // as it can wait for few lines at a time.
        // SAFETY: a hint reads nothing, so its pointer need not be valid.
        let fetch = |at| unsafe { _mm_prefetch::<_MM_HINT_T1>(next.wrapping_add(at).cast()) };
        for line in 0..shape.n_bits {
            fetch(b * shape.code_bytes() + line * VECTOR);
        }
        let scales = b * shape.scale_bytes();
        if scales.is_multiple_of(VECTOR) {
            fetch(shape.scales_at(self.n_blocks) + scales);
        }
    }
}

/// A set of instructions that kernels are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isa {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// The sets this processor has, best last.
    pub(super) fn available() -> impl DoubleEndedIterator<Item = Self> {
        let all = [
            Self::Scalar,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512,
        ];
        all.into_iter().filter(|isa| match isa {
            Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
            }
        })
    }

    /// What people call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Scalar => "plain",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "AVX-512 VNNI",
        }
    }

    /// The best set this processor has.
    pub(super) fn best() -> Self {
        static BEST: std::sync::OnceLock<Isa> = std::sync::OnceLock::new();
        *BEST.get_or_init(|| Self::available().next_back().unwrap_or(Self::Scalar))
    }

    /// Tiles for `format`, widest first: width and function. The last has width 1.
    pub(super) fn tiles(self, format: BlockFormat) -> &'static [(usize, TileFn)] {
        match self {
            Self::Scalar => scalar::tiles(format),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::tiles(format),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::tiles(format),
        }
    }
}
