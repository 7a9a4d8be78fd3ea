#!/usr/bin/env bash
# What only a real model and real documents can show: tests/real_model.sh MODEL.gguf SHARED, after
# `cargo build --release --bin longsum --examples`.
# SHARED holds docs/mueller-report-vol-1.pdf: 189 pages, over 90,000 tokens without its footnotes and
# table of contents, which are not read. Seven minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."
model=$1 shared=$2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bin=target/release/longsum

echo "== sinks keep the model alive: perplexity of the last 1,000 of 5,120 tokens"
ppl() { target/release/examples/perplexity "$model" "$shared/docs/mueller-report-vol-1.pdf" 5120 1000 "$@" | tee -a "$tmp/ppl" ; }
ppl; ppl 4 508 256; ppl 0 512 256
python3 - "$tmp/ppl" <<'PY'
import re, sys
dense, sinks, none = (float(re.search(r"last 1000: ([\d.]+)", line)[1]) for line in open(sys.argv[1]))
assert sinks < 2.2 * dense, (sinks, dense)
assert none > 1.4 * sinks, (none, sinks)
PY

echo "== attention finds the sentence that a paraphrase comes from; checks catch planted errors"
target/release/examples/evidence "$model" tests/fixtures/evidence.json 1 | tee "$tmp/evidence"
python3 - "$tmp/evidence" <<'PY'
import re, sys
text = open(sys.argv[1]).read()
first, three = map(float, re.search(r"\| attention \| ([\d.]+) % \| ([\d.]+) %", text).groups())
assert first >= 85 and three >= 95, (first, three)
flagged, of = map(int, re.search(r"(\d+) of (\d+) true statements flagged", text).groups())
assert flagged < 0.05 * of, (flagged, of)
PY

echo "== a whole report: every page accounted for, one note a chunk, a cache that never grows"
$bin "$shared/docs/mueller-report-vol-1.pdf" --model "$model" -o "$tmp/report.json"
python3 - "$tmp/report.json" <<'PY'
import json, sys
r = json.load(open(sys.argv[1]))
pages = sorted(p for ranges in r["source"]["coverage"].values() for a, b in ranges for p in range(a, b + 1))
assert pages == list(range(1, 190)), pages
assert len(r["rolling"]) == len(r["chunks"]) > 80
kinds = {n["kind"]: n["n"] for n in r["source"]["not_read"]}
assert kinds["footnote"] > 900 and kinds["contents"] > 50 and kinds["running_line"] > 500, kinds
assert r["summary"]["statements"], "an empty summary"
at = 0
for c in r["chunks"]:
    assert c["chars"][0] == at and c["n_tokens"] <= r["params"]["chunk_text"]
    at = c["chars"][1]
assert at == r["source"]["n_chars"]
statements = [s for x in r["rolling"] for s in x["statements"]]
quoted = sum("quote" in s["citations"][0] for s in statements)
final = r["summary"]["statements"]
print(f"{len(r['chunks'])} chunks, {len(statements)} notes, {quoted} of them with a quote; "
      f"{sum('quote' in s['citations'][0] for s in final)} of {len(final)} final statements with a quote")
p, memory = r["params"], r["timings"]["resident_bytes_by_decile"]
assert r["usage"]["tokens_document"] >= 90_000, r["usage"]
assert r["usage"]["peak_cache_slots"] == p["sinks"] + p["window"] - 1 + p["chunk"]
growth = memory[-1] / memory[0] - 1
print(f"{r['usage']['tokens_document']} tokens, {r['usage']['peak_cache_slots']} slots, "
      f"{memory[0] >> 20} MiB after 10%, {memory[-1] >> 20} MiB after 100% ({growth:+.1%})")
assert abs(growth) < 0.05, memory
seen = p["sinks"] + p["window"]
print(f"longest call {r['usage']['longest_call']} of {seen} tokens seen at once; "
      f"coverage {r['checks']['coverage_by_decile']}, weak {r['checks']['weak']}")
assert r["usage"]["longest_call"] <= seen, r["usage"]
PY
