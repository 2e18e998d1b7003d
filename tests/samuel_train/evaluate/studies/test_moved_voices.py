"""The transposition test with bands that follow a voice, that ignore it, and that are silent."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import soundfile

from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import Sampler
from samuel_train.evaluate.cases import Case
from samuel_train.evaluate.metrics.keys import estimate_key
from samuel_train.evaluate.spectra import analysed, chroma
from samuel_train.evaluate.studies.moved_voices import Plan, move, transpositions
from samuel_train.evaluate.studies.transposition import Pooling, Transposition
from tests.support.train import signals
from tests.support.train import toy_songs as toy

_CASE = Case(Sampler.DDIM, 2.0, 4, seed=5)
_SEMITONES = (-5, 2, 3)


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("voice") / "voice.wav"
    melody = signals.chords([[60 + step] for step in (0, 4, 2, 7, 5, 9)], each_s=0.5)
    soundfile.write(path, melody[:, :1], signals.RATE_HZ)
    return path


def _written(path: Path, samples: np.ndarray) -> Path:
    soundfile.write(path, samples, signals.RATE_HZ, subtype="FLOAT")
    return path


def _asked(echo: toy.Echo, voice: Path, seeds: int = 1, cases: tuple[Case, ...] = (_CASE,)) -> list[Transposition]:
    heard: list[None] = []
    plan = Plan.of([voice], _SEMITONES, seeds)
    results = list(transpositions(cast(Samuel, echo), plan, cases, lambda: heard.append(None)))
    assert len(heard) == plan.recordings(len(cases))
    return results


def test_a_band_that_is_the_voice_follows_it_as_do_the_controls(voice: Path) -> None:
    (result,) = _asked(toy.Echo(), voice)
    assert [control.name for control in result.controls] == ["voice", "voice through the codec"]
    for followed in (result.band, *result.controls):
        assert [shift.semitones for shift in followed.shifts] == list(_SEMITONES)
        for pooling in Pooling:
            assert followed.right(pooling) == 3 and followed.margin(pooling) > 0.8
    assert result.voice == "voice.wav"


def test_a_band_that_ignores_the_voice_stays_while_the_voice_moves(voice: Path) -> None:
    (result,) = _asked(toy.Deaf(), voice)
    assert [shift.best(Pooling.SPANS) for shift in result.band.shifts] == [0, 0, 0]
    assert result.band.right(Pooling.WHOLE) == 0 and result.band.margin(Pooling.SPANS) < 0.3
    assert result.controls[0].right(Pooling.SPANS) == 3


def test_every_shift_and_case_has_the_same_seeds(voice: Path) -> None:
    echo, other = toy.Echo(), Case(Sampler.DDIM, 1.0, 4, seed=5)
    assert [result.case for result in _asked(echo, voice, seeds=2, cases=(_CASE, other))] == [_CASE, other]
    assert [(one.guidance, one.seed) for one in echo.asked] == [(2.0, 5), (2.0, 6)] * 4 + [(1.0, 5), (1.0, 6)] * 4


def test_a_long_voice_is_cut_to_the_loudest_window(tmp_path: Path) -> None:
    quiet, loud = (signals.chords([[midi]] * 6, each_s=1) for midi in (60, 66))
    _written(tmp_path / "long.wav", np.concatenate([0.1 * quiet, loud, 0.1 * quiet]))
    (result,) = _asked(toy.Echo(), tmp_path / "long.wav")
    (short,) = _asked(toy.Echo(), _written(tmp_path / "short.wav", loud))
    for pooling in Pooling:
        np.testing.assert_allclose(result.band.around(pooling), short.band.around(pooling), atol=1e-3)


@pytest.mark.parametrize("semitones", [-5, 3])
def test_a_moved_voice_keeps_its_length_and_level_and_changes_its_key(semitones: int) -> None:
    voice = signals.scale(62, (0, 2, 4, 5, 7, 9, 11))
    moved = move(voice, signals.RATE_HZ, semitones)
    assert moved.shape == voice.shape and moved.dtype == np.float32
    assert np.sqrt(np.mean(moved**2) / np.mean(voice**2)) == pytest.approx(1, abs=1e-3)
    key = estimate_key(chroma(analysed(moved, signals.RATE_HZ)))
    assert key == {-5: "A major", 3: "F major"}[semitones]


def test_a_voice_that_does_not_move_is_untouched() -> None:
    voice = signals.noise(1)
    assert move(voice, signals.RATE_HZ, 0) is voice


@pytest.mark.parametrize("semitones", [(3,), (0, 3), (3, -9), (2, 3, 2)])
def test_shifts_that_cannot_be_told_apart_are_refused(voice: Path, semitones: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="--semitones: give two shifts or more"):
        Plan.of([voice], semitones, 1)


@pytest.mark.parametrize(("samples", "said"), [(signals.silence(3), "is silent"), (signals.noise(1), "less than 2 s")])
def test_a_voice_that_tells_nothing_is_refused(tmp_path: Path, samples: np.ndarray, said: str) -> None:
    soundfile.write(tmp_path / "voice.wav", samples, signals.RATE_HZ)
    with pytest.raises(UserError, match=rf"voice\.wav.*{said}"):
        Plan.of([tmp_path / "voice.wav"], _SEMITONES, 1)
    with pytest.raises(UserError, match="check the name"):
        Plan.of([tmp_path / "none.wav"], _SEMITONES, 1)
