"""How well the lead sheet of songs is heard that no estimator was trained on: decoded, as `samuel-run` does it.

    python -m samuel_train.listen.measure estimator.safetensors --voices HELDOUT --sheets openewld.zip

Beside what is heard stands what is heard where the true beats are given, and where the true key is: it shows which of
them a mistake comes from. Voices of scores are rendered and tracked, with samuel-deploy[synth] and its programs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import torch

from samuel_runtime.audio.samples import Audio, recording_of
from samuel_runtime.cli import console
from samuel_runtime.leadsheet import LeadSheet
from samuel_runtime.leadsheet.activations import FRAME_S
from samuel_runtime.leadsheet.chords import Key
from samuel_runtime.leadsheet.decoder import decode
from samuel_runtime.leadsheet.estimator import Estimator
from samuel_runtime.leadsheet.given import Given
from samuel_runtime.melody import MelodyTracks
from samuel_runtime.melody.tracker import MelodyTracker
from samuel_train.listen.checkpoint import load_estimator
from samuel_train.listen.examples import FRAMES, HELD_OUT_SEED, Examples
from samuel_train.listen.network import EstimatorNetwork
from samuel_train.listen.sheet_scores import SheetScores, mean_scores, sheet_scores
from samuel_train.listen.songs.sung_score import sung_score
from samuel_train.listen.songs.voices import hear_voices
from samuel_train.synth.scores.musicxml import Score, read_scores

_SIMULATED = 40
_Song = tuple[MelodyTracks, LeadSheet]


def estimator_of(network: EstimatorNetwork) -> Estimator:
    """The network in the place of a bundle's graph."""

    @torch.no_grad()
    def engine(**inputs: np.ndarray) -> dict[str, np.ndarray]:
        estimate = network(torch.from_numpy(inputs["melody"]))
        return {name: value.numpy() for name, value in estimate.probabilities().items()}

    return Estimator(engine)


def rows(name: str, estimator: Estimator, songs: Iterable[_Song]) -> Iterator[str]:
    """Lines on a kind of song: as heard, with the true beats given, with the true key."""
    found: dict[str, list[SheetScores]] = {"": [], ", beats given": [], ", key given": []}
    for tracks, truth in songs:
        activations = estimator.estimate(tracks)
        known = [
            Given(),
            Given(sheet=replace(truth, key=None, chords=(), melody=())),
            Given(key=Key.parse(truth.key) if truth.key else None),
        ]
        for scores, given in zip(found.values(), known, strict=True):
            scores.append(sheet_scores(decode(activations, truth.duration_s, given), truth))
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
@click.option("--voices", type=click.Path(path_type=Path), multiple=True, help="Held-out songs with their voices.")
@click.option("--sheets", type=click.Path(path_type=Path), help="Scores, of which those in `heldout` are sung.")
def command(checkpoint: Path, voices: tuple[Path, ...], sheets: Path | None) -> None:
    """Measure an estimator on simulated songs, and on voices and scores that are held out."""
    estimator = estimator_of(load_estimator(checkpoint).build())

    def tell(name: str, songs: Iterable[_Song]) -> None:
        for line in rows(name, estimator, songs):
            click.echo(line)

    examples = Examples(HELD_OUT_SEED)
    tell("simulated", (examples.song(number) for number in range(_SIMULATED)))
    for root in voices:
        heard = hear_voices([root], lambda line: click.echo(line, err=True))
        tell(f"voices of {root.name}", [(voice.tracks, voice.sheet) for voice in heard])
    if sheets is not None:
        scores, _ = read_scores(sheets, held_out=True)
        tell("scores, sung", sung_scores(scores))


if __name__ == "__main__":
    console.run(command)
