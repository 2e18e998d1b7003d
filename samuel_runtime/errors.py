"""The one exception that means: the user can mend this."""

from __future__ import annotations


class UserError(Exception):
    """The user's input or options are at fault; the message is one line and says how to mend it.

    Command lines print it to stderr without a traceback and exit with code 2.
    """

    def __init__(self, *messages: str) -> None:
        """One message, or several faults that are told together, each in its line."""
        super().__init__("\n".join(" ".join(message.split()) for message in messages))

    @property
    def lines(self) -> list[str]:
        """The message of each fault."""
        return str(self).split("\n")
