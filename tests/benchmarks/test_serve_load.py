"""The server's load and kills, for seconds and with the miniature bundle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

from benchmarks.measuring.server import Server
from benchmarks.serve_load import kill_often, load
from tests.support.runtime.commands import write_voice
from tests.support.runtime.serving import server_process

STEPS = {"steps": 1}


@pytest.fixture(scope="module")
def server(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = server_process(bundle, tmp_path_factory.mktemp("served"))
    yield server
    server.end()


def test_under_load_there_is_no_error_and_no_band_is_lost(server: Server, tmp_path: Path) -> None:
    voice = write_voice(tmp_path / "voice.wav", 0.3).read_bytes()
    seen = load(server, voice, clients=3, seconds=1.0, settings=STEPS)
    assert not seen.failures and set(seen.statuses) <= {202, 429}
    assert len(seen.worked_s) == seen.statuses[202] >= 3
    told = seen.to_dict()
    assert told["waited_s"]["p50"] <= told["waited_s"]["p95"] and told["bands_a_minute"] > 0


def test_a_killed_server_loses_no_job_that_it_accepted(server: Server, tmp_path: Path) -> None:
    voice = write_voice(tmp_path / "voice.wav", 0.3).read_bytes()
    assert kill_often(server, voice, kills=2, most_s=2.0, settings=STEPS, seed=1) >= 1
