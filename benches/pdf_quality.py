"""How well programs read PDFs: page by page against what three known readers agree on.

    pdf_quality.py DIR... --program NAME=COMMAND [--program ...] [--json FILE] [--cache DIR]
    pdf_quality.py shared/docs --program "longsum=target/release/longsum extract {} --format json"

COMMAND reads the file in place of `{}`, or behind its last argument, and prints one JSON object:
`pages`, each with `text`, or with `chars` (`[start, end]` in characters of the object's `text`).
Needs pdftotext (poppler-utils), mutool (mupdf-tools) and the PyPI package pypdfium2. Every reader
runs in a child process with a time limit and half of this machine's cores. pdf_quality.md tells
which packages bring real files.

The yardstick of a page is what at least two of the three readers found: of each word the middle one
of the three counts, and likewise of each pair of neighbouring words. Words are compared after NFKC,
without case, soft hyphens and hyphens, broken at a line's end or not; each Chinese or Japanese
character is a word. A page counts if its yardstick has at least 5 words, and the readers agree: that
is, the words of the yardstick are at least 60 % of those of each reader but one.

    recall      words of the yardstick that were found
    precision   found words that at least one of the readers has too
    bigram      neighbouring words of the yardstick that are neighbours
    joined      words that are two of the readers' words run together, for each 1,000 words
    split       words of the readers that were parted in two, for each 1,000 words
    hyphens     hyphens left at a line's end in mid-word, for each 1,000 words
    unknown     U+FFFD, for each 1,000 characters

A table's numbers are means over files, each file's over its pages' words. `refused` counts the files
with a yardstick that gave no page at all.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time
import unicodedata
from collections import Counter

YARDSTICKS = ("pdftotext", "mutool", "pdfium")
VERSION = 1  # of what is in the cache
LEAST_WORDS = 5
LEAST_AGREEMENT = 0.6

# Marks that belong to the letter before: combining, Hebrew, Arabic, and the scripts of India.
MARKS = "\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0dff\u0e30-\u0e4e"
IDEOGRAPHS = "\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
WORD = re.compile(rf"[{IDEOGRAPHS}]|(?:(?![{IDEOGRAPHS}_])[\w{MARKS}])+")
BROKEN = re.compile(r"(?<=[^\W\d_])[-\u2010\u2011]\s*[\r\n]\s*(?=[^\W\d_])|[\u00ad\u0002\ufffe]\s*")
IN_WORD = re.compile(r"(?<=\w)[-\u2010\u2011](?=\w)")
LEFT = re.compile(r"[^\W\d_][-\u2010\u00ad](?:\s*\n\s*| )(?!and |or |und |oder )[a-z\u00df-\u00ff]")


def words(text):
    text = unicodedata.normalize("NFKC", text).casefold()
    return WORD.findall(IN_WORD.sub("", BROKEN.sub("", text)))


# Readers. Each gives the pages' texts, or None.


def pdfium_pages(file):
    """Run as a child of its own: pdfium may crash."""
    code = (
        "import json, sys, pypdfium2 as p\nd = p.PdfDocument(sys.argv[1])\n"
        "def t(i):\n try:\n  return d[i].get_textpage().get_text_range()\n except Exception:\n  return ''\n"
        "print(json.dumps([t(i) for i in range(len(d))]))"
    )
    return [sys.executable, "-c", code, str(file)]


def child(command, limit):
    """Exit code or None after the limit, output, errors, seconds."""
    start = time.monotonic()
    done = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "RUST_BACKTRACE": "0"},
    )
    try:
        out, err = done.communicate(timeout=limit)
        code = done.returncode
    except subprocess.TimeoutExpired:
        done.kill()
        out, err = done.communicate()
        code = None
    return code, out, err.decode(errors="replace"), time.monotonic() - start


def read(name, command, file, limit):
    """What a reader made of a file: pages (or none), seconds, and how it ended."""
    if name == "pdftotext":
        command = ["pdftotext", "-raw", "-enc", "UTF-8", str(file), "-"]
    elif name == "mutool":
        command = ["mutool", "draw", "-q", "-F", "txt", "-o", "-", str(file)]
    elif name == "pdfium":
        command = pdfium_pages(file)
    else:
        parts = shlex.split(command)
        command = [part.replace("{}", str(file)) for part in parts]
        if not any("{}" in part for part in parts):
            command.append(str(file))
    code, out, err, seconds = child(command, limit)
    end = (
        "hang"
        if code is None
        else (
            "panic"
            if code < 0 or code in (101, 134) or "panicked at" in err
            else "ok" if code == 0 else "refused"
        )
    )
    pages = None
    try:
        if name in ("pdftotext", "mutool"):
            text = out.decode(errors="replace")
            pages = text.split("\f")[:-1] if "\f" in text else ([text] if text.strip() else None)
        elif name == "pdfium":
            pages = json.loads(out)
        else:
            found = json.loads(out)
            if found["pages"] and "text" in found["pages"][0]:
                pages = [page["text"] for page in found["pages"]]
            else:
                pages = [
                    found["text"][page["chars"][0] : page["chars"][1]] for page in found["pages"]
                ]
            statuses = [page.get("status", "") for page in found["pages"]]
            return {"pages": pages, "statuses": statuses, "seconds": seconds, "end": end}
    except (ValueError, KeyError, TypeError):
        pass
    return {"pages": pages, "seconds": seconds, "end": end}


# The comparison.


def middle(counters):
    """Of each key the middle one of three counts, which is what two of three have."""
    one, two, three = counters
    return (one & two) | (one & three) | (two & three)


def pairs(found):
    return Counter(zip(found, found[1:]))


def yardstick(texts):
    """Words, pairs, and all that any reader found on a page; None if the readers do not agree."""
    found = [words(text) for text in texts]
    counts = [Counter(of) for of in found]
    agreed = middle(counts)
    n = agreed.total()
    near = sum(n >= LEAST_AGREEMENT * count.total() and count.total() > 0 for count in counts)
    if n < LEAST_WORDS or near < 2:
        return None
    anyone = counts[0] | counts[1] | counts[2]
    all_pairs = [pairs(of) for of in found]
    return agreed, middle(all_pairs), anyone, set().union(*all_pairs)


def compare(text, stick):
    """Sums over one page."""
    agreed, agreed_pairs, anyone, any_pairs = stick
    found = words(text)
    count = Counter(found)
    strange = [word for word in count if word not in anyone]
    run_together = {one + two for one, two in any_pairs}
    n_joined = sum(count[word] for word in strange if word in run_together)
    n_split = sum(
        (one not in anyone or two not in anyone)
        and one + two in anyone
        and (one, two) not in any_pairs
        for one, two in zip(found, found[1:])
    )
    return {
        "agreed": agreed.total(),
        "right": (agreed & count).total(),
        "found": len(found),
        "known": (anyone & count).total(),
        "pairs": agreed_pairs.total(),
        "right_pairs": (agreed_pairs & pairs(found)).total(),
        "joined": n_joined,
        "split": n_split,
        "hyphens": len(LEFT.findall(text)),
        "unknown": text.count("\ufffd"),
        "chars": len(text),
    }


def rates(sums):
    def part(a, b):
        return 100 * sums[a] / sums[b] if sums[b] else 100.0

    n = max(sums["found"], 1)
    return {
        "recall": part("right", "agreed"),
        "precision": part("known", "found"),
        "bigram": part("right_pairs", "pairs"),
        "joined": 1000 * sums["joined"] / n,
        "split": 1000 * sums["split"] / n,
        "hyphens": 1000 * sums["hyphens"] / n,
        "unknown": 1000 * sums["unknown"] / max(sums["chars"], 1),
    }


def signals(text):
    """What can be seen of a page's text without a yardstick."""
    parts = text.split()
    n = max(len(text), 1)
    letters = sum(c.isalpha() for c in text)
    return {
        "chars": len(text),
        "words": len(parts),
        "mean_word": round(sum(map(len, parts)) / max(len(parts), 1), 2),
        "single_letters": round(sum(len(p) == 1 for p in parts) / max(len(parts), 1), 3),
        "letters": round(letters / n, 3),
        "unknown": round(text.count("\ufffd") / n, 4),
        "private": round(sum("\ue000" <= c <= "\uf8ff" for c in text) / n, 4),
        "control": round(
            sum(unicodedata.category(c) == "Cc" and c not in "\n\t\r\f" for c in text) / n, 4
        ),
    }


