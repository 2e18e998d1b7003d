"""Which songs of a folder are sung from which score: as evenly as can be, whatever the number of songs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from samuel_runtime.errors import UserError
from samuel_train.data.stems import Skipped
from samuel_train.synth.scores.musicxml import Score, read_scores

_ORDER = 0x5C03E5  # beside a seed: of the scores' order
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Sheets:
    """Scores for a share of the songs.

    Raises:
        UserError: the share is not within 0 .. 1.
    """

    scores: Sequence[Score]
    """Each with its key."""
    share: float = 1.0
    """Of the songs that are sung from a score."""

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise UserError(f"the share of songs from sheets must lie above 0 and be at most 1, not {self.share}")

    @classmethod
    def read(cls, root: Path, held_out: bool = False, share: float = 1.0) -> tuple[Sheets, list[Skipped]]:
        """The scores of :func:`read_scores` whose key is certain, and those that are left out.

        Raises:
            UserError: there is no such folder or archive, it holds no such score, partitura is not installed, or the
                share is out of range.
        """
        scores, skipped = read_scores(root, held_out)
        certain = [score for score in scores if score.key is not None]
        skipped += [
            Skipped(score.name, "its key is uncertain: it has several signatures, or its last chord is not the tonic")
            for score in scores
            if score.key is None
        ]
        if not certain:
            raise UserError(
                f"{root}: none of {len(skipped)} scores can be played; {skipped[0].song}: {skipped[0].reason}"
            )
        return cls(certain, share), skipped

    def score_of(self, seed: int, index: int) -> Score | None:
        """The score of song ``index`` of a folder with this seed; None if the song is procedural.

        All scores are used once, in an order that the seed draws, before one comes again; then the song's own
        generator draws another tempo and excerpt.
        """
        rank, following = (int(number * self.share + _ROUNDING) for number in (index, index + 1))
        if rank == following:
            return None
        turn, place = divmod(rank, len(self.scores))
        order = np.random.default_rng([seed, turn, _ORDER]).permutation(len(self.scores))
        return self.scores[order[place]]


def digest(score: Score) -> str:
    """What a score says, as a number that changes with it."""
    return hashlib.sha256(repr(score).encode()).hexdigest()[:16]
