"""First weights of the encoder's linear skip: the principal components of coarse log spectra, whitened."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from samuel_train.codec.model.small import SmallEncoder

_LEAST_SHARE = 1e-4  # of the largest variance; quieter components are not scaled up to unit variance
_LEARNED_SHARE = 0.3  # the learned branch starts below the skip


@torch.no_grad()
def start_from_pca(encoder: SmallEncoder, batches: Iterable[Tensor]) -> None:
    """Set the skip so that the latents begin uncorrelated, centred and of unit variance.

    Args:
        encoder: changed in place.
        batches: crops (batch, 2, samples), which must hold more latent frames than the codec has latents.
    """
    rows = torch.cat([encoder.skip_features(encoder.features(audio).levels).flatten(0, 1) for audio in batches])
    mean = rows.double().mean(dim=0)  # rows: (batches * batch * frames, features)
    centred = rows.double() - mean
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(rows))
    count = encoder.skip.out_features
    scale = values.flip(0)[:count].clamp(min=_LEAST_SHARE * values[-1].item()).rsqrt()
    weight = vectors.flip(1)[:, :count].T * scale[:, None]  # (latents, features)
    encoder.skip.weight.copy_(weight)
    encoder.skip.bias.copy_(-weight @ mean)
    encoder.leave.weight.mul_(_LEARNED_SHARE)
    encoder.leave.bias.zero_()
