//! How packed weights and quantized activations lie in memory.
//!
//! Weights come in panels of 16 rows, so that one 64-byte register holds four
//! columns of each row. A panel is three runs:
//!
//! - codes: for every 32 columns, `Shape::code_bytes`. The code of `row` and
//!   `column` belongs to vector `column / 4` and byte `row * 4 + column % 4`;
//!   vector v of 8 is stored as whole bytes (8-bit codes), in half a byte of
//!   vector v % 4 (4 to 6 bits: low half for v < 4), or in two bits of vector
//!   v / 4 (2 and 3 bits). What is left of a code follows: its highest two bits
//!   in two vectors in the same way, or its highest bit as bit v of one vector.
//! - scales: for every 32 columns, 16 scales (and 16 more if there are two), then
//!   the minima in the same way; f16, or i8 in super-blocks.
//! - super-scales: for every 256 columns, 16 `d` and, with minima, 16 `m`, in f16.

use half::f16;

use super::formats::{BLOCK, BlockFormat, Shape, Stored};

/// Rows in a panel.
pub(super) const PANEL: usize = 16;
/// Vectors of [`VECTOR`] codes in 32 columns of a panel.
#[cfg(target_arch = "x86_64")]
pub(super) const N_VECTORS: usize = 8;
/// Bytes of a vector: four columns of sixteen rows.
pub(super) const VECTOR: usize = 64;
/// Rows of activations stored side by side.
pub(super) const GROUP: usize = 4;

impl Shape {
    /// Bytes of the codes of 32 columns of a panel.
    pub(super) const fn code_bytes(self) -> usize {
        self.n_bits * VECTOR
    }

    /// Width of the part of a code that is stored first.
    pub(super) const fn base_bits(self) -> usize {
        match self.n_bits {
            2 | 3 => 2,
            4..=6 => 4,
            _ => 8,
        }
    }

    /// Bytes of the scales and minima of 32 columns of a panel.
    pub(super) const fn scale_bytes(self) -> usize {
        let width = if self.is_super { 1 } else { 2 };
        self.n_scales * PANEL * width * self.n_kinds()
    }

    /// Bytes of the super-scales of 256 columns of a panel.
    pub(super) const fn super_bytes(self) -> usize {
        if self.is_super { 2 * PANEL * self.n_kinds() } else { 0 }
    }

    /// Kinds of scale: `d`, and `m` if there are minima.
    const fn n_kinds(self) -> usize {
        if self.has_minima() { 2 } else { 1 }
    }

    /// Byte of a panel where its scales start.
    pub(super) const fn scales_at(self, n_blocks: usize) -> usize {
        n_blocks * self.code_bytes()
    }

    /// Byte of a panel where its super-scales start.
    pub(super) const fn supers_at(self, n_blocks: usize) -> usize {
        self.scales_at(n_blocks) + n_blocks * self.scale_bytes()
    }

    /// Bytes of a panel, a whole number of cache lines.
    pub(super) const fn panel_bytes(self, n_blocks: usize) -> usize {
        let end = self.supers_at(n_blocks) + n_blocks / 8 * self.super_bytes();
        end.next_multiple_of(VECTOR)
    }
}

/// Packs up to 16 rows of stored blocks into a zeroed panel.
pub(super) fn pack_panel(format: BlockFormat, rows: &[u8], n_cols: usize, panel: &mut [u8]) {
    let shape = format.shape();
    let n_blocks = n_cols / BLOCK;
    let row_bytes = n_cols / format.block_len() * format.block_bytes();
    let mut stored = Stored::new();
    for (r, row) in rows.chunks_exact(row_bytes).enumerate() {
        for (s, bytes) in row.chunks_exact(format.block_bytes()).enumerate() {
            stored.read(format, bytes);
            if shape.is_super {
                let at = shape.supers_at(n_blocks) + s * shape.super_bytes();
                put_half(panel, at, r, stored.d);
                if shape.has_minima() {
                    put_half(panel, at + 2 * PANEL, r, stored.m);
                }
            }
            for i in 0..format.block_len() / BLOCK {
                let b = s * (format.block_len() / BLOCK) + i;
                let codes = &stored.codes[i * BLOCK..][..BLOCK];
                put_codes(shape, &mut panel[b * shape.code_bytes()..], r, codes);
                let at = shape.scales_at(n_blocks) + b * shape.scale_bytes();
                put_scales(shape, &mut panel[at..], r, i, &stored);
            }
        }
    }
}

fn put_codes(shape: Shape, out: &mut [u8], r: usize, codes: &[u8]) {
    for (v, four) in codes.chunks_exact(4).enumerate() {
        for (c, &code) in four.iter().enumerate() {
            let byte = r * 4 + c;
            match shape.base_bits() {
                2 => out[v / 4 * VECTOR + byte] |= (code & 3) << (v % 4 * 2),
                4 => out[v % 4 * VECTOR + byte] |= (code & 15) << (v / 4 * 4),
                _ => out[v * VECTOR + byte] = code,
            }
            let rest = shape.base_bits() * VECTOR;
            match shape.n_bits {
                3 => out[rest + byte] |= (code >> 2) << v,
                5 => out[rest + byte] |= (code >> 4) << v,
                6 => out[rest + v / 4 * VECTOR + byte] |= (code >> 4) << (v % 4 * 2),
                _ => {}
            }
        }
    }
}

