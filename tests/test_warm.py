"""A command that a warm process runs does what it does by itself: same output, same end, same signals.

Here the command is Python code, run by a package that stands where `lidr` would; the warm process imports nothing.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories import ROOT

from lidr.cli import warm

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere `lidr warm` runs the command as it is")

SERVER = """
import os, socket, sys
from lidr.cli.warm_server import serve
{imports}
with socket.socket(fileno=int(sys.argv[1])) as listener:
    serve(listener, imports())
"""
NOTHING = "imports = tuple"
# As the entry point of `lidr`, but for the status where nobody runs the command.
CALLER = """
import os, sys
from lidr.cli import warm
sys.path.insert(0, {package!r})
{before}
status = warm.elsewhere(sys.argv[1:])
sys.exit({by_itself} if status is None else status)
"""
BY_ITSELF = 77
COMMAND = "import sys\ndef main(prog_name):\n    exec(sys.argv[1])\n"


@pytest.fixture
def caller(tmp_path: Path) -> list[str]:
    """What stands for the command `lidr`; its only argument is code."""
    (tmp_path / "package" / "lidr" / "cli").mkdir(parents=True)
    (tmp_path / "package" / "lidr" / "__init__.py").touch()
    (tmp_path / "package" / "lidr" / "cli" / "__init__.py").write_text(COMMAND, "utf-8")
    return [sys.executable, "-c", CALLER.format(package=str(tmp_path / "package"), before="", by_itself=BY_ITSELF)]


def server(imports: str = NOTHING) -> list[str]:
    return [sys.executable, "-P", "-c", SERVER.format(imports=imports)]


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A warm process for as long as the test runs."""
    with warm._started(server()) as started:
        monkeypatch.setenv(warm.ADDRESS, started)
        yield started


CODE = {
    "output": "print('é'); print('error', file=sys.stderr)",
    "exit status": "sys.exit(3)",
    "exit without a status": "sys.exit()",
    "bug": "raise ValueError('seen')",
    "folder": "import os; print(os.getcwd())",
    "environment": "import os; print(os.environ['FOR_TEST'])",
    "input": "print(sys.stdin.read())",
    "output is no terminal": "print(sys.stdout.isatty(), sys.stdin.isatty())",
    "a process of its own": "import subprocess; print(subprocess.run(['sh', '-c', 'exit 4']).returncode)",
    "interrupts are heard": "import signal; print(signal.getsignal(signal.SIGINT))",
    "large": "print('x' * 10**6)",
    "at exit": "import atexit; atexit.register(print, 'last'); print('first')",
    "a thread that is still at work": "import threading, time; threading.Timer(0.3, print, ['late']).start()",
    "a folder for the time being": "import tempfile; print(tempfile.TemporaryDirectory(dir='.').name[:1])",
}


@pytest.mark.parametrize("code", CODE.values(), ids=CODE.keys())
def test_it_is_as_if_the_command_ran_by_itself(
    code: str, caller: list[str], address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOR_TEST", "x" * 100_000)
    alone = [sys.executable, "-c", f"import sys; {code}"]
    warmed, plain = (
        subprocess.run(command, cwd=tmp_path, input="asked\n", capture_output=True, text=True, check=False)
        for command in ([*caller, code], alone)
    )
    assert (warmed.returncode, warmed.stdout) == (plain.returncode, plain.stdout)
    assert warmed.stderr.splitlines()[-1:] == plain.stderr.splitlines()[-1:]


def run(caller: list[str], code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*caller, code], capture_output=True, text=True, check=False)


def test_commands_are_forks_of_one_process(caller: list[str], address: str) -> None:
    code = "import os, json; print(json.dumps([os.getpid(), os.getppid(), sys.argv[1:] != []]))"
    first, second = (json.loads(run(caller, code).stdout) for _ in range(2))
    assert first[0] != second[0]
    assert first[1] == second[1] != os.getpid()
    assert first[2] is True


def test_code_of_lidr_is_read_anew(caller: list[str], address: str, tmp_path: Path) -> None:
    assert run(caller, "print('first')").stdout == "first\n"
    edited = "def main(prog_name):\n    print('edited', prog_name)\n"
    (tmp_path / "package" / "lidr" / "cli" / "__init__.py").write_text(edited, "utf-8")
    assert run(caller, "print('second')").stdout == "edited lidr\n"


def begun(caller: list[str], code: str, tmp_path: Path) -> tuple[subprocess.Popen[str], int]:
    """A caller whose command is at work, and the command's process."""
    told = tmp_path / "process"
    code = f"import os, pathlib, signal, time; pathlib.Path({str(told)!r}).write_text(f'{{os.getpid()}} '); {code}"
    running = subprocess.Popen([*caller, code], stderr=subprocess.PIPE, text=True)
    return running, int(told.read_text()) if waited(lambda: told.exists() and told.read_text()) else 0


def waited(condition: object, seconds: float = 20.0) -> bool:
    """Whether the condition comes true within so many seconds."""
    assert callable(condition)
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def is_gone(process: int) -> bool:
    return not Path(f"/proc/{process}").exists()


