"""An accompaniment piece by piece: the same as in one piece, and each piece as early as it can be."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from samuel_runtime.audio.samples import Audio
from samuel_runtime.diffusion.spread import unit_std_scale
from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel
from samuel_runtime.progress import Progress
from samuel_runtime.settings import Sampler, Settings
from tests.support.runtime.commands import singing
from tests.support.runtime.toy_samuel import gaussian_step, toy_samuel

SETTINGS = Settings(steps=3, seed=5)
HOP = 2048
LONG = Audio(singing(9.0), 44100)
"""Three windows of the toy."""


def several_windows(bundle: Path, variance: float) -> Samuel:
    """The miniature codec, and a denoiser of short windows whose latents have this variance."""
    toy, codec = toy_samuel(bundle, partial(gaussian_step, variance=variance)), Samuel.load(bundle, threads=1).codec
    return Samuel(toy.manifest, replace(codec, facts=codec.facts.model_copy(update={"chunk_frames": 24})), toy.denoiser)


@pytest.mark.parametrize("sampler", Sampler)
def test_the_pieces_of_a_long_song_are_the_whole_bit_for_bit(bundle: Path, sampler: Sampler) -> None:
    samuel, settings = several_windows(bundle, variance=0.8), replace(SETTINGS, sampler=sampler)
    pieces = list(samuel.stream(LONG, settings))
    assert len(pieces) == 9 and {piece.dtype for piece in pieces} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(np.concatenate(pieces), samuel.accompany(LONG, settings).samples)


@pytest.mark.parametrize(("guidance", "sample_rate_hz"), [(None, 48000), (1.0, 44100), (6.0, 44100)])
def test_the_pieces_of_one_window_are_the_whole_bit_for_bit(
    bundle: Path, guidance: float | None, sample_rate_hz: int
) -> None:
    samuel, voice = Samuel.load(bundle, threads=1), Audio(singing(6.5, sample_rate_hz)[:-5], sample_rate_hz)
    settings = replace(SETTINGS, guidance=guidance)
    pieces = list(samuel.stream(voice, settings))
    assert len(pieces) > 1
    np.testing.assert_array_equal(np.concatenate(pieces), samuel.accompany(voice, settings).samples)


def test_a_long_song_of_spread_latents_is_scaled_as_its_first_window(bundle: Path) -> None:
    """The one thing in which a stream differs: the whole song's standard deviation is not known before its end."""
    samuel, settings = several_windows(bundle, variance=2.0), replace(SETTINGS, steps=16)
    events: list[Progress] = []
    song = samuel.generate(samuel.encode(LONG), settings, events.append)
    (drawn,) = (e.step.latents for e in events if e.step is not None and (e.step.window, e.step.index) == (0, 15))
    first, whole = unit_std_scale(drawn), unit_std_scale(song)
    assert whole < 0.9
    assert first != whole
    streamed = np.concatenate(list(samuel.stream(LONG, settings)))
    expected = np.concatenate(list(samuel.codec.decode(song * first)))
    np.testing.assert_array_equal(streamed, expected[: len(streamed)])
    levels = [float(np.sqrt(np.square(one).mean())) for one in (streamed, samuel.accompany(LONG, settings).samples)]
    louder_db = 20 * np.log10(levels[0] / levels[1])
    print(f"scales of the first window and of the song {first:.3f} and {whole:.3f}, {louder_db:+.2f} dB")
    assert abs(first / whole - 1) < 0.1  # of so few independent frames the standard deviation is known to 5 %
    assert abs(louder_db) < 1


def test_the_first_piece_of_a_minute_comes_after_one_window(bundle: Path) -> None:
    samuel, events = several_windows(bundle, variance=0.8), list[Progress]()
    voice = Audio(np.tile(LONG.samples, (7, 1)), 44100)
    piece = next(samuel.stream(voice, SETTINGS, events.append))
    assert len(piece) > HOP
    sampled = [event for event in events if event.stage == "sample"]
    assert sampled[-1].done == SETTINGS.steps and sampled[-1].total > 19 * SETTINGS.steps


def test_no_piece_is_yielded_of_what_a_later_window_draws_again(bundle: Path) -> None:
    """Before each piece only those windows are sampled that it takes, and it never changes afterwards."""
    samuel, events, heard = several_windows(bundle, variance=0.8), list[Progress](), 0
    whole = samuel.accompany(LONG, SETTINGS).samples
    windows_sampled = set()
    for piece in samuel.stream(LONG, SETTINGS, events.append):
        windows_sampled.add(max(event.step.window for event in events if event.step is not None))
        np.testing.assert_array_equal(piece, whole[heard : heard + len(piece)])
        heard += len(piece)
    assert heard == len(whole)
    assert windows_sampled == {0, 1, 2}


def test_what_is_wrong_is_said_when_the_stream_is_asked_for(bundle: Path) -> None:
    samuel = Samuel.load(bundle, threads=1)
    with pytest.raises(UserError, match=r"nowhere\.wav"):
        samuel.stream("nowhere.wav")
    with pytest.raises(UserError, match="steps must be at most 800"):
        samuel.stream(LONG, Settings(steps=900))
    samuel.close()
    with pytest.raises(ValueError, match="closed"):
        samuel.stream(LONG)
