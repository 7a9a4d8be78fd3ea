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

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m256, __m512, _CMP_GE_OQ, _CMP_LE_OQ, _CMP_LT_OQ, _CMP_NLT_UQ, _MM_HINT_T0, _mm_loadu_ps,
    _mm_prefetch, _mm256_add_epi32, _mm256_add_ps, _mm256_and_ps, _mm256_andnot_ps,
    _mm256_blendv_ps, _mm256_castpd_ps, _mm256_castps_pd, _mm256_castps_si256,
    _mm256_castps128_ps256, _mm256_castsi256_ps, _mm256_cmp_ps, _mm256_div_ps, _mm256_fmadd_ps,
    _mm256_insertf128_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_slli_epi32, _mm256_storeu_ps, _mm256_sub_ps,
    _mm256_unpackhi_pd, _mm256_unpackhi_ps, _mm256_unpacklo_pd, _mm256_unpacklo_ps,
    _mm512_add_epi32, _mm512_add_ps, _mm512_castpd_ps, _mm512_castps_pd, _mm512_castps_si512,
    _mm512_castps128_ps512, _mm512_castsi512_ps, _mm512_cmp_ps_mask, _mm512_div_ps,
    _mm512_fmadd_ps, _mm512_insertf32x4, _mm512_loadu_ps, _mm512_mask_cmp_ps_mask,
    _mm512_mask_mov_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_maskz_mov_ps,
    _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_set1_epi32, _mm512_set1_ps,
    _mm512_slli_epi32, _mm512_storeu_ps, _mm512_sub_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps,
    _mm512_unpacklo_pd, _mm512_unpacklo_ps,
};

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
/// `2 sqrt(2/pi)`.
const GELU_LINEAR: f32 = 1.595_769;
/// `2 sqrt(2/pi) * 0.044715`.
const GELU_CUBIC: f32 = 0.071_354_814;

/// Eight numbers in plain Rust, for processors without a variant of their own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain;

