"""Step 2: cuts the training documents into sentences, tokens and labels.

Sentences are cut by longsum itself (`cargo run --release --example segment`), so that the model
is trained on what it will read. One file a set, `prepared/SET.npz`:

- `tokens` u16: all documents, each sentence followed by the token of its kind
- `documents` i64 `[n, 2]`: first and last-but-one sentence
- `ends` i64: where each sentence ends in `tokens`, its mark included
- `labels` f16 `[n, 3]`: shares of a sentence's words, content words and word pairs that the
  reference summary has, clipped by its counts (stemmed as ROUGE does)
- `words` u16: words of each sentence
- `said` u8, one a token: whether the word that ends in it stands in the reference summary, 2 if it
  does, 1 if not, and 0 where no content word ends
- `held_out` bool: which documents are for measuring
"""

import argparse
import json
import re
import subprocess
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path

import data
import numpy as np
from nltk.stem.porter import PorterStemmer
from tokenizers import Tokenizer

MARKS = {"s": "<|sentence|>", "p": "<|paragraph|>", "h": "<|heading|>"}
# The words that English needs for its grammar: they say nothing about what is told.
STOP_WORDS = frozenset(
    """a about above after again against all also am an and any are as at be because been before
    being below between both but by can could did do does doing down during each few for from
    further had has have having he her here hers him his how i if in into is it its itself just may
    me might more most must my no nor not now of off on once only or other our out over own same
    shall she should so some such than that the their them then there these they this those through
    to too under until up upon very was we were what when where which while who whom why will with
    would you your""".split()
)
STEMMER = PorterStemmer()


@lru_cache(maxsize=1_000_000)
def stem(word):
    return STEMMER.stem(word) if len(word) > 3 else word


def words_of(text):
    """Words as ROUGE counts them, stemmed; and which of them are content words."""
    plain = re.findall(r"[a-z0-9]+", text.lower())
    return [stem(word) for word in plain], [word not in STOP_WORDS for word in plain]


def shares(sentence, reference, pairs):
    """Shares of a sentence's words, content words and word pairs that the reference has."""
    words, is_content = words_of(sentence)
    if not words:
        return 0.0, 0.0, 0.0
    counts = Counter(words)
    found = sum(min(n, reference[word]) for word, n in counts.items())
    content = Counter(word for word, keep in zip(words, is_content) if keep)
    n_content = sum(content.values())
    found_content = sum(min(n, reference[word]) for word, n in content.items())
    of_pairs = Counter(zip(words, words[1:]))
    found_pairs = sum(min(n, pairs[pair]) for pair, n in of_pairs.items())
    # One word more in the denominators: a sentence of two words is no great find.
    return (
        found / (len(words) + 1),
        found_content / (n_content + 2),
        found_pairs / (len(words) + 1),
    )


def content_words(text, reference):
    """Each content word of a sentence: where it ends, and whether the reference has it."""
    for found in re.finditer("[A-Za-z0-9]+", text):
        word = found.group().lower()
        if word not in STOP_WORDS:
            yield found.end(), stem(word) in reference


def said_of(offsets, ends):
    """For each token whether a content word ends in it, and which kind."""
    said, ends = [], iter(ends)
    end, is_said = next(ends, (None, False))
    for first, last in offsets:
        of_token = 0
        while end is not None and end <= last:
            of_token = 2 if is_said else 1
            end, is_said = next(ends, (None, False))
        said.append(of_token)
    return said


def label(line):
    """One document, cut: its sentences, their kinds, their labels, and their content words."""
    document = json.loads(line)
    words, _ = words_of(document["summary"])
    reference, pairs = Counter(words), Counter(zip(words, words[1:]))
    texts = [" ".join(text.split()) for text, _ in document["sentences"]]
    kinds = [kind for _, kind in document["sentences"]]
    labels = [shares(text, reference, pairs) for text in texts]
    content = [list(content_words(text, reference)) for text in texts]
    return document["id"], texts, kinds, labels, content


def documents(folder, name, n_most, segment):
    """The lines of a set after they went through longsum."""
    process = subprocess.Popen(
        [segment], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    n = 0
    for document in data.read(folder):
        if document["set"] == name and n < n_most and document["document"].strip():
            n += 1
            process.stdin.write(json.dumps(document) + "\n")
            process.stdin.flush()
            yield process.stdout.readline()
    # Workers hold copies of the pipe, so closing ours would not end the program.
    process.terminate()
    process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="../../shared/train")
    parser.add_argument("--out", default="runs/builtin")
    parser.add_argument("--segment", default="../target/release/examples/segment")
    parser.add_argument("--most", type=int, default=10**9, help="documents of a set")
    args = parser.parse_args()
    out = Path(args.out)
    tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
    marks = {kind: tokenizer.token_to_id(mark) for kind, mark in MARKS.items()}
    names = sorted(path.name.split(".")[0] for path in Path(args.data).glob("*.jsonl.zst"))
    (out / "prepared").mkdir(parents=True, exist_ok=True)
    for name in names:
        path = out / "prepared" / f"{name}.npz"
        if path.exists():
            print(f"{path} is there already")
            continue
        tokens, said, ends, labels, n_words, spans, held_out = [], [], [], [], [], [], []
        n_tokens = 0
        with ProcessPoolExecutor() as pool:
            lines = documents(args.data, name, args.most, args.segment)
            for document_id, texts, kinds, of_sentences, content in pool.map(label, lines, chunksize=8):
                first = len(ends)
                encodings = tokenizer.encode_batch(texts)
                for text, kind, encoded, of_words in zip(texts, kinds, encodings, content):
                    ids = encoded.ids + [marks[kind]]
                    tokens.append(np.array(ids, dtype=np.uint16))
                    said.append(np.array(said_of(encoded.offsets, of_words) + [0], dtype=np.uint8))
                    n_tokens += len(ids)
                    ends.append(n_tokens)
                    n_words.append(min(len(text.split()), 65535))
                labels.extend(of_sentences)
                spans.append((first, len(ends)))
                held_out.append(data.is_held_out(document_id))
        np.savez(
            path,
            tokens=np.concatenate(tokens),
            said=np.concatenate(said),
            documents=np.array(spans, dtype=np.int64),
            ends=np.array(ends, dtype=np.int64),
            labels=np.array(labels, dtype=np.float16),
            words=np.array(n_words, dtype=np.uint16),
            held_out=np.array(held_out),
        )
        print(f"{path}: {len(spans)} documents, {len(ends)} sentences, {n_tokens} tokens")


if __name__ == "__main__":
    main()
