"""The chords' network: a melody in another key has its chords in that key, by construction."""

from __future__ import annotations

import pytest
import torch

from samuel_train.listen.chord_estimator.network import ChordNetwork, PitchMix
from samuel_train.listen.config import ChordConfig
from tests.support.weights import normal


def network() -> ChordNetwork:
    torch.manual_seed(2)
    return ChordNetwork(ChordConfig(width=6, octaves=3, stacks=2)).eval()


@pytest.mark.parametrize("semitones", [1, 5, 11])
@torch.no_grad()
def test_a_melody_in_another_key_has_its_chords_there(semitones: int) -> None:
    heard = network()
    pitches, moments = (
        torch.from_numpy(normal(0, 2, 3, 12, 40)),
        torch.from_numpy(normal(1, 2, heard.moments.in_channels, 40)),
    )
    here, there = heard(pitches, moments), heard(pitches.roll(semitones, dims=2), moments)
    for name in ("tones", "root"):
        torch.testing.assert_close(getattr(there, name), getattr(here, name).roll(semitones, dims=1), atol=1e-5, rtol=0)
        assert not torch.allclose(getattr(there, name), getattr(here, name), atol=1e-3)
    keys = here.key.unflatten(1, (2, 12)).roll(semitones, dims=2).flatten(1, 2)
    torch.testing.assert_close(there.key, keys, atol=1e-5, rtol=0)


@torch.no_grad()
def test_pitch_classes_are_mixed_by_their_distance() -> None:
    mix = PitchMix(2, 3)
    torch.nn.init.normal_(mix.bias)
    x = torch.from_numpy(normal(0, 1, 2, 12, 5))
    mixed = mix(x)
    for output in range(3):
        for pitch in range(12):
            expected = mix.bias[output] + sum(
                mix.weight[output, given, (pitch - other) % 12] * x[0, given, other]
                for given in range(2)
                for other in range(12)
            )
            torch.testing.assert_close(mixed[0, output, pitch], expected)
