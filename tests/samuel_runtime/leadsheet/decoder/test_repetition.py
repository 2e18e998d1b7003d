"""What a repeated bar says of another."""

from __future__ import annotations

import numpy as np
import pytest

from samuel_runtime.leadsheet.chords import Key
from samuel_runtime.leadsheet.decoder.harmony import ROOTS, VOCABULARY
from samuel_runtime.leadsheet.decoder.repetition import with_repetitions

KEY = Key.parse("C major")
LOOP = [VOCABULARY.index(chord) for chord in ((0, "maj"), (9, "min"), (5, "maj"), (7, "maj"))]
CLEAR = 20.0  # nats


def heard(chords: list[int | None], clear: float = CLEAR) -> np.ndarray:
    """(spans, chords) log-likelihoods, two spans a bar; None is a bar in which nothing is heard."""
    likely = np.zeros((2 * len(chords), len(VOCABULARY)))
    for bar, chord in enumerate(chords):
        if chord is not None:
            likely[2 * bar : 2 * bar + 2, chord] = clear
    return likely


def roots(likely: np.ndarray) -> list[int]:
    return ROOTS[likely.argmax(axis=1)].tolist()


@pytest.mark.parametrize("silent", [slice(0, 1), slice(5, 7), slice(8, 9)])
def test_a_bar_in_which_nothing_is_heard_is_as_four_bars_away(silent: slice) -> None:
    song: list[int | None] = list(LOOP * 3)
    song[silent] = [None] * len(song[silent])
    assert roots(with_repetitions(heard(song), 2, KEY)) == roots(heard([*LOOP * 3]))


def test_a_bar_that_is_clear_stays_what_it_is() -> None:
    song: list[int | None] = [*LOOP, *reversed(LOOP), *LOOP]
    assert roots(with_repetitions(heard(song), 2, KEY)) == roots(heard(song))


def test_silence_says_nothing_of_other_bars() -> None:
    song = heard([*LOOP, None, None, None, None])
    assert np.allclose(with_repetitions(song, 2, KEY)[:8], song[:8])


def test_a_song_that_does_not_repeat_says_nothing_of_a_silent_bar() -> None:
    first, second = [0, 9, 5, 7, 2, 4, 9, 5], [5, 7, 0, None, 7, 0, 2, 7]  # no two bars alike, four bars apart
    song = [None if root is None else VOCABULARY.index((root, "maj")) for root in (*first, *second)]
    silent = with_repetitions(heard(song), 2, KEY)[2 * song.index(None)]
    assert np.ptp(silent) < 1


def test_three_bars_have_nothing_to_repeat() -> None:
    song = heard(LOOP[:3], clear=1.0)
    assert np.array_equal(with_repetitions(song, 2, KEY), song)


def test_a_song_in_another_key_is_the_same_song() -> None:
    rng = np.random.default_rng(3)
    song = rng.normal(size=(32, len(VOCABULARY)))
    up = np.roll(song.reshape(32, 12, -1), 3, axis=1).reshape(song.shape)
    moved = with_repetitions(up, 2, Key.parse("Eb major")).reshape(32, 12, -1)
    assert np.allclose(np.roll(moved, -3, axis=1).reshape(song.shape), with_repetitions(song, 2, KEY))