/// `a * b + c`; rounded once only where that does not take a library call.
#[inline(always)]
fn fused(a: f32, b: f32, c: f32) -> f32 {
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

/// Eight numbers: AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2(());

/// Sixteen numbers: AVX-512F.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx512(());

/// Calls an intrinsic that touches no memory.
#[cfg(target_arch = "x86_64")]
macro_rules! vector {
    ($e:expr) => {
        // SAFETY: `self` exists only on processors that have the instructions, see `Isa::run`.
        unsafe { $e }
    };
}

#[cfg(target_arch = "x86_64")]
impl Lanes for Avx2 {
    type V = __m256;
    const N: usize = 8;
    const TILE: usize = 4;
    const BLOCK: usize = 2;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        vector!(_mm256_set1_ps(x))
    }
    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        // SAFETY: a hint, which every x86-64 processor understands and none fails at.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Self::V {
        // SAFETY: the caller's promise; AVX by `self`.
        unsafe { _mm256_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: Self::V) {
        // SAFETY: as for `load`.
        unsafe { _mm256_storeu_ps(p, x) }
    }
    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize) -> Self::V {
        // SAFETY: the caller's promise; else an array of eight.
        unsafe { if n == 8 { self.load(p) } else { self.load(Plain.load_first(p, n).as_ptr()) } }
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, n: usize, x: Self::V) {
        let mut all = [0f32; 8];
        // SAFETY: the caller's promise; else an array of eight first.
        unsafe {
            if n == 8 {
                return self.store(p, x);
            }
            self.store(all.as_mut_ptr(), x);
            Plain.store_first(p, n, all);
        }
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        vector!(_mm256_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        vector!(_mm256_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        vector!(_mm256_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        vector!(_mm256_div_ps(a, b))
    }
    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        vector!(_mm256_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        vector!(_mm256_max_ps(a, b))
    }
    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        vector!(_mm256_min_ps(a, b))
    }
    #[inline(always)]
    fn keep(self, x: Self::V, key: Self::V, first: Self::V, last: Self::V) -> Self::V {
        vector!({
            let after = _mm256_cmp_ps::<_CMP_GE_OQ>(key, first);
            let before = _mm256_cmp_ps::<_CMP_LE_OQ>(key, last);
            _mm256_blendv_ps(_mm256_set1_ps(f32::NEG_INFINITY), x, _mm256_and_ps(after, before))
        })
    }
    #[inline(always)]
    fn zero_below(self, x: Self::V, key: Self::V, low: Self::V) -> Self::V {
        vector!(_mm256_andnot_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(key, low), x))
    }
    #[inline(always)]
    fn shift_exponent(self, x: Self::V, offset: i32) -> Self::V {
        vector!({
            let shifted = _mm256_slli_epi32::<23>(_mm256_castps_si256(x));
            _mm256_castsi256_ps(_mm256_add_epi32(shifted, _mm256_set1_epi32(offset)))
        })
    }
    #[inline(always)]
    unsafe fn columns(self, row: impl Fn(usize) -> *const f32) -> [Self::V; 4] {
        // SAFETY: four numbers at each row, the caller's promise; AVX by `self`.
        unsafe {
            // Row `i` beside row `i + 4`, then both halves transposed at once.
            let mut r = [self.splat(0.0); 4];
            for (i, r) in r.iter_mut().enumerate() {
                *r = _mm256_castps128_ps256(_mm_loadu_ps(row(i)));
                *r = _mm256_insertf128_ps::<1>(*r, _mm_loadu_ps(row(i + 4)));
            }
            let low01 = _mm256_castps_pd(_mm256_unpacklo_ps(r[0], r[1]));
            let high01 = _mm256_castps_pd(_mm256_unpackhi_ps(r[0], r[1]));
            let low23 = _mm256_castps_pd(_mm256_unpacklo_ps(r[2], r[3]));
            let high23 = _mm256_castps_pd(_mm256_unpackhi_ps(r[2], r[3]));
            [
                _mm256_castpd_ps(_mm256_unpacklo_pd(low01, low23)),
                _mm256_castpd_ps(_mm256_unpackhi_pd(low01, low23)),
                _mm256_castpd_ps(_mm256_unpacklo_pd(high01, high23)),
                _mm256_castpd_ps(_mm256_unpackhi_pd(high01, high23)),
            ]
        }
    }
}

