"""Step 5: learns how likely a word is to stand in a summary, and writes `selection.json`.

Logistic regression over the words of held-out documents, which the model was not trained on: does
the reference have this word at least `k` times? The facts are those of `Terms::facts` in
`src/select.rs`. The weights of the two salience heads and of sentences that point back are set by
hand and measured with `longsum eval` on the same documents.
"""

import argparse
import json
import math
import subprocess
from collections import Counter
from pathlib import Path

import data
import numpy as np
import torch
import torch.nn.functional as F
from prepare import STOP_WORDS, stem, words_of

STOP_STEMS = {stem(word) for word in STOP_WORDS}
LEAD = 0.08


def held_out(folder, n_most, segment):
    by_set = {}
    for document in data.read(folder):
        of_set = by_set.setdefault(document["set"], [])
        if data.is_held_out(document["id"]) and len(of_set) < n_most:
            of_set.append(json.dumps(document))
    lines = "\n".join(line for of_set in by_set.values() for line in of_set) + "\n"
    cut = subprocess.run([segment], input=lines.encode(), capture_output=True, check=True).stdout
    return [json.loads(line) for line in cut.splitlines()]


def may_stand(text, kind):
    letters = sum(c.isalpha() for c in text)
    return kind != "h" and len(text.split()) >= 5 and letters >= 0.6 * len(text.replace(" ", ""))


def facts(document, n):
    """Each word of a document with the facts that speak for it in a summary of `n` words."""
    sentences = [(words_of(text)[0], may_stand(text, kind), kind) for text, kind in document["sentences"]]
    n_all = sum(len(words) for words, may, _ in sentences if may) or 1
    title = set(sentences[0][0]) if sentences else set()
    count, n_sentences, lead, headings, first, n_seen = Counter(), Counter(), Counter(), Counter(), {}, 0
    for words, may, kind in sentences:
        if kind == "h":
            headings.update(set(words))
        if not may:
            continue
        place = n_seen / n_all
        for word in set(words):
            first.setdefault(word, place)
        count.update(words)
        n_sentences.update(set(words))
        if place < LEAD:
            lead.update(words)
        n_seen += len(words)
    for word, times in count.items():
        stop = word in STOP_STEMS
        expected = math.log(n * times / n_all + 0.02)
        yield word, times, [
            1.0, expected, 0.0, float(stop), stop * expected,
            math.log(n * lead[word] / max(1, LEAD * n_all) + 0.02),
            float(word in title and not stop), 0.0 if stop else math.log1p(headings[word]),
            math.log(n_sentences[word]) / 10, first[word], float(word.isdigit()), math.log(n) / 5,
            expected * expected / 5, float(len(word) <= 2),
        ]  # fmt: skip


def rows(document, rng):
    reference = Counter(words_of(document["summary"])[0])
    for word, times, of_word in facts(document, len(document["summary"].split())):
        # Most of the many words that stand here once and nowhere there are left out, which makes
        # rare words likelier than they are; so were the weights that longsum carries learnt.
        if reference[word] == 0 and times == 1 and rng.random() > 0.3:
            continue
        for k in range(1, min(times, reference[word] + 2, 40) + 1):
            yield [*of_word[:2], math.log(k), *of_word[3:]], reference[word] >= k


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="../../shared/train")
    parser.add_argument("--out", default="runs/builtin")
    parser.add_argument("--segment", default="../target/release/examples/segment")
    parser.add_argument("--most", type=int, default=90, help="documents of a set")
    parser.add_argument("--last", type=float, default=0.04)
    parser.add_argument("--chunk", type=float, default=0.04)
    parser.add_argument("--pointing", type=float, default=-0.03)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    x, y, weight = [], [], []
    for document in held_out(args.data, args.most, args.segment):
        of_document = list(rows(document, rng))
        x += [row for row, _ in of_document]
        y += [has for _, has in of_document]
        weight += [1 / len(of_document)] * len(of_document)
    x, y, weight = (torch.tensor(v, dtype=torch.float32) for v in (x, y, weight))
    weight /= weight.sum()
    weights = torch.zeros(x.shape[1], requires_grad=True)
    tool = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

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
    }
    path = Path(args.out) / "selection.json"
    path.write_text(json.dumps(learnt, indent=2) + "\n")
    print(f"{path}: loss {loss().item():.4f} over {len(x)} rows")


if __name__ == "__main__":
    main()
