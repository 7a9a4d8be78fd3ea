"""longsum and llama.cpp side by side: the same GGUF, the same threads, in turn, in one run.

python3 benches/side_by_side.py MODEL.gguf [ROUNDS]

Needs the PyPI package llama-cpp-python and a built bench: cargo bench --bench decoder --no-run.
Each round runs one program, then the other; the table has the best and the median of all rounds.
"""

import glob
import json
import os
import statistics
import subprocess
import sys
import time

MODEL = sys.argv[1]
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
THREADS = 2
N_PROMPT, N_START, N_GENERATED = 512, 16, 128


def llama_cpp():
    from llama_cpp import Llama

    model = Llama(MODEL, n_ctx=2048, n_threads=THREADS, n_threads_batch=THREADS,
                  n_batch=N_PROMPT, n_ubatch=N_PROMPT, verbose=False)
    ids = [(i * 7919 + i * i * 31 + 100) % model.n_vocab() for i in range(2 * N_PROMPT)]
    prefill, decode = [], []
    for _ in range(3):
        model.reset()
        start = time.perf_counter()
        model.eval(ids[:N_PROMPT])
        prefill.append(N_PROMPT / (time.perf_counter() - start))
        model.reset()
        model.eval(ids[:N_START])
        start = time.perf_counter()
        for i in range(N_START, N_START + N_GENERATED):
            model.eval([ids[i]])
        decode.append(N_GENERATED / (time.perf_counter() - start))
    return {"prefill": prefill, "decode": decode}


def child(command):
    env = dict(os.environ, RAYON_NUM_THREADS=str(THREADS))
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout)


def main():
    if os.environ.get("SIDE") == "llama.cpp":
        print(json.dumps(llama_cpp()))
        return
    benches = [p for p in glob.glob("target/release/deps/decoder-*") if os.access(p, os.X_OK) and "." not in os.path.basename(p)]
    ours = max(benches, key=os.path.getmtime)
    os.environ["SIDE"] = "llama.cpp"
    sides = {"longsum": [ours, MODEL, "3"], "llama.cpp": [sys.executable, __file__, MODEL]}
    seen = {name: {"prefill": [], "decode": []} for name in sides}
    for _ in range(ROUNDS):
        for name, command in sides.items():
            for what, values in child(command).items():
                seen[name][what] += values
    print("tokens/s, best (median)   longsum            llama.cpp          ratio of the best (of the medians)")
    for what in ("prefill", "decode"):
        a, b = seen["longsum"][what], seen["llama.cpp"][what]
        median = statistics.median
        print(f"{what:<24}  {max(a):7.1f} ({median(a):7.1f})  {max(b):7.1f} ({median(b):7.1f})"
              f"  {max(a) / max(b):.2f} ({median(a) / median(b):.2f})")
    with open(os.environ.get("OUT", "/dev/null"), "w") as out:
        out.write("program,phase,tokens_per_second\n")
        for name, phases in seen.items():
            for what, values in phases.items():
                out.writelines(f"{name},{what},{v:.2f}\n" for v in values)


main()