def of_file(file, programs, options):
    """All readers on one file."""
    results = {name: cached(name, "", file, options) for name in YARDSTICKS}
    lists = [results[name]["pages"] for name in YARDSTICKS]
    n = max((len(pages) for pages in lists if pages), default=0)
    texts = [[pages[at] if pages and at < len(pages) else "" for pages in lists] for at in range(n)]
    sticks = [yardstick(page) for page in texts]
    row = {
        "file": str(file),
        "pages": n,
        "counted": sum(stick is not None for stick in sticks),
        "programs": {},
    }
    names = list(programs) + (list(YARDSTICKS) if options.yardsticks else [])
    for name in names:
        result = results.get(name) or cached(name, programs.get(name), file, options)
        pages = result["pages"]
        totals, worst = Counter(), []
        for at, stick in enumerate(sticks):
            if stick is None:
                continue
            text = pages[at] if pages and at < len(pages) else ""
            sums = compare(text, stick)
            totals.update(sums)
            page = {
                "page": at + 1,
                **{key: round(value, 2) for key, value in rates(sums).items()},
                "agreed": sums["agreed"],
            }
            page["signals"] = signals(text)
            statuses = result.get("statuses")
            if statuses and at < len(statuses):
                page["status"] = statuses[at]
            worst.append(page)
        row["programs"][name] = {
            "end": result["end"],
            "seconds": round(result["seconds"], 2),
            "pages": len(pages) if pages is not None else None,
            "sums": dict(totals),
            "each": worst,
        }
    return row


