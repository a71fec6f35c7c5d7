"""A full disk, a read-only folder, too many open files, two processes at once: an error line that names the path,
unchanged outputs, and success after the cause is gone.

The commands run as processes without root's capabilities, so that read-only folders work as root too, and on a small
file system if a test needs one.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from factories import ROOT, edited, prompt, response, translation
from refusal import files

from lidr import paths
from lidr.locks import alone
from lidr.records.jsonl import write_rows

pytestmark = pytest.mark.fault
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")

# prctl(2) and capabilities(7): the first three let root read and write every file.
PR_CAPBSET_DROP, CAPABILITIES = 24, (1, 2, 3)
LIBC = ctypes.CDLL(None)


def as_an_ordinary_user() -> None:
    """Drop root's access to all files from the program that is about to start."""
    for capability in CAPABILITIES:
        LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


@dataclass(frozen=True)
class Project:
    """A project with the inputs of the stage `pairs`."""

    root: Path

    def lidr(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from lidr.cli import main; main(prog_name='lidr')", *command],
            cwd=self.root,
            env=self.environment(),
            preexec_fn=as_an_ordinary_user,
            capture_output=True,
            text=True,
            check=False,
        )

    def environment(self) -> dict[str, str]:
        source = os.environ.get("PYTHONPATH", str(ROOT / "src"))
        return os.environ | {
            "LIDR_TRACKING": "off",
            "PYTHONPATH": source,
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def fails(self, *command: str) -> str:
        """Run a command that must fail with one line and change no output; returns the line."""
        outputs = files(self.root / "data")
        done = self.lidr(*command)
        assert (done.returncode, done.stdout) == (1, ""), (done.stdout, done.stderr)
        assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("Error: "), done.stderr
        assert files(self.root / "data") == outputs
        return done.stderr.strip().removeprefix("Error: ")

    def succeeds(self, *command: str) -> str:
        done = self.lidr(*command)
        assert done.returncode == 0, done.stderr
        return done.stdout


def fill(root: Path, rows: int) -> None:
    """Write prompts, answers and translations of m1 in two languages."""
    change = ("languages: [es, de, fr, ru]", "languages: [es]"), ("  per_iteration:", f"  per_iteration: {rows}")
    (root / "params.yaml").write_text(edited(*change), "utf-8")
    names = [f"p{number}" for number in range(rows)]
    for lang in ("en", "es"):
        write_rows(root / paths.prompt_file("m1", lang), [prompt(name, lang) for name in names])
        write_rows(root / paths.response_file("m1", lang), [response(name, lang) for name in names])
    for source, target in (("en", "es"), ("es", "en")):
        write_rows(root / paths.translation_file("m1", source, target), [translation(n, source, target) for n in names])


@pytest.fixture
def project(tmp_path: Path) -> Project:
    fill(tmp_path, rows=20)
    return Project(tmp_path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Project]:
    """A project on a file system of two megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        fill(place, rows=20)
        yield Project(place)
    finally:
        subprocess.run(["umount", str(place)], check=True)


@needs_root
def test_full_disk(small_disk: Project) -> None:
    said = small_disk.succeeds("pairs", "m1")
    before = files(small_disk.root / "data")
    filler = small_disk.root / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass
    line = small_disk.fails("pairs", "m1")
    assert line.endswith(": No space left on device") and line.startswith((".lidr/", "data/m1/pairs"))
    assert files(small_disk.root / "data") == before
    filler.unlink()
    assert small_disk.succeeds("pairs", "m1") == said
    assert files(small_disk.root / "data") == before


@needs_root
def test_disk_that_is_full_in_the_middle_of_a_file(small_disk: Project) -> None:
    fill(small_disk.root, rows=1_800)
    line = small_disk.fails("pairs", "m1")
    assert line == "data/m1/pairs.part/pairs.jsonl: No space left on device"
    assert not list(small_disk.root.rglob("*.part"))
    fill(small_disk.root, rows=20)
    assert small_disk.succeeds("pairs", "m1").startswith("pairs m1: ")


@pytest.mark.parametrize("folder", ["data/m1", "."])
def test_folder_that_may_not_be_written(project: Project, folder: str) -> None:
    said = project.succeeds("pairs", "m1")
    place = project.root / folder
    shutil.rmtree(project.root / paths.WORK, ignore_errors=True)
    place.chmod(0o555)
    try:
        assert (
            project.fails("pairs", "m1")
            == {
                "data/m1": "data/m1/pairs.part: Permission denied",
                ".": ".lidr: Permission denied",
            }[folder]
        )
    finally:
        place.chmod(0o755)
    assert project.succeeds("pairs", "m1") == said


def test_file_that_may_not_be_read(project: Project) -> None:
    path = project.root / paths.response_file("m1", "es")
    path.chmod(0)
    assert project.fails("pairs", "m1") == "data/m1/responses/es.jsonl: Permission denied"
    path.chmod(0o644)
    assert project.succeeds("pairs", "m1").startswith("pairs m1: ")


def test_input_that_vanishes(project: Project) -> None:
    said = project.succeeds("pairs", "m1")
    path = project.root / paths.translation_file("m1", "en", "es")
    kept = path.read_bytes()
    path.unlink()
    line = project.fails("pairs", "m1")
    assert line == "data/m1/translations/en-es.jsonl: no such file; run the stage that makes it, or `dvc repro`"
    path.write_bytes(kept)
    assert project.succeeds("pairs", "m1") == said


FEW_FILES = """
import os, resource, sys
from lidr import config, locks, tracking
from lidr.cli import main
from lidr.pairs import stage as pairs
config.load()  # all that is imported and read once is open no more
kept = []
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
while True:
    try:
        kept.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        break
for number in kept[: int(sys.argv[1])]:
    os.close(number)
sys.argv = ["lidr", "pairs", "m1"]
main()
"""


# The lock takes one while the stage runs; the files being read and written take two more.
def test_too_many_open_files(project: Project) -> None:
    said = project.succeeds("pairs", "m1")
    before = files(project.root / "data")
    command = [sys.executable, "-c", FEW_FILES, "2"]
    done = subprocess.run(
        command, cwd=project.root, env=project.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and done.stderr.startswith("Error: ") and len(done.stderr.splitlines()) == 1
    assert done.stderr.endswith(": Too many open files\n"), done.stderr
    # Without free descriptors not even a folder can be emptied: the next run removes the rest.
    there = files(project.root / "data")
    assert {name: content for name, content in there.items() if "pairs.old/" not in name} == before
    assert project.succeeds("pairs", "m1") == said
    assert files(project.root / "data") == before


# --- two processes ---------------------------------------------------------------------------------------------------


def test_the_second_of_two_is_refused_and_may_come_later(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)
    said = project.succeeds("pairs", "m1")
    with alone(paths.pairs("m1")):
        line = project.fails("pairs", "m1")
        assert line == f"data/m1/pairs: the process {os.getpid()} is at work on it; wait for it, or end it"
    assert project.succeeds("pairs", "m1") == said
    assert [lock.read_text() for lock in (project.root / paths.WORK / "locks").iterdir()] == [""]


def test_a_lock_whose_process_was_killed_holds_nobody(project: Project) -> None:
    code = "import time\nfrom pathlib import Path\nfrom lidr.locks import alone\nwith alone(Path('data/m1/pairs')):\n"
    code += "    print('held', flush=True)\n    time.sleep(600)\n"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=project.root, env=project.environment(), stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout and holder.stdout.readline() == b"held\n"
        assert f"the process {holder.pid} is at work on it" in project.fails("pairs", "m1")
        holder.kill()
    assert project.succeeds("pairs", "m1").startswith("pairs m1: ")


def test_locks_that_are_taken_in_turn_exclude_each_other(tmp_path: Path) -> None:
    """Many processes retry until they hold the lock: never two at once, and each gets it."""
    code = (
        "import os, sys, time\nfrom pathlib import Path\n"
        "from lidr.errors import LidrError\nfrom lidr.locks import alone\n"
        "until = time.monotonic() + 120\n"
        "while time.monotonic() < until:\n"
        "    try:\n"
        "        with alone(Path('out')):\n"
        "            os.close(os.open('inside', os.O_CREAT | os.O_EXCL))\n"
        "            time.sleep(0.002)\n"
        "            os.unlink('inside')\n"
        "            sys.exit(0)\n"
        "    except LidrError:\n"
        "        time.sleep(0.001)\n"
        "sys.exit(3)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.environ.get("PYTHONPATH", str(ROOT / "src"))}
    running = [subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment) for _ in range(8)]
    assert [process.wait() for process in running] == [0] * 8
