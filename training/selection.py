"""Step 6: learns how likely a word is to stand in a summary, and writes `selection.json`.

Logistic regression over the words of held-out documents, which the model was not trained on: does
the reference have this word at least `k` times? The facts are those that longsum counts
(`Terms::facts` in `src/select.rs`), the odds that the model gives to a word among them. The weights
of sentences are set by hand and measured with `longsum eval` on the same documents, which
`--held-out` writes.
"""

import argparse
import json
import math
import subprocess
from pathlib import Path

import data
import torch
import torch.nn.functional as F

# The fact that stands for the logarithm of `k`.
K = 2


def rows(of_document):
    """Each word of a document with its facts, once for each `k` that could be."""
    for facts, n_document, n_reference in of_document:
        for k in range(1, min(int(n_document), n_reference + 2, 40) + 1):
            yield [*facts[:K], math.log(k), *facts[K + 1 :]], float(n_reference >= k)


def write_held_out(folder, to, n_most):
    to.mkdir(parents=True, exist_ok=True)
    by_set = {}
    for document in data.read(folder):
        of_set = by_set.setdefault(document["set"], [])
        if data.is_held_out(document["id"]) and len(of_set) < n_most:
            of_set.append(json.dumps(document) + "\n")
    for name, lines in by_set.items():
        (to / f"{name}.jsonl").write_text("".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="../../shared/train")
    parser.add_argument("--out", default="runs/builtin")
    parser.add_argument("--model", default="../models/builtin")
    parser.add_argument("--facts", default="../target/release/examples/facts")
    parser.add_argument("--most", type=int, default=90, help="documents of a set")
    parser.add_argument("--held-out", help="writes the documents to this folder, and no more")
    parser.add_argument("--last", type=float, default=0.04)
    parser.add_argument("--chunk", type=float, default=0.04)
    parser.add_argument("--pointing", type=float, default=-0.06)
    parser.add_argument("--spread", type=float, default=0.025)
    args = parser.parse_args()
    if args.held_out:
        write_held_out(args.data, Path(args.held_out), args.most)
        return
    held_out = Path(args.out) / "held_out"
    if not held_out.exists():
        write_held_out(args.data, held_out, args.most)
    lines = "".join(path.read_text() for path in sorted(held_out.glob("*.jsonl")))
    found = subprocess.run([args.facts, args.model], input=lines.encode(), capture_output=True, check=True)
    x, y, weight = [], [], []
    for line in found.stdout.splitlines():
        of_document = list(rows(json.loads(line)))
        x += [row for row, _ in of_document]
        y += [has for _, has in of_document]
        weight += [1 / max(1, len(of_document))] * len(of_document)
    x, y, weight = (torch.tensor(v, dtype=torch.float32) for v in (x, y, weight))
    weight /= weight.sum()
    weights = torch.zeros(x.shape[1], requires_grad=True)
    tool = torch.optim.LBFGS([weights], max_iter=300, line_search_fn="strong_wolfe")

    def loss():
        tool.zero_grad()
        each = F.binary_cross_entropy_with_logits(x @ weights, y, reduction="none")
        total = (each * weight).sum() + 1e-5 * (weights**2).sum()
        total.backward()
        return total

    tool.step(loss)
    learnt = {
        "word": [round(w, 4) for w in weights.tolist()],
        "last": args.last,
        "chunk": args.chunk,
        "pointing": args.pointing,
        "spread": args.spread,
    }
    path = Path(args.model) / "selection.json"
    path.write_text(json.dumps(learnt, indent=2) + "\n")
    print(f"{path}: loss {loss().item():.4f} over {len(x)} rows")


if __name__ == "__main__":
    main()
