//! The block formats of ggml, read into codes and scales: a weight is
//! `d * scale * (code - zero)` or, where the format has minima,
//! `d * scale * code + m * minimum`.
//!
//! Sources: the structs of ggml's `ggml-common.h`, and the `dequantize_row_*`
//! functions of its `ggml-quants.c`, which define what the bits mean.

use half::f16;

/// Columns that share a scale of the activations, and the unit of all kernels.
pub(super) const BLOCK: usize = 32;
/// Columns in the longest stored block.
pub(super) const MAX_STORED: usize = 256;

/// How a quantized tensor of a GGUF file is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "ggml's own names")]
pub enum BlockFormat {
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
}

impl BlockFormat {
    /// All formats, in ggml's order.
    pub const ALL: [Self; 10] = [
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q2K,
        Self::Q3K,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
    ];

    /// Columns in one stored block: a row is a whole number of them.
    pub const fn block_len(self) -> usize {
        if self.shape().is_super { 256 } else { 32 }
    }

    /// Bytes of one stored block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q2K => 84,
            Self::Q3K => 110,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }

    pub(super) const fn shape(self) -> Shape {
        let (n_bits, zero, n_scales, is_super) = match self {
            Self::Q4_0 => (4, 8, 1, false),
            Self::Q4_1 => (4, 0, 1, false),
            Self::Q5_0 => (5, 16, 1, false),
            Self::Q5_1 => (5, 0, 1, false),
            Self::Q8_0 => (8, 128, 1, false),
            Self::Q2K => (2, 0, 2, true),
            Self::Q3K => (3, 4, 2, true),
            Self::Q4K => (4, 0, 1, true),
            Self::Q5K => (5, 0, 1, true),
            Self::Q6K => (6, 32, 2, true),
        };
        Shape { n_bits, zero, n_scales, is_super }
    }
}

/// What the kernels need to know of a format.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Width of a code: 2, 3, 4, 5, 6 or 8.
    pub(super) n_bits: usize,
    /// The code that means zero; if none does (0), blocks have minima.
    pub(super) zero: i32,
    /// Scales in 32 columns: 1 or 2.
    pub(super) n_scales: usize,
    /// Whether `d` and `m` are stored once in 256 columns, multiplied by small
    /// integers for each scale.
    pub(super) is_super: bool,
}

impl Shape {
    pub(super) const fn has_minima(self) -> bool {
        self.zero == 0
    }
}

/// One stored block of one row.
pub(super) struct Stored {
    pub(super) codes: [u8; MAX_STORED],
    pub(super) d: f16,
    pub(super) m: f16,
    /// Multiples of `d`; ones where the format has none.
    pub(super) scales: [i8; 16],
    /// Multiples of `m`; ones where the format has none.
    pub(super) minima: [i8; 16],
}

impl Stored {
    pub(super) const fn new() -> Self {
        let codes = [0; MAX_STORED];
        Self { codes, d: f16::ZERO, m: f16::ZERO, scales: [1; 16], minima: [1; 16] }
    }

    /// Reads one block of `format`.
    pub(super) fn read(&mut self, format: BlockFormat, bytes: &[u8]) {
        match format {
            BlockFormat::Q4_0 => {
                self.d = half_at(bytes, 0);
                self.nibbles(&bytes[2..]);
            }
            BlockFormat::Q4_1 => {
                (self.d, self.m) = (half_at(bytes, 0), half_at(bytes, 2));
                self.nibbles(&bytes[4..]);
            }
            BlockFormat::Q5_0 => {
                self.d = half_at(bytes, 0);
                self.nibbles(&bytes[6..]);
                self.fifth_bits(&bytes[2..6]);
            }
            BlockFormat::Q5_1 => {
                (self.d, self.m) = (half_at(bytes, 0), half_at(bytes, 2));
                self.nibbles(&bytes[8..]);
                self.fifth_bits(&bytes[4..8]);
            }
            BlockFormat::Q8_0 => {
                self.d = half_at(bytes, 0);
                for (code, byte) in self.codes.iter_mut().zip(&bytes[2..]) {
                    *code = byte ^ 0x80; // from two's complement to 128 above
                }
            }
            BlockFormat::Q2K => self.q2k(bytes),
            BlockFormat::Q3K => self.q3k(bytes),
            BlockFormat::Q4K => self.q4k(bytes),
            BlockFormat::Q5K => self.q5k(bytes),
            BlockFormat::Q6K => self.q6k(bytes),
        }
    }

