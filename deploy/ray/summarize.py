#!/usr/bin/env python3
"""Summarizes a folder of documents on a Ray cluster.

Every node sees ARCHIVE and OUT at the same paths and has `longsum`. Invariant: a report in OUT is
whole, and it is the only proof that its document is done. So what a lost node had in hand is simply
done again, and a run that was stopped goes on where it was.
"""

import argparse
import collections
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import uuid

import ray
import ray.data

N_TRIES = 3
SUFFIXES = """pdf html htm xhtml epub docx docm dotx odt ott rtf eml mbox mht mhtml md markdown mdown
    mkd txt text zip""".split()

# What can become of a document.
DONE, KEPT, FAILED, DIED, RETRY, LOST = "done", "kept", "failed", "died", "retry", "lost"
MEANING = {
    DONE: "summarized now",
    KEPT: "the report was there",
    FAILED: "cannot be summarized",
    DIED: "killed its worker each time",
    RETRY: "memory, disk or network: run again",
    LOST: "not reached: run again",
}


class Worker:
    """One `longsum worker`, which loads the model once. What befalls a document is told, not raised."""

    def __init__(self, command, n_cpus, archive, out):
        # Whatever ends this process, Ray's memory monitor too, ends the worker.
        self.command = ["setpriv", "--pdeathsig", "TERM", *command]
        self.env = {**os.environ, "RAYON_NUM_THREADS": str(n_cpus)}
        self.archive, self.out = archive, out
        # Where it cannot start, the run has to end: such a node would fail every document, and fast.
        subprocess.run(self.command, stdin=subprocess.DEVNULL, env=self.env, check=True)
        self.start()

    def start(self):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            self.command, stdin=pipe, stdout=pipe, env=self.env, encoding="utf-8"
        )

    def __call__(self, row):
        document = row["document"]
        source, target = self.archive / document, self.out / f"{document}.json"
        fate, why = DIED, "its actor died each time, see the log of Ray"
        if is_report_of(target, source):
            fate, why = KEPT, ""
        while fate in (DIED, RETRY) and n_tried(document, self.out) < N_TRIES:
            try:
                fate, why = self.summarize(document, source, target)
            except OSError as error:
                fate, why = RETRY, str(error)
        return {"document": document, "fate": fate, "why": why}

    def summarize(self, document, source, target):
        answer = self.ask({"custom_id": document, "path": str(source)})
        if answer is None:
            self.process.kill()
            code = self.process.wait()
            self.start()
            return DIED, f"the worker ended with {code} instead of an answer"
        if error := answer.get("error"):
            return RETRY if error["retry"] else FAILED, error["message"]
        write_whole(target, answer["report"], drafts_in(self.out))
        return DONE, ""

    def ask(self, question):
        """The answer to this question, or None if the worker died over it."""
        try:
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return None
        try:
            answer = json.loads(self.process.stdout.readline())
        except ValueError:  # The end of the output, or half a line of it.
            return None
        return answer if answer.get("custom_id") == question["custom_id"] else None


def is_report_of(target, source):
    """Whether there is a report already, and the document has not changed since."""
    try:
        told = json.loads(target.read_bytes())["source"]["sha256"]
        return told == hashlib.sha256(source.read_bytes()).hexdigest()
    except (OSError, ValueError, LookupError, TypeError):
        return False


