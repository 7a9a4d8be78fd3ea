"""longsum beside the well-known extractive summarizers: the same documents, lengths and scorer.

python3 benches/peers.py DIR [--program target/release/longsum | --longsum FILE.json]
                             [--cache DIR] [--out DIR] [--sets A,B] [--limit N]
python3 benches/peers.py DIR --check

DIR holds sets as `longsum eval` reads them. Needs the PyPI packages sumy, rouge-score, nltk, numpy,
scipy and, for `.jsonl.zst`, zstandard; no NLTK data. Prints one Markdown table per metric.

The protocol, for every method alike: a summary is as long as its reference, in words between white
space. Sentences are taken in the order of the method until that length is reached, put back into
the order of the document, joined, and cut to the exact length. A summary is scored against its own
reference; of several references the best F1 counts, for each metric. ROUGE is rouge-score's, with
stemmer. The mean of a set is over its documents, the average over the means of the sets.

The peers never see what is not prose: headings, tables, code, marks of Markdown and
reStructuredText, headers with the author and the like are taken out first.

LexRank, TextRank, LSA, KL-Sum and SumBasic are sumy's formulas on sparse matrices, since sumy
itself needs hours for a book; `--check` shows that both rank alike, ties aside. The oracle has read the
reference: it takes the sentence that adds most to ROUGE-1 and ROUGE-2, until none does. It is a
ceiling and no peer.
"""

import argparse
import glob
import hashlib
import json
import math
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from functools import lru_cache
from types import SimpleNamespace

import nltk
import numpy as np
from rouge_score import rouge_scorer
from scipy import sparse
from sumy.nlp.stemmers import Stemmer
from sumy.nlp.tokenizers import Tokenizer
from sumy.summarizers.luhn import LuhnSummarizer
from sumy.utils import get_stop_words

VERSION = 1  # of the numbers in the cache
METRICS = ("rouge1", "rouge2", "rougeL")
SEEDS = (1, 2, 3)
SIZES = (5, 10, 20, 30)  # of the summaries that --check compares


# Sets.


def sets(folder):
    """Files of `folder` by the name of their set."""
    found = {}
    for path in sorted(glob.glob(os.path.join(folder, "*.jsonl")) + glob.glob(os.path.join(folder, "*.jsonl.zst"))):  # plain before packed
        found.setdefault(os.path.basename(path).removesuffix(".zst").removesuffix(".jsonl"), path)
    return found


def read(path):
    with open(path, "rb") as file:
        if path.endswith(".zst"):
            import zstandard

            data = zstandard.ZstdDecompressor().stream_reader(file).read()
        else:
            data = file.read()
    for line in data.decode().split("\n"):
        if line.strip():
            row = json.loads(line)
            yield row["document"], row.get("references") or [row["summary"]]


# From a document to sentences.

HEADING = re.compile(r"#{1,6}(\s|$)")
RULE = re.compile(r"([=\-~^\"'*+#_.:`])\1{2,}\s*$")
BULLET = re.compile(r"([-*+•]|\(?\d{1,3}[.)]|#\.)\s+")
TABLE = re.compile(r"\||\+[-=+]+\+?$")
SPEAKER = re.compile(r"[A-Z][\w.'’&/() -]{0,40}:\s")
FIELD = re.compile(r"([-*]\s+)?\**[A-Za-z][\w /-]{1,25}\**:(\s|$)")
CONTENTS = re.compile(r"[-*+]\s+\[[^\]]*\]\(#[^)]*\)$")
DIRECTIVE = re.compile(r"\.\.(\s|$)")
INLINE = [
    (re.compile(r"<!--.*?-->", re.S), " "),
    (re.compile(r"!\[[^\]]*\]\([^)]*\)"), " "),
    (re.compile(r"\[([^\]]*)\]\([^)\s]*\)"), r"\1"),
    (re.compile(r":[a-z:]+:`([^`<]*)(?:<[^>]*>)?`"), r"\1"),
    (re.compile(r"`([^`<]+)\s+<[^>`]*>`__?"), r"\1"),
    (re.compile(r"`([^`]+)`__?(?!\w)"), r"\1"),
    (re.compile(r"</?[A-Za-z][^<>]{0,200}>"), " "),
    (re.compile(r"`+|\*\*+|__+"), ""),
    (re.compile(r"(?<!\w)[*_](?=\S)|(?<=\S)[*_](?!\w)"), ""),
]