    fn nibbles(&mut self, bytes: &[u8]) {
        for (j, byte) in bytes.iter().enumerate() {
            self.codes[j] = byte & 15;
            self.codes[16 + j] = byte >> 4;
        }
    }

    fn fifth_bits(&mut self, bytes: &[u8]) {
        for (j, code) in self.codes[..32].iter_mut().enumerate() {
            *code |= (bytes[j / 8] >> (j % 8) & 1) << 4;
        }
    }

    fn q2k(&mut self, bytes: &[u8]) {
        let (scales, codes) = bytes.split_at(16);
        for (i, byte) in scales.iter().enumerate() {
            self.scales[i] = small(byte & 15);
            self.minima[i] = small(byte >> 4);
        }
        self.two_bits(codes);
        (self.d, self.m) = (half_at(bytes, 80), -half_at(bytes, 82));
    }

    fn q3k(&mut self, bytes: &[u8]) {
        let (high, scales) = (&bytes[..32], &bytes[96..108]);
        self.two_bits(&bytes[32..96]);
        for (j, code) in self.codes.iter_mut().enumerate() {
            *code |= (high[j % 32] >> (j / 32) & 1) << 2;
        }
        for i in 0..16 {
            let low = scales[i % 8] >> (i / 8 * 4) & 15;
            let high = scales[8 + i % 4] >> (i / 4 * 2) & 3;
            self.scales[i] = small(low | high << 4) - 32;
        }
        self.d = half_at(bytes, 108);
    }

    /// The 64 bytes of `Q2_K` and `Q3_K`: each byte holds columns 32 apart.
    fn two_bits(&mut self, bytes: &[u8]) {
        for (j, code) in self.codes.iter_mut().enumerate() {
            *code = bytes[j / 128 * 32 + j % 32] >> (j / 32 % 4 * 2) & 3;
        }
    }

    fn q4k(&mut self, bytes: &[u8]) {
        (self.d, self.m) = (half_at(bytes, 0), -half_at(bytes, 2));
        self.six_bit_scales(&bytes[4..16]);
        self.long_nibbles(&bytes[16..]);
    }

    fn q5k(&mut self, bytes: &[u8]) {
        (self.d, self.m) = (half_at(bytes, 0), -half_at(bytes, 2));
        self.six_bit_scales(&bytes[4..16]);
        self.long_nibbles(&bytes[48..]);
        for (j, code) in self.codes.iter_mut().enumerate() {
            *code |= (bytes[16 + j % 32] >> (j / 32) & 1) << 4;
        }
    }

    /// The 128 bytes of `Q4_K` and `Q5_K`: low halves are 32 columns, high halves
    /// the next 32.
    fn long_nibbles(&mut self, bytes: &[u8]) {
        for (j, code) in self.codes.iter_mut().enumerate() {
            *code = bytes[j / 64 * 32 + j % 32] >> (j / 32 % 2 * 4) & 15;
        }
    }

    /// Eight scales and eight minima of six bits in twelve bytes.
    fn six_bit_scales(&mut self, bytes: &[u8]) {
        for i in 0..4 {
            self.scales[i] = small(bytes[i] & 63);
            self.minima[i] = small(bytes[4 + i] & 63);
            self.scales[4 + i] = small(bytes[8 + i] & 15 | bytes[i] >> 6 << 4);
            self.minima[4 + i] = small(bytes[8 + i] >> 4 | bytes[4 + i] >> 6 << 4);
        }
    }

    fn q6k(&mut self, bytes: &[u8]) {
        let (low, high) = (&bytes[..128], &bytes[128..192]);
        for (j, code) in self.codes.iter_mut().enumerate() {
            let (half, quarter, l) = (j / 128, j / 32 % 4, j % 32);
            let four = low[half * 64 + quarter % 2 * 32 + l] >> (quarter / 2 * 4) & 15;
            let two = high[half * 32 + l] >> (quarter * 2) & 3;
            *code = four | two << 4;
        }
        for (scale, byte) in self.scales.iter_mut().zip(&bytes[192..208]) {
            *scale = byte.cast_signed();
        }
        self.d = half_at(bytes, 208);
    }
}

fn half_at(bytes: &[u8], at: usize) -> f16 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// A value below 128 as a signed byte.
fn small(value: u8) -> i8 {
    value.cast_signed()
}
