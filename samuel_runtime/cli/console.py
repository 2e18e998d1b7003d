"""How every samuel command ends: 0 done, 2 the user can mend it (one line), 130 interrupted, 1 a defect."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
from pathlib import Path
from types import FrameType

import click

from samuel_runtime.errors import UserError, with_options


def run(command: click.Command) -> None:
    """Run a click command line by the exit code contract; never returns.

    Everything that a ``UserError`` or click's own usage errors say goes to stderr, each fault as one line, and so
    does every note that the library logs. Where a message names a parameter of the library, it is given as the option.
    """
    _open_streams()
    notes = _Notes()
    logging.getLogger("samuel").addHandler(notes)
    try:
        _run(command)
    finally:
        logging.getLogger("samuel").removeHandler(notes)


class _Notes(logging.Handler):
    """Logged messages as lines on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        tell(f"note: {' '.join(with_options(record.getMessage()).split())}", err=True)


def _run(command: click.Command) -> None:
    # A polite kill and a closed terminal end as an exception too, so that half-written files are removed on the way
    # out. Whoever ignores the latter, as nohup does, goes on doing so.
    signal.signal(signal.SIGTERM, _end)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, _end)
    try:
        code = command.main(standalone_mode=False)
    except UserError as error:
        _say(*error.lines)
        sys.exit(2)
    except click.UsageError as error:
        name = error.ctx.command_path if error.ctx else command.name
        _say(f"{error.format_message()} (see `{name} --help`)")
        sys.exit(2)
    except click.ClickException as error:
        _say(error.format_message())
        sys.exit(2)
    except MemoryError as error:
        _say(f"there is too little memory ({error or 'no more can be had'}); close what else uses it and try again")
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted; nothing was left half written")
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


def tell(message: str, *, err: bool = False) -> None:
    """Print a line: a result to stdout, or what is worth knowing beside it to stderr.

    Raises:
        UserError: stdout cannot be written to. Where stderr cannot, nobody would be told.
    """
    try:
        click.echo(message, err=err)
    except BrokenPipeError:
        raise  # the reader has had enough, which click knows how to end
    except OSError as error:
        if err:
            return
        # What is left in the buffer would fail again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise UserError(f"stdout: cannot be written ({error.strerror}); make space where it is sent to") from error


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _open_streams() -> None:
    """Make every standard stream one that can be written to, whatever this process was started with."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # closed: else the next file that is opened takes its number, and gets what is printed
            os.open(os.devnull, os.O_RDWR)
    # None under pythonw, and where the descriptor was closed from the start.
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file's name may hold what a terminal's encoding lacks
            stream.reconfigure(errors="backslashreplace")


def _say(*messages: str) -> None:
    for message in messages:
        tell(f"error: {' '.join(with_options(message).split())}", err=True)
