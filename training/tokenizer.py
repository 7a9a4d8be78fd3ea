"""Step 1: trains the tokenizer, a byte-level BPE, on a sample of the training documents."""

import argparse
import random
from pathlib import Path

import data
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

# In this order they are the first ids. A document can write none of them: they stand for
# structure that the reader knows (see `SPECIALS` in README.md).
SPECIALS = ["<|sink|>", "<|end|>", "<|sentence|>", "<|paragraph|>", "<|heading|>", "<|summarize|>"]
# Words with their leading space, digits by threes, runs of marks, white space.
PATTERN = r"'(?:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+| ?\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def sample(folder, n_bytes, seed):
    """Documents in a random order until there are enough bytes, each set with its fair share."""
    rng = random.Random(seed)
    by_set = {}
    for document in data.read(folder):
        if not data.is_held_out(document["id"]):
            by_set.setdefault(document["set"], []).append(document["document"])
    for texts in by_set.values():
        rng.shuffle(texts)
        left = n_bytes // len(by_set)
        for text in texts:
            if left <= 0:
                break
            yield text[:left]
            left -= len(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="../../shared/train")
    parser.add_argument("--out", default="runs/builtin")
    parser.add_argument("--vocabulary", type=int, default=12288)
    parser.add_argument("--bytes", type=int, default=40_000_000, help="size of the sample")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    out = Path(args.out) / "tokenizer.json"
    if out.exists():
        print(f"{out} is there already")
        return
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=args.vocabulary,
        special_tokens=SPECIALS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sample(args.data, args.bytes, args.seed), trainer)
    out.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(out))
    print(f"{out}: {tokenizer.get_vocab_size()} tokens")


if __name__ == "__main__":
    main()
