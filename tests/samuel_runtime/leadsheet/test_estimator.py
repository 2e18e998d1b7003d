"""The estimator in the runtime: any length goes in, activations of that length come out."""

from __future__ import annotations

import numpy as np
import pytest

from samuel_runtime.engines.backend import Backend
from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.activations import ACTIVATION_SIZES
from samuel_runtime.leadsheet.estimator import FRAMES_MULTIPLE, Estimator
from samuel_runtime.melody import MELODY_CHANNELS, MelodyTracks
from samuel_runtime.settings import Precision, Provider
from tests.support.runtime.toy_samuel import Bound


class Toy:
    """Gives the mean of its input for everything."""

    backend = Backend(Provider.CPU, Precision.FP32)
    inputs = frozenset({"melody"})
    outputs = tuple(ACTIVATION_SIZES)

    def __init__(self, fault: float = 0.0) -> None:
        self.fault = fault

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        melody = inputs["melody"]
        assert melody.shape[1] == MELODY_CHANNELS and melody.shape[2] % FRAMES_MULTIPLE == 0
        mean = melody.mean(axis=1) + self.fault
        return {
            name: np.broadcast_to(mean.reshape(*mean.shape, *(1 for _ in sizes)), (*mean.shape, *sizes))
            for name, sizes in ACTIVATION_SIZES.items()
        }

    def bind(self, **inputs: np.ndarray) -> Bound:
        raise NotImplementedError


def tracks(frames: int) -> MelodyTracks:
    ones = np.ones(frames)
    return MelodyTracks(220 * ones, ones, -20 * ones, ones)


@pytest.mark.parametrize("frames", [1, 4, 103])
def test_every_frame_has_its_activations(frames: int) -> None:
    found = Estimator(Toy()).estimate(tracks(frames))
    assert {name: getattr(found, name).shape for name in ACTIVATION_SIZES} == {
        name: (frames, *sizes) for name, sizes in ACTIVATION_SIZES.items()
    }
    assert (found.beat > 0).all()


def test_a_graph_that_gives_no_numbers_is_refused() -> None:
    with pytest.raises(UserError, match="samuel-export BUNDLE --estimator FILE"):
        Estimator(Toy(float("nan"))).estimate(tracks(8))
