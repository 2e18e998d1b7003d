"""Trains an estimator on songs as the tracker hears them, within a budget of minutes or steps."""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from samuel_runtime.bundle.manifest import GraphName
from samuel_runtime.errors import UserError
from samuel_runtime.files import check_name, replacing
from samuel_train.device.choice import lower_precision
from samuel_train.fit.metrics_log import append_metrics, rewind_metrics
from samuel_train.fit.run_folder import refuse_changes
from samuel_train.listen.checkpoint import EstimatorCheckpoint, save_estimator
from samuel_train.listen.config import EstimatorConfig, StackConfig
from samuel_train.listen.harmony import root_share
from samuel_train.listen.part import part_of
from samuel_train.listen.reservoir import Reservoir
from samuel_train.listen.settings import ListenSettings
from samuel_train.listen.songs.drawn_songs import HELD_OUT_SEED, DrawnSongs
from samuel_train.listen.songs.voices import HeardVoice
from samuel_train.synth.scores.musicxml import Score

CHECKPOINT_NAME = "estimator.safetensors"
STATE_NAME = "training.pt"
METRICS_NAME = "metrics.jsonl"
_MAY_CHANGE = {"minutes", "steps", "save_every_s", "log_every_steps"}  # settings that a resumed run may change
_HELD_OUT_SHARE = 0.1  # of the voices, the last by name
_VALIDATED_TOGETHER = 4
_OF_EXAMPLES = 1  # beside the seed and a number: choices of an example, not of its song
_CPU = torch.device("cpu")
_DAMAGED = (AttributeError, KeyError, RuntimeError, ValueError, TypeError, EOFError, pickle.UnpicklingError)
"""What reading a damaged state raises."""


def train_estimator(
    out_dir: Path,
    settings: ListenSettings,
    voices: Sequence[HeardVoice] = (),
    collections: Sequence[Sequence[Score]] = (),
    config: StackConfig | None = None,
    start: EstimatorCheckpoint | None = None,
    resume: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, float]:
    """Train, and save the estimator; losses and share of right roots on songs that are held out.

    Args:
        out_dir: receives ``estimator.safetensors``, ``training.pt`` and ``metrics.jsonl``.
        settings: budget and hyperparameters.
        voices: of which the last tenth is held out.
        collections: scores, all to train on; each is drawn from equally often.
        config: sizes of the network, and which one it is; by default those of the start, else of the estimator by
            frame.
        start: whose weights the run begins with, instead of random ones. A resumed run needs none.
        resume: continue from ``training.pt`` in ``out_dir``.
        say: receives a line of progress now and then.

    Raises:
        UserError: there is nothing to resume from, a resumed run has other settings or songs, a new one would
            replace another, or the start has other sizes than ``config``.
    """
    check_name(out_dir)
    if not resume:
        for name in (STATE_NAME, CHECKPOINT_NAME):
            if (out_dir / name).exists():
                raise UserError(
                    f"{out_dir}: holds an estimator already ({name}); continue it with --resume or choose another "
                    "folder with -o"
                )
    if resume:
        state, saved_config = _saved_state(out_dir)
        run = _Run(out_dir, settings, voices, collections, config or saved_config)
        run.restore(state)
    else:
        run = _Run(out_dir, settings, voices, collections, config or (start.config if start else EstimatorConfig()))
        run.begin(start)
    run.loop(say)
    return run.validate()


