//! Files that models were trained by: those of GPT-NeoX (Pythia) and of LLM Foundry (MPT).

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

use crate::load::LoadError;

/// No file that a model is trained by is longer, or has more lists in lists.
const MOST_BYTES: usize = 1 << 20;
const MOST_DEEP: usize = 50;
/// Tokens of the vocabulary of GPT-NeoX-20B, which its files name but do not count.
const N_NEOX_VOCAB: u64 = 50_277;

/// Reads YAML; none if it is none.
///
/// Files of GPT-NeoX are YAML in the style of JSON, and the published one of Pythia 12B lacks a comma:
/// where a line ends in a value and the next begins with a name, one is put in.
pub(super) fn read(text: &str) -> Option<Value> {
    // What is nested too deep would take the stack with it.
    let is_deep = |line: &str| line.trim_start().starts_with(&"- ".repeat(MOST_DEEP));
    if text.len() > MOST_BYTES || text.lines().any(is_deep) {
        return None;
    }
    let load = |text: &str| Some(value(Yaml::load_from_str(text).ok()?.first()?));
    load(text)
        .filter(Value::is_object)
        .or_else(|| load(&with_commas(text)))
        .filter(Value::is_object)
}

fn with_commas(text: &str) -> String {
    let mut whole = String::with_capacity(text.len() + 8);
    for line in text.lines() {
        let last = whole.trim_end().chars().last();
        let is_open = last.is_none_or(|c| matches!(c, ',' | '{' | '[' | ':'));
        if line.trim_start().starts_with('"') && !is_open {
            whole.truncate(whole.trim_end().len());
            whole.push(',');
            whole.push('\n');
        }
        // Comments are not told from values that have a `#`, but for those that fill a line.
        if !line.trim_start().starts_with('#') {
            whole.push_str(line);
        }
        whole.push('\n');
    }
    whole
}

fn value(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(Scalar::Boolean(flag)) => (*flag).into(),
        Yaml::Value(Scalar::Integer(n)) => (*n).into(),
        Yaml::Value(Scalar::FloatingPoint(x)) => x.into_inner().into(),
        Yaml::Value(Scalar::String(text)) => text.as_ref().into(),
        Yaml::Sequence(list) => list.iter().map(value).collect(),
        Yaml::Mapping(map) => {
            let named =
                |(name, of): (&Yaml<'_>, &Yaml<'_>)| Some((name.as_str()?.to_owned(), value(of)));
            Value::Object(map.iter().filter_map(named).collect::<Map<_, _>>())
        }
        _ => Value::Null,
    }
}

/// The same by the names of a `config.json`.
///
/// # Errors
/// [`LoadError`] for what is of neither program, or cannot be streamed.
pub(super) fn renamed(yaml: &Value) -> Result<Value, LoadError> {
    if let Some(model) = yaml.get("model").filter(|model| model.get("d_model").is_some()) {
        return Ok(foundry(yaml, model));
    }
    let neox = Neox { yaml };
    if neox.get("num-layers").is_some() {
        return neox.renamed();
    }
    Err(LoadError::config(
        "model_type",
        "is missing, and this is no file of GPT-NeoX or LLM Foundry",
    ))
}

/// MPT has its names from LLM Foundry; only references to variables are to be followed.
fn foundry(yaml: &Value, model: &Value) -> Value {
    let mut model = model.clone();
    if let Some(fields) = model.as_object_mut() {
        for field in fields.values_mut() {
            let name = field.as_str().and_then(|text| text.strip_prefix("${")?.strip_suffix('}'));
            if let Some(name) = name {
                let found = yaml.pointer(&format!("/{}", name.replace('.', "/")));
                *field = found.cloned().unwrap_or_default();
            }
        }
        fields.insert("model_type".to_owned(), "mpt".into());
    }
    model
}

struct Neox<'a> {
    yaml: &'a Value,
}