SLEEP = "time.sleep(60)"
ON_SIGNAL = "signal.signal({number}, lambda *_: sys.exit(5)); " + SLEEP


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_are_passed_on(number: signal.Signals, caller: list[str], address: str, tmp_path: Path) -> None:
    # The handler is there before the process is told.
    code = ON_SIGNAL.format(number=int(number)).partition("; ")
    telling = f"{code[0]}; pathlib.Path({str(tmp_path / 'ready')!r}).touch(); {code[2]}"
    running, _ = begun(caller, telling, tmp_path)
    assert waited((tmp_path / "ready").exists)
    running.send_signal(number)
    assert running.wait(20) == 5


def test_a_command_that_a_signal_ends(caller: list[str], address: str, tmp_path: Path) -> None:
    running, process = begun(caller, SLEEP, tmp_path)
    running.terminate()
    assert running.wait(20) == 128 + signal.SIGTERM
    assert waited(lambda: is_gone(process))


def test_a_command_that_is_killed(caller: list[str], address: str, tmp_path: Path) -> None:
    running, process = begun(caller, SLEEP, tmp_path)
    os.kill(process, signal.SIGKILL)
    _, said = running.communicate(timeout=20)
    assert (running.returncode, said) == (1, "Error: the process of this command was ended from outside\n")


def test_a_caller_that_is_killed_takes_its_command_with_it(caller: list[str], address: str, tmp_path: Path) -> None:
    child = tmp_path / "child"
    code = f"import subprocess; subprocess.run(['sh', '-c', 'echo $$ > {child}; sleep 60'])"
    running, process = begun(caller, code, tmp_path)
    assert waited(lambda: child.exists() and child.read_text())
    running.kill()
    running.wait(20)
    assert waited(lambda: is_gone(process) and is_gone(int(child.read_text())))


def test_a_command_of_another_python_runs_by_itself(caller: list[str], address: str) -> None:
    caller[-1] = caller[-1].replace("status =", "sys.prefix = '/usr/other'\nstatus =")
    assert run(caller, "print('here')").returncode == BY_ITSELF


def test_without_a_warm_process_a_command_runs_by_itself(
    caller: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(caller, "").returncode == BY_ITSELF
    monkeypatch.setenv(warm.ADDRESS, str(tmp_path / "nobody"))
    assert run(caller, "").returncode == BY_ITSELF


def test_a_warm_process_that_fails_is_done_without(
    caller: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    failing = "def imports():\n    raise ImportError('no torch here')\n    yield"
    assert warm.run([*caller, "print('here')"], server(failing)) == BY_ITSELF
    assert "ImportError: no torch here" in capfd.readouterr().err


def test_who_waits_is_served_between_two_imports(caller: list[str]) -> None:
    slow = "def imports():\n    yield\n    import time\n    time.sleep(60)\n    yield"
    start = time.monotonic()
    assert warm.run([*caller, "sys.exit(6)"], server(slow)) == 6
    assert time.monotonic() - start < 30


def test_nobody_else_on_this_machine_reaches_it(address: str) -> None:
    assert Path(address).parent.stat().st_mode & 0o777 == 0o700


def test_nothing_is_imported_for_a_run_that_calls_nothing(tmp_path: Path) -> None:
    touching = f"def imports():\n    open({str(tmp_path / 'imported')!r}, 'w')\n    yield"
    assert warm.run(["sh", "-c", "sleep 1"], server(touching)) == 0
    assert not (tmp_path / "imported").exists()


def test_the_status_of_a_command_that_a_signal_ends_is_the_shells() -> None:
    assert warm.run(["sh", "-c", "kill -TERM $$"], server()) == 128 + signal.SIGTERM


COUNTING = """
import signal, sys, time
seen = []
signal.signal(signal.SIGINT, lambda *_: seen.append(1))
print("ready", flush=True)
until = time.monotonic() + 1.5
while time.monotonic() < until:
    time.sleep(0.05)
sys.exit(40 + len(seen))
"""


def test_an_interrupt_of_the_terminal_reaches_the_command_once() -> None:
    command = [sys.executable, "-c", COUNTING]
    code = f"import sys; from lidr.cli import warm; sys.exit(warm.run({command!r}, {server()!r}))"
    running = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True, cwd=ROOT
    )
    assert running.stdout and running.stdout.readline() == "ready\n"
    # What a terminal does: all processes of its foreground group get it.
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait(30) == 41


def test_a_command_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from lidr.cli import run; run()", "warm", "no-such-command"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "Error: no-such-command: No such file or directory\n")


def test_nothing_is_left_where_it_is_killed(tmp_path: Path) -> None:
    code = f"import sys; from lidr.cli import warm; warm.run(['sh', '-c', {SAY!r}], {server()!r})"
    running = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert running.stdout
    address, process = running.stdout.readline().split()
    running.kill()
    running.wait(20)
    assert waited(lambda: all(address not in line for line in Path("/proc/net/unix").read_text().splitlines()))
    os.kill(int(process), signal.SIGKILL)


SAY = "echo $LIDR_WARM $$; exec sleep 60"
