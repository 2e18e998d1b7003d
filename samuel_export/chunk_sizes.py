"""How many new frames a codec's graphs should be given at once."""

from __future__ import annotations

from samuel_train.codec import Codec
from samuel_train.codec.oobleck import OobleckCodec

_FRAMES = 128
_OOBLECK_FRAMES = 64


def chunk_frames(codec: Codec) -> int:
    """New frames of a chunk, each of which is read with the codec's context on both sides.

    Longer chunks spend less on context, and take more memory: 0.6 MB a frame for the small codec, 4 MB for Stable
    Audio Open's. Measured with ONNX Runtime, weights and loading included:

    ======================== ===== ===== ===== ===== =====
    new frames                  32    64   128   256   512
    ======================== ===== ===== ===== ===== =====
    small: frames read a new  1.81  1.41  1.20  1.10  1.05
    small: peak MB             114   138   176   253   409
    large: frames read a new  1.63  1.31  1.16  1.08  1.04
    ======================== ===== ===== ===== ===== =====

    The large one's peak is 0.94 GB with 32 new frames, 1.20 GB with 64 and 1.29 GB with 96, and a whole `samuel-run`
    has to stay below 1.5 GB.
    """
    return _OOBLECK_FRAMES if isinstance(codec, OobleckCodec) else _FRAMES
