"""Songs of several windows, sampled with a denoiser that is known exactly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from samuel_runtime.diffusion.windows import Window, windows
from samuel_runtime.pipeline import Samuel
from samuel_runtime.progress import Progress
from samuel_runtime.settings import Sampler, Settings
from tests.support.runtime.toy_samuel import CORRELATION, FRAMES, toy_samuel

VOCALS = np.zeros((64, 1000), np.float32)
SETTINGS = Settings(steps=10, seed=3)


class _Windows:
    """Keeps the last latents of every window."""

    def __init__(self) -> None:
        self.last: dict[int, np.ndarray] = {}

    def __call__(self, progress: Progress) -> None:
        assert progress.step is not None
        self.last[progress.step.window] = progress.step.latents.copy()


@pytest.fixture
def toy(bundle: Path) -> Samuel:
    return toy_samuel(bundle)


def _spans() -> list[Window]:
    return windows(VOCALS.shape[1], FRAMES, FRAMES // 2)


@pytest.mark.parametrize("sampler", Sampler)
def test_the_next_window_keeps_what_is_settled(toy: Samuel, sampler: Sampler) -> None:
    seen = _Windows()
    song = toy.generate(VOCALS, replace(SETTINGS, sampler=sampler), seen)
    assert len(seen.last) == len(_spans()) == 15
    for index, span in enumerate(_spans()):
        if index:
            settled = seen.last[index - 1][:, span.start - _spans()[index - 1].start :][:, : span.prefix_frames]
            np.testing.assert_array_equal(seen.last[index][:, : span.prefix_frames], settled)
            assert settled.shape[1] >= FRAMES // 4
        following = _spans()[index + 1] if index + 1 < len(_spans()) else Window(len(VOCALS[0]), 0, 0)
        kept = following.start + following.prefix_frames - span.start
        np.testing.assert_array_equal(seen.last[index][:, :kept], song[:, span.start : span.start + kept])


def test_the_same_seed_gives_the_same_song(toy: Samuel) -> None:
    song = toy.generate(VOCALS, SETTINGS)
    np.testing.assert_array_equal(toy.generate(VOCALS, SETTINGS), song)
    assert not np.allclose(toy.generate(VOCALS, replace(SETTINGS, seed=4)), song)


def test_the_band_is_drawn_from_the_data_in_every_window(toy: Samuel) -> None:
    song = toy.generate(VOCALS, replace(SETTINGS, steps=50))
    neighbours = np.mean(song[:, 1:] * song[:, :-1]) / np.mean(song**2)
    assert song.std() == pytest.approx(1, abs=0.08)
    assert neighbours == pytest.approx(CORRELATION, abs=0.02)


def _seam_ratio(song: np.ndarray, spans: list[Window]) -> float:
    """Mean square of the jumps where windows meet, over that of all jumps."""
    jumps = np.mean(np.diff(song, axis=1) ** 2, axis=0)
    seams = [span.start + span.prefix_frames - 1 for span in spans[1:]]
    return float(jumps[seams].mean() / np.median(jumps))


def test_the_song_does_not_jump_where_windows_meet(toy: Samuel, monkeypatch: pytest.MonkeyPatch) -> None:
    ratio = _seam_ratio(toy.generate(VOCALS, SETTINGS), _spans())
    # Held to all that they share, windows would jump: the measure can tell.
    tight = [replace(span, prefix_frames=span.prefix_frames + FRAMES // 4) for span in _spans()[1:]]
    monkeypatch.setattr("samuel_runtime.diffusion.windows.windows", lambda *sizes: [_spans()[0], *tight])
    tight_ratio = _seam_ratio(toy.generate(VOCALS, SETTINGS), [_spans()[0], *tight])
    print(f"power of jumps at seams relative to elsewhere: {ratio:.2f}, held to all that is shared {tight_ratio:.2f}")
    assert ratio < 1.2
    assert tight_ratio > 2


def test_a_window_shorter_than_the_usual_overlap_still_makes_long_songs(bundle: Path) -> None:
    assert FRAMES < 256
    assert toy_samuel(bundle).generate(VOCALS[:, :300], SETTINGS).shape == (64, 300)
