"""A server under load, and killed: ``python -m benchmarks.serve_load [--clients 8] [--seconds 120] [--kills 20]``.

Clients at once ask for bands as fast as they are taken, come back when a full server says so, and download each. Told
are errors (there should be none but 429), how long a band waits and takes, throughput against one `samuel-run` over as
many recordings, and the memory of the server and its workers over time. Then the server is killed (SIGKILL) at random
moments while it works, started again, and every job that it had accepted must be done in the end. All of it happens on
loopback.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx

from benchmarks.measuring.server import Server

_ROOT = "/v1/accompaniments"
_EXAMPLE = Path(__file__).parents[1] / "samuel_runtime" / "assets" / "example_voice.flac"
_PATIENCE_S = 600.0
_POLL_S = 0.2


@dataclass
class Load:
    """What clients saw."""

    statuses: Counter[int] = field(default_factory=Counter)
    waited_s: list[float] = field(default_factory=list)
    """From acceptance until it ran."""
    worked_s: list[float] = field(default_factory=list)
    """By the server's stages."""
    failures: list[str] = field(default_factory=list)
    memory_mib: list[float] = field(default_factory=list)
    """Once a second."""
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        half = len(self.memory_mib) // 2
        return {
            "bands": len(self.worked_s),
            "bands_a_minute": 60 * len(self.worked_s) / self.seconds,
            "statuses": dict(self.statuses),
            "failures": self.failures,
            "waited_s": _quantiles(self.waited_s),
            "worked_s": _quantiles(self.worked_s),
            "memory_mib": {
                "first_half_most": max(self.memory_mib[:half], default=0.0),
                "second_half_most": max(self.memory_mib[half:], default=0.0),
            },
        }


def load(server: Server, voice: bytes, clients: int, seconds: float, settings: dict[str, Any]) -> Load:
    """Have clients ask for that long, and wait for what they asked for."""
    seen, lock, began_s = Load(), threading.Lock(), monotonic()

    def client(number: int) -> None:
        with httpx.Client(base_url=server.url, timeout=_PATIENCE_S) as http:
            seed, asked = 1000 * number, False
            while not asked or monotonic() - began_s < seconds:
                asked = True
                answer = _ask(http, voice, {**settings, "seed": seed})
                with lock:
                    seen.statuses[answer.status_code] += 1
                if answer.status_code == 429:
                    left_s = max(0.0, began_s + seconds - monotonic())
                    sleep(min(left_s, float(answer.headers["retry-after"])))
                    continue
                if answer.status_code != 202:
                    with lock:
                        seen.failures.append(answer.text)
                    continue
                seed += 1
                _follow(http, answer.json()["id"], seen, lock)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        seen.memory_mib.append(server.memory_mib())
        sleep(min(1.0, seconds / 8))
    seen.seconds = monotonic() - began_s
    return seen


def _follow(http: httpx.Client, job_id: str, seen: Load, lock: threading.Lock) -> None:
    """Until a job ends, by the server's events, as the page does; and fetch its band."""
    asked_s, ran_s, job = monotonic(), None, {"state": "waiting", "error": "its events end early"}
    with http.stream("GET", f"{_ROOT}/{job_id}/events") as events:
        for line in events.iter_lines():
            if line.startswith("data: "):
                job = json.loads(line.removeprefix("data: "))
                if ran_s is None and job["state"] != "waiting":
                    ran_s = monotonic()
    content = http.get(f"{_ROOT}/{job_id}/accompaniment.wav").content if job["state"] == "done" else b""
    http.delete(f"{_ROOT}/{job_id}")
    with lock:
        if not content.startswith(b"RIFF"):
            seen.failures.append(json.dumps(job["error"]))
            return
        seen.waited_s.append((ran_s or asked_s) - asked_s)
        seen.worked_s.append(sum(sum(take["seconds"].values()) for take in job["takes"]))


