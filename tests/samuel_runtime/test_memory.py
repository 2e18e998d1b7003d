"""A longer song costs time and disk, not memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.runtime.commands import RATE_HZ, run_apart, singing

_STATUS = Path("/proc/self/status")
pytestmark = pytest.mark.skipif(not _STATUS.exists(), reason="peak memory is read from /proc, which is Linux's")

# Not getrusage: its peak begins with that of the process that forked, and the tests' own hides everything.
_PEAK = f"""
from samuel_runtime.cli.command import command
command.main(standalone_mode=False)
lines = open("{_STATUS}").read().splitlines()
print(next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")))
"""


def _peak_mb(minutes: float, bundle: Path, folder: Path) -> float:
    voice = folder / f"{minutes}.flac"
    passage = singing(30.0)
    with soundfile.SoundFile(voice, "w", RATE_HZ, 1) as file:
        for _ in range(round(minutes * 2)):
            file.write(passage)
    arguments = ("--bundle", bundle, "--steps", "1", "--threads", "1", "--mix", folder / f"{minutes}.mix.wav")
    run = run_apart(voice, *arguments, script=_PEAK)
    assert run.code == 0, run.err
    peak_mb = int(run.out.splitlines()[-1]) / 1e6
    for path in folder.glob(f"{minutes}.*"):
        path.unlink()
    print(f"{minutes} min: peak {peak_mb:.0f} MB")
    return peak_mb


def test_another_minute_needs_no_more_memory(bundle: Path, tmp_path: Path) -> None:
    assert _peak_mb(1.5, bundle, tmp_path) < _peak_mb(0.5, bundle, tmp_path) + 15


@pytest.mark.slow
def test_a_song_of_ten_minutes_needs_no_more_memory_than_one(bundle: Path, tmp_path: Path) -> None:
    peaks = np.array([_peak_mb(minutes, bundle, tmp_path) for minutes in (1, 5, 10)])
    assert peaks.max() < peaks[0] + 40
