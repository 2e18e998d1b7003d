"""One server for all tests that leave it as it was; they need the extra `serve`, and skip without it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.runtime.commands import write_voice

if TYPE_CHECKING:
    import httpx


@pytest.fixture(scope="session")
def client(sheeted: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Of a server with a bundle that takes lead sheets; its recordings are at most 6 s long."""
    from samuel_runtime.serve.limits import Limits
    from tests.support.runtime.serving import serving

    with serving(sheeted, tmp_path_factory.mktemp("jobs"), Limits(longest_s=6.0, upload_bytes=2 << 20)) as client:
        yield client


@pytest.fixture(scope="session")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short one, in which there are beats to lay chords on."""
    return write_voice(tmp_path_factory.mktemp("voice") / "voice.wav", 1.5)


@pytest.fixture(scope="session")
def done_id(client: httpx.Client, voice: Path) -> str:
    """A job that is done, with two takes; read it only."""
    from tests.support.runtime.serving import accepted, ended

    job_id = accepted(client, voice, seed=7, variations=2, bpm=92, key="A minor", chords="Am F C G")
    assert ended(client, job_id)["state"] == "done"
    return job_id
