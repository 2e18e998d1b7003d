"""The fundamental frequency of a voice, by SwiftF0 (Nieradzik, 2025): a small ONNX network at 16 kHz."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from samuel_runtime.audio.reading import Recording, resampled
from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.activations import FRAME_S

if TYPE_CHECKING:
    from swift_f0 import PitchResult, SwiftF0

_PUSHED_SAMPLES = 1 << 18  # 16 s: of each push, 21 frames in a thousand are read twice
UNVOICED_HZ = 220.0
"""F0 of a recording in which nothing is voiced."""
VOICED = 0.5
"""Confidence from which a frame is voiced; SwiftF0 calibrates it so."""


class PitchTracker:
    """SwiftF0, loaded once."""

    def __init__(self, detector: SwiftF0) -> None:
        self._detector = detector

    @classmethod
    def load(cls, threads: int | None = None) -> PitchTracker:
        """Load the network.

        Args:
            threads: of one operator; None is one per physical core.

        Raises:
            UserError: swift-f0 is not installed.
        """
        try:
            from swift_f0 import SwiftF0
        except ImportError as error:
            raise UserError(
                "melody: a voice's pitch is tracked by swift-f0, which is not installed; add it with `pip install "
                "swift-f0`, or beside onnxruntime-gpu with `pip install --no-deps swift-f0`"
            ) from error
        return cls(SwiftF0(threads, spin=False))

    def track(self, recording: Recording, frames: int) -> tuple[np.ndarray, np.ndarray]:
        """F0 in Hz and confidence at each frame, float64 (frames,) each, in memory that does not grow with the sound.

        Between SwiftF0's frames of 16 ms, F0 is interpolated along pitch, but across no unvoiced one.
        """
        found = list(self._results(recording))
        times_s, f0_hz, confidence = (
            np.concatenate([getattr(result, name) for result in found])
            for name in ("timestamps", "pitch_hz", "confidence")
        )
        at_s = (np.arange(frames) + 0.5) * FRAME_S
        voiced = confidence >= VOICED
        if not voiced.any():
            return np.full(frames, UNVOICED_HZ), np.interp(at_s, times_s, confidence)
        octaves = np.interp(at_s, times_s[voiced], np.log2(f0_hz[voiced]))
        nearest = np.minimum(np.searchsorted(times_s, at_s), len(times_s) - 1)
        after, before = nearest, np.maximum(nearest - 1, 0)
        jump = np.abs(np.log2(f0_hz[after]) - np.log2(f0_hz[before])) > 0.5  # between octaves lies no pitch
        jump &= voiced[after] & voiced[before]
        closer = np.where(np.abs(times_s[after] - at_s) < np.abs(times_s[before] - at_s), after, before)
        octaves[jump] = np.log2(f0_hz[closer[jump]])
        return 2**octaves, np.interp(at_s, times_s, confidence)

    def _results(self, recording: Recording) -> Iterator[PitchResult]:
        from swift_f0 import SAMPLE_RATE

        stream = self._detector.stream()
        pending: list[np.ndarray] = []
        for block in resampled(recording, SAMPLE_RATE, 1):
            pending.append(block[:, 0])
            if sum(map(len, pending)) >= _PUSHED_SAMPLES:
                yield stream.push(np.concatenate(pending), SAMPLE_RATE)
                pending = []
        if pending:
            yield stream.push(np.concatenate(pending), SAMPLE_RATE)
        yield stream.flush()
