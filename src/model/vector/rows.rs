//! What is computed of rows.

use super::plain::fused;
use super::{Isa, Lanes, Op};

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
    #[cfg(test)]
    /// `out = 50 tanh(x / 50)`.
    squeeze_slice,
    |l, x| l.squeeze(x, l.splat(50.0))
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
pub(super) struct Product<'a> {
    pub(super) x: &'a [f32],
    pub(super) y: &'a [f32],
    pub(super) mean: f32,
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
