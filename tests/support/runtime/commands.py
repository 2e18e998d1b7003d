"""`samuel-run` from tests: in this process, where it is quick, or in one of its own, where that matters."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from samuel_runtime.cli import console
from samuel_runtime.cli.command import command

RATE_HZ = 44_100
TAKEN_OVER = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Signals that a command handles; Windows has no SIGHUP."""


@dataclass(frozen=True)
class Run:
    """How a command ended."""

    code: int
    out: str
    err: str


def run_here(capfd: pytest.CaptureFixture[str], *arguments: str | Path) -> Run:
    """Run `samuel-run` in this process; what C libraries print is caught as well."""
    capfd.readouterr()
    handlers = {number: signal.getsignal(number) for number in TAKEN_OVER}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["samuel-run", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            console.run(command)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    out, err = capfd.readouterr()
    return Run(int(ended.value.code or 0), out, err)


def run_apart(*arguments: str | Path, script: str = "from samuel_runtime.cli import main; main()") -> Run:
    """Run `samuel-run`, or another script with its arguments, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )
    return Run(done.returncode, done.stdout, done.stderr)


def singing(duration_s: float, sample_rate_hz: int = RATE_HZ, channels: int = 1, amplitude: float = 0.3) -> np.ndarray:
    """A tone with vibrato and some breath, float32 (samples, channels)."""
    time = np.arange(round(duration_s * sample_rate_hz)) / sample_rate_hz
    tone = np.sin(2 * np.pi * 220 * time + 3 * np.sin(2 * np.pi * 5 * time))
    breath = np.random.default_rng(4).normal(size=(len(time), channels))
    return (amplitude * (tone[:, None] + 0.05 * breath)).astype(np.float32)


def write_voice(path: Path, duration_s: float = 1.0, sample_rate_hz: int = RATE_HZ, channels: int = 1) -> Path:
    """Write a sung tone; the suffix chooses the format."""
    soundfile.write(path, singing(duration_s, sample_rate_hz, channels), sample_rate_hz)
    return path


def tree(folder: Path) -> dict[str, bytes | str]:
    """Every file below a folder with its content, links with their target: to see that nothing changed."""
    return {
        str(path.relative_to(folder)): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A file system in memory at ``folder``; the test is skipped where mounting is not permitted."""
    folder.mkdir()
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"mounting a small disk is not permitted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        # Lazily: a traceback that pytest still holds may keep a file on it open.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
