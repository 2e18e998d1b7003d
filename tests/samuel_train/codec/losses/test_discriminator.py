"""The codec's adversary: its losses point the right way, and it learns to hear a blurred spectrum."""

from __future__ import annotations

import torch

from samuel_train.codec.losses.discriminator import Discriminators, FeatureMaps, discriminator_loss, generator_losses


def scores(value: float) -> list[FeatureMaps]:
    """One discriminator with one layer of features and its scores."""
    return [FeatureMaps([torch.full((1, 2, 3, 3), value), torch.full((1, 1, 3, 3), value)])]


def test_the_hinge_is_satisfied_beyond_one_and_linear_before() -> None:
    assert discriminator_loss(scores(1.5), scores(-2.0)) == 0
    assert discriminator_loss(scores(0.0), scores(0.0)) == 2
    assert discriminator_loss(scores(-1.0), scores(1.0)) == 4


def test_the_decoder_pays_for_low_scores_and_for_other_features() -> None:
    adversarial, features = generator_losses(scores(2.0), scores(-1.0))
    assert adversarial == 1
    assert features == 1.5  # |2 - -1| as a share of 2
    adversarial, features = generator_losses(scores(2.0), scores(2.0))
    assert adversarial == -2
    assert features == 0


def test_it_learns_to_tell_noise_from_clicks_of_the_same_level() -> None:
    torch.manual_seed(0)
    adversary = Discriminators(width=2)
    optimiser = torch.optim.Adam(adversary.parameters(), 3e-3)
    generator = torch.Generator().manual_seed(1)

    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        noise = torch.randn(1, 2, 4096, generator=generator)
        clicks = torch.zeros(1, 2, 4096)
        clicks[..., ::512] = 512**0.5
        return 0.1 * noise, 0.1 * clicks

    first = discriminator_loss(*(adversary(each) for each in batch())).item()
    for _ in range(40):
        loss = discriminator_loss(*(adversary(each) for each in batch()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    last = discriminator_loss(*(adversary(each) for each in batch())).item()
    assert last < 0.5 * first


def test_silence_has_a_finite_gradient() -> None:
    torch.manual_seed(0)
    audio = torch.zeros(1, 2, 4096, requires_grad=True)
    adversarial, _ = generator_losses(Discriminators(2)(torch.ones(1, 2, 4096)), Discriminators(2)(audio))
    adversarial.backward()
    assert audio.grad is not None and audio.grad.isfinite().all()
