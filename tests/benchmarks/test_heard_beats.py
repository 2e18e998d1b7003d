"""A vocal context encoder finds the beats of voices that click on them, and not those of voices that do not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.heard_beats import BANDS, REACHES, VocalContextEncoder, Voice, scores, train
from samuel_train.evaluate.spectra import FRAME_S

pytestmark = pytest.mark.usefixtures("librosa_compiled")


def clicking(period_s: float, seed: int, heard: bool = True) -> Voice:
    """Twenty-three seconds of noise with a louder frame at every beat."""
    rng = np.random.default_rng(seed)
    beats_s = np.arange(rng.uniform(0, period_s), 23, period_s)
    mel = rng.standard_normal((BANDS, 1000)).astype(np.float32)
    if heard:
        mel[:, np.round(beats_s / FRAME_S).astype(int)] += 3
    return Voice(torch.from_numpy(mel), beats_s)


def test_it_finds_beats_that_are_heard() -> None:
    training = [clicking(0.4 + 0.05 * index, index) for index in range(6)]
    encoder = train(training, REACHES["1.2 s"], steps=40)
    for heard, low, high in ((True, 0.9, 1.0), (False, 0.0, 0.6)):
        judged = [clicking(0.52, 99, heard)]
        with torch.no_grad():
            f_measure, _ = scores(judged, [encoder(judged[0].mel[None])[0].sigmoid().numpy()])
        assert low <= f_measure <= high


def test_reaches_are_what_they_are_called() -> None:
    for name, dilations in REACHES.items():
        torch.manual_seed(0)
        encoder = VocalContextEncoder(dilations).double().eval()
        mel = torch.zeros(1, BANDS, 1600, dtype=torch.double)
        other = mel.clone()
        other[..., 800] = 1
        changed = (encoder(other) != encoder(mel))[0].nonzero().flatten()
        reach_s = (changed[-1].item() - 800) * FRAME_S
        assert abs(reach_s - float(name.removesuffix(" s"))) < 0.2


def test_the_target_is_one_at_a_beat() -> None:
    voice = clicking(0.5, 0)
    frames = np.round(voice.beats_s / FRAME_S).astype(int)
    assert (voice.target[frames] == 1).all()
    assert voice.target.sum() <= 2 * len(frames)
