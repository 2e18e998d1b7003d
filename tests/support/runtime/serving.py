"""Servers for tests: in this process, where that is quick, or in one of their own, where that is killed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import uvicorn

from benchmarks.measuring.server import Server
from samuel_runtime.serve.app import Config, create_app
from samuel_runtime.serve.limits import Limits
from samuel_runtime.serve.security import Access

PATIENCE_S = 120.0  # a busy machine's; nothing takes long by itself


@contextmanager
def serving(
    bundle: Path, data: Path, limits: Limits | None = None, access: Access | None = None
) -> Iterator[httpx.Client]:
    """A server in a thread of this process, with one worker; yields a client of it."""
    app = create_app(Config(bundle, "cpu", 1, 1, data, limits or Limits(), access or Access("127.0.0.1")))
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_level="error", access_log=False, timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_for(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)


def server_process(bundle: Path, data: Path) -> Server:
    """A server that can be killed and started again."""
    return Server(data, ["--bundle", str(bundle), "--provider", "cpu"])


def ask(client: httpx.Client, voice: Path | bytes, **settings: Any) -> httpx.Response:
    """Send a recording with settings as fields."""
    content = voice if isinstance(voice, bytes) else voice.read_bytes()
    fields = {name: str(value) for name, value in settings.items()}
    return client.post("/v1/accompaniments", files={"voice": ("any name.wav", content)}, data=fields)


def accepted(client: httpx.Client, voice: Path | bytes, **settings: Any) -> str:
    """The same, of a recording that is taken; returns the job's id."""
    answer = ask(client, voice, **{"steps": 1, **settings})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def ended(client: httpx.Client, job_id: str) -> dict[str, Any]:
    """A job once it has ended."""
    found: dict[str, Any] = {}

    def has_ended() -> bool:
        found.update(client.get(f"/v1/accompaniments/{job_id}").json())
        return found["state"] in ("done", "failed")

    wait_for(has_ended)
    return found


def wait_for(condition: Any) -> None:
    """Poll until something holds."""
    started = monotonic()
    while not condition():
        assert monotonic() - started < PATIENCE_S, "it never came true"
        sleep(0.02)
