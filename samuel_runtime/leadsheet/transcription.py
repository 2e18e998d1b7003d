"""From a voice to the song's lead sheet: its melody, what that says of beats and chords, and the song they make."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec

from samuel_runtime.audio.reading import Recording
from samuel_runtime.leadsheet.chord_estimator import ChordEstimator
from samuel_runtime.leadsheet.decoder import decode
from samuel_runtime.leadsheet.estimator import Estimator
from samuel_runtime.leadsheet.given import Given
from samuel_runtime.leadsheet.sheet import LeadSheet
from samuel_runtime.leadsheet.stated import sheet_from_given
from samuel_runtime.melody.tracker import MelodyTracker


class Transcriber:
    """A bundle's estimators between the melody tracker and the decoder."""

    def __init__(
        self, estimator: Estimator, chord_estimator: ChordEstimator | None = None, threads: int | None = None
    ) -> None:
        """Of a bundle's parts.

        Args:
            estimator: of beats, and of chords and key where nothing else hears them.
            chord_estimator: of chords and key on the beats.
            threads: the pitch tracker's; None is one per physical core.
        """
        self._estimator, self._chord_estimator, self._threads = estimator, chord_estimator, threads
        self._tracker: MelodyTracker | None = None

    @staticmethod
    def missing() -> str | None:
        """What is to be installed before a voice can be heard, as one line; None if all is there."""
        if find_spec("swift_f0") is not None:
            return None
        return (
            "swift-f0 is not installed, so the song is not listened to; add it with `pip install swift-f0`, or beside "
            "onnxruntime-gpu with `pip install --no-deps swift-f0`"
        )

    def transcribe(self, recording: Recording, given: Given) -> LeadSheet:
        """Write down what is sung.

        Args:
            recording: of the voice.
            given: what is known of the song: constraints of the decoder. With a sheet that has beats and chords the
                voice is not listened to.

        Raises:
            UserError: the recording cannot be read, or what is given does not fit it.
        """
        duration_s = recording.samples_count / recording.sample_rate_hz
        if given.sheet is not None:
            known = sheet_from_given(given, duration_s)
            if known.beats_s and known.chords:
                return known
            given = Given(given.bpm, given.first_beat_s, given.meter, given.key, given.chords, known)
        if self._tracker is None:  # loaded when it is needed: half a second
            self._tracker = MelodyTracker.load(self._threads)
        tracks = self._tracker.track(recording)
        on_beats = None if self._chord_estimator is None else partial(self._chord_estimator.estimate, tracks)
        return decode(self._estimator.estimate(tracks), duration_s, given, on_beats)
