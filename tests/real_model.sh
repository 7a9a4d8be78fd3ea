#!/usr/bin/env bash
# What only a real model and real documents can show: tests/real_model.sh MODEL.gguf SHARED
# SHARED holds docs/mueller-report-vol-1.pdf and ppl/war_and_peace.txt.zst.
set -euo pipefail
cd "$(dirname "$0")/.."
model=$1 shared=$2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cargo build --release --bin longsum --example perplexity
bin=target/release/longsum

echo "== a part of a real report: every page accounted for, quotes are the document's"
$bin "$shared/docs/mueller-report-vol-1.pdf" --pages 9-16 --model "$model" -o "$tmp/report.json"
python3 - "$tmp/report.json" <<'PY'
import json, sys
r = json.load(open(sys.argv[1]))
pages = sorted(p for ranges in r["source"]["coverage"].values() for a, b in ranges for p in range(a, b + 1))
assert pages == list(range(9, 17)), pages
assert len(r["rolling"]) == len(r["chunks"]) > 3
assert r["summary"]["statements"], "an empty summary"
at = 0
for c in r["chunks"]:
    assert c["chars"][0] == at and c["n_tokens"] <= r["params"]["chunk_text"]
    at = c["chars"][1]
assert at == r["source"]["n_chars"]
quotes = sum(1 for x in r["rolling"] for s in x["statements"] for c in s["citations"] if "quote" in c)
print(f"{len(r['chunks'])} chunks, {quotes} quotes")
PY

echo "== sinks keep the model alive: perplexity of the last 1,000 of 5,120 tokens"
ppl() { target/release/examples/perplexity "$model" "$shared/docs/mueller-report-vol-1.pdf" 5120 1000 "$@" | tee -a "$tmp/ppl" ; }
ppl; ppl 4 508 256; ppl 0 512 256
python3 - "$tmp/ppl" <<'PY'
import re, sys
dense, sinks, none = (float(re.search(r"last 1000: ([\d.]+)", line)[1]) for line in open(sys.argv[1]))
assert sinks < 2.2 * dense, (sinks, dense)
assert none > 1.4 * sinks, (none, sinks)
PY

echo "== the cache never grows: 100,000 tokens"
zstd -dcq "$shared/ppl/war_and_peace.txt.zst" > "$tmp/book.txt"
head -c 450000 "$tmp/book.txt" > "$tmp/long.txt"
$bin "$tmp/long.txt" --model "$model" -o "$tmp/long.json"
python3 - "$tmp/long.json" <<'PY'
import json, sys
r = json.load(open(sys.argv[1]))
p, memory = r["params"], r["timings"]["resident_bytes_by_decile"]
assert r["usage"]["tokens_document"] >= 100_000, r["usage"]
assert r["usage"]["peak_cache_slots"] == p["sinks"] + p["window"] - 1 + p["chunk"]
growth = memory[-1] / memory[0] - 1
print(f"{r['usage']['tokens_document']} tokens, {r['usage']['peak_cache_slots']} slots, "
      f"{memory[0] >> 20} MiB after 10%, {memory[-1] >> 20} MiB after 100% ({growth:+.1%})")
assert abs(growth) < 0.05, memory
PY
