"""The example voice inside the package: ``python -m samuel_train.synth.example OUT.flac`` writes it again."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import soundfile

from samuel_runtime.files import replacing
from samuel_train.synth.dsp import from_db, rms
from samuel_train.synth.song import render_song

_SEED = 207  # a woman's voice in B flat major at 85 beats a minute that sings from the first beat
_DURATION_S = 11.2  # four bars, up to the breath before the next line
_LEVEL_DBFS = -20.0


def example_voice(path: Path) -> None:
    """Write the example, a mono voice of 11 s at -20 dBFS, as 16 bit FLAC at 44.1 kHz.

    Raises:
        UserError: if ``path`` cannot be written.
    """
    song = render_song(_SEED, _DURATION_S)
    voice = song.vocals.mean(axis=1)  # (samples, 2) -> (samples,)
    voice *= np.float32(from_db(_LEVEL_DBFS) / rms(voice))
    with replacing(path) as temporary:
        soundfile.write(temporary, voice, song.sample_rate_hz, format="FLAC", subtype="PCM_16")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m samuel_train.synth.example OUT.flac")
    example_voice(Path(sys.argv[1]))