def cached(name, command, file, options):
    """The result of a reader, from the cache if it has it."""
    if not options.cache:
        return read(name, command, file, options.limit)
    stamp = "" if name in YARDSTICKS else command + str(stamp_of(command))
    key = hashlib.sha256(f"{VERSION} {name} {stamp} {hash_of(file)}".encode()).hexdigest()[:32]
    place = options.cache / f"{key}.json"
    if place.exists():
        return json.loads(place.read_text())
    result = read(name, command, file, options.limit)
    place.write_text(json.dumps(result))
    return result


def stamp_of(command):
    """When the program was built."""
    program = pathlib.Path(shlex.split(command)[0])
    return program.stat().st_mtime if program.exists() else 0


def hash_of(file):
    return hashlib.sha256(pathlib.Path(file).read_bytes()).hexdigest()


# The report.


def table(rows, names):
    counted = [row for row in rows if row["counted"]]
    lines = [
        "| program | refused | panics | hangs | recall | precision | bigram | <50% | joined | split | hyphens | unknown | seconds |",
        "| --- " * 13 + "|",
    ]
    for name in names:
        of = [(row, row["programs"][name]) for row in counted]
        scores = [rates(Counter({"found": 0, **result["sums"]})) for _, result in of]
        read_in = [score for score, (_, result) in zip(scores, of) if result["pages"]]
        mean = {
            key: sum(score[key] for score in scores) / max(len(scores), 1)
            for key in rates(Counter())
        }
        # What was not read at all invents nothing: these means are over what was read.
        for key in ("precision", "joined", "split", "hyphens", "unknown"):
            mean[key] = sum(score[key] for score in read_in) / max(len(read_in), 1)
        everyone = [row["programs"][name] for row in rows]
        lines.append(
            f"| {name} | {sum(not result['pages'] for _, result in of)} | {sum(r['end'] == 'panic' for r in everyone)} "
            f"| {sum(r['end'] == 'hang' for r in everyone)} | {mean['recall']:.1f} | {mean['precision']:.1f} | {mean['bigram']:.1f} "
            f"| {sum(score['recall'] < 50 for score in scores)} | {mean['joined']:.1f} | {mean['split']:.1f} | {mean['hyphens']:.1f} "
            f"| {mean['unknown']:.1f} | {sum(r['seconds'] for r in everyone):.0f} |"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dirs", nargs="+", type=pathlib.Path)
    parser.add_argument("--program", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--json", type=pathlib.Path, help="where the numbers of each page go")
    parser.add_argument("--cache", type=pathlib.Path, help="where texts are kept between runs")
    parser.add_argument("--limit", type=float, default=120, help="seconds for one file and reader")
    parser.add_argument("--jobs", type=int, default=max((os.cpu_count() or 2) // 2, 1))
    parser.add_argument("--worst", type=int, default=40, help="pages in the list of the worst")
    parser.add_argument(
        "--yardsticks", action="store_true", help="the three readers in the table too"
    )
    options = parser.parse_args()
    programs = dict(program.split("=", 1) for program in options.program)
    if options.cache:
        options.cache.mkdir(parents=True, exist_ok=True)
    files = sorted(
        {
            file
            for place in options.dirs
            for file in (place.rglob("*.pdf") if place.is_dir() else [place])
        }
    )
    rows = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for at, row in enumerate(pool.map(lambda file: of_file(file, programs, options), files), 1):
            rows.append(row)
            if at % 50 == 0:
                print(f"{at} of {len(files)} files", file=sys.stderr, flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows))
    names = list(programs) + (list(YARDSTICKS) if options.yardsticks else [])
    n_counted = sum(row["counted"] > 0 for row in rows)
    print(
        f"{len(rows)} files, {n_counted} with a yardstick, {sum(row['counted'] for row in rows)} pages compared.\n"
    )
    print(table(rows, names))
    for name in programs:
        pages = [
            (page["agreed"] * (100 - min(page["recall"], page["bigram"])), row["file"], page)
            for row in rows
            for page in row["programs"][name]["each"]
        ]
        pages.sort(key=lambda item: -item[0])
        print(f"\nWorst pages of {name}, by words lost or out of order:\n")
        print(
            "| file | page | words | recall | precision | bigram | joined | unknown |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
        )
        for _, file, page in pages[: options.worst]:
            print(
                f"| {pathlib.Path(file).name} | {page['page']} | {page['agreed']} | {page['recall']:.0f} | {page['precision']:.0f} "
                f"| {page['bigram']:.0f} | {page['joined']:.0f} | {page['unknown']:.0f} |"
            )


if __name__ == "__main__":
    main()
