#!/usr/bin/env python3
"""Many documents at once against one after the other: benches/batch.py BINARY [N_DOCUMENTS [N_PAGES]]

Makes N documents of about N pages each from samples/flood-inquiry.pdf, summarizes them in single runs
and in one batch, in turn, and prints the times, their ratio, and the most memory either took.
Nothing else should be running. Needs Python 3.9 and no packages.
"""
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

WORDS_A_PAGE = 500
N_ROUNDS = 3


def documents(binary, folder, n_documents, n_pages):
    """Texts that differ, each with form feeds between its pages."""
    sample = pathlib.Path(__file__).parent.parent / "samples/flood-inquiry.pdf"
    text = subprocess.run([binary, "extract", sample, "--format", "text"], check=True,
                          capture_output=True, text=True).stdout
    words = text.split(" ")
    for k in range(n_documents):
        pages = []
        for page in range(n_pages):
            start = (k * 997 + page * WORDS_A_PAGE) % (len(words) - WORDS_A_PAGE)
            pages.append(" ".join(words[start:start + WORDS_A_PAGE]))
        (folder / f"{k:03}.txt").write_text(f"Document {k}.\n\n" + "\f".join(pages))


def timed(*commands):
    started = time.monotonic()
    for command in commands:
        subprocess.run([str(part) for part in command], check=True, stderr=subprocess.DEVNULL)
    return time.monotonic() - started


def main():
    binary = str(pathlib.Path(sys.argv[1]).resolve())
    n_documents = int(sys.argv[2]) if len(sys.argv) > 2 else 64
    n_pages = int(sys.argv[3]) if len(sys.argv) > 3 else 20
    with tempfile.TemporaryDirectory() as made:
        made = pathlib.Path(made)
        archive = made / "archive"
        archive.mkdir()
        documents(binary, archive, n_documents, n_pages)
        ratios = []
        for k in range(N_ROUNDS):
            single = timed(*([binary, path, "-o", made / f"single-{k}" / ""]
                             for path in sorted(archive.iterdir())))
            batch = timed([binary, archive, "-o", made / f"batch-{k}"])
            run = json.loads((made / f"batch-{k}" / "run.json").read_text())
            assert run["counts"]["complete"] == n_documents, run["counts"]
            ratios.append(single / batch)
            print(f"{n_documents} single runs {single:.1f} s, one batch of {run['timings']['n_jobs']} "
                  f"at once {batch:.1f} s: {single / batch:.2f} times; "
                  f"{run['timings']['peak_memory_bytes'] / 1e6:.0f} MB")
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(f"median {sorted(ratios)[N_ROUNDS // 2]:.2f} times; largest process {largest / 1e6:.0f} MB")


main()
