"""What rendering needs beside Python, and the reason that is printed where it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from samuel_train.synth.tools import missing

_APT, _PYTHON = missing()
needs_tools = pytest.mark.skipif(
    bool(_APT or _PYTHON),
    reason=f"rendering songs needs {', '.join([*_APT, *_PYTHON])}",
)


@contextmanager
def only_on_path(folder: Path) -> Iterator[None]:
    """No other programs than those in a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(folder))
        yield
