"""action.yml in repositories with hostile names and texts. Run by action.sh.

The steps run as they stand, with the files and variables that GitHub sets; what they print is read
as its runner reads it. Steps that use another action are noted and not run.
"""

import contextlib
import html
import json
import os
import pathlib
import re
import subprocess
import tarfile
import tempfile

import yaml

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
LONGSUM = os.environ["LONGSUM_UNDER_TEST"]
HARMLESS = "The harbour was dredged in May of last year. The boats came back to the northern quay in June. "

HOSTILE_NAMES = [
    "a name with spaces.txt",
    "$(touch pwned).txt",
    "`touch pwned`.txt",
    "it's a \"quote\".txt",
    "-rf.txt",
    "--output=evil.txt",
    "::error::evil.txt",
    "a\n::set-output name=count::99\n.txt",
    "a\r::warning::evil.txt",
    "##[error]evil.txt",
    "folder\n/%0A::debug::.txt",
    "<img src=x onerror=alert(1)>.txt",
    "[x](javascript:alert(1)) | cell |.txt",
    "caf\u00e9 \u202e.txt",
]
HOSTILE_TEXT = (
    "<script>alert(1)</script> was the name that the young clerk gave to the boat of the harbour master. "
    "The table | of | the | tides | broke </details></summary> over the northern quay in the month of May. "
    "See ![the picture](http://evil.example/x.png) and [the link](javascript:alert) that @everyone has seen. "
    "::error file=x::The crane was sold in June, ##[error] and `the` **quay** was _closed_ to all ships. "
)


class Run:
    """One run of the action in a repository."""

    def __init__(self, action, repository, event, **inputs):
        self.action, self.repository = action, repository
        self.inputs = {name: given.get("default", "") for name, given in action["inputs"].items()}
        self.inputs |= {name.replace("_", "-"): value for name, value in inputs.items()}
        self.outputs, self.used, self.commands, self.printed = {}, [], [], ""
        self.code = 0
        with tempfile.TemporaryDirectory() as tmp:
            self.tmp = pathlib.Path(tmp)
            (self.tmp / "event.json").write_text(json.dumps(event))
            (self.tmp / "summary.md").touch()
            for step in action["runs"]["steps"]:
                if self.code == 0 and self.holds(step.get("if", "true")):
                    self.step(step)
            self.summary = (self.tmp / "summary.md").read_text()
            self.packed = []
            with contextlib.suppress(FileNotFoundError), tarfile.open(self.tmp / "longsum/reports.tar.gz") as tar:
                self.packed = [m.name.removeprefix("./") for m in tar if m.isfile()]
            with contextlib.suppress(KeyError, FileNotFoundError):
                reports = pathlib.Path(self.outputs["summarize"]["reports"])
                self.run = json.loads((reports / "run.json").read_text())

    def step(self, step):
        if "uses" in step:
            self.used.append(step["uses"].split("@")[0])
            return
        output = self.tmp / "output"
        output.write_text("")
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.tmp),
            "GITHUB_ACTION_PATH": str(REPOSITORY),
            "GITHUB_WORKSPACE": str(self.repository),
            "GITHUB_EVENT_PATH": str(self.tmp / "event.json"),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(self.tmp / "summary.md"),
            "RUNNER_TEMP": str(self.tmp),
            "RUNNER_OS": "Linux",
            "RUNNER_ARCH": "X64",
        }
        env |= {name: self.filled(value) for name, value in step.get("env", {}).items()}
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", self.filled(step["run"])]
        done = subprocess.run(
            shell, env=env, cwd=self.repository, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.code = done.returncode
        printed = done.stdout.decode(errors="replace")
        self.printed += printed
        self.commands += commands_in(printed)
        lines = output.read_text().splitlines()
        self.outputs[step.get("id")] = dict(line.split("=", 1) for line in lines)

    def holds(self, condition):
        for part in condition.split("&&"):
            value, _, unwanted = part.partition("!=")
            unwanted = unwanted.strip().strip("'")
            if (value := self.value(value.strip())) == unwanted or value == "":
                return False
        return True

    def filled(self, text):
        return re.sub(r"\$\{\{ (.*?) \}\}", lambda m: self.value(m[1]), text)

    def value(self, name):
        if name == "true":
            return name
        kind, *rest = name.split(".")
        if kind == "inputs":
            return self.inputs[rest[0]]
        if kind == "runner":
            return str(self.tmp)
        assert kind == "steps" and rest[1] == "outputs", name
        if rest == ["cache", "outputs", "cache-hit"]:
            return "false"
        return self.outputs.get(rest[0], {}).get(rest[2], "")

    def documents(self):
        return {entry["document"]: entry for entry in self.run["documents"]}


def commands_in(printed):
    """The commands that the runner would take from what a step printed: [(name, properties, message)]."""
    found, resume = [], None
    for line in re.split(r"\r\n|\n|\r", printed):
        line = line.strip()
        if resume:
            if line == f"::{resume}::":
                resume = None
            continue
        match = re.match(r"::([\w-]+)(?: (.*?))?::(.*)", line)
        assert match or "##[" not in line, line  # an older kind, that stands anywhere in a line
        if match:
            if match[1] == "stop-commands":
                assert len(match[3]) >= 32
                resume = match[3]
            else:
                found.append(match.groups())
    assert resume is None, "commands stay stopped"
    return found


def check_summary(text):
    """Nothing of a document is anything but text."""
    plain = r"(?:[A-Za-z0-9 ,]|&#\d+;|[^\x00-\x7f])*"
    allowed = [
        r"## Summaries",
        r"",
        r"\| document \| pages \| what became of it \| borne out \|",
        r"\| --- \| --: \| --- \| --- \|",
        rf"\| {plain} \| \d* \| (complete|partial|failed|stopped)(: {plain})? \| (\d+ of \d+)? \|",
        rf"- {plain}( \*\((page|section) [\d, –]+\)\*)?( — (weak|none))?",
        r"\*\*Gates not met\*\*",
        rf"- {plain}: {plain}",
        rf"<details><summary>{plain}</summary>",
        r"</details>",
    ]
    for line in text.splitlines():
        assert any(re.fullmatch(pattern, line) for pattern in allowed), line


def git(repository, *arguments):
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *who, *arguments], cwd=repository, check=True, capture_output=True)
    return done.stdout.decode().strip()


