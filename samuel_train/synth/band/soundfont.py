"""A MIDI file as sound: FluidSynth plays it with the General MIDI sound font."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from samuel_runtime.errors import UserError
from samuel_train.synth.dsp import SAMPLE_RATE_HZ
from samuel_train.synth.tools import SOUND_FONT

_LONGEST_RUN_S = 600


def play_midi(path: Path, raw: Path) -> np.ndarray:
    """Render a MIDI file, (samples, 2) float32, through the raw file ``raw``.

    Raises:
        UserError: FluidSynth fails.
    """
    settings = {
        "synth.dynamic-sample-loading": 1,  # of 148 MB, only what the song plays
        "synth.chorus.active": 0,
        "synth.reverb.room-size": 0.45,
        "synth.reverb.level": 0.6,
        "synth.cpu-cores": 1,
    }
    options = [text for name, value in settings.items() for text in ("-o", f"{name}={value}")]
    command = ["fluidsynth", "-n", "-i", "-q", "-f", "/dev/null", "-r", str(SAMPLE_RATE_HZ), "-g", "0.5", *options]
    command += ["-T", "raw", "-O", "float", "-E", "little", "-F", str(raw), str(SOUND_FONT), str(path)]
    try:
        # In a session of its own, so that Ctrl-C in a terminal leaves the song at hand whole.
        result = subprocess.run(
            command, capture_output=True, errors="replace", timeout=_LONGEST_RUN_S, check=False, start_new_session=True
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(f"fluidsynth hangs; run: {' '.join(command)}") from error
    if result.returncode or not raw.is_file():
        raise UserError(f"fluidsynth failed with {result.returncode}: {result.stderr[-300:]}")
    return np.fromfile(raw, dtype="<f4").reshape(-1, 2)
