"""Makes the golden numbers of families that were added later: a tiny random model as Hugging Face
saves it, its dense logits from Hugging Face in f64, and streaming ones from the slow decoder below,
which must agree with Hugging Face on the dense ones first.

    pip install torch transformers
    python tests/golden/make.py DIR
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file, save_file

N_TOKENS, N_VOCAB = 96, 96
STREAMS = [(4, 12), (1, 20), (0, 16), (7, 5)]
COMMON = dict(hidden_size=32, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
              intermediate_size=48, vocab_size=N_VOCAB, max_position_embeddings=512, pad_token_id=0,
              bos_token_id=1, eos_token_id=2)


def models():
    t = transformers
    yield "smollm3", t.SmolLM3Config(**COMMON, no_rope_layers=[1, 1, 1, 0])
    yield "phi3", t.Phi3Config(**COMMON, partial_rotary_factor=0.75)
    # The same factors for short and long texts, so that one set of dense logits is right for both.
    factors = [1.0, 1.5, 2.5, 4.0]
    longrope = dict(rope_type="longrope", short_factor=factors, long_factor=factors,
                    rope_theta=10000.0, original_max_position_embeddings=128)
    yield "phi3_longrope", t.Phi3Config(**COMMON, rope_parameters=longrope,
                                        original_max_position_embeddings=128)
    yield "gemma2", t.Gemma2Config(**COMMON, head_dim=16, query_pre_attn_scalar=24, sliding_window=10,
                                   attn_logit_softcapping=5.0, final_logit_softcapping=30.0)
    yield "gemma3", t.Gemma3TextConfig(
        **COMMON, head_dim=16, query_pre_attn_scalar=24, sliding_window=10,
        layer_types=["sliding_attention", "full_attention"] * 2,
        rope_parameters={
            "full_attention": dict(rope_type="linear", factor=8.0, rope_theta=1e6),
            "sliding_attention": dict(rope_type="default", rope_theta=1e4),
        })


class Slow:
    """A decoder that knows nothing of caches: each query looks at unrotated keys by their distance."""

    def __init__(self, config, weights):
        self.c, self.w = config, {k: v.astype(np.float64) for k, v in weights.items()}
        self.family = config["model_type"]
        self.is_gemma = self.family.startswith("gemma")
        self.h, self.g = config["num_attention_heads"], config["num_key_value_heads"]
        self.d = config.get("head_dim") or config["hidden_size"] // self.h

    def norm(self, x, name):
        w = self.w[name] + (1.0 if self.is_gemma else 0.0)
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.c["rms_norm_eps"]) * w

    def rope(self, layer):
        """Angles a token, magnitude, and window, of a layer."""
        c, p = self.c, self.c["rope_parameters"]
        kind = (c.get("layer_types") or ["full_attention"] * 99)[layer]
        p = p.get(kind, p)
        dim = int(self.d * (p.get("partial_rotary_factor") or c.get("partial_rotary_factor") or 1.0))
        angles = p["rope_theta"] ** (-np.arange(0, dim, 2) / dim)
        magnitude = 1.0
        if p["rope_type"] == "linear":
            angles = angles / p["factor"]
        if p["rope_type"] == "longrope":
            angles = angles / np.array(p["short_factor"])
            old, new = c["original_max_position_embeddings"], c["max_position_embeddings"]
            magnitude = np.sqrt(1 + np.log(new / old) / np.log(old))
        if self.family == "smollm3" and not c["no_rope_layers"][layer]:
            angles = np.zeros(0)
        return angles, magnitude, c["sliding_window"] if kind == "sliding_attention" else None

    def turn(self, x, by, angles, magnitude):
        """x [n, D] turned by so many tokens each."""
        half = len(angles)
        a = np.outer(by, angles)
        low, high, rest = x[:, :half], x[:, half:2 * half], x[:, 2 * half:]
        turned = [low * np.cos(a) - high * np.sin(a), low * np.sin(a) + high * np.cos(a)]
        return np.concatenate([*(magnitude * part for part in turned), rest], -1)

    def attend(self, layer, x, n_sink, n_window):
        c, w, pre = self.c, self.w, f"model.layers.{layer}.self_attn."
        if self.family == "phi3":
            qkv = x @ w[pre + "qkv_proj.weight"].T
            q, k, v = np.split(qkv, [self.h * self.d, (self.h + self.g) * self.d], -1)
        else:
            q, k, v = (x @ w[pre + f"{name}_proj.weight"].T for name in "qkv")
        q, k, v = (m.reshape(len(x), -1, self.d) for m in (q, k, v))
        if self.family == "gemma3_text":
            q, k = self.norm(q, pre + "q_norm.weight"), self.norm(k, pre + "k_norm.weight")
        angles, magnitude, native = self.rope(layer)
        scale = (c["query_pre_attn_scalar"] if self.is_gemma else self.d) ** -0.5
        cap = c.get("attn_logit_softcapping")
        out = np.zeros((len(x), self.h, self.d))
        for i in range(len(x)):
            if native:
                seen = np.arange(max(0, i - native + 1), i + 1)
                distance = i - seen
            else:
                seen = np.array([j for j in range(i + 1) if j < n_sink or i - n_window < j])
                distance = np.where(seen < n_sink, min(i, n_sink + n_window - 1) - seen, i - seen)
            for h in range(self.h):
                g = h // (self.h // self.g)
                query = self.turn(np.repeat(q[i, h][None], len(seen), 0), distance, angles, magnitude)
                key = self.turn(k[seen, g], np.zeros(len(seen)), angles, magnitude)
                score = (query * key).sum(-1) * scale
                if cap:
                    score = cap * np.tanh(score / cap)
                weight = np.exp(score - score.max())
                out[i, h] = weight / weight.sum() @ v[seen, g]
        return out.reshape(len(x), -1) @ w[pre + "o_proj.weight"].T

    def mlp(self, layer, x):
        w, pre = self.w, f"model.layers.{layer}.mlp."
        if self.family == "phi3":
            gate, up = np.split(x @ w[pre + "gate_up_proj.weight"].T, 2, -1)
        else:
            gate, up = (x @ w[pre + f"{name}_proj.weight"].T for name in ("gate", "up"))
        if self.is_gemma:
            act = 0.5 * gate * (1 + np.tanh(np.sqrt(2 / np.pi) * (gate + 0.044715 * gate**3)))
        else:
            act = gate / (1 + np.exp(-gate))
        return (act * up) @ w[pre + "down_proj.weight"].T

    def logits(self, ids, n_sink, n_window):
        embedding = self.w["model.embed_tokens.weight"]
        x = embedding[ids] * (self.c["hidden_size"] ** 0.5 if self.is_gemma else 1.0)
        for layer in range(self.c["num_hidden_layers"]):
            pre = f"model.layers.{layer}."
            h = self.attend(layer, self.norm(x, pre + "input_layernorm.weight"), n_sink, n_window)
            if self.is_gemma:
                x = x + self.norm(h, pre + "post_attention_layernorm.weight")
                h = self.mlp(layer, self.norm(x, pre + "pre_feedforward_layernorm.weight"))
                x = x + self.norm(h, pre + "post_feedforward_layernorm.weight")
            else:
                x = x + h
                x = x + self.mlp(layer, self.norm(x, pre + "post_attention_layernorm.weight"))
        x = self.norm(x, "model.norm.weight")
        logits = x @ self.w.get("lm_head.weight", embedding).T
        cap = self.c.get("final_logit_softcapping")
        return cap * np.tanh(logits / cap) if cap else logits


def main(out):
    for name, config in models():
        torch.manual_seed(len(name))
        config._attn_implementation = "eager"
        model = transformers.AutoModelForCausalLM.from_config(config).eval()
        with torch.no_grad():
            for key, p in model.named_parameters():
                # Sharp: a wrong distance or a lost key changes the logits by whole units.
                p.copy_(torch.randn_like(p) * (0.3 if p.dim() > 1 else 0.2))
                if p.dim() == 1 and not name.startswith("gemma"):
                    p.add_(1.0)
        folder = Path(out) / name
        model.save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        ids = torch.randint(3, N_VOCAB, (1, N_TOKENS))
        with torch.no_grad():
            dense = model.double()(ids, use_cache=False).logits[0].numpy()
        slow = Slow(json.loads((folder / "config.json").read_text()), load_file(folder / "model.safetensors"))
        ids = ids[0].numpy()
        gap = np.abs(slow.logits(ids, 0, N_TOKENS) - dense).max()
        golden = {"input_ids": ids.astype(np.int64), "dense_logits": dense.astype(np.float32)}
        moved = []
        for n_sink, n_window in STREAMS:
            stream = slow.logits(ids, n_sink, n_window)
            moved.append(np.abs(stream - dense).max())
            golden[f"stream_s{n_sink}_w{n_window}"] = stream.astype(np.float32)
        save_file(golden, folder / "golden.safetensors")
        print(f"{name:<14} slow against Hugging Face {gap:.1e}; streaming moves logits by", *(f"{m:.1f}" for m in moved))
        assert gap < 2e-5, name


main(sys.argv[1])
