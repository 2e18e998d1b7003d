"""What tests of several packages share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature bundle with random weights; read it only."""
    from tests.miniature import miniature_bundle  # torch takes seconds to import, and few tests need it

    return miniature_bundle(tmp_path_factory.mktemp("miniature"))


@pytest.fixture
def bundle_copy(bundle: Path, tmp_path: Path) -> Path:
    """A copy of the miniature bundle, to damage."""
    return Path(shutil.copytree(bundle, tmp_path / "bundle"))
