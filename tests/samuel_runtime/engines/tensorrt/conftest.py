"""Fixtures of the tests that count what a GPU holds."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def _quick_collections() -> Iterator[None]:
    """What is there before is not looked through by each of a hundred collections: torch alone makes them slow."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
