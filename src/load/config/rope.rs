//! What a configuration says of rotary embeddings.

use super::Config;
use crate::load::LoadError;
use crate::model::{Rope, RopeScaling};

/// A rotary embedding as it can be streamed.
pub(super) struct Regime {
    pub rope: Rope,
    /// What was fixed for that, in words.
    pub remark: Option<String>,
    /// Tokens that it was made to tell apart, where that is not what the model has for a context.
    pub context: Option<usize>,
}

/// What was done to the angles, and what it took to stream them.
struct Scaled {
    scaling: RopeScaling,
    magnitude: f64,
    remark: Option<String>,
    context: Option<usize>,
}

impl From<RopeScaling> for Scaled {
    fn from(scaling: RopeScaling) -> Self {
        Self { scaling, magnitude: 1.0, remark: None, context: None }
    }
}

impl Config<'_> {
    /// `rope_parameters` of transformers 5, or `rope_theta` and `rope_scaling` of its elders. Where
    /// those of transformers 5 are told for kinds of layers, those of layers that see everything.
    ///
    /// - `partial`, `theta`: the part of a head that is rotated, and the base, where nothing is said
    pub(super) fn rope(
        &self,
        head_dim: usize,
        partial: f64,
        theta: f64,
    ) -> Result<Regime, LoadError> {
        let nested = self.get(&["rope_parameters", "rope_scaling"]).filter(|v| v.is_object());
        let nested = nested.map(|json| json.get("full_attention").unwrap_or(json));
        let inner = nested.map(|json| Config { json });
        let from_either = |names: &[&str], default| match &inner {
            Some(inner) if inner.get(names).is_some() => inner.number(names, default),
            _ => self.number(names, default),
        };
        let theta = from_either(&["rope_theta", "rotary_emb_base"], theta)?;
        let partial = from_either(&["partial_rotary_factor", "rotary_pct"], partial)?;
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a fraction of a head's width"
        )]
        let dim = (head_dim as f64 * partial) as usize;
        if dim == 0 || !dim.is_multiple_of(2) || dim > head_dim {
            let what = format!("rotates {dim} of {head_dim} elements of a head");
            return Err(LoadError::config("partial_rotary_factor", what));
        }
        let scaled = match &inner {
            Some(inner) => self.scaled(inner, dim)?,
            None => RopeScaling::None.into(),
        };
        let Scaled { scaling, magnitude, remark, context } = scaled;
        let rope = rope(dim, theta, scaling, magnitude)?;
        Ok(Regime { rope, remark, context })
    }

    /// The rotary embedding of layers with a window of their own (Gemma 3).
    pub(super) fn local_rope(&self, head_dim: usize) -> Result<Rope, LoadError> {
        let nested = self.get(&["rope_parameters"]).and_then(|json| json.get("sliding_attention"));
        let theta = match nested {
            Some(json) => Config { json }.number(&["rope_theta"], 10_000.0)?,
            None => self.number(&["rope_local_base_freq"], 10_000.0)?,
        };
        rope(head_dim, theta, RopeScaling::None, 1.0)
    }

    fn scaled(&self, inner: &Config<'_>, dim: usize) -> Result<Scaled, LoadError> {
        let needed = |name: &str| {
            let value = inner.number(&[name], f64::NAN)?;
            if value > 0.0 {
                Ok(value)
            } else {
                Err(LoadError::config(name, "is missing or not positive"))
            }
        };
        let scaling = match inner.text(&["rope_type", "type"]).unwrap_or("default") {
            "default" => RopeScaling::None,
            "linear" => RopeScaling::Linear { factor: needed("factor")? },
            "llama3" if needed("low_freq_factor")? >= needed("high_freq_factor")? => {
                let what = "is not below high_freq_factor";
                return Err(LoadError::config("low_freq_factor", what));
            }
            "llama3" => RopeScaling::Llama3 {
                factor: needed("factor")?,
                low_freq_factor: needed("low_freq_factor")?,
                high_freq_factor: needed("high_freq_factor")?,
                original_context: needed("original_max_position_embeddings")?,
            },
            // Its base grows with the text beyond the context, which would turn every key that is kept.
            "dynamic" => {
                let remark = "dynamic NTK would turn all keys as the text grows: its rotary embedding is fixed to that of texts within the context";
                let remark = Some(remark.to_owned());
                return Ok(Scaled { remark, ..RopeScaling::None.into() });
            }
            "longrope" | "su" => return self.long_rope(inner, dim),
            other => {
                let known = "default, linear, llama3, dynamic and longrope";
                let what = format!("is `{other}`; supported are {known}");
                return Err(LoadError::config("rope_type", what));
            }
        };
        Ok(scaling.into())
    }

    /// LongRoPE (arXiv:2402.13753) has factors for short texts and others for long ones. A cache that
    /// does not grow stays with the short ones.
    fn long_rope(&self, inner: &Config<'_>, dim: usize) -> Result<Scaled, LoadError> {
        let factors = inner.get(&["short_factor"]).and_then(|list| list.as_array());
        let factors: Option<Vec<f64>> =
            factors.and_then(|list| list.iter().map(serde_json::Value::as_f64).collect());
        let factors = factors.filter(|list| list.len() == dim / 2 && list.iter().all(|&f| f > 0.0));
        let Some(factors) = factors else {
            let what = format!("is not a list of {} positive numbers", dim / 2);
            return Err(LoadError::config("short_factor", what));
        };
        let name = "original_max_position_embeddings";
        let short = match inner.maybe_count(&[name])? {
            Some(short) => short,
            None => self.count(&[name])?,
        };
        let long = self.count(&["max_position_embeddings"])?;
        #[expect(clippy::cast_precision_loss, reason = "numbers of tokens")]
        let (short_len, factor) = (short as f64, long as f64 / short as f64);
        let magnitude = match inner.get(&["attention_factor"]) {
            Some(_) => inner.number(&["attention_factor"], 1.0)?,
            None if factor > 1.0 => (1.0 + factor.ln() / short_len.ln()).sqrt(),
            None => 1.0,
        };
        let remark = (long > short).then(|| long_rope_remark(short));
        let scaling = RopeScaling::Factors(factors);
        Ok(Scaled { scaling, magnitude, remark, context: Some(short) })
    }
}

/// What is said of LongRoPE, whose short texts have so many tokens.
pub(in crate::load) fn long_rope_remark(short: usize) -> String {
    format!(
        "LongRoPE would turn all keys once a text is longer than {short} tokens: it is fixed to the factors of shorter texts, and the model sees {short} tokens at once"
    )
}

fn rope(dim: usize, theta: f64, scaling: RopeScaling, magnitude: f64) -> Result<Rope, LoadError> {
    if theta <= 0.0 {
        return Err(LoadError::config("rope_theta", format!("is {theta}, not above 0")));
    }
    Ok(Rope { dim, theta, scaling, magnitude, interleaved: false })
}