#[cfg(target_arch = "x86_64")]
impl Lanes for Avx512 {
    type V = __m512;
    const N: usize = 16;
    const TILE: usize = 8;
    const BLOCK: usize = 4;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        vector!(_mm512_set1_ps(x))
    }
    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        // SAFETY: a hint, which every x86-64 processor understands and none fails at.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Self::V {
        // SAFETY: the caller's promise; AVX-512F by `self`.
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: Self::V) {
        // SAFETY: as for `load`.
        unsafe { _mm512_storeu_ps(p, x) }
    }
    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize) -> Self::V {
        // SAFETY: lanes from `n` on are not touched.
        unsafe { _mm512_maskz_loadu_ps(first_lanes(n), p) }
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, n: usize, x: Self::V) {
        // SAFETY: lanes from `n` on are not touched.
        unsafe { _mm512_mask_storeu_ps(p, first_lanes(n), x) }
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        vector!(_mm512_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        vector!(_mm512_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        vector!(_mm512_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        vector!(_mm512_div_ps(a, b))
    }
    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        vector!(_mm512_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        vector!(_mm512_max_ps(a, b))
    }
    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        vector!(_mm512_min_ps(a, b))
    }
    #[inline(always)]
    fn keep(self, x: Self::V, key: Self::V, first: Self::V, last: Self::V) -> Self::V {
        vector!({
            let after = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(key, first);
            let inside = _mm512_mask_cmp_ps_mask::<_CMP_LE_OQ>(after, key, last);
            _mm512_mask_mov_ps(_mm512_set1_ps(f32::NEG_INFINITY), inside, x)
        })
    }
    #[inline(always)]
    fn zero_below(self, x: Self::V, key: Self::V, low: Self::V) -> Self::V {
        vector!(_mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLT_UQ>(key, low), x))
    }
    #[inline(always)]
    fn shift_exponent(self, x: Self::V, offset: i32) -> Self::V {
        vector!({
            let shifted = _mm512_slli_epi32::<23>(_mm512_castps_si512(x));
            _mm512_castsi512_ps(_mm512_add_epi32(shifted, _mm512_set1_epi32(offset)))
        })
    }
    #[inline(always)]
    unsafe fn columns(self, row: impl Fn(usize) -> *const f32) -> [Self::V; 4] {
        // SAFETY: four numbers at each row, the caller's promise; AVX-512F by `self`.
        unsafe {
            // Row `i` beside rows `i + 4`, `i + 8` and `i + 12`, then all quarters at once.
            let mut r = [self.splat(0.0); 4];
            for (i, r) in r.iter_mut().enumerate() {
                *r = _mm512_castps128_ps512(_mm_loadu_ps(row(i)));
                *r = _mm512_insertf32x4::<1>(*r, _mm_loadu_ps(row(i + 4)));
                *r = _mm512_insertf32x4::<2>(*r, _mm_loadu_ps(row(i + 8)));
                *r = _mm512_insertf32x4::<3>(*r, _mm_loadu_ps(row(i + 12)));
            }
            let low01 = _mm512_castps_pd(_mm512_unpacklo_ps(r[0], r[1]));
            let high01 = _mm512_castps_pd(_mm512_unpackhi_ps(r[0], r[1]));
            let low23 = _mm512_castps_pd(_mm512_unpacklo_ps(r[2], r[3]));
            let high23 = _mm512_castps_pd(_mm512_unpackhi_ps(r[2], r[3]));
            [
                _mm512_castpd_ps(_mm512_unpacklo_pd(low01, low23)),
                _mm512_castpd_ps(_mm512_unpackhi_pd(low01, low23)),
                _mm512_castpd_ps(_mm512_unpacklo_pd(high01, high23)),
                _mm512_castpd_ps(_mm512_unpackhi_pd(high01, high23)),
            ]
        }
    }
}

/// The mask of the first `n` lanes of sixteen.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "sixteen bits at most")]
fn first_lanes(n: usize) -> u16 {
    debug_assert!(n <= 16);
    ((1u32 << n) - 1) as u16
}

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

/// Writes an [`Op`] that computes every number of `out` from the numbers of `inputs` at its place.
macro_rules! elementwise {
    ($(#[$doc:meta])* $name:ident, |$l:ident, $($input:ident),+| $value:expr) => {
        $(#[$doc])*
        ///
        /// # Panics
        /// If the slices differ in length.
        pub fn $name($($input: &[f32],)+ out: &mut [f32]) {
            struct Map<'a> {
                $($input: &'a [f32],)+
                out: &'a mut [f32],
            }
            impl Op for Map<'_> {
                type Output = ();
                #[inline(always)]
                fn run<L: Lanes>(self, $l: L) {
                    let len = self.out.len();
                    $(assert_eq!(self.$input.len(), len, "slices differ in length");)+
                    let whole = len - len % L::N;
                    for i in (0..whole).step_by(L::N) {
                        // SAFETY: `i + N <= len`, the length of all slices.
                        unsafe {
                            $(let $input = $l.load(self.$input.as_ptr().add(i));)+
                            $l.store(self.out.as_mut_ptr().add(i), $value);
                        }
                    }
                    if whole < len {
                        // SAFETY: `len - whole` numbers are left, fewer than `N`.
                        unsafe {
                            $(let $input = $l.load_first(self.$input.as_ptr().add(whole), len - whole);)+
                            $l.store_first(self.out.as_mut_ptr().add(whole), len - whole, $value);
                        }
                    }
                }
            }
            Isa::best().run(Map { $($input,)+ out });
        }
    };
}

elementwise!(
    #[cfg(test)]
    /// `out = e^x`: to 1.2e-7, 0 below -86.6 and for minus infinity.
    exp_slice,
    |l, x| l.exp(x)
);
elementwise!(
    /// `out = silu(x) = x / (1 + e^-x)`.
    silu,
    |l, x| l.silu(x)
);
elementwise!(
    /// `out = silu(gate) * up`.
    silu_mul,
    |l, gate, up| l.mul(l.silu(gate), up)
);
elementwise!(
    /// `out = gelu(x)`, in its tanh form.
    gelu_tanh,
    |l, x| l.gelu_tanh(x)
);
elementwise!(
    /// `out = gelu(gate) * up`, in its tanh form.
    gelu_tanh_mul,
    |l, gate, up| l.mul(l.gelu_tanh(gate), up)
);

/// Partial sums of a row: number `i` goes to sum `i % 32`.
const N_SUMS: usize = 32;

/// Sums `(x - mean) * (y - mean)` over a row.
struct Product<'a> {
    x: &'a [f32],
    y: &'a [f32],
    mean: f32,
}

