from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from samuel_runtime.cli import console
from samuel_runtime.errors import UserError
from tests.support.runtime.commands import TAKEN_OVER


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in TAKEN_OVER}
    monkeypatch.setattr(sys, "argv", ["tool"])
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    "failure, code, says",
    [(UserError("a.wav: is\n  broken; mend it"), 2, "error: a.wav: is broken; mend it\n"),
     (click.UsageError("no such thing"), 2, "tool --help`)\n"),
     (click.ClickException("two\nlines"), 2, "error: two lines\n"),
     (MemoryError("no 3 GiB"), 2, "too little memory (no 3 GiB); close what else uses it and try again\n"),
     (KeyboardInterrupt(), 130, "interrupted; nothing was left half written\n"),
     (None, 0, "")],
    ids=["user error", "usage error", "click error", "memory", "interrupt", "success"],
)  # fmt: skip
def test_how_commands_end(
    failure: BaseException | None, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command(name="tool")
    def command() -> None:
        if failure is not None:
            raise failure

    with pytest.raises(SystemExit) as ended:
        console.run(command)
    assert ended.value.code == code
    err = capsys.readouterr().err
    assert err.endswith(says) and err.strip().count("\n") == 0


def test_a_defect_keeps_its_traceback() -> None:
    @click.command()
    def command() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        console.run(command)


def test_several_faults_are_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command(name="tool")
    def command() -> None:
        raise UserError("a.wav: is\n  broken", "b.wav: too")

    with pytest.raises(SystemExit) as ended:
        console.run(command)
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: a.wav: is broken\nerror: b.wav: too\n"


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_stream_that_is_not_there_can_be_written_to(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command(name="tool")
    def command() -> None:
        stream = getattr(sys, name)
        stream.write("a line\n")
        stream.close()

    monkeypatch.setattr(sys, name, None)
    with pytest.raises(SystemExit) as ended:
        console.run(command)
    assert ended.value.code == 0


def test_what_a_library_prints_to_closed_streams_reaches_no_file(tmp_path: Path) -> None:
    """The first files that are opened took their numbers, and what libraries print with them."""
    pytest.importorskip("fcntl", reason="descriptors are closed by a shell")
    script = """
import os, sys, click
from samuel_runtime.cli import console
@click.command()
@click.argument("path")
def command(path):
    with open(path, "w"):
        os.write(2, b"what a library prints")
console.run(command)
"""
    path = tmp_path / "output"
    done = subprocess.run(["sh", "-c", 'exec "$@" <&- 2>&-', "sh", sys.executable, "-c", script, path], check=False)
    assert (done.returncode, path.read_text()) == (0, "")
