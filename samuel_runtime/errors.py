"""The one exception that means: the user can mend this; and how its messages name parameters."""

from __future__ import annotations

import re
from typing import NoReturn

_PARAMETERS = (
    "bundle|provider|precision|threads|sampler|steps|guidance|seed|bpm|first_beat_s|meter|key|chords|lead_sheet"
)
_REFUSED = re.compile(rf"^({_PARAMETERS})()(?= must )")
_IN_CODE = re.compile(rf"`({_PARAMETERS})(?:='?([^`']*)'?)?`")


class UserError(Exception):
    """The user's input or parameters are at fault; the message is one line and says how to mend it.

    Messages name parameters as Python has them: "steps must be ..." at their beginning, `provider='cpu'` in backticks
    anywhere else. :func:`with_options` turns both into a command's options.

    Command lines print it to stderr without a traceback and exit with code 2.
    """

    def __init__(self, *messages: str) -> None:
        """One message, or several faults that are told together, each in its line."""
        super().__init__("\n".join(" ".join(message.split()) for message in messages))

    @property
    def lines(self) -> list[str]:
        """The message of each fault."""
        return str(self).split("\n")


class UnwritableError(UserError):
    """An output cannot be written where it should go; whoever chose the place can mend it."""


def with_options(message: str) -> str:
    """A message of the library with its parameters named as options: `provider='cpu'` becomes --provider cpu."""

    def option(found: re.Match[str]) -> str:
        value = found[2] or ""
        return f"--{found[1].replace('_', '-')} {value}".rstrip()

    return _IN_CODE.sub(option, _REFUSED.sub(option, message))


def unhandled(case: NoReturn) -> ValueError:
    """What to raise at the end of a dispatch over the cases of an enum; mypy refuses a case that is left out."""
    return ValueError(f"no such case: {case!r}")