impl Op for Product<'_> {
    type Output = f32;
    #[inline(always)]
    fn run<L: Lanes>(self, l: L) -> f32 {
        let len = self.x.len();
        assert_eq!(self.y.len(), len, "slices differ in length");
        let mean = l.splat(self.mean);
        // As many registers as hold the partial sums; 4 is the most there are.
        let mut sums = [l.splat(0.0); 4];
        let n_registers = N_SUMS / L::N;
        let whole = len - len % N_SUMS;
        for i in (0..whole).step_by(N_SUMS) {
            for (k, sum) in sums.iter_mut().enumerate().take(n_registers) {
                // SAFETY: `i + 32 <= len`, the length of both.
                let (x, y) = unsafe {
                    (
                        l.load(self.x.as_ptr().add(i + k * L::N)),
                        l.load(self.y.as_ptr().add(i + k * L::N)),
                    )
                };
                *sum = l.mul_add(l.sub(x, mean), l.sub(y, mean), *sum);
            }
        }
        let mut partial = [0f32; N_SUMS];
        for (k, sum) in sums.iter().enumerate().take(n_registers) {
            // SAFETY: `n_registers * N` is the length of the array.
            unsafe { l.store(partial.as_mut_ptr().add(k * L::N), *sum) };
        }
        for (i, sum) in partial.iter_mut().enumerate().take(len - whole) {
            *sum = fused(self.x[whole + i] - self.mean, self.y[whole + i] - self.mean, *sum);
        }
        fold(&mut partial)
    }
}

/// Sums up, each step adding the upper half to the lower one.
fn fold(partial: &mut [f32; N_SUMS]) -> f32 {
    let mut half = N_SUMS / 2;
    while 0 < half {
        for i in 0..half {
            partial[i] += partial[i + half];
        }
        half /= 2;
    }
    partial[0]
}

/// The sum of the products.
///
/// # Panics
/// If the slices differ in length.
#[must_use]
pub fn dot(x: &[f32], y: &[f32]) -> f32 {
    Isa::best().run(Product { x, y, mean: 0.0 })
}

/// The sum of a row, in 32 partial sums.
fn sum(x: &[f32]) -> f32 {
    let mut partial = [0f32; N_SUMS];
    for row in x.chunks(N_SUMS) {
        for (sum, x) in partial.iter_mut().zip(row) {
            *sum += x;
        }
    }
    fold(&mut partial)
}

/// `out = (x - mean) * scale * weight`, plus the bias if there is one.
struct Rescale<'a> {
    x: &'a [f32],
    mean: f32,
    scale: f32,
    weight: &'a [f32],
    bias: Option<&'a [f32]>,
    out: &'a mut [f32],
}

impl Op for Rescale<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let len = self.out.len();
        assert!(self.x.len() == len && self.weight.len() == len, "slices differ in length");
        assert!(self.bias.is_none_or(|b| b.len() == len), "slices differ in length");
        let (mean, scale) = (l.splat(self.mean), l.splat(self.scale));
        for i in (0..len).step_by(L::N) {
            let n = L::N.min(len - i);
            // SAFETY: `i + n <= len`, the length of all slices.
            unsafe {
                let x = l.sub(l.load_first(self.x.as_ptr().add(i), n), mean);
                let weight = l.load_first(self.weight.as_ptr().add(i), n);
                let mut y = l.mul(l.mul(x, scale), weight);
                if let Some(bias) = self.bias {
                    y = l.add(y, l.load_first(bias.as_ptr().add(i), n));
                }
                l.store_first(self.out.as_mut_ptr().add(i), n, y);
            }
        }
    }
}

