"""Reads every file of a corpus that make.sh made, and says what went wrong.

    check.py [--jobs 2] [--limit 60] OUT PROGRAM [ARGUMENT...]
    check.py OUT target/release/longsum extract {} --format json

The file's name goes where `{}` stands, else behind the last argument.
The password is given in the environment variable PASSWORD, and to an argument `{password}`, whose
argument before it is left out too where a file has none.

Standard output is one JSON object: `text`, and `pages` of `number`, `status`, and `chars`
(`[start, end]` in characters of `text`) or `text`. Told are

    crash     a signal, exit code 101 or a panic
    hang      no end within the limit
    memory    more than --most-mb of memory
    pages     another number of pages than the file has, or pages not counted from 1
    ranges    page ranges that leave a gap, overlap, or do not cover the text
    refused   a file that must be read was not, or one that is locked was not refused
    words     words that must be found were not
    status    a page of a scan that is said to have text

Exit: 1 if there was a crash, a hang, or pages unaccounted for; with --strict, if there was anything.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import time
import unicodedata

FATAL = ("crash", "hang", "memory", "pages", "ranges")
# Scripts in which white space between letters says nothing.
UNSPACED = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")


def plain(text):
    text = unicodedata.normalize("NFKC", text).replace("\u00ad", "").casefold()
    text = re.sub(r"[\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\u0640]", "", text)
    text = text.replace("\u2019", "'")
    return re.sub(r"\s+", " ", text)


def has(text, words):
    words = plain(words)
    if words in text:
        return True
    return bool(UNSPACED.search(words)) and re.sub(r"\s", "", words) in re.sub(r"\s", "", text)


def command(program, file, password):
    parts = []
    for part in program:
        if part == "{password}":
            if password:
                parts.append(password)
            else:
                parts.pop()
        else:
            parts.append(part.replace("{}", str(file)))
    if not any("{}" in part for part in program):
        parts.append(str(file))
    return parts


def run(program, file, password, options):
    """Exit code, standard output, standard error, seconds, MiB. The code is None after the limit."""
    env = {**os.environ, "RUST_BACKTRACE": "0"}
    env.pop("PASSWORD", None)
    if password:
        env["PASSWORD"] = password
    start = time.monotonic()

    def limit():
        most = options.most_mb * 1024 * 1024
        resource.setrlimit(resource.RLIMIT_AS, (most * 2, most * 2))

    child = subprocess.Popen(
        command(program, file, password),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        preexec_fn=limit,
    )
    try:
        out, err = child.communicate(timeout=options.limit)
        code = child.returncode
    except subprocess.TimeoutExpired:
        child.kill()
        out, err = child.communicate()
        code = None
    return code, out, err.decode(errors="replace"), time.monotonic() - start


def check(row, options):
    """The faults of one file, each as (kind, what)."""
    name, pages, password, outcome, words = row
    faults = []
    code, out, err, seconds = run(options.program, options.out / name, password, options)
    if code is None:
        return [("hang", f"no end after {options.limit} s")], seconds
    if "memory allocation of" in err:
        faults.append(("memory", err.strip().splitlines()[-1][:120]))
    elif code < 0 or code in (101, 134, 137, 139) or "panicked at" in err:
        faults.append(("crash", f"exit {code}: {err.strip()[-160:]!r}"))
    try:
        found = json.loads(out)
    except ValueError:
        found = None
    if found is None or "pages" not in found:
        if outcome in ("text", "scan") and not faults:
            faults.append(("refused", err.strip()[-160:] or f"exit {code}, no JSON"))
        return faults, seconds
    if outcome == "locked":
        faults.append(("refused", "read without its password"))
    got = found["pages"]
    numbers = [page["number"] for page in got]
    if numbers != list(range(1, len(got) + 1)) or (pages != "?" and len(got) != int(pages)):
        faults.append(("pages", f"{len(got)} of {pages}"))
    if "text" in found and got and "chars" in got[0]:
        ends = [0] + [page["chars"][1] for page in got]
        starts = [page["chars"][0] for page in got] + [len(found["text"])]
        if ends != starts:
            faults.append(("ranges", "the pages' ranges do not cover the text"))
    text = found["text"] if "text" in found else "\n".join(page.get("text", "") for page in got)
    shown = plain(text)
    absent = [word for word in words.split(" | ") if words != "none" and not has(shown, word)]
    if absent:
        faults.append(("words", "; ".join(absent)[:200]))
    if outcome == "scan" and any(page.get("status") == "text" for page in got):
        faults.append(("status", "a page of a scan is said to have text"))
    if outcome == "text" and any(page.get("status") == "failed" for page in got):
        faults.append(("status", "a page failed"))
    return faults, seconds


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--limit", type=float, default=60, help="seconds for one file")
    parser.add_argument(
        "--most-mb", type=int, default=4096, help="half of the address space of a child"
    )
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--only", default="", help="files whose name contains this")
    parser.add_argument("--json", type=pathlib.Path, help="where all faults go")
    parser.add_argument("program", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if not options.program:
        parser.error("which program?")
    table = (options.out / "expected.tsv").read_text().splitlines()[1:]
    rows = [tuple(line.split("\t")) for line in table]
    rows = [row for row in rows if options.only in row[0]]
    counts, slow, told = {}, [], {}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for row, (faults, seconds) in zip(rows, pool.map(lambda row: check(row, options), rows)):
            slow.append((seconds, row[0]))
            for kind, what in faults:
                counts[kind] = counts.get(kind, 0) + 1
                told.setdefault(row[0], []).append((kind, what))
                print(f"{kind:8} {row[0]}: {what}", flush=True)
    slow.sort(reverse=True)
    print(
        f"{len(rows)} files; "
        + (", ".join(f"{n} {kind}" for kind, n in sorted(counts.items())) or "no fault")
    )
    print("slowest: " + ", ".join(f"{name} {seconds:.1f} s" for seconds, name in slow[:5]))
    if options.json:
        options.json.write_text(
            json.dumps({"faults": told, "seconds": {n: round(s, 2) for s, n in slow}}, indent=1)
        )
    fatal = sum(counts.get(kind, 0) for kind in FATAL)
    sys.exit(1 if fatal or (options.strict and counts) else 0)


if __name__ == "__main__":
    main()