def write_whole(target, report, drafts):
    """Writes all of a file or none of it, even if the machine stops. Drafts have names of their own:
    a node that was given up as lost may still be writing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = drafts / uuid.uuid4().hex
    with open(draft, "x", encoding="utf-8") as file:
        json.dump(report, file, ensure_ascii=False, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def drafts_in(out):
    return out / ".drafts"


def n_tried(document, out):
    """How often a document was tried before in this run, on any node. Ray does what was in hand when
    an actor died again without end, and the document may be why it died."""
    name = hashlib.sha256(document.encode()).hexdigest()
    with open(drafts_in(out) / f"{name}.tries", "ab") as file:
        file.write(b".")
        return file.tell() - 1


def documents_in(archive, out):
    """Paths below the archive of files that are named as documents; hidden ones are left out."""
    for folder, folders, files in os.walk(archive):
        here = pathlib.Path(folder)
        folders[:] = [f for f in folders if not f.startswith(".") and here / f != out]
        for name in files:
            known = pathlib.Path(name.lower().removesuffix(".gz")).suffix[1:] in SUFFIXES
            if known and not name.startswith(".") and (here / name).is_file():
                yield str((here / name).relative_to(archive))


def is_utf8(name):
    return name.encode(errors="ignore").decode() == name


def fates(documents, args):
    """What became of each document, as soon as it is known."""
    context = ray.data.DataContext.get_current()
    context.execution_no_progress_timeout_s = -1  # One document may well take more than 30 minutes.
    n_workers = args.workers or max(1, int(ray.cluster_resources().get("CPU", 1)) // args.cpus)
    rows = ray.data.from_items(
        [{"document": document} for document in documents],
        # Small enough that no worker is left with much when the others are done.
        override_num_blocks=min(len(documents), 64 * n_workers),
    )
    # By default Ray starts a lost actor anew wherever there is room, and has it do its task again.
    return rows.map(
        Worker,
        fn_constructor_args=[args.command, args.cpus, args.archive, args.out],
        compute=ray.data.ActorPoolStrategy(
            size=min(n_workers, len(documents)), max_tasks_in_flight_per_actor=1
        ),
        num_cpus=args.cpus,
    ).iter_rows()


def arguments():
    parser = argparse.ArgumentParser(
        description="Summarizes a folder of documents on a Ray cluster.",
        usage="%(prog)s ARCHIVE -o OUT [--workers N] [--cpus N] [--longsum PROGRAM] [-- OPTION...]",
        epilog="What follows -- goes to each `longsum worker`: -- --length short --time-limit 3600. "
        "Exit codes: 0 all done, 1 some documents failed, 2 wrong use, 75 run it again.",
    )
    parser.add_argument("archive", type=pathlib.Path, help="folder of documents")
    parser.add_argument("-o", "--out", type=pathlib.Path, required=True, help="folder of reports")
    parser.add_argument("--workers", type=int, help="how many [default: as many as have room]")
    parser.add_argument("--cpus", type=int, default=1, help="cores of each worker [default: 1]")
    parser.add_argument("--longsum", default="longsum", help="the program, the same on every node")
    cut = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    args, options = parser.parse_args(sys.argv[1:cut]), sys.argv[cut + 1 :]
    args.archive, args.out = args.archive.resolve(), args.out.resolve()
    program = os.path.abspath(args.longsum) if os.sep in args.longsum else args.longsum
    args.command = [program, "worker", *options]
    if not args.archive.is_dir():
        parser.error(f"there is no folder at {args.archive}")
    args.documents = sorted(documents_in(args.archive, args.out))
    if not args.documents:
        parser.error(f"there is no document in {args.archive}")
    try:  # Wrong options are told once and now, not by every worker.
        tried = subprocess.run(args.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    except OSError as error:
        parser.error(f"cannot start {args.longsum}: {error}")
    if tried.returncode != 0:
        sys.exit(tried.returncode)
    return args


def main():
    args = arguments()
    rows = {d: {"document": d, "fate": LOST, "why": ""} for d in args.documents}
    for document in rows:
        if not is_utf8(document):
            rows[document].update(fate=FAILED, why="its name is not UTF-8")

    shutil.rmtree(drafts_in(args.out), ignore_errors=True)
    drafts_in(args.out).mkdir(parents=True)
    ray.init()
    try:
        for row in fates([d for d, row in rows.items() if row["fate"] == LOST], args):
            rows[row["document"]] = row
    except ray.exceptions.RayError as error:
        print(f"error: {error}", file=sys.stderr)
    shutil.rmtree(drafts_in(args.out), ignore_errors=True)

    for document, row in rows.items():
        if row["why"]:
            print(f"{row['fate']}: {document!r}: {row['why']}", file=sys.stderr)
    counts = collections.Counter(row["fate"] for row in rows.values())
    for fate, meaning in MEANING.items():
        if counts[fate]:
            print(f"{counts[fate]:>9,}  {fate:6}  {meaning}")
    print(f"{len(rows):>9,}  in all")
    sys.exit(75 if counts[RETRY] + counts[LOST] else 1 if counts[FAILED] + counts[DIED] else 0)


if __name__ == "__main__":
    main()