/// `out = x / sqrt(mean(x^2) + eps) * weight`, for one row.
///
/// # Panics
/// If the slices differ in length.
#[expect(clippy::cast_precision_loss, reason = "widths are small")]
pub fn rms_norm_row(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let scale = 1.0 / (dot(x, x) / x.len() as f32 + eps).sqrt();
    Isa::best().run(Rescale { x, mean: 0.0, scale, weight, bias: None, out });
}

/// `out = (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias`, for one row.
///
/// # Panics
/// If the slices differ in length.
#[expect(clippy::cast_precision_loss, reason = "widths are small")]
pub fn layer_norm_row(x: &[f32], weight: &[f32], bias: Option<&[f32]>, eps: f32, out: &mut [f32]) {
    let n = x.len() as f32;
    let mean = sum(x) / n;
    let variance = Isa::best().run(Product { x, y: x, mean }) / n;
    let scale = 1.0 / (variance + eps).sqrt();
    Isa::best().run(Rescale { x, mean, scale, weight, bias, out });
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "numbers are made up")]
mod tests {
    use super::*;

    fn all_sets() -> Vec<Isa> {
        #[cfg(target_arch = "x86_64")]
        let sets = vec![Isa::Plain, Isa::Avx2, Isa::Avx512];
        #[cfg(not(target_arch = "x86_64"))]
        let sets = vec![Isa::Plain];
        sets.into_iter().filter(|isa| isa.is_present()).collect()
    }

