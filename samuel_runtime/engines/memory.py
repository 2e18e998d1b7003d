"""Too little memory, which every engine says in words of its own."""

from __future__ import annotations

import re

from samuel_runtime.errors import UserError

_WORDS = re.compile(
    r"bad_alloc|bad allocation|out of memory|(allocate|enough|insufficient) memory|allocate \d+ bytes|alloc\w* failed",
    re.I,
)


def memory_short(error: Exception) -> bool:
    """Whether it is for want of memory that a library failed."""
    return isinstance(error, MemoryError) or _WORDS.search(str(error)) is not None


def out_of_memory(name: str, library: str, what: str) -> UserError:
    """What to say of a graph that a library could not ``what`` ("load" or "run") for want of memory."""
    return UserError(
        f"{name}: there is too little memory for {library} to {what} it; "
        "close what else uses it, or use a smaller bundle"
    )
