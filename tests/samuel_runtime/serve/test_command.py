"""`samuel-serve` as whoever starts it sees it."""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

import httpx

from samuel_runtime.cli import console
from samuel_runtime.serve.command import command
from tests.support.runtime.commands import TAKEN_OVER, write_voice
from tests.support.runtime.serving import PATIENCE_S, accepted, server_process


def refused(capfd: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """What it says where it does not start."""
    handlers = {number: signal.getsignal(number) for number in TAKEN_OVER}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["samuel-serve", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            console.run(command)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    out, err = capfd.readouterr()
    assert (ended.value.code, out) == (2, "") and len(err.splitlines()) == 1
    return err


def test_what_does_not_start_says_why(
    bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = ("--data", tmp_path / "data")
    assert "takes a key; give --api-key-file" in refused(capfd, "--host", "0.0.0.0", *data)
    assert "no such bundle folder" in refused(capfd, "--bundle", tmp_path / "none", *data)
    assert "coreml" in refused(capfd, "--bundle", bundle, "--provider", "coreml", *data)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert "cannot be listened at" in refused(capfd, "--bundle", bundle, "--port", str(port), *data)
    (tmp_path / "file").touch()
    assert "cannot be written to" in refused(
        capfd, "--bundle", bundle, "--port", "0", "--data", tmp_path / "file" / "x"
    )
    monkeypatch.setattr("samuel_runtime.serve.command.find_spec", lambda name: None)
    assert "pip install 'samuel-deploy[serve]'" in refused(capfd, *data)


def test_it_ends_when_it_is_told_though_somebody_watches(bundle: Path, tmp_path: Path) -> None:
    server = server_process(bundle, tmp_path / "data")
    voice = write_voice(tmp_path / "voice.wav", 2.0)
    with httpx.Client(base_url=server.url, timeout=PATIENCE_S) as client:
        assert client.get("/v1/bundle").json()["keep_hours"] == 24
        job_id = accepted(client, voice, steps=800)
        with client.stream("GET", f"/v1/accompaniments/{job_id}/events") as events:
            assert next(events.iter_lines()) == "event: job"
            assert server.end(signal.SIGTERM) in (-signal.SIGTERM, 128 + signal.SIGTERM)
    assert (tmp_path / "data" / "jobs" / job_id / "voice").read_bytes() == voice.read_bytes()  # for the next server
