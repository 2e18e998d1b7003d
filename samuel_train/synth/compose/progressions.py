"""Functional four-bar progressions, by mode: what a section's harmony is drawn from.

A bar holds one chord, or two with a ``:`` between; ``V/x`` are secondary dominants.
"""

from __future__ import annotations

from samuel_train.synth.compose.theory import Mode

PROGRESSIONS = {
    Mode.MAJOR: (
        "I V vi IV",
        "vi IV I V",
        "I vi IV V",
        "I iii IV V",
        "I IV vi V",
        "I IV ii V",
        "I V/vi vi IV",
        "I V/ii ii V",
        "IV V iii vi",
        "I V/IV IV V",
        "I ii IV I",
        "I bVII IV I",
        "vi ii V I",
        "I V IV:V I",
        "I:V/vi vi:IV ii V",
        "IV iv I V/ii:V",
    ),
    Mode.MINOR: (
        "i VI III VII",
        "i VII VI V",
        "i iv VII III",
        "i VI iv V",
        "i III VII iv",
        "i iv i V",
        "VI VII i i",
        "i v VI VII",
        "i V/iv iv V",
        "i VI iio V",
        "iv V/III III VI:V",
        "i:VII VI iv V",
    ),
}
"""For songs of any style."""

JAZZ_PROGRESSIONS = {
    Mode.MAJOR: (
        "ii V I vi",
        "I V/ii ii V",
        "iii V/ii ii V",
        "I:vi ii:V iii:V/ii ii:V",
        "I V/IV IV V",
        "ii V I V/ii",
        "I IV iii:V/ii ii:V",
    ),
    Mode.MINOR: (
        "i iio V i",
        "i iv iio V",
        "iv VII III VI",
        "i:VI iio:V i V",
        "iio V i V/iv",
    ),
}
"""For songs whose chords carry sevenths and move in fifths."""
