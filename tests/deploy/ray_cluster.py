"""Two nodes, forty documents; a worker and a node are killed midway, and nothing is lost or twice.

Run by ray.sh. LONGSUM is the program.
"""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = REPOSITORY / "deploy/ray/summarize.py"
SLOW = REPOSITORY / "tests/deploy/slow.sh"
MARK = f"LONGSUM_TEST={uuid.uuid4()}"


def main():
    # The mark is inherited: it tells the processes of this test from all others.
    os.environ.update([MARK.split("=")])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="longsum-ray-") as tmp:
        log = open(f"{tmp}/log", "w+")
        try:
            with cluster(tmp) as (head, second):
                os.environ["RAY_ADDRESS"] = head
                check(pathlib.Path(tmp), second, log)
        except BaseException:
            log.seek(0)
            sys.stderr.writelines(log.readlines()[-200:])
            raise
    print("ray: every document exactly once")


def check(tmp, second, log):
    archive, out = tmp / "archive", tmp / "out"
    names = fill(archive)

    run = start(archive, out, log)
    wait_for(8, out, run)
    victim = longsum_workers()[0]
    os.kill(victim, signal.SIGKILL)
    print(f"killed the worker {victim}")
    wait_for(16, out, run)
    raylet = second.all_processes["raylet"][0].process.pid
    os.kill(raylet, signal.SIGKILL)
    print(f"killed the raylet {raylet} of the second node")
    check_end(run, 0, {"in": 40})
    check_reports(out, archive, names)

    print("again, with two lethal documents, a name that is no text, and a change")
    before = {name: (out / f"{name}.json").stat().st_mtime_ns for name in names}
    for lethal in ("poison.md", "lethal.md"):
        (archive / lethal).write_text(text())
    (archive / os.fsdecode(b"caf\xe9.md")).write_text(text())
    changed = names[0]
    (archive / changed).write_text("One thing has changed. " + (archive / changed).read_text())
    run = start(archive, out, log)
    counts = {"done": 1, "kept": 39, "died": 2, "failed": 1, "in": 43}
    check_end(run, 1, counts)
    check_reports(out, archive, names)
    after = {name: (out / f"{name}.json").stat().st_mtime_ns for name in names}
    assert [name for name in names if before[name] != after[name]] == [changed]

    refused = subprocess.run([sys.executable, PROGRAM, archive / "nowhere", "-o", out])
    assert refused.returncode == 2, refused


@contextlib.contextmanager
def cluster(tmp):
    """The address of a cluster, and its second node."""
    os.environ["RAY_TMPDIR"] = f"{tmp}/ray"
    # Ray takes 127.0.0.1 for the address by which others see this machine, except with this.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    os.mkdir(f"{tmp}/ray")
    from ray.cluster_utils import Cluster  # Reads the environment.

    node = {"num_cpus": 1, "node_ip_address": "127.0.0.1", "include_dashboard": False}
    node |= {"object_store_memory": 100 << 20}
    made = Cluster(shutdown_at_exit=False)
    try:
        made.add_node(**node)
        second = made.add_node(**node)
        yield made.address, second
    finally:
        made.shutdown()
        deadline = time.monotonic() + 20
        while (left := marked()) and time.monotonic() < deadline:
            time.sleep(0.2)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert not left, f"still there: {left}"


def text():
    return (REPOSITORY / "samples/lighthouse.txt").read_text()


def fill(archive):
    """Forty documents, no two alike, as text, Markdown and HTML, in folders; returns their names."""
    samples = {
        "txt": text(),
        "md": (REPOSITORY / "samples/harbour.md").read_text(),
        "html": (REPOSITORY / "samples/apples.html").read_text(),
    }
    names = []
    for i in range(40):
        suffix = ("txt", "md", "html")[i % 3]
        name = f"{i % 4}/{'a name with spaces ' if i % 5 == 0 else ''}{i}.{suffix}"
        (archive / name).parent.mkdir(parents=True, exist_ok=True)
        (archive / name).write_text(samples[suffix].replace("year", f"year {i}"))
        names.append(name)
    return names


def start(archive, out, log):
    command = [sys.executable, PROGRAM, archive, "-o", out, "--longsum", SLOW]
    command += ["--", "--length", "short"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)


def wait_for(n_reports, out, run):
    deadline = time.monotonic() + 90
    while len(list(out.rglob("*.json"))) < n_reports:
        assert run.poll() is None, f"ended with {run.returncode} before {n_reports} reports"
        assert time.monotonic() < deadline, f"no {n_reports} reports in time"
        time.sleep(0.05)


def check_end(run, code, counts):
    printed, _ = run.communicate(timeout=120)
    table = [line for line in printed.splitlines() if re.match(r" *[\d,]+  ", line)]
    print("\n".join(table))
    assert run.returncode == code, f"ended with {run.returncode}, not {code}"
    told = {tuple(line.split()[:2]) for line in table}
    missing = {word: n for word, n in counts.items() if (str(n), word) not in told}
    assert not missing, missing


def check_reports(out, archive, names):
    """A report of each document, of that document, and nothing else."""
    files = {str(p.relative_to(out)) for p in out.rglob("*") if not p.is_dir()}
    assert files == {f"{name}.json" for name in names}, files ^ {f"{name}.json" for name in names}
    assert not (out / ".drafts").exists()
    for name in names:
        report = json.loads((out / f"{name}.json").read_text())
        assert report["schema"] == "longsum.summary.v1"
        assert report["source"]["uri"] == str(archive / name), report["source"]["uri"]


def longsum_workers():
    """The processes of this test that run the program itself."""
    program = os.environ["LONGSUM"]
    return [pid for pid in marked() if program in argv(pid) and "worker" in argv(pid)]


def argv(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    return []


def marked():
    """The processes that this test has started, but for itself."""
    found = []
    for environ in pathlib.Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if MARK.encode() in environ.read_bytes() and int(environ.parts[2]) != os.getpid():
                found.append(int(environ.parts[2]))
    return found


if __name__ == "__main__":
    main()