    /// `2^x` over a slice.
    struct Exp2<'a>(&'a mut [f32]);
    impl Op for Exp2<'_> {
        type Output = ();
        #[inline(always)]
        fn run<L: Lanes>(self, l: L) {
            for chunk in self.0.chunks_mut(L::N) {
                // SAFETY: `chunk.len() <= N`.
                unsafe {
                    let x = l.load_first(chunk.as_ptr(), chunk.len());
                    l.store_first(chunk.as_mut_ptr(), chunk.len(), l.exp2(x));
                }
            }
        }
    }

    /// Numbers without a pattern, the same on every run.
    fn numbers(n: usize, scale: f32) -> Vec<f32> {
        let mut state = 0x9E37_79B9_7F4A_7C15u64;
        (0..n)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                ((state >> 40) as f32 / 8_388_608.0 - 1.0) * scale
            })
            .collect()
    }

    fn relative(ours: f32, theirs: f64) -> f64 {
        ((f64::from(ours) - theirs) / theirs).abs()
    }

    #[test]
    fn exp_is_right_to_the_last_bit_or_so() {
        let x: Vec<f32> = (0..1_000_000).map(|i| i as f32 * 1.75e-4 - 86.5).collect();
        let mut out = vec![0.0; x.len()];
        exp_slice(&x, &mut out);
        let worst = x
            .iter()
            .zip(&out)
            .map(|(&x, &e)| if x < 88.7 { relative(e, f64::from(x).exp()) } else { 0.0 });
        let worst = worst.fold(0.0, f64::max);
        assert!(worst < 1.3e-7, "{worst}");
    }

    #[test]
    fn exp2_is_right_to_the_last_bit_or_so() {
        let x: Vec<f32> = (0..1_000_000).map(|i| i as f32 * -1.26e-4).collect();
        for isa in all_sets() {
            let mut out = x.clone();
            isa.run(Exp2(&mut out));
            let worst = x.iter().zip(&out).map(|(&x, &e)| relative(e, f64::from(x).exp2()));
            let worst = worst.fold(0.0, f64::max);
            assert!(worst < 1.3e-7, "{isa:?}: {worst}");
        }
    }

    #[test]
    fn the_ends_of_exp() {
        let x = [
            f32::NEG_INFINITY,
            f32::MIN,
            -104.0,
            -87.0,
            0.0,
            89.0,
            f32::INFINITY,
            f32::NAN,
            88.7,
            1.0,
        ];
        let mut out = [7.0; 10];
        exp_slice(&x, &mut out);
        assert_eq!(out[..5], [0.0, 0.0, 0.0, 0.0, 1.0]);
        assert_eq!(out[5..7], [f32::INFINITY; 2]);
        assert!(out[7].is_nan());
        assert!(relative(out[8], f64::from(88.7f32).exp()) < 2e-7);
        for isa in all_sets() {
            let mut out = [f32::NEG_INFINITY, f32::MIN, -126.5, 0.0, f32::NAN];
            isa.run(Exp2(&mut out));
            assert_eq!(out[..4], [0.0, 0.0, 0.0, 1.0]);
            assert!(out[4].is_nan());
        }
    }

    #[test]
    fn activations_follow_their_definitions() {
        let (gate, up) = (numbers(1003, 20.0), numbers(1003, 3.0));
        let mut out = vec![0.0; 1003];
        let close = |ours: f32, theirs: f64| {
            (f64::from(ours) - theirs).abs() <= 4e-7 * theirs.abs() + 1e-30
        };
        silu_mul(&gate, &up, &mut out);
        for ((&g, &u), &o) in gate.iter().zip(&up).zip(&out) {
            let (g, u) = (f64::from(g), f64::from(u));
            assert!(close(o, g / (1.0 + (-g).exp()) * u), "{g} {u} {o}");
        }
        silu(&gate, &mut out);
        for (&g, &o) in gate.iter().zip(&out) {
            let g = f64::from(g);
            assert!(close(o, g / (1.0 + (-g).exp())), "{g} {o}");
        }
        let x = numbers(1003, 4.0);
        gelu_tanh_mul(&x, &up, &mut out);
        for ((&x, &u), &o) in x.iter().zip(&up).zip(&out) {
            let (x, u) = (f64::from(x), f64::from(u));
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
            let theirs = 0.5 * x * (1.0 + inner.tanh()) * u;
            assert!(
                (f64::from(o) - theirs).abs() < 1e-6 * theirs.abs() + 2e-6,
                "{x} {u} {o} {theirs}"
            );
        }
        silu(&[-200.0, f32::NEG_INFINITY], &mut out[..2]);
        assert!(out[0].abs() == 0.0);
    }

    #[test]
    fn norms_follow_their_definitions() {
        for n in [1, 7, 31, 64, 576, 577] {
            let (x, w, b) = (numbers(n, 2.0), numbers(n, 1.0), numbers(n, 0.5));
            let wide: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
            let mean = wide.iter().sum::<f64>() / n as f64;
            let check = |out: &[f32], mean: f64, b: &[f32]| {
                let variance = wide.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
                for i in 0..n {
                    let theirs = (wide[i] - mean) / (variance + 1e-5).sqrt() * f64::from(w[i]);
                    let theirs = theirs + b.get(i).map_or(0.0, |&b| f64::from(b));
                    assert!((f64::from(out[i]) - theirs).abs() < 1e-5, "{n} {i}");
                }
            };
            let mut out = vec![0.0; n];
            rms_norm_row(&x, &w, 1e-5, &mut out);
            check(&out, 0.0, &[]);
            layer_norm_row(&x, &w, Some(&b), 1e-5, &mut out);
            check(&out, mean, &b);
        }
    }

    #[test]
    fn sums_do_not_know_the_width_of_a_register() {
        let (x, y) = (numbers(1003, 1.0), numbers(1003, 1.0));
        let theirs: f64 = x.iter().zip(&y).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
        let ours: Vec<f32> =
            all_sets().iter().map(|isa| isa.run(Product { x: &x, y: &y, mean: 0.0 })).collect();
        assert!(relative(ours[0], theirs) < 1e-6);
        if cfg!(any(target_feature = "fma", target_arch = "aarch64")) {
            assert!(ours.iter().all(|o| o.to_bits() == ours[0].to_bits()), "{ours:?}");
        }
    }
}
