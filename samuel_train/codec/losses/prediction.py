"""How far a spectral decoder's predictions are from what they should be, before anything is synthesised.

Waveforms of different phases cannot be compared, so frequencies are compared as frequencies, where energy is; a loss
on the synthesised sound (codec/losses/spectral.py) sees the levels again as they come out.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from samuel_runtime.codec.spectrum import HOP_SAMPLES, TUNED_BINS, WINDOW_SAMPLES
from samuel_train.codec.losses.rendering import Prediction
from samuel_train.codec.losses.targets import Targets, decimated, hann

EDGE_FRAMES = 8
"""Frames at both ends of a crop that are not compared: the targets' longest windows reach beyond the crop there."""
_WEIGHTS = {"levels": 0.3, "partials": 1.0, "notes": 0.2, "deviations": 4.0, "bin_deviations": 0.1, "coherences": 0.15}
_SIDE_WEIGHT = 0.5
_COMPRESSION = 0.3  # of amplitudes: partials that are missing count, without silence weighing as much as sound
_AMPLITUDE_WEIGHT, _LEVEL_WEIGHT = 12.0, 0.15
_AUDIBLE = 1e-4
_QUIET = 1e-6
_NEIGHBOURS = 17  # bins that a peak is compared with
_PEAK_MOST = 8.0
_WRAP_BINS = WINDOW_SAMPLES / HOP_SAMPLES
_BASSES = 31  # partials up to MIDI 51
_LOW_WINDOWS = (512, 256, 128)  # at the low rate: 186, 93 and 46 ms
_LOW_WEIGHT = 2.0


def prediction_losses(prediction: Prediction, targets: Targets) -> dict[str, Tensor]:
    """Named terms whose sum is the loss."""
    said = {name: value[:, EDGE_FRAMES:-EDGE_FRAMES] for name, value in prediction.items()}
    true = {name: value[:, EDGE_FRAMES:-EDGE_FRAMES] for name, value in vars(targets).items() if value.ndim == 3}
    audible = (true["partial_amplitudes"] + _QUIET).sqrt()
    mid, side = ((said[name] - true[name]).abs().mean() for name in ("mid_levels", "side_levels"))
    terms = {
        "levels": mid + _SIDE_WEIGHT * side,
        "partials": _partial_loss(said["partial_levels"], true["partial_amplitudes"]),
        "notes": _note_loss(said["partial_levels"], true["partial_amplitudes"]),
        "deviations": _weighted((said["partial_deviations"] - true["partial_deviations"]).abs(), audible),
        "bin_deviations": _bin_loss(said, true),
        "coherences": _weighted(
            (said["coherences"] - true["coherences"]).abs(), ((true["mid_levels"] + true["side_levels"]) / 2).exp()
        ),
    }
    return {name: _WEIGHTS[name] * value for name, value in terms.items()}


def low_loss(mid: Tensor, targets: Targets) -> Tensor:
    """Distance of compressed magnitudes below 1.4 kHz, of the synthesised mid (batch, samples)."""
    low, total = decimated(mid), mid.new_zeros(())
    for window in _LOW_WINDOWS:
        made, true = (_compressed_spectrum(each, window) for each in (low, targets.low_mid))
        total = total + (made - true).abs().mean()
    return _LOW_WEIGHT * total


def _partial_loss(levels: Tensor, amplitudes: Tensor) -> Tensor:
    """Of (batch, frames, PARTIALS): squares, so that a note in doubt is shared out by its probabilities."""
    made, true = ((each + _QUIET) ** _COMPRESSION for each in (levels.exp(), amplitudes))
    off = (levels - (amplitudes + _QUIET).log()).abs() * (amplitudes > _AUDIBLE)
    return _AMPLITUDE_WEIGHT * (made - true).square().mean() + _LEVEL_WEIGHT * off.mean()


def _note_loss(levels: Tensor, amplitudes: Tensor) -> Tensor:
    """Which semitone is the loudest: cross-entropy of the shares of power, of basses and of what is above."""
    total = levels.new_zeros(())
    for part in (slice(0, _BASSES), slice(_BASSES, None)):
        power = amplitudes[..., part].square()
        sum_of = power.sum(dim=-1)
        entropy = -(power * (2 * levels[..., part]).log_softmax(dim=-1)).sum(dim=-1) / (sum_of + _QUIET**2)
        total = total + _weighted(entropy, sum_of.sqrt() + _QUIET)
    return total


def _bin_loss(said: dict[str, Tensor], true: dict[str, Tensor]) -> Tensor:
    """Negative log-likelihood of the turns under a Laplace distribution, at peaks of the spectrum."""
    power = (2 * true["mid_levels"][..., :TUNED_BINS]).exp()
    around = functional.avg_pool1d(power.flatten(0, 1).unsqueeze(1), _NEIGHBOURS, 1, _NEIGHBOURS // 2,
                                   count_include_pad=False)[:, 0].view_as(power)  # fmt: skip
    weight = (power / (around + 1e-10)).clamp(max=_PEAK_MOST) * (power > _AUDIBLE**2)
    off = said["bin_deviations"] - true["bin_deviations"]
    off = (off - _WRAP_BINS * (off / _WRAP_BINS).round()).abs()
    return _weighted(off * (-said["bin_spreads"]).exp() + said["bin_spreads"], weight)


def _weighted(values: Tensor, weights: Tensor) -> Tensor:
    return (weights * values).sum() / (weights.sum() + _QUIET)


def _compressed_spectrum(low: Tensor, window: int) -> Tensor:
    frames = low.unfold(-1, window, window // 4) * hann(window, low.device)
    spectrum = torch.fft.rfft(frames)[..., : window // 4] * (4 / window)
    return (spectrum.real.square() + spectrum.imag.square() + 1e-8) ** (_COMPRESSION / 2)