def prose(text):
    """The paragraphs of a document, without what a reader would not read aloud."""
    text = text.replace("\r\n", "\n").replace("\x0c", "\n").replace("\ufffd", " ")
    text = INLINE[0][0].sub(" ", text)
    blocks = [[]]
    in_fence, indent = False, None
    lines = text.split("\n")
    top = True  # only headings and fields so far
    if lines and lines[0].strip() == "---" and "---" in [line.strip() for line in lines[1:60]]:
        lines = lines[[line.strip() for line in lines].index("---", 1) + 1 :]
    elif any(re.match(r"title:\s", line, re.I) for line in lines[:4]) and FIELD.match(lines[0]):
        lines = lines[[not line.strip() for line in lines].index(True) :]
    for k, raw in enumerate(lines):
        line = raw.strip()
        if line.startswith(("```", "~~~")):
            in_fence = not in_fence
            continue
        if in_fence:
            continue
        width = len(raw) - len(raw.lstrip())
        if indent is not None and line:
            if width > indent:
                continue
            indent = None
        if DIRECTIVE.match(line):
            indent = width
            blocks.append([])
            continue
        after = lines[k + 1].strip() if k + 1 < len(lines) else ""
        is_title = bool(RULE.match(after)) and 0 < len(line) <= len(after) + 2 and not RULE.match(line)
        if not line or HEADING.match(line) or is_title or RULE.match(line) or TABLE.match(line) or CONTENTS.match(line):
            blocks.append([])
            continue
        if top and BULLET.match(line) and FIELD.match(line):
            continue
        top = False
        blocks[-1].append(line)
        # What follows `::` and is indented is code.
        if line.endswith("::"):
            indent = width
    lines = [line for block in blocks for line in block]
    is_transcript = sum(bool(SPEAKER.match(line)) for line in lines) > 0.3 * len(lines)
    paragraphs = []
    for block in blocks:
        # A line of its own that is short and does not end like a sentence is a heading.
        if len(block) == 1 and len(block[0].split()) <= 12 and not re.search(r"[.!?:;,…\"”'’)\]—-]$", block[0]):
            continue
        longest = max((len(line) for line in block), default=0)
        begins = True
        for k, line in enumerate(block):
            begins |= bool(BULLET.match(line)) or (is_transcript and bool(SPEAKER.match(line)))
            line = BULLET.sub("", line, count=1) if BULLET.match(line) else line
            if begins:
                paragraphs.append(line)
            else:
                paragraphs[-1] += " " + line
            after = block[k + 1] if k + 1 < len(block) else ""
            begins = longest > 200 and len(line) < 45 and after[:1].isupper()
    for paragraph in paragraphs:
        for pattern, by in INLINE:
            paragraph = pattern.sub(by, paragraph)
        paragraph = " ".join(paragraph.split())
        if paragraph:
            yield paragraph


# Never the end of a sentence, whatever follows.
NEVER = set(
    """mr mrs ms dr prof st mt vs cf viz fig figs eq eqs ref refs no nos vol vols pp sec sect ch chap art
    gen col lt sgt capt cmdr gov sen rep reps rev hon pres supt messrs mme mlle e.g i.e al approx ca resp
    u.s u.k u.n ed eds dept univ assn bros jan feb mar apr jun jul aug sept sep oct nov dec""".split()
)
END = re.compile(r"([.!?…]+)([\"'”’)\]]*)(\s+)(?=[\"'“‘(\[]*[A-Z0-9])")


