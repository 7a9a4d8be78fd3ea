"""Step 3: trains the language model, under the sink and window mask it will run with.

A checkpoint is written every few minutes, and the same command goes on from it.
"""

import argparse
import math
from pathlib import Path

import batches
import numpy as np
import torch
import torch.nn.functional as F
from loop import train
from model import Config, Model
from safetensors.torch import load_file

# How often a stream is drawn from each set.
SHARES = {"elife": 0.2, "openstax": 0.2, "proposals": 0.15, "wikipedia": 0.45}


def spectral_embedding(sets, n_vocab, n_embd, seed):
    """Embeddings to begin with: the leading left vectors of the shifted log of how much more often
    two tokens stand near each other than chance would have it (Levy and Goldberg 2014)."""
    counts = np.zeros(n_vocab * n_vocab, dtype=np.float32)
    for of in sets:
        for start in range(0, len(of.tokens), 4_000_000):
            ids = of.tokens[start : start + 4_000_000].astype(np.int64)
            for distance in range(1, 5):
                pairs = np.bincount(ids[:-distance] * n_vocab + ids[distance:])
                counts[: len(pairs)] += pairs.astype(np.float32) / distance
    counts = torch.from_numpy(counts.reshape(n_vocab, n_vocab))
    counts += counts.t().clone()
    n_each = counts.sum(1) ** 0.75  # smoothed, or rare tokens win
    chance = counts.sum(1)[:, None] * (n_each / n_each.sum())[None]
    above = (counts / chance.clamp_min(1e-6)).clamp_min(1e-6).log_().sub_(math.log(2)).clamp_min_(0)
    torch.manual_seed(seed)
    left, values, _ = torch.svd_lowrank(above, q=n_embd + 16, niter=3)
    vectors = left[:, :n_embd] * values[:n_embd].sqrt()
    vectors -= vectors.mean(0)
    norms = vectors.norm(dim=1, keepdim=True).clamp_min(1e-3)
    return vectors / norms * norms.clamp(max=norms.median() * 2) * (0.02 / vectors.std())


class Muon(torch.optim.Optimizer):
    """Momentum whose step is made orthogonal by Newton and Schulz's iteration (Jordan 2024).

    In f32: the optimizer that comes with PyTorch iterates in bf16, which a processor without bf16
    instructions does 100 times slower."""

    def __init__(self, parameters, lr):
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                momentum = self.state[p].setdefault("momentum", torch.zeros_like(p))
                momentum.lerp_(p.grad, 0.05)
                x = p.grad.lerp(momentum, 0.95)
                tall = x.shape[0] > x.shape[1]
                x = x.t() if tall else x
                x = x / (x.norm() + 1e-7)
                for _ in range(5):
                    a = x @ x.t()
                    x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
                # Steps as long as AdamW's would be.
                scale = 0.2 * max(p.shape) ** 0.5
                p.mul_(1 - 0.01 * group["lr"])
                p.add_(x.t() if tall else x, alpha=-group["lr"] * scale)


def optimizers(model, lr):
    """Muon for the matrices of the layers, AdamW for the embedding and the norms."""
    matrices = [p for p in model.layers.parameters() if p.dim() == 2]
    others = [p for p in model.parameters() if not any(p is m for m in matrices)]
    return [
        Muon(matrices, lr=lr),
        torch.optim.AdamW(others, lr=lr, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def loss_of(model, ids, share=1.0):
    """Mean loss of the next token, over a random share of the places."""
    states = model(ids)[:, :-1].reshape(-1, model.config.n_embd)
    targets = ids[:, 1:].reshape(-1)
    if share < 1:
        kept = torch.randperm(len(targets), device=ids.device)[: int(share * len(targets))]
        states, targets = states[kept], targets[kept]
    total = 0
    for part, target in zip(states.split(1024), targets.split(1024)):
        logits = part @ model.embed_tokens.weight.t()
        total = total + F.cross_entropy(logits.float(), target, reduction="sum")
    return total / len(targets)


def held_out_loss(model, sets, args, device):
    losses = {}
    for i, of in enumerate(sets):
        one = [float(i == j) for j in range(len(sets))]
        ids = batches.batch(sets, one, np.random.default_rng(0), 8, args.tokens, True)
        losses[of.name] = round(loss_of(model, ids.to(device)).item(), 4)
    return losses


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="runs/builtin")
    parser.add_argument("--init", help="a folder with the `model.safetensors` to begin from")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--streams", type=int, default=4, help="streams of a batch")
    parser.add_argument("--tokens", type=int, default=1024, help="tokens of a stream")
    parser.add_argument("--share", type=float, default=0.5, help="places that count in a step")
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--window", type=int, default=256)
    parser.add_argument("--no-sink", action="store_true")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    out = Path(args.out)
    device = torch.device(args.device)
    sets = batches.load(out / "prepared")
    shares = np.array([SHARES.get(of.name, 0.1) for of in sets])
    shares /= shares.sum()

    torch.manual_seed(args.seed)
    config = Config(window=args.window, has_sink=not args.no_sink)
    model = Model(config).to(device)
    saved = out / "pretrained.pt"
    if args.init:
        weights = load_file(Path(args.init) / "model.safetensors")
        model.load_state_dict({k.removeprefix("model."): w.float() for k, w in weights.items()})
    elif not saved.exists():
        vectors = spectral_embedding(sets, config.n_vocab, config.n_embd, args.seed)
        model.embed_tokens.weight.data.copy_(vectors)

    def losses_of(rng):
        ids = batches.batch(sets, shares, rng, args.streams, args.tokens).to(device)
        return {"loss": loss_of(model, ids, args.share)}

    def measure():
        return held_out_loss(model, sets, args, device)

    tools = optimizers(model, args.lr)
    train(saved, {"model": model}, tools, args, config, device, losses_of, measure, 400, {})


if __name__ == "__main__":
    main()
