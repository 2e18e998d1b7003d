"""Clips for the page: which stretch, which case, how long, how loud, how large."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from samuel_runtime.settings import Sampler
from samuel_train.evaluate.cases import Case
from samuel_train.evaluate.evaluation import EvaluatedAudio
from samuel_train.evaluate.excerpt import loudest_start
from samuel_train.evaluate.report.clips import KBIT_PER_S, LONGEST_S, MOST_SONGS, Clips, Part, mp3
from samuel_train.evaluate.report.rows import Kind
from tests.support.train import signals

_CASE = Case(Sampler.DDIM, 2.0, 4, 7)
_OTHER = Case(Sampler.DDIM, 2.0, 8, 7)
_RATE = signals.RATE_HZ


def _decoded(clip: bytes) -> np.ndarray:
    return np.asarray(soundfile.read(io.BytesIO(clip), always_2d=True)[0])


def _tone(midi: float, duration_s: float, amplitude: float = 0.1) -> np.ndarray:
    return signals.stereo(signals.tone(midi, duration_s, amplitude))


def _rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples))))


def test_all_parts_of_a_song_are_kept_and_one_case_alone() -> None:
    clips = Clips(_CASE, _RATE)
    for kind, case, samples in (
        (Kind.VOICE, None, _tone(60, 3)),
        (Kind.TRUTH, None, _tone(64, 3)),
        (Kind.CODEC, None, _tone(67, 3)),
        (Kind.CASE, _CASE, _tone(66, 3, amplitude=0.2)),
        (Kind.CASE, _OTHER, signals.silence(3)),
    ):
        clips(EvaluatedAudio(kind, case, 0, samples))
    (parts,) = clips.songs
    assert set(parts) == set(Part)
    sounds = {part: _decoded(clip) for part, clip in parts.items()}
    assert all(sound.shape == (3 * _RATE, 2) for sound in sounds.values())
    voice = _rms(sounds[Part.VOICE])
    assert voice == pytest.approx(_rms(_tone(60, 3)), rel=0.06)  # the encoder takes 0.4 dB from everything
    assert _rms(sounds[Part.BAND]) == pytest.approx(2 * voice, rel=0.02)
    assert _rms(sounds[Part.MIX]) == pytest.approx(np.sqrt(1.5) * voice, rel=0.03)  # the band at half the voice's power


def test_long_songs_are_cut_to_where_the_voice_is_loudest_in_every_part() -> None:
    voice = np.concatenate([signals.silence(20), _tone(60, LONGEST_S), signals.silence(15)])
    marked = 0.01 * signals.noise(len(voice) / _RATE)
    marked[20 * _RATE : round((20 + LONGEST_S) * _RATE)] *= 50
    clips = Clips(_CASE, _RATE)
    for kind, samples in ((Kind.VOICE, voice), (Kind.TRUTH, marked)):
        clips(EvaluatedAudio(kind, None, 0, samples))
    for part in (Part.VOICE, Part.TRUTH):
        sound = _decoded(clips.songs[0][part])
        assert len(sound) == LONGEST_S * _RATE
        assert _rms(sound[: _RATE // 2]) > 0.01  # loud from its very beginning


def test_only_the_first_songs_are_kept() -> None:
    clips = Clips(_CASE, _RATE)
    for song in range(MOST_SONGS + 2):
        clips(EvaluatedAudio(Kind.VOICE, None, song, signals.silence(0.2)))
    assert len(clips.songs) == MOST_SONGS


@pytest.mark.parametrize(("rate_hz", "channels"), [(44_100, 2), (48_000, 1), (22_050, 2), (96_000, 4)])
def test_the_size_is_known_at_any_rate(rate_hz: int, channels: int) -> None:
    samples = np.random.default_rng(0).uniform(-0.3, 0.3, (5 * rate_hz, channels)).astype(np.float32)
    clip = mp3(samples, rate_hz)
    assert len(clip) * 8 / 1000 / 5 == pytest.approx(KBIT_PER_S, rel=0.02)
    info = soundfile.info(io.BytesIO(clip))
    assert info.channels == (channels if channels <= 2 else 1) and info.duration == pytest.approx(5, abs=0.1)


def test_what_would_clip_is_turned_down() -> None:
    assert np.abs(_decoded(mp3(4 * signals.noise(2), _RATE))).max() < 1


def test_the_loudest_stretch() -> None:
    samples = np.zeros((100, 2))
    samples[40:60] = [0, 1]
    samples[10:30] = [0.5, 0]
    assert loudest_start(samples, 20) == 40
    assert loudest_start(samples, 100) == loudest_start(samples, 300) == 0
