"""Step 4: trains the model to know which sentences belong in a summary.

Two heads are trained together on top of the pre-trained layers, which learn on:

- `last`: a linear map of the state at a sentence's last token, the mark of its kind;
- `chunk`: the state at the `<|summarize|>` token that ends each chunk, compared with the state of
  each sentence of the chunk, so that the score sees what comes after the sentence too.

The target of a sentence is how much it would gain: the shares of its words, content words and word
pairs that the reference summary has, standardized within its document.
"""

import argparse
import json
import time
from pathlib import Path

import batches
import numpy as np
import torch
import torch.nn.functional as F
from model import Config, Model
from pretrain import optimizers, schedule
from torch import nn

SHARES = {"elife": 0.3, "openstax": 0.2, "proposals": 0.2, "wikipedia": 0.3}
# Most tokens of a chunk: with the summarize token it fits the window.
N_CHUNK = 240
N_HEAD = 64


class Heads(nn.Module):
    def __init__(self, n_embd):
        super().__init__()
        self.last = nn.Linear(n_embd, 1)
        self.sentence = nn.Linear(n_embd, N_HEAD)
        self.chunk = nn.Linear(n_embd, N_HEAD)
        nn.init.zeros_(self.last.weight)

    def forward(self, sentences, chunks):
        """States `[N, C]` of sentences and of the summarize token of each one's chunk, to two
        scores each."""
        match = (self.sentence(sentences) * self.chunk(chunks)).sum(-1) / N_HEAD**0.5
        return self.last(sentences).squeeze(-1), match


def targets(of):
    """What each sentence of a set would gain, standardized within its document; and which
    sentences may be chosen at all."""
    gains = of.labels.astype(np.float32) @ np.array([0.5, 0.5, 1.0], dtype=np.float32)
    kept = ~batches.is_heading(of.tokens, of.ends) & (of.words >= 4)
    for first, last in of.documents:
        here = gains[first:last]
        sample = here[kept[first:last]]
        if len(sample) > 1:
            here -= sample.mean()
            here /= sample.std() + 1e-3
    return np.clip(gains, -3, 3), kept


def stream(of, first, last, n_tokens):
    """Sentences from `first` on behind the sink, in chunks that end with a summarize token.

    Returns ids `[n_tokens]`, and for each sentence its number, the place of its mark and the place
    of its chunk's summarize token."""
    ids, sentences, marks, chunks = [np.array([batches.SINK])], [], [], []
    n, n_chunk, waiting = 1, 0, 0
    for sentence in range(first, last):
        begin = of.ends[sentence - 1] if sentence > 0 else 0
        of_sentence = of.tokens[begin : of.ends[sentence]]
        if n_chunk and n_chunk + len(of_sentence) > N_CHUNK:
            ids.append(np.array([batches.SUMMARIZE]))
            chunks += [n] * waiting
            n, n_chunk, waiting = n + 1, 0, 0
        if n + len(of_sentence) + 1 > n_tokens:
            break
        ids.append(of_sentence)
        n, n_chunk, waiting = n + len(of_sentence), n_chunk + len(of_sentence), waiting + 1
        sentences.append(sentence)
        marks.append(n - 1)
    if n < n_tokens:
        ids.append(np.full(n_tokens - n, batches.SUMMARIZE))
        chunks += [n] * waiting
    ids = np.concatenate(ids).astype(np.int64)
    n_kept = len(chunks)
    return ids, np.array(sentences[:n_kept], int), np.array(marks[:n_kept], int), np.array(chunks, int)


def scores(model, heads, ids, marks, chunks):
    """`ids [B, T]` and, for each stream, places of marks and summarize tokens, to the two scores
    of every sentence, all streams joined."""
    states = model(ids)
    rows = torch.cat([torch.full((len(m),), i) for i, m in enumerate(marks)])
    at = lambda places: states[rows, torch.from_numpy(np.concatenate(places))]
    return heads(at(marks), at(chunks))


def draw(sets, all_targets, shares, rng, n_streams, n_tokens, held_out=False):
    """A batch: ids, marks, chunks, and target and weight of every sentence."""
    out = [], [], [], [], []
    while len(out[0]) < n_streams:
        i = rng.choice(len(sets), p=shares)
        of, (target, kept) = sets[i], all_targets[i]
        first, last = of.documents[rng.choice(np.flatnonzero(of.held_out == held_out))]
        # Half of the streams begin where their document does.
        if rng.random() < 0.5 and last - first > 20:
            first = rng.integers(first, last - 10)
        ids, sentences, marks, chunks = stream(of, first, last, n_tokens)
        if len(sentences) < 2:
            continue
        weight = kept[sentences] * np.sqrt(np.minimum(of.words[sentences], 60))
        for values, value in zip(out, (ids, marks, chunks, target[sentences], weight)):
            values.append(value)
    ids, marks, chunks, target, weight = out
    as_tensor = lambda x: torch.from_numpy(np.concatenate(x).astype(np.float32))
    return torch.from_numpy(np.stack(ids)), marks, chunks, as_tensor(target), as_tensor(weight)


