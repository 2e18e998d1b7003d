"""Servers for tests: in this process, where that is quick, or in one of their own, where that is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import uvicorn

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


class ServerProcess:
    """`samuel-serve` as a process, which can be killed and started again."""

    def __init__(self, bundle: Path, data: Path, *arguments: str, port: int = 0) -> None:
        """Start it; returns once it listens."""
        command = [sys.executable, "-m", "samuel_runtime.serve", "--bundle", str(bundle), "--data", str(data)]
        command += ["--provider", "cpu", "--port", str(port), *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().partition("  ")[0].rstrip("/")
        assert self.url.startswith("http://"), "it did not start"

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        """As a power cut would end it, but for the disk's cache."""
        self.process.kill()
        self.process.wait(PATIENCE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def stop(self) -> int:
        """As an administrator would end it; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


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
