"""Step 4: trains the model to know which sentences belong in a summary.

Three heads are trained together on top of the pre-trained layers, which learn on:

- `word`: a linear map of the state at a content word's last token: whether the summary has the
  word (content selection; Gehrmann, Deng and Rush 2018);
- `last`: a linear map of the state at a sentence's last token, the mark of its kind;
- `chunk`: the state at the `<|summarize|>` token that ends each chunk, compared with the state of
  each sentence of the chunk, so that the score sees what comes after the sentence too.

The first gives many times more to learn from than the others. The target of a sentence is how much it would gain: the shares of its words, content words and word
pairs that the reference summary has, standardized within its document.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import batches
import numpy as np
import torch
import torch.nn.functional as F
from loop import train
from model import Config, Model
from pretrain import optimizers
from torch import nn

SHARES = {"elife": 0.3, "openstax": 0.2, "proposals": 0.2, "wikipedia": 0.3}
# Most tokens of a chunk: with the summarize token it fits the window.
N_CHUNK = 240
N_HEAD = 64


class Heads(nn.Module):
    def __init__(self, n_embd):
        super().__init__()
        self.word = nn.Linear(n_embd, 1)
        self.last = nn.Linear(n_embd, 1)
        self.sentence = nn.Linear(n_embd, N_HEAD)
        self.chunk = nn.Linear(n_embd, N_HEAD)
        nn.init.zeros_(self.word.weight)
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


@dataclass
class Stream:
    """Sentences behind the sink, in chunks that end with a summarize token.

    `ids` and `said` have one entry a token, the others one a sentence: its number, the place of its
    mark, and the place of its chunk's summarize token."""

    ids: np.ndarray
    said: np.ndarray
    sentences: np.ndarray
    marks: np.ndarray
    chunks: np.ndarray


def stream(of, first, last, n_tokens):
    """Sentences from `first` on, as many as `n_tokens` hold."""
    ids, said, sentences, marks, chunks = [[batches.SINK]], [[0]], [], [], []
    n, n_chunk, waiting = 1, 0, 0
    for sentence in range(first, last):
        of_sentence = slice(of.ends[sentence - 1] if sentence > 0 else 0, of.ends[sentence])
        n_sentence = of_sentence.stop - of_sentence.start
        if n_chunk and n_chunk + n_sentence > N_CHUNK:
            ids.append([batches.SUMMARIZE])
            said.append([0])
            chunks += [n] * waiting
            n, n_chunk, waiting = n + 1, 0, 0
        if n + n_sentence + 1 > n_tokens:
            break
        ids.append(of.tokens[of_sentence])
        said.append(of.said[of_sentence])
        n, n_chunk, waiting = n + n_sentence, n_chunk + n_sentence, waiting + 1
        sentences.append(sentence)
        marks.append(n - 1)
    if n < n_tokens:
        ids.append(np.full(n_tokens - n, batches.SUMMARIZE))
        said.append(np.zeros(n_tokens - n))
        chunks += [n] * waiting
    n_kept = len(chunks)
    joined = lambda parts: np.concatenate(parts).astype(np.int64)
    of_sentences = (np.array(x[:n_kept], int) for x in (sentences, marks, chunks))
    return Stream(joined(ids), joined(said), *of_sentences)


def scores(model, heads, streams, device):
    """The scores of the heads: of every token whether its word is in the summary `[B, T]`, and the
    two scores of every sentence, all streams joined."""
    states = model(torch.from_numpy(np.stack([s.ids for s in streams])).to(device))
    rows = torch.cat([torch.full((len(s.marks),), i) for i, s in enumerate(streams)])
    at = lambda places: states[rows, torch.from_numpy(np.concatenate(places))]
    last, match = heads(at([s.marks for s in streams]), at([s.chunks for s in streams]))
    return heads.word(states).squeeze(-1), last, match


