"""The packaged example voice, ``example_voice.flac``: ``python -m samuel_train.synth.example OUT.flac`` sings it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import soundfile

from samuel_runtime.files import replacing
from samuel_train.synth.dsp import SAMPLE_RATE_HZ, from_db, rms
from samuel_train.synth.song import compose, render_voice
from samuel_train.synth.tools import require

_SEED = 284
_DURATION_S = 24.0
_LEVEL_DBFS = -20.0


def example_voice(path: Path) -> None:
    """Write the example, a mono voice of 24 s at -20 dBFS, as 16 bit FLAC at 44.1 kHz.

    Raises:
        UserError: if ``path`` cannot be written, or a tool is missing.
    """
    require()
    composition = compose(_SEED, _DURATION_S)
    voice = render_voice(composition).mean(axis=1)  # (samples, 2) -> (samples,)
    voice *= np.float32(from_db(_LEVEL_DBFS) / rms(voice))
    with replacing(path) as temporary:
        soundfile.write(temporary, voice, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m samuel_train.synth.example OUT.flac")
    example_voice(Path(sys.argv[1]))
