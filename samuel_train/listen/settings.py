"""How the estimator is trained."""

from __future__ import annotations

from dataclasses import dataclass

from samuel_runtime.errors import UserError


@dataclass(frozen=True)
class ListenSettings:
    """One training run.

    Raises:
        UserError: no budget, or one that is none.
    """

    minutes: float | None = None
    """Wall time to train for; the learning rate falls to zero by its end."""
    steps: int | None = None
    """Steps to train for, where no minutes are given."""
    seed: int = 0
    """Of the first weights and the songs."""
    learning_rate: float = 2e-3
    """The highest."""
    warmup_steps: int = 50
    """In which the learning rate rises."""
    weight_decay: float = 0.02
    clip: float = 1.0
    """Largest norm of the gradient."""
    batch_frames: int = 24_576
    """Of all crops of a step together: six of 48 s."""
    reservoir: int | None = None
    """Songs that crops are drawn from; None is what suits the estimator (``Part``)."""
    renewed: int | None = None
    """Songs that replace others in every step, likewise; one takes 30 ms to make."""
    validation_songs: int = 24
    """Simulated songs that are held out."""
    save_every_s: float = 60.0
    """Between two savings of weights and state."""
    log_every_steps: int = 20
    """Between two lines of ``metrics.jsonl``."""

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise UserError("listen: give either --minutes or --steps")
        if (self.minutes or self.steps or 0) <= 0:
            raise UserError("listen: --minutes and --steps must be positive")

    def spent(self, step: int, elapsed_s: float) -> float:
        """Share of the budget that is spent, 0 to 1, after ``step`` steps and ``elapsed_s`` seconds."""
        if self.steps is not None:
            return min(1.0, step / self.steps)
        assert self.minutes is not None  # one of the two is given
        return min(1.0, elapsed_s / (60 * self.minutes))
