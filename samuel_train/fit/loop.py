"""Training a denoiser: from a folder of latents to a checkpoint, on whatever Accelerate finds."""

from __future__ import annotations

import hashlib
import json
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor
from tqdm import tqdm

from samuel_runtime.bundle.statistics import Statistics
from samuel_runtime.diffusion.schedule import Schedule
from samuel_runtime.errors import UserError
from samuel_train.data.latents import Latents, Split, latent_statistics, read_latents, split_songs
from samuel_train.device.capturable_optimizer import make_capturable, set_rate, skip_overflow
from samuel_train.device.choice import choose_device, has_bfloat16
from samuel_train.device.cuda_graph_step import CudaGraphStep, Measured
from samuel_train.fit.auxiliary_loss import auxiliary_errors
from samuel_train.fit.batches import Batch, Batches
from samuel_train.fit.ema import Ema
from samuel_train.fit.metrics_log import append_metrics, rewind_metrics
from samuel_train.fit.objective import Objective
from samuel_train.fit.plots import draw_plots
from samuel_train.fit.run_folder import (
    CHECKPOINT_FILE,
    METRICS_FILE,
    STATE_FILE,
    check_same_run,
    open_run,
    refuse_other_run,
)
from samuel_train.fit.settings import FitConfig, MixedPrecision
from samuel_train.fit.state import RunState, load_state, save_state
from samuel_train.fit.validation import Validation, report
from samuel_train.model.checkpoint import Checkpoint, grown, save_checkpoint
from samuel_train.model.denoiser import Denoiser
from samuel_train.model.fast_forward import with_fast_forward

_VALIDATION_STEPS_MIN = 100
_OVERFLOWS_MOST = 20  # in a row


@dataclass(frozen=True)
class Fitted:
    """What a run made."""

    checkpoint: Path
    """The running average of the weights at the lowest validation loss."""
    steps: int
    """Optimiser steps done."""
    validation_loss: float
    """The lowest."""


def fit(
    latents: Path,
    out: Path,
    config: FitConfig,
    device: str = "auto",
    resume: bool = False,
    start: Checkpoint | None = None,
    own_statistics: bool = False,
) -> Fitted:
    """Train on the folder ``latents`` and write checkpoint, metrics, plots and the state to resume from to ``out``.

    A run with a ``start`` begins with its weights, and normalises latents by its statistics, not by its own: those
    weights mean nothing in another space. With ``own_statistics`` it normalises by its own, for latents of a codec that
    was trained further: its channels mean the same, but have other means and deviations. A resumed run needs no start.
    What a start lacks of this network, its sheet encoder, begins anew, and changes nothing at first.

    Under ``accelerate launch`` every process calls this with the same arguments; ``config.batch`` is split
    among them and the losses are those of a single process. A resumed run continues to the same losses.

    Raises:
        UserError: for latents, settings, a start or a device that cannot be used, and when the loss is no longer
            finite.
    """
    if start is not None:
        start = grown(start, config.model)
    data = read_latents(latents)
    split = split_songs(data, config.validation_fraction, config.seed)
    accelerator = _accelerator(config, device)
    if resume:
        check_same_run(out, config)
    else:
        refuse_other_run(out)
    accelerator.wait_for_everyone()  # nobody looks for a run that the main process has already opened
    if accelerator.is_main_process:
        open_run(out, config, resume)
    return _Run(data, split, out, config, accelerator, resume, start, own_statistics).train()


def learning_rate(config: FitConfig, progress: float) -> float:
    """Cosine from ``learning_rate`` at progress 0 to ``learning_rate_end`` at progress 1."""
    cosine = 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    return config.learning_rate_end + (config.learning_rate - config.learning_rate_end) * cosine


