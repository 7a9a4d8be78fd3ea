#![expect(clippy::cast_precision_loss, reason = "numbers are made up")]

use super::rows::{Product, exp_slice, squeeze_slice};
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
fn squeezing_is_the_hyperbolic_tangent() {
    let x: Vec<f32> = (1..1_000_000).map(|i| i as f32 * 8e-4 - 400.0).collect();
    let mut out = vec![0.0; x.len()];
    squeeze_slice(&x, &mut out);
    let right = |x: f32| 50.0 * (f64::from(x) / 50.0).tanh();
    let worst = x.iter().zip(&out).filter(|(x, _)| **x != 0.0);
    let worst = worst.map(|(&x, &y)| relative(y, right(x))).fold(0.0, f64::max);
    assert!(worst < 5e-7, "{worst}");
    let mut ends = [7.0; 5];
    squeeze_slice(&[f32::NEG_INFINITY, f32::MIN, 0.0, f32::MAX, f32::INFINITY], &mut ends);
    assert_eq!(ends, [-50.0, -50.0, 0.0, 50.0, 50.0]);
}

#[test]
fn the_ends_of_exp() {
    let x =
        [f32::NEG_INFINITY, f32::MIN, -104.0, -87.0, 0.0, 89.0, f32::INFINITY, f32::NAN, 88.7, 1.0];
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
    let close =
        |ours: f32, theirs: f64| (f64::from(ours) - theirs).abs() <= 4e-7 * theirs.abs() + 1e-30;
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
        assert!((f64::from(o) - theirs).abs() < 1e-6 * theirs.abs() + 2e-6, "{x} {u} {o} {theirs}");
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