def correlation(score, target, weight):
    """Of scores and targets of one stream's sentences that may be chosen."""
    kept = weight > 0
    if kept.sum() < 3:
        return None
    pair = torch.stack([score[kept], target[kept]])
    r = torch.corrcoef(pair)[0, 1].item()
    return r if r == r else None


def measure(model, heads, sets, all_targets, n_tokens, n_streams=24):
    """Mean correlation of each head with the targets, over held-out streams of each set."""
    model.eval()
    found = {}
    with torch.no_grad():
        for i, of in enumerate(sets):
            one = [float(i == j) for j in range(len(sets))]
            rng = np.random.default_rng(7)
            sums = np.zeros(3)
            for _ in range(n_streams):
                ids, marks, chunks, target, weight = draw(sets, all_targets, one, rng, 1, n_tokens, True)
                last, match = scores(model, heads, ids, marks, chunks)
                both = [correlation(s, target, weight) for s in (last, match)]
                if None not in both:
                    sums += [*both, 1]
            found[of.name] = [round(float(x / sums[2]), 3) for x in sums[:2]]
    model.train()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="runs/builtin")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--untrained", action="store_true", help="heads on frozen random layers")
    args = parser.parse_args()
    out = Path(args.out)
    sets = batches.load(out / "prepared")
    all_targets = [targets(of) for of in sets]
    shares = np.array([SHARES.get(of.name, 0.1) for of in sets])
    shares /= shares.sum()

    torch.manual_seed(args.seed)
    begin = torch.load(out / "pretrained.pt", weights_only=True)
    config = Config(**begin["config"])
    model, heads = Model(config), Heads(config.n_embd)
    if args.untrained:
        model.requires_grad_(False)
    else:
        model.load_state_dict(begin["model"])
    tools = [] if args.untrained else optimizers(model, args.lr)
    tools.append(torch.optim.AdamW(heads.parameters(), lr=args.lr, weight_decay=0.01))
    step, log = 0, []
    saved = out / ("untrained.pt" if args.untrained else "salience.pt")
    if saved.exists():
        state = torch.load(saved, weights_only=True)
        model.load_state_dict(state["model"])
        heads.load_state_dict(state["heads"])
        for tool, values in zip(tools, state["optimizers"]):
            tool.load_state_dict(values)
        step, log = state["step"], state["log"]

    def save():
        state = {
            "model": model.state_dict(),
            "heads": heads.state_dict(),
            "optimizers": [tool.state_dict() for tool in tools],
            "config": begin["config"],
            "step": step,
            "log": log,
            "pretrained": {"step": begin["step"], "log": begin["log"], "args": begin["args"]},
            "args": {k: v for k, v in vars(args).items() if k != "out"},
        }
        torch.save(state, saved.with_suffix(".new"))
        saved.with_suffix(".new").replace(saved)

    started, last_saved, n_seen, mean = time.time(), time.time(), 0, None
    while step < args.steps:
        rng = np.random.default_rng([args.seed, 1, step])
        ids, marks, chunks, target, weight = draw(
            sets, all_targets, shares, rng, args.streams, args.tokens
        )
        for tool in tools:
            for group in tool.param_groups:
                group["lr"] = args.lr * schedule(step, args.steps)
        losses = [
            (F.smooth_l1_loss(score, target, reduction="none") * weight).sum() / weight.sum()
            for score in scores(model, heads, ids, marks, chunks)
        ]
        sum(losses).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for tool in tools:
            tool.step()
            tool.zero_grad(set_to_none=True)
        step += 1
        n_seen += ids.numel()
        now = np.array([loss.item() for loss in losses])
        mean = now if mean is None else 0.97 * mean + 0.03 * now
        if step % 20 == 0:
            rate = n_seen / (time.time() - started)
            print(f"step {step}  last {mean[0]:.4f} chunk {mean[1]:.4f}  {rate:.0f} tokens/s", flush=True)
        if step % 200 == 0 or step == args.steps:
            log.append({"step": step, "tokens": step * args.streams * args.tokens}
                       | measure(model, heads, sets, all_targets, args.tokens))
            print(json.dumps(log[-1]), flush=True)
        if time.time() - last_saved > 240 or step == args.steps:
            save()
            last_saved = time.time()


if __name__ == "__main__":
    main()
