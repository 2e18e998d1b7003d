"""The packaged bundle plays from its lead sheet: what is edited there changes there, and nowhere before."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from samuel_runtime import Audio, ChordSpan, LeadSheet, Samuel, Settings
from samuel_runtime.bundle.bundle import PACKAGED_BUNDLE
from samuel_runtime.leadsheet.chords import Chord
from samuel_train.evaluate.metrics.cqt_chroma import cqt_chroma

pytestmark = pytest.mark.usefixtures("librosa_compiled")

WRITTEN, EDITED = ("A:min", "F:maj", "C:maj", "G:maj"), ("F#:maj", "B:maj", "E:maj", "C#:min")
BARS, FIRST_EDITED = 12, 8  # of the example voice; the ninth is the first that is edited


def centred(chroma: np.ndarray) -> np.ndarray:
    """(12, bars), each bar of mean 0 and norm 1."""
    chroma = chroma - chroma.mean(axis=0)
    return np.asarray(chroma / np.linalg.norm(chroma, axis=0))


def test_chords_edited_in_bars_9_to_12_change_the_band_there_and_nowhere_before() -> None:
    samuel = Samuel.load()
    voice = Audio.read(PACKAGED_BUNDLE.parent / "example_voice.flac")
    heard = samuel.listen(voice)
    bars_s = heard.downbeats_s[: BARS + 1]
    names = [WRITTEN[bar % 4] for bar in range(BARS)]
    edited_names = [*names[:FIRST_EDITED], *EDITED]

    def played(names: list[str]) -> Audio:
        chords = tuple(ChordSpan(start_s, name) for start_s, name in zip(bars_s, names, strict=False))
        sheet: LeadSheet = replace(heard, chords=chords)
        return samuel.accompany(voice, Settings(lead_sheet=sheet, seed=0, steps=8))

    def by_bar(band: Audio, bars: range) -> np.ndarray:
        """Of these bars alone: chroma of basses takes in half a second on either side."""
        edges = np.round(np.array(bars_s) * band.sample_rate_hz).astype(int)
        first, last = edges[bars.start], edges[bars.stop]
        chroma = cqt_chroma(band.samples[first:last], band.sample_rate_hz)
        at = np.round((edges[bars.start : bars.stop + 1] - first) * chroma.shape[1] / (last - first)).astype(int)
        return centred(np.stack([chroma[:, a:b].mean(axis=1) for a, b in pairwise(at)], axis=1))

    def of(names: list[str]) -> np.ndarray:
        tones = [np.isin(np.arange(12), Chord.parse(name).pitch_classes).astype(float) for name in names]
        return centred(np.stack(tones, axis=1))

    before, after = played(names), played(edited_names)
    untouched, edited = range(FIRST_EDITED), range(FIRST_EDITED, BARS)
    assert (by_bar(before, untouched) * by_bar(after, untouched)).sum(axis=0).min() > 0.98
    there = by_bar(after, edited)
    new, old = ((there * of(chords)[:, FIRST_EDITED:]).sum(axis=0) for chords in (edited_names, names))
    assert new.mean() > 0.5 and new.mean() > old.mean() + 0.5, (new.round(2), old.round(2))
