"""How every samuel command ends: 0 done, 2 the user can mend it (one line), 130 interrupted, 1 a defect."""

from __future__ import annotations

import logging
import signal
import sys

import click

from samuel_runtime.errors import UserError, with_options


def run(command: click.Command) -> None:
    """Run a click command line by the exit code contract; never returns.

    Everything that a ``UserError`` or click's own usage errors say goes to stderr as one line, and so does every note
    that the library logs. Where a message names a parameter of the library, it is given as the option.
    """
    notes = _Notes()
    logging.getLogger("samuel").addHandler(notes)
    try:
        _run(command)
    finally:
        logging.getLogger("samuel").removeHandler(notes)


class _Notes(logging.Handler):
    """Logged messages as lines on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(f"note: {' '.join(with_options(record.getMessage()).split())}", err=True)


def _run(command: click.Command) -> None:
    # A polite kill ends as an exception too, so that half-written files are removed on the way out.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        code = command.main(standalone_mode=False)
    except UserError as error:
        _say(str(error))
        sys.exit(2)
    except click.UsageError as error:
        name = error.ctx.command_path if error.ctx else command.name
        _say(f"{error.format_message()} (see `{name} --help`)")
        sys.exit(2)
    except click.ClickException as error:
        _say(error.format_message())
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted; nothing was left half written")
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


def _say(message: str) -> None:
    click.echo(f"error: {' '.join(with_options(message).split())}", err=True)