def sentences(text):
    """Sentences of a paragraph: an end mark, a space and a capital or digit, but for abbreviations."""
    start = 0
    for end in END.finditer(text):
        if end[1] == ".":
            word = re.search(r"[^\s(\[\"'“‘]*$", text[start : end.start()])[0]
            after = text[end.end() : end.end() + 1]
            if word.lower() in NEVER and (word.lower() != "no" or after.isdigit()):
                continue
            if re.fullmatch(r"[A-Z](\.[A-Z])*", word) and not (word == "I" and end[2]):
                continue
        yield text[start : end.start(3)]
        start = end.end()
    yield text[start:]


@lru_cache(None)
def stem(word):
    return STEMMER(word)


STEMMER = Stemmer("english")
STOP_WORDS = get_stop_words("english")


class Document:
    """Sentences, their words as sumy sees them, and the stems that carry content."""

    def __init__(self, text):
        found = [s for p in prose(text) for s in sentences(p)]
        self.sentences = [s for s in found if re.search(r"[A-Za-z]{2}", s)]
        self.set_words([self.to_words(s) for s in self.sentences])
        self.n_words = np.array([len(s.split()) for s in self.sentences])

    @staticmethod
    def to_words(sentence):
        # sumy's tokenizer less its look for sentences inside the sentence, which needs NLTK data.
        return [w for w in nltk.word_tokenize(sentence, preserve_line=True) if Tokenizer._is_word(w)]

    def set_words(self, words):
        self.words = words
        self.stems = [[stem(w.lower()) for w in ws if w.lower() not in STOP_WORDS] for ws in words]

    def first(self, n):
        """The same document, ended after `n` sentences."""
        part = object.__new__(Document)
        part.sentences, part.n_words = self.sentences[:n], self.n_words[:n]
        part.set_words(self.words[:n])
        return part


def counts(rows):
    """How often each word stands in each row, as a sparse matrix; and the words."""
    ids = {}
    entries = [(k, ids.setdefault(w, len(ids)), n) for k, row in enumerate(rows) for w, n in Counter(row).items()]
    row, column, n = (np.array(x) for x in zip(*entries)) if entries else (np.zeros(0, int),) * 3
    return sparse.csr_matrix((n.astype(float), (row, column)), shape=(len(rows), max(len(ids), 1))), ids


# The methods: each gives the numbers of sentences, best first. `budget` is how many words are wanted.


def by_rating(ratings):
    return np.argsort(-np.asarray(ratings), kind="stable")


def lead(document, budget):
    return range(len(document.sentences))


def shuffled(seed):
    def order(document, budget):
        numbers = list(range(len(document.sentences)))
        random.Random(seed).shuffle(numbers)
        return numbers

    return order


def lexrank(document, budget):
    n, _ = counts(document.stems)
    n_rows = n.shape[0]
    idf = np.log(n_rows / (1 + np.bincount(n.indices, minlength=n.shape[1])))
    weights = n @ sparse.diags(idf)
    norms = np.sqrt(np.asarray(weights.multiply(weights).sum(axis=1)).ravel())
    unit = (sparse.diags(np.divide(1, norms, out=np.zeros(n_rows), where=norms > 0)) @ weights).tocsr()
    blocks = []
    for k in range(0, n_rows, 1000):
        near = unit[k : k + 1000] @ unit.T
        near.data = (near.data > 0.1).astype(np.float32)
        near.eliminate_zeros()
        blocks.append(near)
    edges = sparse.vstack(blocks).tocsr()
    degrees = np.maximum(np.asarray(edges.sum(axis=1)).ravel(), 1)
    transition = (sparse.diags(1 / degrees) @ edges).T.tocsr()
    p, change = np.full(n_rows, 1 / n_rows), 1.0
    while change > 0.1:
        after = transition @ p
        after /= np.linalg.norm(after)
        p, change = after, np.linalg.norm(after - p)
    return by_rating(p)


