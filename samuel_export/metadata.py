"""Manifest entries of the model, the codec and the graphs."""

from __future__ import annotations

import onnx
from pydantic import ValidationError

from samuel_runtime.bundle.manifest import CodecFacts, Manifest, ModelFacts, TensorFacts
from samuel_runtime.diffusion.guidance import Guidance
from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.raster import CHANNELS as SHEET_CHANNELS
from samuel_train.codec import Codec, decoder_context_frames, encoder_context_frames
from samuel_train.codec.model.oobleck import OobleckCodec
from samuel_train.model.checkpoint import Checkpoint
from samuel_train.model.denoiser import FRAMES_MULTIPLE

WINDOW_FRAMES = 1024
"""A full window, 47.5 s: the length of the published data set's songs."""

_CHOSEN = {"frames", "chunk_frames", "steps", "side_gain_db", "peak_ceiling"}
_FRAMES = 128
_OOBLECK_FRAMES = 64


def facts_of(checkpoint: Checkpoint, codec: Codec, guidance: Guidance) -> tuple[ModelFacts, CodecFacts]:
    """Manifest entries of a model and its codec.

    Raises:
        UserError: a bundle cannot hold them.
    """
    try:
        return _model_facts(checkpoint, guidance), codec_facts_of(codec)
    except ValidationError as error:
        first = error.errors()[0]
        what = " ".join([error.title, *map(str, first["loc"])])
        raise UserError(f"{what}: {first['msg']}; a bundle needs a checkpoint and codec within these bounds") from error


def differing_facts(manifest: Manifest, model: ModelFacts, codec: CodecFacts) -> list[str]:
    """Names of the entries in which a manifest differs; what is chosen for a bundle alone is ignored."""
    pairs = ((manifest.model, model), (manifest.codec, codec))
    differing = [name for said, true in pairs for name, value in true if getattr(said, name) != value]
    return [name for name in differing if name not in _CHOSEN]


def tensor_facts(value: onnx.ValueInfoProto) -> TensorFacts:
    """Name, dtype and shape of a graph's input or output."""
    tensor = value.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
    return TensorFacts(name=value.name, dtype=dtype, shape=tuple(d.dim_param or d.dim_value for d in tensor.shape.dim))


def _model_facts(checkpoint: Checkpoint, guidance: Guidance) -> ModelFacts:
    config = checkpoint.config
    return ModelFacts(
        prediction=config.prediction,
        timesteps=config.timesteps,
        latent_channels=config.latent_channels,
        frames=WINDOW_FRAMES,
        frames_min=checkpoint.frames_min,
        frames_multiple=FRAMES_MULTIPLE,
        guidance=guidance.scale,
        guided_down_to=guidance.down_to,
        sheet_channels=SHEET_CHANNELS if config.sheet_width else 0,
        statistics=checkpoint.statistics.to_dict(),
    )


def codec_facts_of(codec: Codec) -> CodecFacts:
    """Manifest entry of a codec.

    Raises:
        ValidationError: a bundle cannot hold them.
    """
    facts = codec.facts
    return CodecFacts(
        sample_rate_hz=facts.sample_rate_hz,
        hop_samples=facts.hop_samples,
        channels=facts.channels,
        encoder_context_frames=max(encoder_context_frames(codec)),
        decoder_context_frames=max(decoder_context_frames(codec)),
        chunk_frames=chunk_frames(codec),
        decoder=facts.decoder,
        lowerable=isinstance(codec, OobleckCodec),  # of the other codec, low precision would be heard
    )


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
