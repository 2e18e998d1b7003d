"""Fixtures of the training's tests."""

from __future__ import annotations

import pytest


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs draw nothing: what three pictures take is twice what eight steps do."""
    monkeypatch.setattr("samuel_train.fit.loop.draw_plots", lambda out: None)
