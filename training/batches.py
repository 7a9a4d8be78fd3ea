"""Samples of prepared documents: pieces of streams, each behind the sink."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

SINK = 0  # the ids that tokenizer.py gives
SUMMARIZE = 5


@dataclass
class Set:
    name: str
    tokens: np.ndarray
    said: np.ndarray
    documents: np.ndarray
    ends: np.ndarray
    labels: np.ndarray
    words: np.ndarray
    held_out: np.ndarray


def load(folder):
    """All prepared sets; tokens stay on disk until they are looked at."""
    sets = []
    for path in sorted(Path(folder).glob("*.npz")):
        arrays = np.load(path)
        sets.append(Set(path.stem, **{key: arrays[key] for key in arrays.files}))
    return sets


def is_heading(tokens, ends):
    """Whether a sentence is a heading: its last token says so."""
    return tokens[ends - 1] == 4


def piece(of, rng, n_tokens, held_out=False):
    """`n_tokens` tokens of a stream over a random document, the sink first; padded with the token
    that ends a document."""
    documents = np.flatnonzero(of.held_out == held_out)
    first, last = of.documents[rng.choice(documents)]
    begin = of.ends[first - 1] if first > 0 else 0
    end = of.ends[last - 1]
    # Half of the streams begin where their document does.
    if end - begin > n_tokens and rng.random() < 0.5:
        starts = of.ends[first : last - 1]
        starts = starts[starts < end - n_tokens // 2]
        begin = rng.choice(starts) if len(starts) else begin
    ids = of.tokens[begin : min(begin + n_tokens - 1, end)].astype(np.int64)
    return np.concatenate([[SINK], ids, np.full(n_tokens - 1 - len(ids), 1)])


def batch(sets, shares, rng, n_streams, n_tokens, held_out=False):
    """`[n_streams, n_tokens]` ids; sets are drawn by their shares."""
    drawn = rng.choice(len(sets), size=n_streams, p=shares)
    return torch.from_numpy(np.stack([piece(sets[i], rng, n_tokens, held_out) for i in drawn]))