def commit(repository):
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "change")
    return git(repository, "rev-parse", "HEAD")


def write(repository, name, text):
    path = repository / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def visible(name):
    """A name as the summary shows it."""
    return re.sub(r"[\x00-\x1f\u202a-\u202e]", " ", name)


def main():
    action = yaml.safe_load((REPOSITORY / "action.yml").read_text())
    with tempfile.TemporaryDirectory() as tmp:
        check(action, pathlib.Path(tmp))
    print("action: as it should be")


def check(action, tmp):
    repository = tmp / "repository"
    repository.mkdir()
    git(repository, "init", "--quiet")
    for name in ("old.txt", "gone.txt", "code.rs"):
        write(repository, name, HARMLESS * 3 + name)
    first = commit(repository)
    for name in HOSTILE_NAMES:
        write(repository, name, HARMLESS + HOSTILE_TEXT + f"The number of this is {len(name)}.")
    write(repository, ".hidden/x.txt", HARMLESS)
    (repository / "secret.txt").symlink_to("/etc/passwd")
    (repository / "gone.txt").unlink()
    write(repository, "code.rs", "fn main() {}")
    second = commit(repository)

    pull_request = {"pull_request": {"base": {"sha": first}}}
    run = Run(action, repository, pull_request, longsum=LONGSUM)
    assert run.code == 0, run.printed
    assert set(run.documents()) == set(HOSTILE_NAMES), set(run.documents()) ^ set(HOSTILE_NAMES)
    assert run.commands == [], run.commands
    assert run.outputs["select"] == {"count": str(len(HOSTILE_NAMES))}
    summarized = run.outputs["summarize"]
    assert (summarized["exit-code"], summarized["failed"], summarized["unmet"]) == ("0", "0", "0")
    assert run.used == ["actions/upload-artifact"]
    assert len(run.packed) == len(HOSTILE_NAMES) + 1, run.packed
    check_summary(run.summary)
    shown = html.unescape(run.summary)
    assert all(visible(name) in shown for name in HOSTILE_NAMES)
    assert "<script>alert(1)</script> was the name" in shown
    assert not list(tmp.rglob("pwned")) and not (REPOSITORY / "pwned").exists()
    assert git(repository, "status", "--porcelain") == ""

    print("nothing has changed; a new branch; paths; a commit that a shallow clone lacks")
    run = Run(action, repository, {"before": second}, longsum=LONGSUM)
    assert (run.code, run.outputs["select"]) == (0, {"count": "0"}) and "No document" in run.summary
    assert run.used == []
    run = Run(action, repository, {"before": "0" * 40}, longsum=LONGSUM, paths="old.txt\n\ncode.rs")
    assert (run.code, set(run.documents())) == (0, {"old.txt"}), run.printed
    assert [name for name, *_ in run.commands] == ["notice"]
    run = Run(action, repository, {}, longsum=LONGSUM, changed_only="false", paths=":(glob)*.txt")
    assert set(run.documents()) == {n for n in HOSTILE_NAMES if "/" not in n} | {"old.txt"}
    git(tmp, "clone", "--quiet", "--depth=1", f"file://{repository}", "shallow")
    run = Run(action, tmp / "shallow", pull_request, longsum=LONGSUM)
    assert set(run.documents()) == set(HOSTILE_NAMES), run.printed

    print("gates; a document that fails; wrong use; no program")
    gated = {"fail_on": "copy:0.1", "paths": "*spaces*\n*folder*"}
    run = Run(action, repository, pull_request, longsum=LONGSUM, **gated)
    assert run.code == 3, run.printed
    assert run.outputs["summarize"]["unmet"] == "2" and "**Gates not met**" in run.summary
    check_summary(run.summary)
    titles = [re.search("title=(.*)", properties)[1] for _, properties, _ in run.commands]
    assert titles == ["gate not met", "gate not met", "longsum"], run.commands
    files = [re.search("file=(.*?),", properties)[1] for _, properties, _ in run.commands[:2]]
    assert files == ["a name with spaces.txt", "folder%0A/%250A%3A%3Adebug%3A%3A.txt"], files
    assert run.used == ["actions/upload-artifact"]  # before the job fails

    write(repository, "br,oken: 1.pdf", "%PDF-1.7 is not all that it takes")
    commit(repository)
    run = Run(action, repository, {"before": second}, longsum=LONGSUM)
    assert (run.code, run.outputs["summarize"]["failed"]) == (1, "1"), run.printed
    assert run.commands[0][1] == "file=br%2Coken%3A 1.pdf,title=not summarized", run.commands
    check_summary(run.summary)

    run = Run(action, repository, pull_request, longsum=LONGSUM, length="--output=x")
    assert run.code == 2 and run.commands[-1][0] == "error", run.printed
    run = Run(action, repository, pull_request, longsum="/nowhere/longsum")
    assert (run.code, run.commands[-1][0]) == (2, "error"), run.printed

    print("the program is built where there is none")
    programs = tmp / "bin"
    build = f'for dir; do :; done; mkdir -p "$dir/release" && cp "{LONGSUM}" "$dir/release/longsum"'
    write(programs, "cargo", f"#!/bin/sh\n{build}\n")
    (programs / "cargo").chmod(0o755)
    path = os.environ["PATH"]
    os.environ["PATH"] = f"{programs}:/usr/bin:/bin"
    run = Run(action, repository, {}, changed_only="false", paths="old.txt")
    os.environ["PATH"] = path
    assert run.code == 0, run.printed
    assert re.fullmatch(r"longsum-Linux-X64-[0-9a-f]{64}", run.outputs["locate"]["key"])
    assert run.used == ["actions/cache", "actions/upload-artifact"]


if __name__ == "__main__":
    main()
