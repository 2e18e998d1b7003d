"""Fixtures of the training's tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _own_precision() -> Iterator[None]:
    """Accelerate keeps the precision of its first use for the life of a process; the next test may train in another."""
    yield
    if "accelerate.state" in sys.modules:
        sys.modules["accelerate.state"].AcceleratorState._reset_state()


@pytest.fixture(scope="module")
def remembered_features(librosa_compiled: None) -> Iterator[None]:
    """Recordings are measured once a process."""
    from tests.support.train.remembered import remember_features

    with pytest.MonkeyPatch.context() as patch:
        remember_features(patch)
        yield


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs draw nothing: what three pictures take is twice what eight steps do."""
    monkeypatch.setattr("samuel_train.fit.loop.draw_plots", lambda out: None)