def draw(sets, all_targets, shares, rng, n_streams, n_tokens, held_out=False):
    """A batch: streams, and target and weight of every sentence."""
    streams, target, weight = [], [], []
    while len(streams) < n_streams:
        i = rng.choice(len(sets), p=shares)
        of, (gains, kept) = sets[i], all_targets[i]
        first, last = of.documents[rng.choice(np.flatnonzero(of.held_out == held_out))]
        # Half of the streams begin where their document does.
        if rng.random() < 0.5 and last - first > 20:
            first = rng.integers(first, last - 10)
        drawn = stream(of, first, last, n_tokens)
        if len(drawn.sentences) < 2:
            continue
        streams.append(drawn)
        target.append(gains[drawn.sentences])
        weight.append(kept[drawn.sentences] * np.sqrt(np.minimum(of.words[drawn.sentences], 60)))
    as_tensor = lambda x: torch.from_numpy(np.concatenate(x).astype(np.float32))
    return streams, as_tensor(target), as_tensor(weight)


def word_loss(logits, streams):
    """Cross-entropy over the content words, and their mask."""
    said = torch.from_numpy(np.stack([s.said for s in streams])).to(logits.device)
    kept = said > 0
    return F.binary_cross_entropy_with_logits(logits[kept], (said[kept] == 2).float())


def correlation(score, target, weight):
    """Of scores and targets of one stream's sentences that may be chosen."""
    kept = weight > 0
    if kept.sum() < 3:
        return None
    pair = torch.stack([score[kept], target[kept]])
    r = torch.corrcoef(pair)[0, 1].item()
    return r if r == r else None


def measure(model, heads, sets, all_targets, n_tokens, device, n_streams=48):
    """Over held-out streams of each set: the mean loss of `word`, and the mean correlation of
    `last` and `chunk` with their targets."""
    found = {}
    for i, of in enumerate(sets):
        one = [float(i == j) for j in range(len(sets))]
        rng = np.random.default_rng(7)
        sums = np.zeros(4)
        for _ in range(n_streams):
            streams, target, weight = draw(sets, all_targets, one, rng, 1, n_tokens, True)
            words, *of_sentences = scores(model, heads, streams, device)
            both = [correlation(s.cpu(), target, weight) for s in of_sentences]
            if None not in both:
                sums += [word_loss(words, streams).item(), *both, 1]
        found[of.name] = [round(float(x / sums[3]), 3) for x in sums[:3]]
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
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    out = Path(args.out)
    device = torch.device(args.device)
    sets = batches.load(out / "prepared")
    all_targets = [targets(of) for of in sets]
    shares = np.array([SHARES.get(of.name, 0.1) for of in sets])
    shares /= shares.sum()

    torch.manual_seed(args.seed)
    begin = torch.load(out / "pretrained.pt", weights_only=True, map_location=device)
    config = Config(**begin["config"])
    model, heads = Model(config).to(device), Heads(config.n_embd).to(device)
    if args.untrained:
        model.requires_grad_(False)
    else:
        model.load_state_dict(begin["model"])
    tools = [] if args.untrained else optimizers(model, args.lr)
    tools.append(torch.optim.AdamW(heads.parameters(), lr=args.lr, weight_decay=0.01))

    def losses_of(rng):
        streams, target, weight = draw(sets, all_targets, shares, rng, args.streams, args.tokens)
        target, weight = target.to(device), weight.to(device)
        words, *of_sentences = scores(model, heads, streams, device)
        each = [
            (F.smooth_l1_loss(score, target, reduction="none") * weight).sum() / weight.sum()
            for score in of_sentences
        ]
        return {"word": word_loss(words, streams), "last": each[0], "chunk": each[1]}

    def measured():
        return measure(model, heads, sets, all_targets, args.tokens, device)

    about = {"pretrained": {key: begin[key] for key in ("step", "log", "args")}}
    saved = out / ("untrained.pt" if args.untrained else "salience.pt")
    modules = {"model": model, "heads": heads}
    train(saved, modules, tools, args, config, device, losses_of, measured, 300, about)


if __name__ == "__main__":
    main()
