"""Step 5: writes the model as longsum carries it: files as Hugging Face names them, bf16 weights,
and the heads."""

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="runs/builtin")
    parser.add_argument("--to", default="../models/builtin")
    parser.add_argument("--checkpoint", default="salience.pt")
    args = parser.parse_args()
    out, to = Path(args.out), Path(args.to)
    to.mkdir(parents=True, exist_ok=True)
    state = torch.load(out / args.checkpoint, weights_only=True, map_location="cpu")
    c = state["config"]
    bf16 = lambda tensor: tensor.to(torch.bfloat16).contiguous()
    weights = {f"model.{name}": bf16(tensor) for name, tensor in state["model"].items()}
    save_file(weights, to / "model.safetensors", metadata={"format": "pt"})
    heads = {name: tensor.contiguous() for name, tensor in state["heads"].items()}
    save_file(heads, to / "salience.safetensors", metadata={"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": c["n_embd"],
        "intermediate_size": c["n_ff"],
        "num_hidden_layers": c["n_layers"],
        "num_attention_heads": c["n_heads"],
        "num_key_value_heads": c["n_kv_heads"],
        "vocab_size": c["n_vocab"],
        # The sink and the window.
        "max_position_embeddings": c["window"] + 1,
        "rms_norm_eps": c["norm_eps"],
        "rope_theta": c["rope_theta"],
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "torch_dtype": "bfloat16",
    }
    (to / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    shutil.copy(out / "tokenizer.json", to / "tokenizer.json")
    print({path.name: path.stat().st_size for path in sorted(to.iterdir())})


if __name__ == "__main__":
    main()
