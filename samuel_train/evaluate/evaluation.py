"""The whole evaluation: listen to the truth once, then to the controls, then to every case of the grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from samuel_runtime.audio import Audio
from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel
from samuel_train.evaluate.cases import Case
from samuel_train.evaluate.features import Features
from samuel_train.evaluate.patches import PatchSpace
from samuel_train.evaluate.rows import Kind, Row
from samuel_train.evaluate.scores import Scores, Truth
from samuel_train.evaluate.songs import read_facts, read_stems
from samuel_train.stems import Song

_OTHERS_MOST = 8
"""Other songs that a song's floor is the mean of."""

Heard = Callable[[], None]
"""Called after every recording that was listened to."""


@dataclass(frozen=True, eq=False)
class _Listened:
    """What stays in memory of a song."""

    truth: Truth
    """Facts and features of its band."""
    band: np.ndarray
    """Normalised latents of its true band, (channels, frames): the best that could be generated."""
    vocals: np.ndarray
    """Normalised latents of its voice, (channels, frames)."""
    samples: int
    """Its length at the codec's rate."""


def recordings(songs: Sequence[Song], cases: Sequence[Case]) -> int:
    """How many recordings :func:`evaluate` will listen to, for a progress bar."""
    return len(songs) * (2 + len(cases))


def evaluate(samuel: Samuel, songs: Sequence[Song], cases: Sequence[Case], heard: Heard) -> Iterator[Row]:
    """Rows of the results: the true bands, the two controls, then every case, each as soon as it is known.

    Args:
        samuel: the loaded bundle.
        songs: at least two.
        cases: of the grid.
        heard: progress.

    Raises:
        UserError: a song cannot be read, or a case does not fit the bundle.
    """
    for case in cases:
        if case.steps > (most := samuel.manifest.model.timesteps):
            raise UserError(f"--steps {case.steps}: this bundle's schedule has only {most} timesteps")
    # All are encoded before any is decoded: of a big codec only one half is in memory, and changing halves takes long.
    listened = [_listen(samuel, song, heard) for song in songs]
    truths = [one.truth for one in listened]
    space = PatchSpace.fit(np.concatenate([truth.band.patches for truth in truths]))

    def row(kind: Kind, recordings: list[Features], case: Case | None = None) -> Row:
        scores = [truth.judge(features) for truth, features in zip(truths, recordings, strict=True)]
        return Row(kind, case, scores, space.distance(np.concatenate([one.patches for one in recordings])))

    yield row(Kind.TRUTH, [truth.band for truth in truths])
    yield row(Kind.CODEC, [_render(samuel, one.band, one, heard) for one in listened])
    yield Row(Kind.OTHER, None, [_floor(truths, index) for index in range(len(truths))], None)
    for case in cases:
        generated = (samuel.generate(one.vocals, case.settings(index)) for index, one in enumerate(listened))
        bands = [_render(samuel, latents, one, heard) for latents, one in zip(generated, listened, strict=True)]
        yield row(Kind.CASE, bands, case)


def _listen(samuel: Samuel, song: Song, heard: Heard) -> _Listened:
    facts = samuel.manifest.codec
    rate = facts.sample_rate_hz
    stems = read_stems(song, rate, facts.channels)
    samples = len(stems.accompaniment)
    truth = Truth(Features.of(stems.accompaniment, rate), read_facts(song), samples / rate)
    heard()
    return _Listened(
        truth, _encode_band(samuel, stems.accompaniment), samuel.encode(Audio(stems.vocals, rate)), samples
    )


def _encode_band(samuel: Samuel, accompaniment: np.ndarray) -> np.ndarray:
    """Normalised latents of a band (samples, channels)."""
    statistics, frames = samuel.manifest.statistics, -(-len(accompaniment) // samuel.manifest.codec.hop_samples)
    normalised = samuel.codec.encode(iter([accompaniment]), frames)  # as if it were a voice
    latents = normalised * statistics.vocals_std[:, None] + statistics.vocals_mean[:, None]  # (channels, frames)
    return np.asarray(statistics.normalise_accompaniment(latents))


def _render(samuel: Samuel, latents: np.ndarray, song: _Listened, heard: Heard) -> Features:
    """What a band's normalised latents (channels, frames) sound like."""
    samples = np.concatenate(list(samuel.codec.decode(latents)))[: song.samples]
    features = Features.of(samples, samuel.manifest.codec.sample_rate_hz)
    heard()
    return features


def _floor(truths: Sequence[Truth], index: int) -> Scores:
    """Mean scores of the bands of other songs, the next ones in the list, for song ``index``."""
    others = [truths[(index + step) % len(truths)].band for step in range(1, min(len(truths), _OTHERS_MOST + 1))]
    judged = [truths[index].judge(band) for band in others]
    return {name: float(np.mean([scores[name] for scores in judged])) for name in judged[0]}
