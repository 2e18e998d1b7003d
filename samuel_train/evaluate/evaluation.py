"""The whole evaluation: the true bands are analysed once, then the controls, then every case of the grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from samuel_runtime.diffusion.schedule import check_steps
from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.sheet import LeadSheet
from samuel_runtime.pipeline import Samuel
from samuel_train.data.stems import SongFolder
from samuel_train.evaluate.cases import Case, SheetSource
from samuel_train.evaluate.features import Features
from samuel_train.evaluate.rendering import encode_band, encode_voice, render, render_generated, sheet_for
from samuel_train.evaluate.report.rows import Kind, Row
from samuel_train.evaluate.scores import Scores, Truth
from samuel_train.evaluate.songs import read_facts, read_stems
from samuel_train.evaluate.spectra import analysed, onset_strength
from samuel_train.evaluate.studies.patches import PatchSpace

_OTHERS_MOST = 8
"""Other songs that a song's floor is the mean of."""


@dataclass(frozen=True, eq=False)
class EvaluatedAudio:
    """A recording that the evaluation measures."""

    kind: Kind
    """What it is."""
    case: Case | None
    """How it was generated; None for what was not."""
    song: int
    """Number of the song."""
    samples: np.ndarray
    """(samples, channels) at the codec's rate."""


AudioCallback = Callable[[EvaluatedAudio], None]
"""Called with every recording as soon as it is measured."""


@dataclass(frozen=True, eq=False)
class _Reference:
    """What a song's generated bands are measured against."""

    truth: Truth
    """Facts and features of its band."""
    band: np.ndarray
    """Normalised latents of its true band, (channels, frames): the best that could be generated."""
    vocals: np.ndarray
    """Normalised latents of its voice, (channels, frames)."""
    samples: int
    """Its length at the codec's rate."""
    sheets: dict[SheetSource, LeadSheet]
    """What its band may play from."""


def recordings(songs: Sequence[SongFolder], cases: Sequence[Case]) -> int:
    """How many recordings :func:`evaluate` will analyse, for a progress bar."""
    return len(songs) * (3 + len(cases))


def evaluate(
    samuel: Samuel, songs: Sequence[SongFolder], cases: Sequence[Case], on_audio: AudioCallback
) -> Iterator[Row]:
    """Rows of the results: the true bands, the two controls, then every case, each as soon as it is known.

    Args:
        samuel: the loaded bundle.
        songs: at least two.
        cases: of the grid.
        on_audio: called with voices, true bands, true bands through the codec, and generated bands.

    Raises:
        UserError: a song cannot be read, or a case does not fit the bundle.
    """
    for case in cases:
        check_steps(case.steps, samuel.manifest.model.timesteps)
        if case.sheet is not SheetSource.NONE and not samuel.manifest.model.sheet_channels:
            raise UserError(f"--sheets {case.sheet.value}: this bundle's model takes no lead sheet; leave it out")
    # All are encoded before any is decoded: of a big codec only one half is in memory, and changing halves takes long.
    wanted = {case.sheet for case in cases}
    references = [_reference(samuel, song, index, wanted, on_audio) for index, song in enumerate(songs)]
    truths = [one.truth for one in references]
    space = PatchSpace.fit(np.concatenate([truth.band.patches for truth in truths]))

    def row(kind: Kind, recordings: list[Features], case: Case | None = None) -> Row:
        scores = [truth.judge(features) for truth, features in zip(truths, recordings, strict=True)]
        return Row(kind, case, scores, space.distance(np.concatenate([one.patches for one in recordings])))

    def features(kind: Kind, index: int, samples: np.ndarray, case: Case | None = None) -> Features:
        on_audio(EvaluatedAudio(kind, case, index, samples))
        return Features.of(samples, samuel.manifest.codec.sample_rate_hz)

    yield row(Kind.TRUTH, [truth.band for truth in truths])
    coded = (render(samuel, one.band, one.samples) for one in references)
    yield row(Kind.CODEC, [features(Kind.CODEC, index, samples) for index, samples in enumerate(coded)])
    yield Row(Kind.OTHER, None, [_floor(truths, index) for index in range(len(truths))], None)
    for case in cases:
        generated = (
            samuel.generate(one.vocals, case.settings(index), sheet=one.sheets[case.sheet])
            for index, one in enumerate(references)
        )
        bands = (
            render_generated(samuel, latents, one.samples) for latents, one in zip(generated, references, strict=True)
        )
        yield row(Kind.CASE, [features(Kind.CASE, index, samples, case) for index, samples in enumerate(bands)], case)


def _reference(
    samuel: Samuel, song: SongFolder, index: int, wanted: set[SheetSource], on_audio: AudioCallback
) -> _Reference:
    facts = samuel.manifest.codec
    rate = facts.sample_rate_hz
    stems = read_stems(song, rate, facts.channels)
    samples = len(stems.accompaniment)
    voice_onsets = onset_strength(analysed(stems.vocals, rate))
    written = read_facts(song)
    truth = Truth(Features.of(stems.accompaniment, rate), written, samples / rate, voice_onsets)
    on_audio(EvaluatedAudio(Kind.VOICE, None, index, stems.vocals))
    on_audio(EvaluatedAudio(Kind.TRUTH, None, index, stems.accompaniment))
    band, voice = encode_band(samuel, stems.accompaniment), encode_voice(samuel, stems.vocals)
    sheets = {source: sheet_for(samuel, source, stems.vocals, written, song.name) for source in wanted}
    return _Reference(truth, band, voice, samples, sheets)


def _floor(truths: Sequence[Truth], index: int) -> Scores:
    """Mean scores of the bands of other songs, the next ones in the list, for song ``index``."""
    others = [truths[(index + step) % len(truths)].band for step in range(1, min(len(truths), _OTHERS_MOST + 1))]
    judged = [truths[index].judge(band) for band in others]
    return {name: float(np.mean([scores[name] for scores in judged])) for name in judged[0]}