impl Neox<'_> {
    /// A field, whose name may have hyphens or underscores.
    fn get(&self, name: &str) -> Option<&Value> {
        self.yaml.get(name).or_else(|| self.yaml.get(name.replace('-', "_")))
    }

    fn flag(&self, name: &str) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    fn renamed(&self) -> Result<Value, LoadError> {
        if self.get("pos-emb").and_then(Value::as_str).unwrap_or("learned") != "rotary" {
            return Err(LoadError::Unstreamable { what: "other positions than rotary ones" });
        }
        let n_heads = self.get("num-attention-heads");
        if self.get("num-kv-heads").is_some_and(|n| Some(n) != n_heads) {
            return Err(LoadError::config("num-kv-heads", "is not the number of query heads"));
        }
        let norm = self.get("norm").and_then(Value::as_str).unwrap_or("layernorm");
        if norm != "layernorm" || self.flag("gpt-j-tied") {
            let what = format!("is `{norm}`, or gpt-j-tied is set, and neither is supported");
            return Err(LoadError::config("norm", what));
        }
        let n_embd = self.get("hidden-size").and_then(Value::as_u64).unwrap_or_default();
        Ok(json!({
            "model_type": "gpt_neox",
            "num_hidden_layers": self.get("num-layers"),
            "hidden_size": n_embd,
            "num_attention_heads": n_heads,
            "intermediate_size": self.get("intermediate-size").cloned().unwrap_or_else(|| n_embd.saturating_mul(4).into()),
            "max_position_embeddings": self.get("max-position-embeddings"),
            "rotary_pct": self.get("rotary-pct").cloned().unwrap_or_else(|| 1.0.into()),
            "rotary_emb_base": self.get("rotary-emb-base").cloned().unwrap_or_else(|| 10_000.into()),
            "use_parallel_residual": self.flag("gpt-j-residual"),
            "tie_word_embeddings": !self.flag("no-weight-tying"),
            "hidden_act": self.get("activation").cloned().unwrap_or_else(|| "gelu".into()),
            "vocab_size": self.n_vocab()?,
        }))
    }

    /// Rows of the embedding. Training pads them, so that every device has as many.
    fn n_vocab(&self) -> Result<u64, LoadError> {
        let file = self.get("vocab-file").and_then(Value::as_str).unwrap_or_default();
        if !file.ends_with("20B_tokenizer.json") {
            let what = format!("is `{file}`, and only the size of 20B_tokenizer.json is known");
            return Err(LoadError::config("vocab-file", what));
        }
        let count = |name: &str, default| {
            self.get(name)
                .and_then(Value::as_u64)
                .filter(|&n| 0 < n && n < 1 << 16)
                .unwrap_or(default)
        };
        let multiple = count("make-vocab-size-divisible-by", 128) * count("model-parallel-size", 1);
        Ok(N_NEOX_VOCAB.next_multiple_of(multiple))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_that_is_missing_is_put_in() {
        let text = "{\n  # layers\n  \"num-layers\": 2,\n  \"list\": [[[\"flash\"], 2]]\n\n  \"x\": 1e-8,\n}\n";
        let yaml = read(text).unwrap();
        assert_eq!(yaml["num-layers"], 2);
        assert_eq!(yaml["list"][0][0][0], "flash");
        assert_eq!(yaml["x"], 1e-8);
        assert_eq!(read("- 1\n- 2\n"), None);
        assert_eq!(read("just words"), None);
        assert_eq!(read(&"- ".repeat(100_000)), None);
    }

    #[test]
    fn variables_of_a_foundry_are_followed() {
        let text = "variables:\n  n: 64\nmodel:\n  d_model: 8\n  max_seq_len: ${variables.n}\n  vocab_size: ${nowhere}\n";
        let model = renamed(&read(text).unwrap()).unwrap();
        assert_eq!(model["max_seq_len"], 64);
        assert_eq!(model["vocab_size"], Value::Null);
        assert_eq!(model["model_type"], "mpt");
    }
}
