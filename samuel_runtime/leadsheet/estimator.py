"""The estimator: features of a melody to what they say of beats, chords and key, by a bundle's graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.activations import ACTIVATION_SIZES, Activations
from samuel_runtime.melody import MelodyTracks, melody_features

FRAMES_MULTIPLE = 4
"""The graph takes a multiple of so many frames."""


def check_outputs(outputs: dict[str, np.ndarray], sizes: dict[str, tuple[int, ...]], steps: int, graph: str) -> None:
    """See whether a bundle's graph gives numbers, of one song and so many steps.

    Raises:
        UserError: it gives something else than its manifest says.
    """
    for name, of_step in sizes.items():
        if outputs[name].shape != (1, steps, *of_step) or not np.isfinite(outputs[name]).all():
            raise UserError(
                f"the bundle's {graph} gives {name} of shape {outputs[name].shape} or without meaning; add it again "
                "with `samuel-export BUNDLE --estimator FILE`"
            )


@dataclass(frozen=True)
class Estimator:
    """A bundle's estimator, ready to run."""

    engine: Callable[..., dict[str, np.ndarray]]
    """Takes ``melody`` (batch, MELODY_CHANNELS, frames), gives each of ``ACTIVATION_SIZES`` (batch, frames, ...)."""

    def estimate(self, tracks: MelodyTracks) -> Activations:
        """What the whole song says of each of its frames; it is seen in one piece.

        Raises:
            UserError: the graph fails, or gives something else than its manifest says.
        """
        features = melody_features(tracks)
        missing = -features.shape[1] % FRAMES_MULTIPLE
        padded = np.pad(features, ((0, 0), (0, missing)))[None]  # (1, MELODY_CHANNELS, frames)
        outputs = self.engine(melody=padded)
        check_outputs(outputs, ACTIVATION_SIZES, padded.shape[2], "estimator")
        return Activations(**{name: outputs[name][0, : tracks.frames] for name in ACTIVATION_SIZES})
