"""The one exception that means: the user can mend this."""

from __future__ import annotations


class UserError(Exception):
    """The user's input or options are at fault; the message is one line and says how to mend it.

    Command lines print it to stderr without a traceback and exit with code 2.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
