"""How well the lead sheet of songs is heard that no estimator was trained on: decoded, as `samuel-run` does it.

    python -m samuel_train.listen.measure estimator.safetensors --chords chords.safetensors --voices HELDOUT \
        --sheets openewld.zip

Beside what is heard stands what is heard where the true beats are given, and where the true key is: it shows which of
them a mistake comes from. Voices of scores are rendered and tracked, with samuel-deploy[synth] and its programs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import click
import numpy as np
import torch
from torch import nn

from samuel_runtime.audio.samples import Audio, recording_of
from samuel_runtime.cli import console
from samuel_runtime.leadsheet import LeadSheet
from samuel_runtime.leadsheet.activations import FRAME_S
from samuel_runtime.leadsheet.chord_estimator import ChordEstimator
from samuel_runtime.leadsheet.chords import Key
from samuel_runtime.leadsheet.decoder import decode
from samuel_runtime.leadsheet.estimator import Estimator
from samuel_runtime.leadsheet.given import Given
from samuel_runtime.melody import MelodyTracks
from samuel_runtime.melody.tracker import MelodyTracker
from samuel_train.listen.checkpoint import load_estimator
from samuel_train.listen.sheet_scores import SheetScores, mean_scores, sheet_scores
from samuel_train.listen.songs.drawn_songs import FRAMES, HELD_OUT_SEED, DrawnSongs
from samuel_train.listen.songs.sung_score import sung_score
from samuel_train.listen.songs.voices import hear_voices
from samuel_train.synth.scores.musicxml import Score, read_scores

_SIMULATED = 40
_Song = tuple[MelodyTracks, LeadSheet]


@dataclass(frozen=True)
class Ears:
    """Networks in the place of a bundle's graphs."""

    estimator: Estimator
    chord_estimator: ChordEstimator | None = None

    @classmethod
    def of(cls, network: nn.Module, of_chords: nn.Module | None = None) -> Ears:
        """Of one network by frame, and maybe one of chords on beats."""
        chords = None if of_chords is None else ChordEstimator(_engine(of_chords, "pitches", "moments"))
        return cls(Estimator(_engine(network, "melody")), chords)

    def hear(self, tracks: MelodyTracks, duration_s: float, given: Sequence[Given]) -> list[LeadSheet]:
        """Sheets of one song with several things given."""
        activations = self.estimator.estimate(tracks)
        on_beats = None if self.chord_estimator is None else partial(self.chord_estimator.estimate, tracks)
        return [decode(activations, duration_s, each, on_beats) for each in given]


def _engine(network: nn.Module, *inputs: str) -> Callable[..., dict[str, np.ndarray]]:
    @torch.no_grad()
    def engine(**arrays: np.ndarray) -> dict[str, np.ndarray]:
        estimate = network(*(torch.from_numpy(arrays[name]) for name in inputs))
        return {name: value.numpy() for name, value in estimate.probabilities().items()}

    return engine


def rows(name: str, ears: Ears, songs: Iterable[_Song]) -> Iterator[str]:
    """Lines on a kind of song: as heard, with the true beats given, with the true key."""
    found: dict[str, list[SheetScores]] = {"": [], ", beats given": [], ", key given": []}
    for tracks, truth in songs:
        known = [
            Given(),
            Given(sheet=replace(truth, key=None, chords=(), melody=())),
            Given(key=Key.parse(truth.key) if truth.key else None),
        ]
        heard = ears.hear(tracks, truth.duration_s, known)
        for scores, sheet in zip(found.values(), heard, strict=True):
            scores.append(sheet_scores(sheet, truth))
    for how, scores in found.items():
        yield f"{name}{how} ({len(scores)} songs): {mean_scores(scores)}"


def sung_scores(scores: Iterable[Score]) -> Iterator[_Song]:
    """Scores as the project's singers sing them, heard by the true tracker; what hardly anybody sings is left out.

    Raises:
        UserError: a program that voices are made with is missing.
    """
    from samuel_train.synth.dsp import SAMPLE_RATE_HZ
    from samuel_train.synth.voice.recording import record_voice
    from samuel_train.synth.voice.voice import sing

    tracker = MelodyTracker.load()
    for number, score in enumerate(scores):
        rng = np.random.default_rng([HELD_OUT_SEED, number])
        if (song := sung_score(rng, score, FRAMES * FRAME_S)) is not None:
            samples = round(song.sheet.duration_s * SAMPLE_RATE_HZ)
            voice = record_voice(rng, sing(rng, song.notes, song.singer, samples))
            yield tracker.track(recording_of(Audio(voice, SAMPLE_RATE_HZ))), song.sheet


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--chords", type=click.Path(path_type=Path), help="Checkpoint of the estimator of chords.")
@click.option("--voices", type=click.Path(path_type=Path), multiple=True, help="Held-out songs with their voices.")
@click.option("--sheets", type=click.Path(path_type=Path), help="Scores, of which those in `heldout` are sung.")
def command(checkpoint: Path, chords: Path | None, voices: tuple[Path, ...], sheets: Path | None) -> None:
    """Measure estimators on simulated songs, and on voices and scores that are held out."""
    of_chords = None if chords is None else load_estimator(chords).build()
    ears = Ears.of(load_estimator(checkpoint).build(), of_chords)

    def tell(name: str, songs: Iterable[_Song]) -> None:
        for line in rows(name, ears, songs):
            click.echo(line)

    unseen = DrawnSongs(HELD_OUT_SEED)
    tell("simulated", (unseen[number] for number in range(_SIMULATED)))
    for root in voices:
        heard = hear_voices([root], lambda line: click.echo(line, err=True))
        tell(f"voices of {root.name}", [(voice.tracks, voice.sheet) for voice in heard])
    if sheets is not None:
        scores, _ = read_scores(sheets, held_out=True)
        tell("scores, sung", sung_scores(scores))


if __name__ == "__main__":
    console.run(command)