class _Run:
    """The parts of a run and its loop."""

    def __init__(
        self,
        data: Latents,
        split: Split,
        out: Path,
        config: FitConfig,
        accelerator: Accelerator,
        resume: bool,
        start: Checkpoint | None,
        own_statistics: bool,
    ) -> None:
        self.data, self.split, self.out, self.config, self.accelerator = data, split, out, config, accelerator
        measured = latent_statistics(data, self.split.training)
        digest = _digest(data, measured)
        if resume:
            self.state = self._stored(digest)
        elif start:
            statistics = measured if own_statistics else start.statistics
            self.state = RunState(digest, statistics.to_dict(), start.provenance)
        else:
            self.state = RunState(digest, measured.to_dict())
        self.statistics = Statistics.from_dict(self.state.statistics)
        share = (accelerator.process_index, accelerator.num_processes)
        self.batches = Batches(data, self.split.training, self.statistics, config, accelerator.device, *share)
        self.validation = Validation(data, self.split.validation, self.statistics, config, *share)
        weights = (config.weight_min, config.weight_max)
        self.objective = Objective(Schedule.cosine(config.model.timesteps), config.model.prediction, weights)
        self.objective.to(accelerator.device)

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.network = with_fast_forward(start.build().train() if start else Denoiser(config.model))
        self.network.to(accelerator.device)
        if self.network.vocal_context is not None:
            self.network.vocal_context.dropout = config.vocal_context_dropout
            if data.music is None:  # several processes wait for the gradient of every parameter that is trained
                self.network.vocal_context.auxiliary.requires_grad_(False)
        self.ema = Ema(self.network, config.ema_decay)
        optimizer = torch.optim.AdamW(
            self.network.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        if resume:
            self._restore(optimizer)
        self.model, self.optimizer = accelerator.prepare(self.network, optimizer)
        alone = accelerator.num_processes == 1 and accelerator.scaler is None
        self._descend = CudaGraphStep(self._descended, accelerator.device, possible=alone)
        make_capturable(self.optimizer, accelerator.device, self._descend.records)
        if accelerator.scaler is not None and self.state.scaler:
            accelerator.scaler.load_state_dict(self.state.scaler)

        steps_per_epoch = math.ceil(len(self.split.training) / config.batch)
        if config.auxiliary_steps and (self.network.vocal_context is None or data.music is None):
            raise UserError(
                f"{out}: auxiliary_steps needs a vocal_context_width, and songs with song.json that "
                "`samuel-train prepare` writes beside the latents; set it to 0"
            )
        self.steps = config.max_steps or config.epochs * steps_per_epoch
        self.validate_every = config.validate_every_steps or max(steps_per_epoch, _VALIDATION_STEPS_MIN)
        self._started_s = time.monotonic() - self.state.elapsed_s
        self._saved_s = -math.inf
        self._plots_due = False
        self._overflows = 0  # steps in a row whose gradient was not finite

    def train(self) -> Fitted:
        """Run to the last step, the time limit, or until nothing improves any more."""
        config, state = self.config, self.state
        progress, measured = self._progress(), list[Measured]()
        with self._bar() as bar:
            self._save()
            for step in range(state.step, self.steps):
                if progress >= 1 or state.stale >= config.patience:
                    break
                rate = config.auxiliary_learning_rate if self._auxiliary_stage() else learning_rate(config, progress)
                measured.append(self._step(self.batches[step], rate))
                state.step += 1
                progress = self._progress()
                logs = state.step % config.log_every_steps == 0
                validates = not self._auxiliary_stage() and (state.step % self.validate_every == 0 or progress >= 1)
                saves = self._seconds() - self._saved_s >= 60 * config.save_every_minutes
                if logs or validates or saves or progress >= 1:
                    auxiliary, norm = self._look(measured)  # a GPU is not waited for at every step
                if logs:
                    mean = sum(state.losses) / len(state.losses)
                    self._log({"loss": mean, "auxiliary_loss": auxiliary, "learning_rate": rate, "gradient_norm": norm})
                    bar.set_postfix(loss=f"{mean:.4f}", best=f"{state.best:.4f}", refresh=False)
                    state.losses.clear()
                if validates:
                    self._validate()
                bar.update()
                if saves:
                    self._save()
            self._save()
        self.accelerator.wait_for_everyone()
        return Fitted(self.out / CHECKPOINT_FILE, state.step, state.best)

    def _step(self, batch: Batch, rate: float) -> Measured:
        """One optimiser step; the loss over all processes, the auxiliary loss, and the norm of the gradient."""
        set_rate(self.optimizer, rate)
        torch.manual_seed(self.config.seed + self.state.step)  # of dropout: a resumed run leaves out the same
        measured = self._descend(self._auxiliary_stage(), *batch)
        self.ema.update(self.network, self.state.step + 1)
        return measured

    def _descended(self, auxiliary_stage: bool, *tensors: Tensor) -> Measured:
        """What a step does on the device, for the vocal context encoder alone or for all weights."""
        batch = Batch(*tensors)
        with self.accelerator.autocast():
            auxiliary = auxiliary_errors(self.network, batch.vocals, batch.music).mean()
        if auxiliary_stage:
            loss = auxiliary.new_zeros(())
            self.accelerator.backward(auxiliary)
            self._share_gradients()
        else:
            sheet = batch.sheet if batch.sheet.shape[1] else None
            loss = self.objective(self.model, batch.accompaniment, batch.vocals, batch.timesteps, batch.noise, sheet)
            self.accelerator.backward(loss + self.config.auxiliary_weight * auxiliary)
        norm = torch.as_tensor(
            self.accelerator.clip_grad_norm_(self.network.parameters(), self.config.gradient_norm_max),
            device=loss.device,
        )
        if self.accelerator.scaler is None:
            skip_overflow(self.optimizer.optimizer, norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        loss, auxiliary = self.accelerator.reduce(torch.stack([loss.detach(), auxiliary.detach()]), "mean")
        return {"loss": loss, "auxiliary_loss": auxiliary, "norm": norm}

    def _look(self, measured: list[Measured]) -> tuple[float, float]:
        """Read and empty the list of what the last steps measured; the last auxiliary loss and norm of the gradient."""
        before = self.state.step - len(measured)
        names = ("loss", "auxiliary_loss", "norm")
        rows = torch.stack([torch.stack([each[name] for name in names]) for each in measured]).tolist()
        measured.clear()
        for step, (loss, _, norm) in enumerate(rows, before + 1):
            self._overflows = 0 if math.isfinite(norm) else self._overflows + 1
            if not math.isfinite(loss) or self._overflows > _OVERFLOWS_MOST:
                raise UserError(
                    f"{self.out}: loss {loss} and gradient norm {norm} at step {step}; lower learning_rate, or set "
                    "mixed_precision to bf16 or no, and start again"
                )
            self.state.losses.append(loss)
        _, auxiliary, norm = rows[-1]
        return auxiliary, norm

    def _auxiliary_stage(self) -> bool:
        """Whether only the vocal context encoder is trained yet."""
        return self.network.vocal_context is not None and self.state.step < self.config.auxiliary_steps

    def _share_gradients(self) -> None:
        """Average gradients over processes, which a step that bypasses the prepared model does not do."""
        for parameter in self.network.parameters():
            if parameter.grad is not None:
                parameter.grad = self.accelerator.reduce(parameter.grad, "mean")

    def _validate(self) -> None:
        """Measure the running average, and keep it if it is the best so far."""
        accelerator, state = self.accelerator, self.state
        with accelerator.autocast():
            sums = self.validation.sums(self.ema.model, self.objective, accelerator.device)
            measured = report(accelerator.reduce(sums, "sum"))
            if self.network.vocal_context is not None:
                auxiliary = self.validation.auxiliary_loss(self.ema.model, accelerator.device)
                error, count = accelerator.reduce(auxiliary, "sum").tolist()
                measured["auxiliary_loss"] = error / count
            if accelerator.is_main_process:
                prediction = self.config.model.prediction
                sampled = self.validation.sample(self.ema.model, accelerator.device, prediction)
                self._log({"validation": measured, "sampling": sampled})
        self._plots_due = True
        state.stale += 1
        if measured["loss"] < state.best:
            state.best, state.stale = measured["loss"], 0
            if accelerator.is_main_process:
                save_checkpoint(self.out / CHECKPOINT_FILE, self._checkpoint())

    def _checkpoint(self) -> Checkpoint:
        songs = {self.data.songs[entry] for entry in self.split.training}
        provenance = {
            "made_by": "samuel-train fit",
            "data": f"{len(songs)} songs, {len(self.split.training)} entries of latents",
            "codec": self.data.codec,
            "steps": str(self.state.step),
            "validation_loss": f"{self.state.best:.6f}",
            "settings": json.dumps(self.config.to_dict()["fit"]),
        }
        if self.state.start:
            provenance["start"] = json.dumps(self.state.start)
        weights = self.ema.model.state_dict()
        return Checkpoint(self.config.model, self.statistics, weights, provenance, self.config.frames_min)

    def _progress(self) -> float:
        """Share of the run that is done, the same in every process: of its steps or of its time."""
        if self.config.max_minutes is None:
            return self.state.step / self.steps
        timed = self._seconds() / (60 * self.config.max_minutes)
        if self.accelerator.num_processes > 1:
            timed = float(broadcast(torch.tensor(timed, device=self.accelerator.device)))
        return max(self.state.step / self.steps, timed)

    def _seconds(self) -> float:
        return time.monotonic() - self._started_s

    def _log(self, line: dict[str, object]) -> None:
        if self.accelerator.is_main_process:
            step = self.state.step
            epoch = step * self.config.batch / len(self.split.training)
            append_metrics(self.out / METRICS_FILE, {"step": step, "epoch": epoch, "seconds": self._seconds(), **line})

    def _save(self) -> None:
        """Write the state to resume from, and the plots if there is something new to see."""
        self._saved_s = self._seconds()
        if not self.accelerator.is_main_process:
            return
        state, scaler = self.state, self.accelerator.scaler
        state.elapsed_s = self._seconds()
        state.model, state.ema = self.network.state_dict(), self.ema.model.state_dict()
        state.optimizer = self.optimizer.state_dict()
        state.scaler = {} if scaler is None else scaler.state_dict()
        save_state(self.out / STATE_FILE, state)
        if self._plots_due:
            draw_plots(self.out)
            self._plots_due = False

    def _stored(self, digest: str) -> RunState:
        """What this run saved last, if it was trained on these latents."""
        state = load_state(self.out / STATE_FILE)
        if state.data != digest:
            raise UserError(f"{self.out}: was trained on other latents than {self.data.folder}; resume it with those")
        return state

    def _restore(self, optimizer: torch.optim.Optimizer) -> None:
        self.network.load_state_dict(self.state.model)
        self.ema.model.load_state_dict(self.state.ema)
        optimizer.load_state_dict(self.state.optimizer)
        if self.accelerator.is_main_process:
            rewind_metrics(self.out / METRICS_FILE, self.state.step)

    @contextmanager
    def _bar(self) -> Iterator[tqdm]:
        hidden = None if self.accelerator.is_main_process else True
        with tqdm(total=self.steps, initial=self.state.step, desc="training", unit="step", disable=hidden) as bar:
            yield bar


def _accelerator(config: FitConfig, device: str) -> Accelerator:
    device = choose_device(device)
    if device == "cpu" and config.mixed_precision is MixedPrecision.FP16:
        raise UserError("mixed_precision fp16 needs a GPU; choose auto or no")
    precision = native_precision(config.mixed_precision, torch.device(device))
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision=precision.value)
    if precision is not config.mixed_precision and accelerator.is_main_process:
        chosen = "bf16" if precision is MixedPrecision.BF16 else "float32, as it does not compute in bfloat16 natively"
        tqdm.write(f"mixed_precision {config.mixed_precision.value} on {device}: {chosen}", file=sys.stderr)
    if config.batch % accelerator.num_processes:
        raise UserError(
            f"fit config: batch ({config.batch}) must be a multiple of the processes ({accelerator.num_processes})"
        )
    return accelerator


def native_precision(asked: MixedPrecision, device: torch.device) -> MixedPrecision:
    """What to compute in: bf16 for ``auto``, and no for ``auto`` and ``bf16`` where bfloat16 is only emulated."""
    if asked is MixedPrecision.AUTO and device.type == "mps":
        return MixedPrecision.NO  # not every Apple GPU has bfloat16, and PyTorch does not tell which
    if asked in (MixedPrecision.AUTO, MixedPrecision.BF16):
        # Emulated, a step of 12 examples took 26 s instead of 1.9 s.
        return MixedPrecision.BF16 if has_bfloat16(device) else MixedPrecision.NO
    return asked


def _digest(data: Latents, statistics: Statistics) -> str:
    """Changes with the songs and their latents."""
    return hashlib.sha256(json.dumps([data.songs, statistics.to_dict()]).encode()).hexdigest()