fn put_scales(shape: Shape, out: &mut [u8], r: usize, i: usize, stored: &Stored) {
    if !shape.is_super {
        put_half(out, 0, r, stored.d);
        if shape.has_minima() {
            put_half(out, 2 * PANEL, r, stored.m);
        }
        return;
    }
    for n in 0..shape.n_scales {
        let which = i * shape.n_scales + n;
        out[n * PANEL + r] = stored.scales[which].cast_unsigned();
        if shape.has_minima() {
            out[(shape.n_scales + n) * PANEL + r] = stored.minima[which].cast_unsigned();
        }
    }
}

fn put_half(out: &mut [u8], at: usize, r: usize, value: f16) {
    out[at + 2 * r..][..2].copy_from_slice(&value.to_le_bytes());
}

/// The scales of 32 columns of a panel, as the kernels apply them.
pub(super) struct Scales {
    /// For each half of the columns; alike if there is one scale.
    pub(super) d: [[f32; PANEL]; 2],
    /// As `d`; zeros without minima.
    pub(super) m: [[f32; PANEL]; 2],
}

/// Reads the scales of block `b`.
pub(super) fn scales(shape: Shape, panel: &[u8], n_blocks: usize, b: usize) -> Scales {
    let at = &panel[shape.scales_at(n_blocks) + b * shape.scale_bytes()..];
    let supers = &panel[shape.supers_at(n_blocks) + b / 8 * shape.super_bytes()..];
    let mut out = Scales { d: [[0.0; PANEL]; 2], m: [[0.0; PANEL]; 2] };
    for half in 0..2 {
        let n = half % shape.n_scales;
        for r in 0..PANEL {
            if !shape.is_super {
                out.d[half][r] = get_half(at, 0, r);
                if shape.has_minima() {
                    out.m[half][r] = get_half(at, 2 * PANEL, r);
                }
                continue;
            }
            let scale = |n: usize| f32::from(at[n * PANEL + r].cast_signed());
            out.d[half][r] = get_half(supers, 0, r) * scale(n);
            if shape.has_minima() {
                out.m[half][r] = get_half(supers, 2 * PANEL, r) * scale(shape.n_scales + n);
            }
        }
    }
    out
}

fn get_half(bytes: &[u8], at: usize, r: usize) -> f32 {
    f16::from_le_bytes([bytes[at + 2 * r], bytes[at + 2 * r + 1]]).to_f32()
}

/// Code `byte` of vector `v` of the 32 columns that start at `codes`.
#[inline]
pub(super) fn code(shape: Shape, codes: &[u8], v: usize, byte: usize) -> u8 {
    let base = match shape.base_bits() {
        2 => codes[v / 4 * VECTOR + byte] >> (v % 4 * 2) & 3,
        4 => codes[v % 4 * VECTOR + byte] >> (v / 4 * 4) & 15,
        _ => codes[v * VECTOR + byte],
    };
    let rest = shape.base_bits() * VECTOR;
    match shape.n_bits {
        3 => base | (codes[rest + byte] >> v & 1) << 2,
        5 => base | (codes[rest + byte] >> v & 1) << 4,
        6 => base | (codes[rest + v / 4 * VECTOR + byte] >> (v % 4 * 2) & 3) << 4,
        _ => base,
    }
}

/// A format as a type, for kernels compiled once for each.
pub(super) trait Layout {
    const SHAPE: Shape;
}

macro_rules! layouts {
    ($($name:ident = $format:ident),*) => {$(
        pub(super) enum $name {}
        impl Layout for $name {
            const SHAPE: Shape = BlockFormat::$format.shape();
        }
    )*};
}

layouts! {
    Nibble = Q4_0, NibbleMin = Q4_1, Five = Q5_0, FiveMin = Q5_1, Byte = Q8_0,
    Super2 = Q2K, Super3 = Q3K, Super4 = Q4K, Super5 = Q5K, Super6 = Q6K
}

/// Calls a macro of the kernels, `$make!(Layout)`, with the format's type.
macro_rules! for_format {
    ($format:expr, $make:ident) => {
        match $format {
            $crate::model::packed::BlockFormat::Q4_0 => $make!(Nibble),
            $crate::model::packed::BlockFormat::Q4_1 => $make!(NibbleMin),
            $crate::model::packed::BlockFormat::Q5_0 => $make!(Five),
            $crate::model::packed::BlockFormat::Q5_1 => $make!(FiveMin),
            $crate::model::packed::BlockFormat::Q8_0 => $make!(Byte),
            $crate::model::packed::BlockFormat::Q2K => $make!(Super2),
            $crate::model::packed::BlockFormat::Q3K => $make!(Super3),
            $crate::model::packed::BlockFormat::Q4K => $make!(Super4),
            $crate::model::packed::BlockFormat::Q5K => $make!(Super5),
            $crate::model::packed::BlockFormat::Q6K => $make!(Super6),
        }
    };
}
pub(super) use for_format;
