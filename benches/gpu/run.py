"""The measurements of run.sh: correctness, a token with a full cache, reading in chunks, streams together,
the reference."""

import argparse
import datetime
import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Llama 2 7B, and something that any machine can do at once.
MODELS = {
    "llama2-7b": dict(hidden_size=4096, intermediate_size=11008, num_hidden_layers=32,
                      num_attention_heads=32, num_key_value_heads=32, vocab_size=32000),
    "tiny": dict(hidden_size=64, intermediate_size=160, num_hidden_layers=2,
                 num_attention_heads=4, num_key_value_heads=2, vocab_size=256),
}

# Memory bandwidth in GB/s, from the makers' data sheets.
BANDWIDTHS = {"H200": 4800, "H100 80GB HBM3": 3350, "H100 PCIe": 2000, "A100-SXM4-80GB": 2039,
              "A100 80GB PCIe": 1935, "A100-SXM4-40GB": 1555, "A100-PCIE-40GB": 1555, "L40S": 864,
              "L4": 300, "A10": 600}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("longsum", help="the program, built with --features cuda")
    parser.add_argument("--golden", help="the example `golden`, built likewise")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", default="bf16", choices=["f32", "f16", "bf16"])
    parser.add_argument("--model", default="llama2-7b", choices=MODELS)
    parser.add_argument("--cache", default="256,512,1024,2048,4096")
    parser.add_argument("--chunks", default="512,1024,2048")
    parser.add_argument("--streams", default="1,8,32", help="that go through the model together")
    parser.add_argument("--streams-cache", default="1024", help="tokens that each of them sees")
    parser.add_argument("--tokens", default="64")
    parser.add_argument("--recomputed", default="8")
    parser.add_argument("--reference", help="PyTorch script with --preset, --cache and --device")
    parser.add_argument("--python", default=sys.executable, help="a python that has torch")
    parser.add_argument("--bandwidth", type=float, help="of the GPU's memory in GB/s, if it is not known")
    parser.add_argument("--timeout", type=float, default=560, help="seconds for all of it")
    parser.add_argument("--output", help="folder of the record, where benches/runs is not to have it")
    parser.add_argument("--try", dest="trying", action="store_true",
                        help="with the tiny model, on any device; no record is written")
    args = parser.parse_args()
    if args.trying:
        args.model, args.cache, args.chunks = "tiny", "32,64", "16,32"
        args.tokens, args.recomputed = "8", "2"
        args.streams, args.streams_cache = "1,3", "32"
    return args


class Runner:
    """Runs commands until the time is over, and remembers them."""

    def __init__(self, n_secs):
        self.end = time.monotonic() + n_secs
        self.commands = []

    def __call__(self, *command):
        command = [str(part) for part in command]
        started = time.monotonic()
        try:
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True,
                                  timeout=max(1, self.end - started))
            code, out, err = done.returncode, done.stdout, done.stderr
        except (subprocess.TimeoutExpired, OSError) as error:
            code, out, err = None, "", str(error)
        secs = round(time.monotonic() - started, 1)
        # Where programs and files lay on that machine says nothing to anybody else.
        told = shlex.join(re.sub(r"^/.*/", "", part) for part in command)
        self.commands.append(dict(command=told, code=code, secs=secs))
        print(f"{secs:6.1f} s, code {code}: {told}", file=sys.stderr)
        if code != 0:
            print("\n".join((out + err).splitlines()[-15:]), file=sys.stderr)
        return code, out


def machine():
    """What nvidia-smi says of the first GPU; None without one."""
    fields = "name,driver_version,memory.total,compute_cap,power.limit"
    if not shutil.which("nvidia-smi"):
        return None
    done = subprocess.run(["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"],
                          capture_output=True, text=True)
    lines = done.stdout.splitlines()
    if done.returncode != 0 or not lines:
        return None
    return dict(zip(fields.split(","), (part.strip() for part in lines[0].split(",")), strict=True))


def commit():
    try:
        done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT,
                              capture_output=True, text=True)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def golden(run, args):
    """The largest distance and the verdict of each small model, in f32 and in the type measured."""
    if not args.golden:
        return None
    results = {}
    dirs = sorted(path.parent.relative_to(ROOT) for path in ROOT.glob("tests/golden/*/golden.safetensors"))
    for dtype in dict.fromkeys(["f32", args.dtype]):
        if args.device == "cpu" and dtype != "f32":
            continue
        code, out = run(args.golden, "--device", args.device, "--dtype", dtype, *dirs)
        worst = {}
        for line in out.splitlines():
            found = re.match(r"(\S+) +\S+ +\S+ +chunk +\d+ +(\S+)", line)
            if found:
                worst[found[1]] = max(worst.get(found[1], 0.0), float(found[2]))
        results[dtype] = dict(within=code == 0, worst=worst)
    return results


def tokens(run, args, config):
    """One token with a full cache, streaming and re-computed, and reading in chunks."""
    command = [args.longsum, "bench", "--random-weights", config, "--device", args.device,
               "--cache", args.cache, "--chunks", args.chunks, "--tokens", args.tokens,
               "--recomputed", args.recomputed, "--format", "json", "--quiet"]
    if args.device != "cpu":
        command += ["--dtype", args.dtype]
    code, out = run(*command)
    return json.loads(out) if code == 0 else None


def together(run, args, config):
    """Streams that get a token each in every step; a run of its own, or the largest cache would count."""
    code, out = run(args.longsum, "bench", "--random-weights", config, "--device", args.device,
                    "--cache", args.streams_cache, "--streams", args.streams, "--tokens", args.tokens,
                    "--recomputed", "1", "--format", "json", "--quiet",
                    *([] if args.device == "cpu" else ["--dtype", args.dtype]))
    return json.loads(out)["together"] if code == 0 else None


