"""The test of long songs, carried out: bands of some minutes, analysed window by window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from samuel_runtime.bundle.manifest import Manifest
from samuel_runtime.diffusion.windows import frames_for, windows_of
from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.sheet import LeadSheet
from samuel_runtime.pipeline import Samuel
from samuel_train.data.stems import Skipped, SongFolder
from samuel_train.evaluate.cases import Case, SheetSource
from samuel_train.evaluate.features import Features
from samuel_train.evaluate.rendering import encode_voice, render_generated, sheet_for
from samuel_train.evaluate.scores import Scores, Truth
from samuel_train.evaluate.songs import read_facts, read_stems
from samuel_train.evaluate.spectra import analysed, onset_strength
from samuel_train.evaluate.studies.drift import Drift, measured, settled
from samuel_train.evaluate.studies.long_songs import facts_within, lengthened

Spans = list[tuple[float, float]]


@dataclass(frozen=True, eq=False)
class _Reference:
    """What stays in memory of a long song."""

    name: str
    """Of the song."""
    truths: list[Truth]
    """Of every window."""
    vocals: np.ndarray
    """Normalised latents of the voice, (channels, frames)."""
    sheets: dict[SheetSource, LeadSheet]
    """What its band may play from."""


def spans_of(manifest: Manifest, minutes: float) -> Spans:
    """What the windows of a song of so many minutes settle, (start, stop) seconds.

    Raises:
        UserError: the song is a single window.
    """
    codec = manifest.codec
    samples = round(60 * minutes * codec.sample_rate_hz)
    frame_s = codec.hop_samples / codec.sample_rate_hz
    spans = settled(windows_of(manifest, frames_for(manifest, samples)), frame_s, samples / codec.sample_rate_hz)
    if len(spans) < 2:
        window_s = manifest.model.frames * frame_s
        raise UserError(f"--windows {minutes:g}: is one window of this bundle, {window_s:.1f} s; give more minutes")
    return spans


def drifts(
    samuel: Samuel, songs: Sequence[SongFolder], minutes: float, cases: Sequence[Case], advance: Callable[[], None]
) -> Iterator[Drift | Skipped]:
    """First what was left out, then the true bands, then every case.

    Args:
        samuel: the loaded bundle.
        songs: held out; one that is too short and cannot be looped is left out.
        minutes: length.
        cases: of the grid.
        advance: called after every band that was analysed, at most ``len(songs) * (1 + len(cases))`` times.

    Raises:
        UserError: a song cannot be read, or its length is a single window.
    """
    spans = spans_of(samuel.manifest, minutes)
    references: list[_Reference] = []
    for song in songs:
        one = _analyse(samuel, song, minutes, spans, {case.sheet for case in cases})
        advance()
        if one is None:
            yield Skipped(
                song.name, f"shorter than {minutes:g} min, and no bars to loop are known ({song.name}/song.json)"
            )
        else:
            references.append(one)
    if not references:
        return
    names = tuple(one.name for one in references)
    truth = [_judged(one.truths, [truth.band for truth in one.truths]) for one in references]
    yield Drift(minutes, None, tuple(spans), names, truth)
    for case in cases:
        scores = []
        for index, one in enumerate(references):
            latents = samuel.generate(one.vocals, case.settings(index), sheet=one.sheets[case.sheet])
            band = render_generated(samuel, latents, _samples(samuel, minutes))
            scores.append(_judged(one.truths, _parts(samuel, band, spans)))
            advance()
        yield Drift(minutes, case, tuple(spans), names, scores)


def _analyse(
    samuel: Samuel, song: SongFolder, minutes: float, spans: Spans, wanted: set[SheetSource]
) -> _Reference | None:
    codec = samuel.manifest.codec
    rate = codec.sample_rate_hz
    long = lengthened(read_stems(song, rate, codec.channels), read_facts(song), _samples(samuel, minutes), rate)
    if long is None:
        return None
    truths = []
    for (start_s, stop_s), band in zip(spans, _parts(samuel, long.stems.accompaniment, spans), strict=True):
        voice = long.stems.vocals[round(start_s * rate) : round(stop_s * rate)]
        onsets = onset_strength(analysed(voice, rate))
        truths.append(Truth(band, facts_within(long.facts, start_s, stop_s), stop_s - start_s, onsets))
    voice = long.stems.vocals
    sheets = {source: sheet_for(samuel, source, voice, long.facts, song.name) for source in wanted}
    return _Reference(song.name, truths, encode_voice(samuel, voice), sheets)


def _parts(samuel: Samuel, band: np.ndarray, spans: Spans) -> list[Features]:
    """A band (samples, channels), window by window."""
    rate = samuel.manifest.codec.sample_rate_hz
    return [Features.of(band[round(start_s * rate) : round(stop_s * rate)], rate) for start_s, stop_s in spans]


def _judged(truths: Sequence[Truth], parts: Sequence[Features]) -> list[Scores]:
    return [measured(truth, parts[0], part) for truth, part in zip(truths, parts, strict=True)]


def _samples(samuel: Samuel, minutes: float) -> int:
    return round(60 * minutes * samuel.manifest.codec.sample_rate_hz)
