"""How many new frames a codec's graphs should be given at once."""

from __future__ import annotations

from samuel_train.codec import Codec
from samuel_train.codec.oobleck import OobleckCodec

_FRAMES = 128
_OOBLECK_FRAMES = 64


def chunk_frames(codec: Codec) -> int:
    """New frames of a chunk, each of which is read with the codec's context on both sides.

    Longer chunks read fewer frames twice, and take more memory. The small codec, loading included, ONNX Runtime:

    ======================= ===== ===== ===== ===== =====
    new frames                 32    64   128   256   512
    frames read for each     1.81  1.41  1.20  1.10  1.05
    decoder's peak MB         114   138   176   253   409
    ======================= ===== ===== ===== ===== =====

    Stable Audio Open's, encoder and then decoder in one process, of which all is to stay below 1.5 GB:

    ======================= ===== ===== =====
    new frames                 64    96   128
    frames read for each     1.31  1.21  1.16
    ONNX Runtime, peak MB    1018  1060  1359
    OpenVINO fp32, peak MB   1166  1411  1547
    OpenVINO bf16, peak MB   1078  1078  1078
    ======================= ===== ===== =====
    """
    return _OOBLECK_FRAMES if isinstance(codec, OobleckCodec) else _FRAMES