def kill_often(server: Server, voice: bytes, kills: int, most_s: float, settings: dict[str, Any], seed: int = 0) -> int:
    """Kill the server at random moments while jobs come in; returns how many jobs it had accepted.

    Args:
        server: that is there again when this returns.
        voice: the recording of every job.
        kills: how often.
        most_s: longest time between start and kill.
        settings: of every job.
        seed: of the moments.

    Raises:
        AssertionError: an accepted job is lost, or a file of one is not whole.
    """
    moments, sent = random.Random(seed), 0
    accepted: list[str] = []
    for _ in range(kills):
        killer = threading.Timer(moments.uniform(0, most_s), server.process.kill)
        if accepted:  # else it waits for a job to lose
            killer.start()
        try:
            with httpx.Client(base_url=server.url, timeout=_PATIENCE_S) as http:
                while server.process.poll() is None:
                    sent += 1
                    answer = _ask(http, voice, {**settings, "seed": sent})
                    if answer.status_code == 202:
                        accepted.append(answer.json()["id"])
                        if not killer.ident:
                            killer.start()
                    else:
                        assert answer.status_code == 429, answer.text
                        sleep(_POLL_S)
        except httpx.TransportError:
            pass  # it was killed
        killer.join()
        server.end()
        server.start()
    sizes = set()
    with httpx.Client(base_url=server.url, timeout=_PATIENCE_S) as http:
        for job_id in accepted:
            began_s = monotonic()
            while (answer := http.get(f"{_ROOT}/{job_id}")).json().get("state") in ("waiting", "running"):
                assert monotonic() - began_s < _PATIENCE_S, f"{job_id} never ends"
                sleep(_POLL_S)
            assert answer.status_code == 200 and answer.json()["state"] == "done", answer.text
            content = http.get(f"{_ROOT}/{job_id}/mix.wav").content
            assert int.from_bytes(content[4:8], "little") + 8 == len(content), f"{job_id} is not whole"
            sizes.add(len(content))
    assert len(sizes) <= 1, "files of one recording differ in size"
    return len(accepted)


def batch_s(voice: Path, copies: int, arguments: Sequence[str], steps: int) -> float:
    """What one `samuel-run` takes for as many recordings."""
    with tempfile.TemporaryDirectory() as folder:
        voices = [Path(folder) / f"{index}{voice.suffix}" for index in range(copies)]
        for path in voices:
            path.write_bytes(voice.read_bytes())
        command = [sys.executable, "-m", "samuel_runtime.cli", *map(str, voices), *arguments, "--steps", str(steps)]
        began_s = monotonic()
        subprocess.run(
            [*command, "-o", f"{folder}/bands/", "--mix", f"{folder}/mixes/"], check=True, capture_output=True
        )
        return monotonic() - began_s


def _ask(http: httpx.Client, voice: bytes, settings: dict[str, Any]) -> httpx.Response:
    return http.post(_ROOT, files={"voice": voice}, data={"settings": json.dumps(settings)})


def _quantiles(values: list[float]) -> dict[str, float]:
    if len(values) < 2:
        return {"p50": values[0], "p95": values[0]} if values else {}
    cuts = statistics.quantiles(values, n=20, method="inclusive")
    return {"p50": cuts[9], "p95": cuts[18]}


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("voice", nargs="?", type=Path, default=_EXAMPLE)
    parser.add_argument("--bundle", help="folder; default: the packaged one")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--kill-within-s", type=float, default=15.0)
    parser.add_argument("--steps", type=int, default=16)
    options = parser.parse_args()
    arguments = ["--provider", "cpu", *(["--bundle", options.bundle] if options.bundle else [])]
    settings, voice = {"steps": options.steps}, options.voice.read_bytes()
    with tempfile.TemporaryDirectory() as data:
        server = Server(Path(data), arguments)
        try:
            found = load(server, voice, options.clients, options.seconds, settings)
            report = found.to_dict()
            if found.worked_s:
                copies = min(20, len(found.worked_s))
                report["samuel_run_bands_a_minute"] = (
                    60 * copies / batch_s(options.voice, copies, arguments, options.steps)
                )
            report["kills"] = options.kills
            report["accepted_and_done"] = kill_often(server, voice, options.kills, options.kill_within_s, settings)
        finally:
            server.end()
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
