"""What is measured is what a user hears."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from samuel_runtime.audio.samples import Audio
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import Settings
from samuel_train.evaluate.rendering import render, render_generated
from tests.support.export.sabotage import edit_manifest
from tests.support.runtime.commands import singing


def test_generated_latents_sound_as_the_command_plays_them(bundle_copy: Path) -> None:
    edit_manifest(bundle_copy, lambda manifest: manifest["model"].update(side_gain_db=3.0, peak_ceiling=0.2))
    with Samuel.load(bundle_copy, threads=1) as samuel:
        voice = Audio(singing(1.0, 44100, 1), 44100)
        latents = samuel.generate(samuel.encode(voice), Settings(steps=1))
        latents *= 2 / latents.std()  # a larger spread than a band may have
        band = np.concatenate(list(samuel.decode(latents, voice)))
        np.testing.assert_array_equal(render_generated(samuel, latents, len(band)), band)
        assert not np.array_equal(render(samuel, latents, len(band)), band)  # neither spread nor width are set there
