//! Arithmetic on rows of numbers, with the vector instructions that the machine has.
//!
//! A computation is an [`Op`], written once over [`Lanes`]; [`Isa::run`] compiles it for each set of
//! instructions and takes the one the processor has.
//!
//! Invariant: the same bits on every processor that multiplies and adds in one step. Lanes never
//! mix, and sums are taken in an order that does not know how wide a register is.

#![expect(
    clippy::inline_always,
    reason = "what is not inlined is not compiled for the instructions"
)]

mod plain;
mod rows;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use rows::{gelu_tanh, gelu_tanh_mul, layer_norm_row, rms_norm_row, silu, silu_mul};

use plain::Plain;
#[cfg(target_arch = "x86_64")]
use x86::{Avx2, Avx512};

/// A register of numbers, and what can be done with it.
///
/// A value of a type that implements this is the proof that the processor has its instructions, so
/// only what reads or writes memory is unsafe.
pub(super) trait Lanes: Copy {
    /// A register.
    type V: Copy;
    /// Numbers in a register: 8 or 16.
    const N: usize;
    /// Sums kept in registers at once are this many times three registers.
    const TILE: usize;
    /// Sums kept in registers at once when only `BLOCK` registers share a factor.
    const BLOCK: usize;

    /// The same number in all lanes.
    fn splat(self, x: f32) -> Self::V;
    /// # Safety
    /// `p` points to `N` numbers.
    unsafe fn load(self, p: *const f32) -> Self::V;
    /// # Safety
    /// `p` points to `N` numbers.
    unsafe fn store(self, p: *mut f32, x: Self::V);
    /// Has a cache line brought near, if the address is one that may be read.
    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        let _ = p;
    }
    /// The first `n` lanes from memory, the others zero.
    ///
    /// # Safety
    /// `p` points to `n` numbers, `n <= N`.
    unsafe fn load_first(self, p: *const f32, n: usize) -> Self::V;
    /// Writes the first `n` lanes.
    ///
    /// # Safety
    /// `p` points to `n` numbers, `n <= N`.
    unsafe fn store_first(self, p: *mut f32, n: usize, x: Self::V);
    /// `a + b`.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b`.
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`.
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once where the processor can.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The larger one; `b` if either is not a number.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// The smaller one; `b` if either is not a number.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// `x` where `first <= key <= last`, minus infinity elsewhere.
    fn keep(self, x: Self::V, key: Self::V, first: Self::V, last: Self::V) -> Self::V;
    /// Zero where `key < low`, `x` elsewhere.
    fn zero_below(self, x: Self::V, key: Self::V, low: Self::V) -> Self::V;
    /// The number whose bits are those of `x`, shifted left by 23, plus `offset`.
    fn shift_exponent(self, x: Self::V, offset: i32) -> Self::V;
    /// Transposes: lane `i` of register `c` is the number `c` at `row(i)`.
    ///
    /// # Safety
    /// `row(i)` points to 4 numbers for every `i < N`.
    unsafe fn columns(self, row: impl Fn(usize) -> *const f32) -> [Self::V; 4];

    /// `2^x` for `x <= 127`, to 1e-7; exactly 1 at 0, and 0 below -126.
    #[inline(always)]
    fn exp2(self, x: Self::V) -> Self::V {
        let shifted = self.add(x, self.splat(ROUND));
        let r = self.sub(x, self.sub(shifted, self.splat(ROUND)));
        let power = self.mul(self.polynomial(r, &EXP2), self.shift_exponent(shifted, 127 << 23));
        self.zero_below(power, x, self.splat(-126.0))
    }

    /// `e^x`, to 1.2e-7; exactly 1 at 0, 0 below -86.6, infinite above 88.7.
    #[inline(always)]
    fn exp(self, x: Self::V) -> Self::V {
        let capped = self.min(self.splat(89.0), x);
        let shifted = self.mul_add(capped, self.splat(std::f32::consts::LOG2_E), self.splat(ROUND));
        let n = self.sub(shifted, self.splat(ROUND));
        let r = self.mul_add(n, self.splat(-LN_2_HIGH), capped);
        let r = self.mul_add(n, self.splat(-LN_2_LOW), r);
        // In two steps, as 2^128 is no number but e^x may still be one.
        let half = self.mul(self.polynomial(r, &EXP), self.shift_exponent(shifted, 126 << 23));
        self.zero_below(self.add(half, half), x, self.splat(-86.6))
    }

    /// `x / (1 + e^-x)`.
    #[inline(always)]
    fn silu(self, x: Self::V) -> Self::V {
        let e = self.exp(self.sub(self.splat(0.0), x));
        self.div(x, self.add(self.splat(1.0), e))
    }

    /// The tanh form of the Gaussian error linear unit, `x / (1 + e^-2u)`.
    #[inline(always)]
    fn gelu_tanh(self, x: Self::V) -> Self::V {
        let cubic = self.mul_add(self.mul(x, x), self.splat(GELU_CUBIC), self.splat(GELU_LINEAR));
        let e = self.exp(self.mul(self.sub(self.splat(0.0), x), cubic));
        self.div(x, self.add(self.splat(1.0), e))
    }

    /// `cap * tanh(x / cap)`, to 5e-7 of itself.
    #[inline(always)]
    fn squeeze(self, x: Self::V, cap: Self::V) -> Self::V {
        let (one, y) = (self.splat(1.0), self.div(x, cap));
        // Far below the power is 0, far above it is infinite: -1 and 1.
        let part = self.div(self.splat(2.0), self.add(one, self.exp(self.add(y, y))));
        let far = self.sub(one, part);
        // Near 0 that would be the difference of two numbers near 1.
        let near = self.max(self.splat(-1.0), self.min(one, y));
        let square = self.mul(near, near);
        let mut sum = self.splat(TANH[TANH.len() - 1]);
        for c in TANH.iter().rev().skip(1) {
            sum = self.mul_add(sum, square, self.splat(*c));
        }
        let near = self.mul(near, sum);
        let size = self.max(y, self.sub(self.splat(0.0), y));
        let border = self.splat(TANH_NEAR);
        let near = self.sub(near, self.zero_below(near, size, border));
        self.mul(cap, self.add(near, self.zero_below(far, size, border)))
    }

    /// `c[0] + c[1] r + ... + c[6] r^6`.
    #[inline(always)]
    fn polynomial(self, r: Self::V, c: &[f32; 7]) -> Self::V {
        let mut sum = self.splat(c[6]);
        for k in (0..6).rev() {
            sum = self.mul_add(sum, r, self.splat(c[k]));
        }
        sum
    }
}

/// Added to a number and taken away again, it rounds to an integer; in between, the integer stands
/// in the lowest bits.
const ROUND: f32 = 12_582_912.0;
/// `ln 2` to 12 bits, so that its products with small integers are exact.
const LN_2_HIGH: f32 = 0.693_145_75;
/// The rest of `ln 2`.
const LN_2_LOW: f32 = 1.428_606_8e-6;
/// `2^r` for `|r| <= 1/2`, to 1e-8: interpolated at Chebyshev nodes, with the value at 0 exact.
const EXP2: [f32; 7] = [
    1.0,
    std::f32::consts::LN_2,
    0.240_226_5,
    0.055_503_57,
    0.009_618_083,
    0.001_339_086_3,
    0.000_154_531_63,
];
/// `e^r` for `|r| <= ln(2)/2`, to 1e-8; value and slope at 0 are exact.
const EXP: [f32; 7] = [1.0, 1.0, 0.5, 0.166_665_78, 0.041_666_556, 0.008_363_173, 0.001_392_617_6];
/// The series of `tanh(y) / y` in `y^2`, to 3e-7 below the border.
const TANH: [f32; 5] = [1.0, -1.0 / 3.0, 2.0 / 15.0, -17.0 / 315.0, 62.0 / 2835.0];
const TANH_NEAR: f32 = 0.35;
/// `2 sqrt(2/pi)`.
const GELU_LINEAR: f32 = 1.595_769;
/// `2 sqrt(2/pi) * 0.044715`.
const GELU_CUBIC: f32 = 0.071_354_814;

/// A computation that is compiled for every set of instructions.
pub(super) trait Op {
    /// What it returns.
    type Output;
    /// Computes. To be marked `#[inline(always)]`, as is all it calls, down to the registers:
    /// that is what compiles it for the instructions of `L`.
    fn run<L: Lanes>(self, lanes: L) -> Self::Output;
}

/// A set of instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Isa {
    /// What every processor has.
    Plain,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512F.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// The best set that this processor has.
    pub(super) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            for isa in [Self::Avx512, Self::Avx2] {
                if isa.is_present() {
                    return isa;
                }
            }
        }
        Self::Plain
    }

    /// Whether this processor has the set.
    pub(super) fn is_present(self) -> bool {
        match self {
            Self::Plain => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => is_x86_feature_detected!("avx512f"),
        }
    }

    /// Runs `op` with these instructions, or with plain ones if the processor lacks them.
    #[inline]
    pub(super) fn run<O: Op>(self, op: O) -> O::Output {
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx2,fma")]
            fn avx2<O: Op>(op: O) -> O::Output {
                op.run(Avx2(()))
            }
            #[target_feature(enable = "avx512f")]
            fn avx512<O: Op>(op: O) -> O::Output {
                op.run(Avx512(()))
            }
            match self {
                // SAFETY: the processor has them, as was just asked.
                Self::Avx512 if self.is_present() => return unsafe { avx512(op) },
                // SAFETY: as above.
                Self::Avx2 if self.is_present() => return unsafe { avx2(op) },
                _ => {}
            }
        }
        op.run(Plain)
    }
}