def reference(run, args):
    """The same with PyTorch, on the same machine in the same hour."""
    if not args.reference:
        return None
    dtype = dict(f32="float32", f16="float16", bf16="bfloat16")[args.dtype]
    device = args.device if args.device == "cpu" else "cuda"
    code, out = run(args.python, args.reference, "--preset", args.model, "--device", device,
                    "--dtype", "float32" if device == "cpu" else dtype, "--steps", args.tokens,
                    "--recompute-steps", args.recomputed, "--cache", *args.cache.split(","))
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")] if code == 0 else None


def bandwidth(args, gpu):
    if args.bandwidth or not gpu:
        return args.bandwidth
    known = (rate for name, rate in BANDWIDTHS.items() if re.search(rf"\b{re.escape(name)}\b", gpu["name"]))
    return next(known, None)


def readme(record):
    """The record for people."""
    measured, limit = record["longsum"], record["bandwidth_gb_per_sec"]
    lines = [f"# {record['title']}", "", f"Commit {record['commit']}. {record['machine_line']}", ""]
    if record["golden"] is not None:
        lines += ["## Correctness", "", "Fourteen small models against known logits:", ""]
        for dtype, result in record["golden"].items():
            verdict = "all within the tolerance" if result["within"] else "**not all within the tolerance**"
            far = max(result["worst"].values(), default=float("nan"))
            lines.append(f"- {dtype}: {verdict}; farthest {far:.2e}")
        lines.append("")
    if measured:
        of = {row["cache"]: row for row in record["reference"] or []}
        lines += [f"## A token with a full cache, {measured['model_name']} in {measured['dtype']}", "",
                  "| cache | streaming ms | tokens/s | of bandwidth | re-computed ms | ratio | PyTorch streaming ms | PyTorch re-computed ms |",
                  "| --- | --- | --- | --- | --- | --- | --- | --- |"]
        for row in measured["caches"]:
            share = f"{row['gb_per_sec'] / limit:.0%}" if limit and row.get("gb_per_sec") else "-"
            theirs = of.get(row["cache"], {})
            lines.append(f"| {row['cache']} | {row['streaming_ms']:.2f} | {1e3 / row['streaming_ms']:.1f} | {share} "
                         f"| {row['recompute_ms']:.2f} | {row['ratio']:.1f} "
                         f"| {theirs.get('stream_ms', '-')} | {theirs.get('recompute_ms', '-')} |")
        lines += ["", "Of bandwidth: the bytes of all weights and of the keys and values that a token sees, in the "
                  f"time of a token, as a share of {limit or 'an unknown number of'} GB/s.", "",
                  "## Reading", "", "| chunk | tokens/s | TFLOP/s |", "| --- | --- | --- |"]
        for row in measured["reading"]:
            lines.append(f"| {row['chunk']} | {row['tokens_per_sec']:.0f} | {row['tflop_per_sec']:.1f} |")
        lines.append("")
    if record["together"]:
        one = record["together"][0]
        lines += [f"## Streams together, each with {one['cache']} tokens in its cache", "",
                  "| streams | ms for a token of each | tokens/s | against the first line |",
                  "| --- | --- | --- | --- |"]
        for row in record["together"]:
            lines.append(f"| {row['streams']} | {row['step_ms']:.2f} | {row['tokens_per_sec']:.1f} "
                         f"| {row['tokens_per_sec'] / one['tokens_per_sec']:.1f} |")
        lines.append("")
    lines += ["## Commands", "", "```console"]
    lines += [f"{c['command']}   # {c['secs']} s, code {c['code']}" for c in record["commands"]]
    return "\n".join(lines + ["```", "", "`raw.json` has every number.", ""])


def main():
    args = arguments()
    gpu = machine()
    if gpu is None and not args.trying:
        sys.exit("error: nvidia-smi shows no GPU here; --try runs the script without one")
    run = Runner(args.timeout)
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / f"{args.model}.json"
        config.write_text(json.dumps(dict(
            MODELS[args.model], model_type="llama", max_position_embeddings=4096,
            rms_norm_eps=1e-5, rope_theta=10000.0, tie_word_embeddings=False)))
        right = golden(run, args)
        measured = tokens(run, args, config)
        batches = together(run, args, config)
    theirs = reference(run, args)
    if measured:
        measured["model_name"] = f"random weights of {args.model}"
    name = gpu["name"] if gpu else "no GPU"
    date = datetime.date.today().isoformat()
    record = dict(
        title=f"{name}, {date}", commit=commit(), gpu=gpu, bandwidth_gb_per_sec=bandwidth(args, gpu),
        machine_line="; ".join(f"{k} {v}" for k, v in gpu.items()) if gpu else "No GPU: a trial of the script.",
        golden=right, longsum=measured, together=batches, reference=theirs, commands=run.commands)
    if args.trying:
        print(readme(record))
    else:
        runs = pathlib.Path(args.output) if args.output else ROOT / "benches/runs"
        place = runs / f"{date}-{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}"
        place.mkdir(parents=True, exist_ok=True)
        # What was measured first: it cost more than the words for people.
        (place / "raw.json").write_text(json.dumps(record, indent=1) + "\n")
        (place / "README.md").write_text(readme(record))
        print(place)
    sys.exit(0 if all(command["code"] == 0 for command in run.commands) else 1)


if __name__ == "__main__":
    main()
