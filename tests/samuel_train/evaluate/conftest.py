"""Fixtures of the evaluation's tests."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def _compiled(librosa_compiled: None) -> None:
    """Nearly every test here measures something with librosa."""


@pytest.fixture(autouse=True)
def _remembered(remembered_features: None) -> None:
    """Nearly every test here measures the same toy songs."""
