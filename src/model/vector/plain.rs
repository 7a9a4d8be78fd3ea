//! Registers for processors without a variant of their own.

use super::Lanes;

/// Eight numbers in plain Rust, for processors without a variant of their own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain;

/// `a * b + c`; rounded once only where that does not take a library call.
#[inline(always)]
pub(super) fn fused(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_feature = "fma", target_arch = "aarch64")) {
        a.mul_add(b, c)
    } else {
        a * b + c
    }
}

/// Lane by lane, as a loop that the compiler turns into vector instructions.
macro_rules! each {
    ($i:ident => $value:expr) => {{
        let mut out = [0f32; 8];
        for ($i, lane) in out.iter_mut().enumerate() {
            *lane = $value;
        }
        out
    }};
}

impl Lanes for Plain {
    type V = [f32; 8];
    const N: usize = 8;
    const TILE: usize = 4;
    const BLOCK: usize = 2;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        [x; 8]
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Self::V {
        // SAFETY: the caller's promise; an array of f32 needs no more than theirs for alignment.
        unsafe { p.cast::<[f32; 8]>().read() }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: Self::V) {
        // SAFETY: as for `load`.
        unsafe { p.cast::<[f32; 8]>().write(x) }
    }
    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize) -> Self::V {
        let mut out = [0f32; 8];
        for (i, lane) in out.iter_mut().enumerate().take(n) {
            // SAFETY: `i < n`, the caller's promise.
            *lane = unsafe { *p.add(i) };
        }
        out
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, n: usize, x: Self::V) {
        for (i, lane) in x.iter().enumerate().take(n) {
            // SAFETY: `i < n`, the caller's promise.
            unsafe { *p.add(i) = *lane };
        }
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        each!(i => a[i] + b[i])
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        each!(i => a[i] - b[i])
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        each!(i => a[i] * b[i])
    }
    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        each!(i => a[i] / b[i])
    }
    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        each!(i => fused(a[i], b[i], c[i]))
    }
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        each!(i => if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        each!(i => if a[i] < b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn keep(self, x: Self::V, key: Self::V, first: Self::V, last: Self::V) -> Self::V {
        each!(i => if first[i] <= key[i] && key[i] <= last[i] { x[i] } else { f32::NEG_INFINITY })
    }
    #[inline(always)]
    fn zero_below(self, x: Self::V, key: Self::V, low: Self::V) -> Self::V {
        each!(i => if key[i] < low[i] { 0.0 } else { x[i] })
    }
    #[inline(always)]
    fn shift_exponent(self, x: Self::V, offset: i32) -> Self::V {
        each!(i => f32::from_bits((x[i].to_bits() << 23).wrapping_add(offset.cast_unsigned())))
    }
    #[inline(always)]
    unsafe fn columns(self, row: impl Fn(usize) -> *const f32) -> [Self::V; 4] {
        let mut out = [[0f32; 8]; 4];
        for i in 0..8 {
            let p = row(i);
            for (c, column) in out.iter_mut().enumerate() {
                // SAFETY: four numbers at `row(i)`, the caller's promise.
                column[i] = unsafe { *p.add(c) };
            }
        }
        out
    }
}