def textrank(document, budget):
    n, _ = counts(document.stems)
    n_rows = n.shape[0]
    logs = np.log(np.maximum([len(row) for row in document.stems], 1))
    blocks = []
    for k in range(0, n_rows, 1000):
        shared = (n[k : k + 1000] @ n.T).tocoo()
        norm = logs[k + shared.row] + logs[shared.col]
        # Two sentences of one word each: the number of words they share stands as it is.
        shared.data = np.divide(shared.data, norm, out=shared.data, where=norm > 1e-8)
        blocks.append(shared.astype(np.float32) if n_rows > 3000 else shared)
    weights = sparse.vstack(blocks).tocsr()
    sums = np.asarray(weights.sum(axis=1)).ravel() + 1e-7
    transition = (sparse.diags(1 / sums) @ weights).T.tocsr()
    p, change = np.full(n_rows, 1 / n_rows), 1.0
    while change > 1e-4:
        after = 0.15 / n_rows * p.sum() + 0.85 * (transition @ p)
        p, change = after, np.linalg.norm(after - p)
    return by_rating(p)


class Luhn(LuhnSummarizer):
    """sumy's, with a set where it has a tuple of all words."""

    def _get_significant_words(self, words):
        return frozenset(super()._get_significant_words(words))

    def stem_word(self, word):
        return stem(word.lower())


def luhn(document, budget):
    summarizer = Luhn(STEMMER)
    summarizer.stop_words = STOP_WORDS
    significant = summarizer._get_significant_words([w for ws in document.words for w in ws])
    return by_rating([summarizer.rate_sentence(SimpleNamespace(words=ws), significant) for ws in document.words])


def lsa(document, budget):
    # sumy keeps every dimension, so the rank of a sentence, the length of its column of V weighed
    # by the singular values, is the length of its column of the matrix: there is nothing to decompose.
    known = {w for row in document.stems for w in row}
    n, _ = counts([[s for s in map(stem, (w.lower() for w in ws)) if s in known] for ws in document.words])
    largest = np.maximum(n.max(axis=1).toarray().ravel(), 1)
    n.data = (0.4 + 0.6 * n.data / np.repeat(largest, np.diff(n.indptr))) ** 2 - 0.4**2
    floor = np.where(np.diff(n.indptr) > 0, 0.4**2 * len(known), 0)
    return by_rating(np.round(np.asarray(n.sum(axis=1)).ravel() + floor, 9))


