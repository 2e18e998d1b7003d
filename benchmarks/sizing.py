"""What a band costs, for plans of many machines: ``python -m benchmarks.sizing [--seconds 47.55] [--rounds 3]``.

Processor time and not wall time, so that what else the machine does changes little: of a band by stages, of a window in
batches of several, and of the server for one job: taking a recording in, reading it through, and sending files. Beside
it the memory of a process that makes bands, with one job and with several at a time, and the sizes of all files.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time, sleep
from typing import Any

import httpx
import numpy as np

from benchmarks.measuring.server import Server, children
from benchmarks.measuring.voices import write_voice
from samuel_runtime.cli import render as render_module
from samuel_runtime.diffusion.batching import PendingWindow, sample_together
from samuel_runtime.diffusion.denoiser import Sampling
from samuel_runtime.diffusion.noise import noise
from samuel_runtime.diffusion.samplers import timesteps_for
from samuel_runtime.pipeline import Samuel
from samuel_runtime.serve.jobs.request import Wanted
from samuel_runtime.serve.worker.rendering import render_order
from samuel_runtime.settings import DEFAULT_SAMPLER

_ROOT = "/v1/accompaniments"
_TICKS = os.sysconf("SC_CLK_TCK")
_TOGETHER = (1, 2, 4, 8)
_LOOK_EVERY_S = 5.0  # so that looking costs little beside the rest


def band_s(samuel: Samuel, voice: Path, rounds: int) -> dict[str, float]:
    """Processor time of a band and its mix, by stages, and of all; medians of rounds."""
    render_module.perf_counter = process_time  # type: ignore[attr-defined]  # which its stages are timed with
    seen: list[dict[str, float]] = []
    for seed in range(rounds):
        stages: dict[str, float] = {}

        def tell(stages: dict[str, float] = stages, **event: Any) -> None:
            stages |= event["result"]["seconds"] if event["event"] == "take" else {}

        began_s = process_time()
        with tempfile.TemporaryDirectory() as into:
            ended = render_order(samuel, voice, Path(into), Wanted(seed=seed), tell, lambda: False)
            assert ended["event"] == "done", ended
            sizes = {f"{path.name}_bytes": float(path.stat().st_size) for path in Path(into).iterdir()}
        seen.append(stages | {"all": process_time() - began_s} | sizes)
    return {name: round(median(one[name] for one in seen), 4) for name in seen[0]}


def window_s(samuel: Samuel, rounds: int) -> dict[str, float]:
    """Processor time of one full window, by how many are sampled together."""
    facts = samuel.manifest.model
    timesteps = tuple(timesteps_for(DEFAULT_SAMPLER, samuel.denoiser.schedule, facts.steps))
    sampling = Sampling(DEFAULT_SAMPLER, timesteps, facts.guided(), samuel.manifest.statistics.clamp)

    def window(seed: int) -> PendingWindow:
        def draw(t: int) -> np.ndarray:
            return noise(seed, t, 0, facts.frames, facts.latent_channels)[None]

        return PendingWindow(draw(0), np.empty((1, facts.latent_channels, 0), np.float32), sampling, draw, None)

    costs: dict[int, list[float]] = {count: [] for count in _TOGETHER}
    for _ in range(rounds):
        for count in _TOGETHER:  # in turn, so that all see the same machine
            windows = [window(seed) for seed in range(count)]
            began_s = process_time()
            sample_together(samuel.denoiser, windows)
            costs[count].append((process_time() - began_s) / count)
    return {f"{count}": round(median(seen), 4) for count, seen in costs.items()}


def memory_mib(voice: Path, jobs: int) -> float:
    """The most resident memory of a fresh process that makes so many bands at once, with one thread each."""
    script = (
        "import re, sys, tempfile, threading; from pathlib import Path\n"
        "from samuel_runtime.pipeline import Samuel; from samuel_runtime.serve.jobs.request import Wanted\n"
        "from samuel_runtime.serve.worker.rendering import render_order\n"
        "samuel = Samuel.load(None, 'cpu', 1)\n"
        "def job(seed):\n"
        "    wanted = Wanted(seed=seed, steps=1)\n"  # steps take time, and no memory
        "    with tempfile.TemporaryDirectory() as into:\n"
        "        render_order(samuel, Path(sys.argv[1]), Path(into), wanted, lambda **event: 0, lambda: 0)\n"
        "threads = [threading.Thread(target=job, args=(seed,)) for seed in range(int(sys.argv[2]))]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        # Not ru_maxrss, which begins at that of the process that started this one.
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) / 1024)"
    )
    done = subprocess.run([sys.executable, "-c", script, voice, str(jobs)], check=True, capture_output=True, text=True)
    return round(float(done.stdout), 1)


def server_s(voice: Path, jobs: int) -> dict[str, float]:
    """Processor time that a job costs the server: to take it in, and to send its mix in each format.

    "reading" is the process that reads recordings through.
    """
    costs: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as data:
        server = Server(Path(data), ["--provider", "cpu"])
        try:
            with httpx.Client(base_url=server.url, timeout=600) as client:

                def spent(name: str, do: Callable[[], None]) -> None:
                    before = _processor_s(server.process.pid)
                    do()
                    for whose, after_s in _processor_s(server.process.pid).items():
                        key = name if whose == "server" else whose
                        costs[key] = costs.get(key, 0.0) + (after_s - before[whose]) / jobs

                _job(client, voice)  # which starts what starts once
                for _ in range(jobs):
                    paths: list[str] = []
                    spent("job", lambda paths=paths: paths.append(_job(client, voice)))  # type: ignore[misc]
                    for suffix in ("wav", "flac", "mp3"):
                        spent(suffix, lambda path=f"{paths[0]}/mix.{suffix}": _fetch(client, path))  # type: ignore[misc]
        finally:
            server.end()
    return {name: round(cost, 4) for name, cost in costs.items()}


def _job(client: httpx.Client, voice: Path) -> str:
    files = {"voice": voice.read_bytes()}
    path = f"{_ROOT}/{client.post(_ROOT, files=files, data={'steps': '1'}).json()['id']}"
    while client.get(path).json()["state"] in ("waiting", "running"):
        sleep(_LOOK_EVERY_S)
    return path


def _fetch(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 200


def _processor_s(pid: int) -> dict[str, float]:
    """By what a process is for."""
    spent = {"server": _ticks(pid), "reading": 0.0}
    for child in children(pid):
        command = Path(f"/proc/{child}/cmdline").read_text()
        if '"inspect"' in command:
            spent["reading"] = _ticks(child)
    return spent


def _ticks(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=47.55, help="of the voice")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, nargs="*", default=[1, 4], help="at once, for the memory")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        voice = write_voice(Path(folder) / "voice.flac", round(44_100 * options.seconds))
        report: dict[str, Any] = {"seconds": options.seconds, "voice_bytes": voice.stat().st_size}
        with Samuel.load(None, "cpu", 1) as samuel:
            report["band_s"] = _told("a band", band_s(samuel, voice, options.rounds))
            report["window_s"] = _told("a window, by how many together", window_s(samuel, options.rounds))
        report["server_s"] = _told("a job of the server", server_s(voice, options.rounds))
        report["memory_mib"] = {
            str(jobs): _told(f"memory with {jobs} at once", memory_mib(voice, jobs)) for jobs in options.jobs
        }
    print(json.dumps(report, indent=1))


def _told(what: str, found: Any) -> Any:
    """It takes minutes: what is known already goes to stderr."""
    print(f"{what}: {found}", file=sys.stderr, flush=True)
    return found


if __name__ == "__main__":
    main()
