"""Reads the training sets: `*.jsonl.zst`, one JSON object a line with `document` and `summary`."""

import hashlib
import io
import json
from pathlib import Path

import zstandard

# One document of this many is held out of every step, by a hash of its id, to measure on.
HELD_OUT = 20


def read(folder):
    """Yields every document of a folder: a dict with `id`, `document`, `summary` and `set`."""
    for path in sorted(Path(folder).glob("*.jsonl.zst")):
        with path.open("rb") as file:
            lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8")
            for line in lines:
                document = json.loads(line)
                document["set"] = path.name.split(".")[0]
                yield document


def is_held_out(document_id):
    """Whether a document is kept for measuring: the same in every run and on every machine."""
    digest = hashlib.sha256(document_id.encode()).digest()
    return int.from_bytes(digest[:4], "big") % HELD_OUT == 0