class _Run:
    def __init__(
        self,
        out_dir: Path,
        settings: ListenSettings,
        voices: Sequence[HeardVoice],
        collections: Sequence[Sequence[Score]],
        config: StackConfig,
    ) -> None:
        torch.manual_seed(settings.seed)
        self.out_dir, self.settings, self.config = out_dir, settings, config
        self.part = part_of(config)
        self.network = self.part.network(config)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        held = round(_HELD_OUT_SHARE * len(voices))
        training_voices, self.held_out_voices = voices[: len(voices) - held], voices[len(voices) - held :]
        songs = DrawnSongs(settings.seed, training_voices, collections)
        self.reservoir = Reservoir(
            partial(self._example, songs),
            settings.reservoir or self.part.reservoir,
            settings.renewed or self.part.renewed,
        )
        self.step, self.elapsed_s = 0, 0.0
        self.start_provenance: dict[str, str] = {}
        self.chosen = {
            **asdict(settings),
            "graph": self.part.graph.value,
            "config": config.to_dict(),
            "voices": [voice.name for voice in voices],
            "scores": [score.name for scores in collections for score in scores],
            "collections": [len(scores) for scores in collections],
        }

    def begin(self, start: EstimatorCheckpoint | None) -> None:
        """Make the folder, and take the weights of a start."""
        if start is not None:
            if start.config != self.config:
                raise UserError(f"the estimator to begin with has {start.config}, not {self.config}")
            self.network.load_state_dict(start.weights)
            self.start_provenance = start.provenance
        try:
            self.out_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{self.out_dir}: cannot be created ({error.strerror}); choose another folder with -o"
            ) from error
        (self.out_dir / METRICS_NAME).unlink(missing_ok=True)

    def restore(self, state: dict[str, Any]) -> None:
        """Continue where ``training.pt`` stopped."""
        refuse_changes(self.out_dir, state["settings"], self.chosen, _MAY_CHANGE)
        try:
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            torch.set_rng_state(state["generator"])
            self.step, self.elapsed_s = int(state["step"]), float(state["elapsed_s"])
            self.start_provenance = dict(state.get("start", {}))
        except _DAMAGED as error:
            raise _damaged(self.out_dir) from error
        rewind_metrics(self.out_dir / METRICS_NAME, self.step)

    def loop(self, say: Callable[[str], None]) -> None:
        """Train until the budget is spent, saving now and then."""
        began_s = time.monotonic() - self.elapsed_s
        saved_s = self.elapsed_s
        while (spent := self.settings.spent(self.step, self.elapsed_s)) < 1:
            found = self._train(spent)
            self.step += 1
            self.elapsed_s = time.monotonic() - began_s
            if self.step % self.settings.log_every_steps == 0:
                if not math.isfinite(found["loss"]):
                    raise UserError(f"{self.out_dir}: loss {found['loss']} at step {self.step}; begin anew elsewhere")
                line = {"step": self.step, "elapsed_s": self.elapsed_s}
                append_metrics(self.out_dir / METRICS_NAME, line | {name: round(v, 5) for name, v in found.items()})
                say(f"{spent:4.0%} " + "  ".join(f"{name} {value:.3f}" for name, value in found.items()))
            if self.elapsed_s - saved_s > self.settings.save_every_s:
                saved_s = self.elapsed_s
                self._save()
        self._save()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Losses and share of right roots: of simulated songs, and of voices (``voice_...``) if some are held out."""
        self.network.eval()
        unseen = DrawnSongs(self.settings.seed + HELD_OUT_SEED)
        found = self._means([self._example(unseen, number) for number in range(self.settings.validation_songs)])
        if self.held_out_voices:
            rng = np.random.default_rng(self.settings.seed)
            heard = self._means([self.part.example(rng, each.tracks, each.sheet) for each in self.held_out_voices])
            found |= {f"voice_{name}": value for name, value in heard.items()}
        return found

    def _train(self, spent: float) -> dict[str, float]:
        self.network.train()
        warm = min(1.0, (self.step + 1) / self.settings.warmup_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * warm * (0.5 + 0.5 * math.cos(math.pi * spent))
        rng = np.random.default_rng([self.settings.seed, self.step])
        batch = self.part.batch(self.reservoir.at(self.step), rng, self.settings.batch_frames)
        with lower_precision(_CPU):
            estimate = self.network(*batch.inputs)
        found = self.part.losses(estimate.float(), batch)
        self.optimizer.zero_grad()
        found["loss"].backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        self.optimizer.step()
        return {name: value.item() for name, value in found.items()}

    def _example(self, songs: DrawnSongs, number: int) -> Any | None:
        rng = np.random.default_rng([songs.seed, number, _OF_EXAMPLES])
        return self.part.example(rng, *songs[number])

    def _means(self, examples: Sequence[Any | None]) -> dict[str, float]:
        examples = [example for example in examples if example is not None]
        totals: dict[str, float] = {}
        for start in range(0, len(examples), _VALIDATED_TOGETHER):
            some = examples[start : start + _VALIDATED_TOGETHER]
            batch = self.part.whole(some)
            estimate = self.network(*batch.inputs)
            found = {name: value.item() for name, value in self.part.losses(estimate, batch).items()}
            for name, value in (found | {"root_share": root_share(estimate, batch)}).items():
                totals[name] = totals.get(name, 0.0) + value * len(some) / len(examples)
        return totals

    def _save(self) -> None:
        how = (
            f"samuel-train listen: {self.step} steps, seed {self.settings.seed}, {len(self.chosen['voices'])} voices, "
            f"{len(self.chosen['scores'])} scores, and procedural melodies"
        )
        weights = self.network.state_dict()
        provenance = {**{f"start_{name}": text for name, text in self.start_provenance.items()}, "training": how}
        save_estimator(self.out_dir / CHECKPOINT_NAME, EstimatorCheckpoint(self.config, weights, provenance))
        state: dict[str, Any] = {
            "network": weights,
            "optimizer": self.optimizer.state_dict(),
            "generator": torch.get_rng_state(),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "settings": self.chosen,
            "start": self.start_provenance,
        }
        with replacing(self.out_dir / STATE_NAME) as temporary:
            torch.save(state, temporary)


def _saved_state(out_dir: Path) -> tuple[dict[str, Any], StackConfig]:
    """What a run left to be continued, and the sizes of what it trains.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    path = out_dir / STATE_NAME
    if not path.is_file():
        raise UserError(f"{path}: missing, so there is nothing to resume; leave out --resume to begin anew")
    try:
        state = torch.load(path, weights_only=True)
        settings = {"graph": GraphName.ESTIMATOR.value, **state["settings"]}  # older runs know no other
        config = part_of(GraphName(settings["graph"])).config.from_dict(settings["config"])
        return {**state, "settings": settings}, config
    except _DAMAGED as error:
        raise _damaged(out_dir) from error


def _damaged(out_dir: Path) -> UserError:
    return UserError(f"{out_dir / STATE_NAME}: damaged; begin anew in another folder without --resume")