def kl_sum(document, budget):
    raw = [w for ws in document.words for w in ws]
    # As in sumy: stop words go before capitals do, and a chosen sentence counts with all its words.
    frequency = Counter(w.lower() for w in raw if w not in STOP_WORDS)
    n, ids = counts([[w.lower() for w in ws if w.lower() not in STOP_WORDS] for ws in document.words])
    chosen_words = [[ids.setdefault(w, len(ids)) for w in ws] for ws in document.words]
    f = np.zeros(len(ids))
    for word, k in ids.items():
        f[k] = frequency[word] / max(sum(frequency.values()), 1)
    log_f = np.log(np.where(f > 0, f, 1))
    rows = np.repeat(np.arange(n.shape[0]), np.diff(n.indptr))
    words, here = n.indices, n.data
    lengths = np.asarray(n.sum(axis=1)).ravel()
    taken, order, n_words = np.zeros(len(ids)), [], 0
    left = np.ones(n.shape[0], bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        while n_words < budget and left.any():
            old = taken[words]
            new_log = np.where(old > 0, np.log(np.maximum(old, 1)) - np.log(old + here), log_f[words] - np.log(here))
            value = np.bincount(rows, f[words] * new_log, minlength=len(left))
            mass = np.bincount(rows, np.where(old > 0, 0, f[words]), minlength=len(left))
            seen = taken > 0
            value += (f[seen] * (log_f[seen] - np.log(taken[seen]))).sum()
            value += (mass + f[seen].sum()) * np.log(np.maximum(lengths + taken.sum(), 1))
            best = int(np.argmin(np.where(left, value, np.inf)))
            order.append(best)
            left[best] = False
            n_words += document.n_words[best]
            np.add.at(taken, chosen_words[best], 1)
    return order


def sum_basic(document, budget):
    n, _ = counts(document.stems)
    rows = np.repeat(np.arange(n.shape[0]), np.diff(n.indptr))
    p = np.asarray(n.sum(axis=0)).ravel() / max(n.sum(), 1)
    lengths = np.maximum(np.asarray(n.sum(axis=1)).ravel(), 1)
    left, order, n_words = np.ones(n.shape[0], bool), [], 0
    while n_words < budget and left.any():
        mean = np.bincount(rows, p[n.indices] * n.data, minlength=len(left)) / lengths
        best = int(np.argmax(np.where(left, mean, -1)))
        order.append(best)
        left[best] = False
        n_words += document.n_words[best]
        row = slice(n.indptr[best], n.indptr[best + 1])
        p[n.indices[row]] **= 2.0 ** n.data[row]
    return order


def oracle(document, budget, reference):
    def grams(tokens, size):
        return Counter(zip(*(tokens[k:] for k in range(size))))

    # Of each sentence only what the reference has too.
    wanted = [grams(tokens(reference), size) for size in (1, 2)]
    split = [tokens(s) for s in document.sentences]
    parts, left = [], []
    for size, wish in zip((1, 2), wanted):
        ids = {gram: k for k, gram in enumerate(wish)}
        entries = [(k, ids[g], c) for k, s in enumerate(split) for g, c in grams(s, size).items() if g in ids]
        parts.append([np.array(x) for x in zip(*entries)] if entries else [np.zeros(0, int)] * 3)
        left.append(np.array(list(wish.values()), float))
    lengths = [np.array([max(len(s) - k, 0) for s in split]) for k in (0, 1)]
    totals = [x.sum() for x in left]
    shared, size_now = [0.0, 0.0], [0, 0]
    order, n_words, score = [], 0, 0.0
    free = np.ones(len(split), bool)
    while n_words < budget and free.any():
        gains = [
            np.bincount(row, np.minimum(n, stock[gram]), minlength=len(split))
            for (row, gram, n), stock in zip(parts, left)
        ]
        scores = sum(2 * (s + g) / (now + long + total + 1e-9) for s, g, now, long, total in zip(shared, gains, size_now, lengths, totals))
        best = int(np.argmax(np.where(free, scores, -1)))
        if scores[best] <= score:
            break
        score = scores[best]
        order.append(best)
        free[best] = False
        n_words += document.n_words[best]
        for k, (row, gram, n) in enumerate(parts):
            mine = row == best
            left[k][gram[mine]] = np.maximum(left[k][gram[mine]] - n[mine], 0)
            shared[k] += gains[k][best]
            size_now[k] += lengths[k][best]
    return order


PEERS = {
    "lead": [lead],
    "random": [shuffled(seed) for seed in SEEDS],
    "LexRank": [lexrank],
    "TextRank": [textrank],
    "Luhn": [luhn],
    "LSA": [lsa],
    "KL-Sum": [kl_sum],
    "SumBasic": [sum_basic],
}


# Scores.


class CachedStemmer:
    def __init__(self, stemmer):
        self.stem = lru_cache(None)(stemmer.stem)


def lcs_length(a, b):
    """Bit-parallel, for texts of thousands of words (Hyyrö, "Bit-parallel LCS-length computation revisited")."""
    where = {}
    for k, token in enumerate(b):
        where[token] = where.get(token, 0) | 1 << k
    full = (1 << len(b)) - 1
    row = full
    for token in a:
        hits = row & where.get(token, 0)
        row = (row + hits | row - hits) & full
    return len(b) - row.bit_count()


SCORER = rouge_scorer.RougeScorer(METRICS, use_stemmer=True)
SCORER._tokenizer._stemmer = CachedStemmer(SCORER._tokenizer._stemmer)
LCS_TABLE = rouge_scorer._lcs_table
rouge_scorer._lcs_table = lambda a, b: [[lcs_length(a, b)]]
tokens = SCORER._tokenizer.tokenize


def score(reference, summary):
    return {metric: s.fmeasure for metric, s in SCORER.score(reference, summary).items()}


def text_of(document, order, budget):
    chosen, n_words = [], 0
    for k in order:
        if n_words >= budget:
            break
        chosen.append(k)
        n_words += document.n_words[k]
    words = " ".join(document.sentences[k] for k in sorted(chosen)).split()
    return " ".join(words[:budget])


def best(scores):
    return {metric: max(s[metric] for s in scores) for metric in METRICS}


def mean(scores):
    return {metric: sum(s[metric] for s in scores) / len(scores) for metric in METRICS}


def score_document(text, references, known):
    """Scores by method, and the seconds they took; `known` has what need not be done again."""
    missing = [name for name in [*PEERS, "oracle"] if name not in known.get("scores", {})]
    if not missing:
        return known
    document = Document(text)
    budgets = [len(r.split()) for r in references]
    result = {"scores": dict(known.get("scores", {})), "secs": dict(known.get("secs", {}))}
    result["n_words"], result["n_sentences"] = len(text.split()), len(document.sentences)
    for name in missing:
        start = time.perf_counter()
        if name == "oracle":
            orders = [[oracle(document, n, r) for n, r in zip(budgets, references)]]
        else:
            orders = [[method(document, max(budgets))] * len(budgets) for method in PEERS[name]]
        secs = time.perf_counter() - start
        scores = [
            best([score(r, text_of(document, o, n)) for o, n, r in zip(os, budgets, references)]) for os in orders
        ]
        result["scores"][name], result["secs"][name] = mean(scores), round(secs, 3)
    return result


def score_set(name, path, limit, cache):
    """Means of a set by method, in percent, and how many documents it has."""
    file = cache and os.path.join(cache, f"{name}.json")
    known = {}
    if file and os.path.exists(file):
        with open(file) as f:
            known = json.load(f)
    rows = []
    for k, (text, references) in enumerate(read(path)):
        if limit and k == limit:
            break
        key = hashlib.sha256(json.dumps([VERSION, text, references]).encode()).hexdigest()[:24]
        before = known.get(key, {})
        known[key] = score_document(text, references, before)
        rows.append(known[key])
        if file and known[key] is not before:
            with open(file + ".part", "w") as f:
                json.dump(known, f, indent=1)
            os.replace(file + ".part", file)
        if sys.stderr.isatty():
            print(f"\r{name}: {k + 1}", end="\r", file=sys.stderr)
    methods = [*PEERS, "oracle"]
    return {
        "name": name,
        "n": len(rows),
        "peers": {m: {k: 100 * v for k, v in mean([r["scores"][m] for r in rows]).items()} for m in methods},
    }


# The tables.


def of_longsum(args, names):
    """What `longsum eval` says, by set."""
    if args.longsum:
        with open(args.longsum) as file:
            report = json.load(file)
    elif args.program:
        command = [args.program, "eval", args.folder, "--format", "json"]
        command += ["--limit", str(args.limit)] if args.limit else []
        command += ["--model", args.model] if args.model else []
        report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    else:
        return {}
    return {s["name"]: s for s in report["sets"] if s["name"] in names}


def average(rows):
    """Mean of the means, of each method that has every set."""
    methods = [m for m in rows[0]["peers"] if all(m in r["peers"] for r in rows)]
    return {"name": "average", "n": sum(r["n"] for r in rows), "peers": {m: mean([r["peers"][m] for r in rows]) for m in methods}}


def tables(results):
    rows = [*results, average(results)] if results else []
    methods = [m for m in ("longsum", *PEERS, "oracle") if any(m in r["peers"] for r in rows)]
    lines = []
    for metric, title in zip(METRICS, ("ROUGE-1", "ROUGE-2", "ROUGE-L")):
        head = ["set", "n", *methods] + (["longsum less best peer"] if "longsum" in methods else [])
        lines += [f"### {title}, F1 in percent", "", "| " + " | ".join(head) + " |"]
        lines += ["| --- |" + " ---: |" * (len(head) - 1)]
        for row in rows:
            values = {m: s[metric] for m, s in row["peers"].items()}
            top = max((m for m in values if m in PEERS), key=values.get)
            cells = [row["name"], str(row["n"])]
            for m in methods:
                cell = f"{values[m]:.1f}" if m in values else "–"
                cells.append(f"**{cell}**" if m == top else cell)
            if "longsum" in methods:
                cells.append(f"{values['longsum'] - values[top]:+.1f} ({top})" if "longsum" in values else "–")
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


# That the sparse twins rank as sumy does.


def check(folder):
    from sumy.models.dom import ObjectDocumentModel, Paragraph, Sentence
    from sumy.summarizers.kl import KLSummarizer
    from sumy.summarizers.lex_rank import LexRankSummarizer
    from sumy.summarizers.lsa import LsaSummarizer
    from sumy.summarizers.luhn import LuhnSummarizer
    from sumy.summarizers.sum_basic import SumBasicSummarizer
    from sumy.summarizers.text_rank import TextRankSummarizer

    tokenizer = SimpleNamespace(to_words=lambda s: tuple(Document.to_words(s)))
    pairs = [
        (lexrank, LexRankSummarizer),
        (textrank, TextRankSummarizer),
        (luhn, LuhnSummarizer),
        (lsa, LsaSummarizer),
        (kl_sum, KLSummarizer),
        (sum_basic, SumBasicSummarizer),
    ]
    n_shared, n_all = Counter(), 0
    for path in sets(folder).values():
        text, references = next(read(path))
        document = Document(text).first(60)
        # sumy tells equal sentences apart by nothing.
        keep = [k for k, s in enumerate(document.sentences) if s not in document.sentences[:k]]
        document.sentences, document.n_words = [document.sentences[k] for k in keep], document.n_words[keep]
        document.set_words([document.words[k] for k in keep])
        theirs = ObjectDocumentModel([Paragraph([Sentence(s, tokenizer) for s in document.sentences])])
        n_all += sum(min(n, len(document.sentences)) for n in SIZES)
        for ours, Class in pairs:
            summarizer = Class(STEMMER)
            summarizer.stop_words = STOP_WORDS
            order = [int(k) for k in ours(document, math.inf)]
            for n in SIZES:
                chosen = {document.sentences.index(str(s)) for s in summarizer(theirs, n)}
                n_shared[Class.__name__] += len(chosen & set(order[:n]))
        a, b = tokens(references[0])[:300], tokens(text)[:400]
        assert LCS_TABLE(a, b)[-1][-1] == lcs_length(a, b)
    # Where they differ, two sentences are equally good, and rounding decides in sumy.
    for name, n in n_shared.items():
        print(f"{name}: of sumy's best {', '.join(map(str, SIZES))} sentences, {n} of {n_all} are ours too")
    print("longest common subsequences: all the same")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("--program", help="longsum, to be run")
    parser.add_argument("--model", help="model for it")
    parser.add_argument("--longsum", metavar="FILE", help="what `longsum eval --format json` printed")
    parser.add_argument("--cache", metavar="DIR", help="scores of each document, to be used again")
    parser.add_argument("--out", metavar="DIR", help="where peers.md and peers.json go, anew after each set")
    parser.add_argument("--sets", metavar="A,B", help="these sets, in this order")
    parser.add_argument("--limit", type=int, metavar="N", help="documents of each set")
    parser.add_argument("--check", action="store_true", help="compare with sumy on the beginnings of documents")
    args = parser.parse_args()
    if args.check:
        return check(args.folder)
    for folder in (args.cache, args.out):
        if folder:
            os.makedirs(folder, exist_ok=True)
    files = sets(args.folder)
    names = args.sets.split(",") if args.sets else list(files)
    unknown = [name for name in names if name not in files]
    if unknown or not names:
        sys.exit(f"no such set in {args.folder}: {', '.join(unknown) or '*.jsonl, *.jsonl.zst'}")
    ours = of_longsum(args, names)
    results = []
    for name in names:
        result = score_set(name, files[name], args.limit, args.cache)
        if name in ours:
            if ours[name]["n"] != result["n"]:
                sys.exit(f"{name}: longsum read {ours[name]['n']} documents, the peers {result['n']}")
            result["peers"]["longsum"] = ours[name]["longsum"]
        results.append(result)
        if args.out:
            with open(os.path.join(args.out, "peers.md"), "w") as file:
                file.write(tables(results))
            with open(os.path.join(args.out, "peers.json"), "w") as file:
                json.dump({"sets": results, "average": average(results)["peers"]}, file, indent=1)
    print(tables(results))


if __name__ == "__main__":
    main()
