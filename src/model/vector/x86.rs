//! Registers of x86-64.

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

use super::Lanes;
use super::plain::Plain;

/// Eight numbers: AVX2 and FMA.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2(pub(super) ());

/// Sixteen numbers: AVX-512F.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx512(pub(super) ());

/// Calls an intrinsic that touches no memory.
macro_rules! vector {
    ($e:expr) => {
        // SAFETY: `self` exists only on processors that have the instructions, see `Isa::run`.
        unsafe { $e }
    };
}

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
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "sixteen bits at most")]
fn first_lanes(n: usize) -> u16 {
    debug_assert!(n <= 16);
    ((1u32 << n) - 1) as u16
}
