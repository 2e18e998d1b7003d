"""Engines of TensorRT are code. Those built here are trusted; a stranger's only once their user says so."""

from __future__ import annotations

import json

from samuel_runtime.bundle.manifest import Engines
from samuel_runtime.errors import UserError
from samuel_runtime.files import data_file, replacing

_NAME = "trusted-engines.json"
_LARGEST_BYTES = 1 << 20


def is_trusted(engines: Engines) -> bool:
    """Whether every one of these engines was built or trusted by this user."""
    return _hashes(engines) <= _known()


def trust(engines: Engines) -> None:
    """Let these engines run from now on.

    Raises:
        UserError: the list of trusted engines cannot be written.
    """
    try:
        path = data_file(_NAME)
    except OSError as error:
        raise UserError(f"--trust-engines: there is no place for the list of trusted engines: {error}") from error
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(sorted(_known() | _hashes(engines)), indent=1) + "\n")
    except (OSError, UserError) as error:
        raise UserError(
            f"{path}: the list of trusted engines cannot be written; make {path.parent} a folder of your own"
        ) from error


def _hashes(engines: Engines) -> set[str]:
    return {facts.sha256 for facts in engines.files.values()}


def _known() -> set[str]:
    try:
        path = data_file(_NAME)
        known = json.loads(path.read_bytes()) if path.stat().st_size <= _LARGEST_BYTES else []
    except (OSError, ValueError, RecursionError):
        return set()
    return {one for one in known if isinstance(one, str)} if isinstance(known, list) else set()
