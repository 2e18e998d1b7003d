"""How the small codec is trained: budget, losses and the share of each stage."""

from __future__ import annotations

from dataclasses import dataclass

from samuel_runtime.errors import UserError

LEARNING_RATE = 1.5e-3
FURTHER_LEARNING_RATE = 1e-3
"""Highest learning rate where training goes on from a finished codec."""
REFINING_LEARNING_RATE = 5e-4
"""Highest learning rate where only the decoder of a finished codec is trained."""


@dataclass(frozen=True)
class FitSettings:
    """One training run. Its last part, ``adversarial_share`` of the budget, is the adversarial stage."""

    minutes: float | None = None
    """Wall time to train for; the learning rate falls to zero by the end of each stage."""
    steps: int | None = None
    """Steps to train for, where no minutes are given."""
    adversarial_share: float = 0.0
    """Share of the budget in which the decoder alone is trained, against discriminators."""
    seed: int = 0
    """Of the first weights, the crops and the noise."""
    batch: int = 8
    """Crops a step."""
    echoes: int = 1
    """Steps on the same crops, each with its own noise and loss of the two that alternate (data echoing, Choi et al.,
    2019): for a GPU that waits for the CPUs that draw them."""
    crop_frames: int = 32
    """Latent frames a crop; 32 are 1.5 s."""
    learning_rate: float = LEARNING_RATE
    """Highest learning rate."""
    warmup: float = 0.02
    """Share of a stage in which the learning rate rises."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    rendered_from: float = 0.4
    """Share of the first stage after which the synthesised sound is compared as well as the predictions; before that
    a step takes half as long."""
    level_weight: float = 0.3
    """Weight of the bands' mean power in the loss."""
    covariance_weight: float = 0.05
    """Weight of the latents' correlations in the loss."""
    centre_weight: float = 0.1
    """Weight of the latents' means and variances in the loss."""
    noise: float = 0.3
    """Most noise on the latents, as a standard deviation; which makes the decoder robust to a denoiser's errors."""
    noise_ramp: float = 0.3
    """Share of the first stage in which the noise rises."""
    adversarial_learning_rate: float = 4e-4
    """Highest learning rate of decoder and discriminators in the adversarial stage."""
    adversarial_weight: float = 0.1
    """Weight of the adversarial loss."""
    feature_weight: float = 0.3
    """Weight of the distance of the discriminators' features."""
    discriminated_crops: int = 2
    """Crops of a step that are given to the discriminators, which cost more than everything else."""
    discriminator_width: int = 16
    """Channels of the discriminators' first layers."""
    save_every_s: float = 120.0
    """Between two savings of weights and state."""
    log_every_steps: int = 10
    """Between two lines of ``metrics.jsonl``."""

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise UserError("codec training: give either --minutes or --steps")
        if (self.minutes or self.steps or 0) <= 0:
            raise UserError("codec training: --minutes and --steps must be positive")
        if self.echoes < 1:
            raise UserError(f"codec training: --echoes must be at least 1, not {self.echoes}")
        if not 0 <= self.adversarial_share < 1:
            raise UserError(
                f"codec training: --adversarial-share must be at least 0 and below 1, not {self.adversarial_share}"
            )

    def spent(self, step: int, elapsed_s: float) -> float:
        """Share of the budget that is spent, 0 to 1, after ``step`` steps and ``elapsed_s`` seconds."""
        if self.steps is not None:
            return min(1.0, step / self.steps)
        assert self.minutes is not None  # one of the two is given
        return min(1.0, elapsed_s / (60 * self.minutes))
