"""A trained codec in larger sizes: what it learned stays, what it gains begins without effect."""

from __future__ import annotations

from torch import nn

from samuel_runtime.errors import UserError
from samuel_train.codec.model.convnext import ConvNextBlock
from samuel_train.codec.model.small import SmallCodec
from samuel_train.codec.model.small_config import SmallCodecConfig


def grown(codec: SmallCodec, config: SmallCodecConfig) -> SmallCodec:
    """A codec of the sizes of ``config`` that does what ``codec`` does until it is trained.

    Raises:
        UserError: if ``config`` is smaller or wider than the codec; only blocks and long windows can be added.
    """
    result = SmallCodec(config, codec.provenance, codec.licence)
    try:
        added, unknown = result.load_state_dict(codec.state_dict(), strict=False)
    except RuntimeError as error:
        raise UserError("a trained codec can gain blocks and long windows, but no other widths") from error
    if unknown:
        raise UserError(f"a trained codec cannot lose {unknown[0]}")
    for name, module in result.named_modules():
        if isinstance(module, ConvNextBlock) and f"{name}.scale" in added:
            nn.init.zeros_(module.scale)
    return result
