from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from samuel_runtime.audio.samples import Audio
from samuel_runtime.bundle.manifest import GraphName
from samuel_runtime.codec import Codec, CodecEngines
from samuel_runtime.engines import loading
from samuel_runtime.engines.backend import Engine
from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import Settings
from tests.support.runtime.commands import singing

FRAMES = 150
"""Latent frames of the test's song: several chunks of 32."""


@pytest.fixture(scope="module")
def whole(bundle: Path) -> Codec:
    """A codec that takes any song in one piece."""
    codec = Samuel.load(bundle, threads=1).codec
    return replace(codec, facts=codec.facts.model_copy(update={"chunk_frames": 1 << 16}))


@pytest.fixture(scope="module")
def chunked(whole: Codec) -> Codec:
    return replace(whole, facts=whole.facts.model_copy(update={"chunk_frames": 32}))


@pytest.fixture(scope="module")
def voice(whole: Codec) -> np.ndarray:
    samples = singing(FRAMES * whole.facts.hop_samples / 44100 + 0.1, channels=whole.facts.channels)
    return samples[: FRAMES * whole.facts.hop_samples]


def _blocks(samples: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (samples[i : i + size] for i in range(0, len(samples), size))


def _error_db(actual: np.ndarray, expected: np.ndarray) -> float:
    error = np.linalg.norm(actual.astype(np.float64) - expected) / np.linalg.norm(expected.astype(np.float64))
    return float(20 * np.log10(max(error, 1e-20)))


def test_chunked_encoding_equals_one_piece(whole: Codec, chunked: Codec, voice: np.ndarray) -> None:
    expected = whole.encode(_blocks(voice, 1 << 16), FRAMES)
    error_db = _error_db(chunked.encode(_blocks(voice, 1 << 16), FRAMES), expected)
    print(f"chunked encoding against one piece: {error_db:.0f} dB")
    assert expected.shape == (64, FRAMES) and expected.std() > 0.01
    assert error_db < -80


def test_chunked_decoding_equals_one_piece(whole: Codec, chunked: Codec) -> None:
    """What is predicted; of waveforms the same is shown in test_synthesis.py, where rounding decides no tie."""
    latents = np.random.default_rng(0).standard_normal((64, FRAMES)).astype(np.float32)
    expected, found = (
        np.concatenate([outputs["mid_levels"].copy() for _, outputs in codec.decoder_outputs(latents)])
        for codec in (whole, chunked)
    )
    error_db = _error_db(found, expected)
    print(f"chunked decoding against one piece: {error_db:.0f} dB")
    assert expected.shape == (FRAMES * 4, 992) and expected.std() > 1e-4
    assert error_db < -80


def test_decoding_gives_the_whole_duration(chunked: Codec) -> None:
    latents = np.random.default_rng(0).standard_normal((64, FRAMES)).astype(np.float32)
    blocks = list(chunked.decode(latents))
    assert len(blocks) > 1
    assert np.concatenate(blocks).shape == (FRAMES * chunked.facts.hop_samples, chunked.facts.channels)


def test_without_context_chunks_would_differ(whole: Codec, voice: np.ndarray) -> None:
    bare = whole.facts.model_copy(update={"chunk_frames": 32, "encoder_context_frames": 0})
    expected = whole.encode(_blocks(voice, 1 << 16), FRAMES)
    assert _error_db(replace(whole, facts=bare).encode(_blocks(voice, 1 << 16), FRAMES), expected) > -60


@pytest.mark.parametrize("size", [777, 2048, 50_000])
def test_block_sizes_do_not_matter(chunked: Codec, voice: np.ndarray, size: int) -> None:
    expected = chunked.encode(_blocks(voice, 1 << 16), FRAMES)
    np.testing.assert_array_equal(chunked.encode(_blocks(voice, size), FRAMES), expected)


def test_a_voice_that_ends_early_is_followed_by_silence(chunked: Codec, voice: np.ndarray) -> None:
    short = voice[: 20 * chunked.facts.hop_samples + 3]
    padded = np.concatenate([short, np.zeros((len(voice) - len(short), voice.shape[1]), np.float32)])
    expected = chunked.encode(_blocks(padded, 9999), FRAMES)
    np.testing.assert_array_equal(chunked.encode(_blocks(short, 9999), FRAMES), expected)


@pytest.mark.parametrize("frames", [1, 2, 31, 32, 33])
def test_short_songs(chunked: Codec, frames: int) -> None:
    latents = chunked.encode(iter([]), frames)
    assert latents.shape == (64, frames) and np.isfinite(latents).all()
    samples = sum(len(block) for block in chunked.decode(latents))
    assert samples == frames * chunked.facts.hop_samples


def test_progress_is_told_after_every_chunk(chunked: Codec) -> None:
    told: list[tuple[int, int]] = []
    chunked.encode(iter([]), 70, lambda done, total: told.append((done, total)))
    assert told == [(32, 70), (64, 70), (70, 70)]
    told.clear()
    list(chunked.decode(np.zeros((64, 33), np.float32), lambda done, total: told.append((done, total))))
    assert told == [(32, 33), (33, 33)]


class _Graph:
    """An engine that is only opened and dropped."""


def test_large_graphs_are_open_one_at_a_time() -> None:
    opened: list[weakref.ref[_Graph]] = []

    def open_graph(name: GraphName) -> Engine:
        assert all(other() is None for other in opened), "another graph still holds its memory"
        graph = _Graph()
        opened.append(weakref.ref(graph))
        return graph  # type: ignore[return-value]

    engines = CodecEngines(open_graph, together=False)
    assert not opened
    for name in (GraphName.ENCODER, GraphName.DECODER, GraphName.DECODER, GraphName.ENCODER):
        assert engines[name] is engines[name]
    assert len(opened) == 3


def test_small_graphs_are_opened_once_however_many_songs_follow() -> None:
    opened: list[GraphName] = []

    def open_graph(name: GraphName) -> Engine:
        opened.append(name)
        return _Graph()  # type: ignore[return-value]

    engines = CodecEngines(open_graph, together=True)
    for _ in range(3):
        assert engines[GraphName.ENCODER] is not engines[GraphName.DECODER]
    assert opened == [GraphName.ENCODER, GraphName.DECODER]


def test_a_large_codec_makes_the_same_band(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    voice, settings = Audio(singing(1.0), 44100), Settings(steps=2)
    together = Samuel.load(bundle, threads=1).accompany(voice, settings).samples
    monkeypatch.setattr(loading, "_TOGETHER_BYTES", 0)
    apart = Samuel.load(bundle, threads=1)
    for _ in range(2):
        np.testing.assert_array_equal(apart.accompany(voice, settings).samples, together)


def test_a_large_graph_that_is_damaged_is_found_before_any_work(
    bundle_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_TOGETHER_BYTES", 0)
    decoder = bundle_copy / "decoder.onnx"
    decoder.write_bytes(decoder.read_bytes()[:-1] + b"\0")
    with pytest.raises(UserError, match=r"decoder\.onnx"):
        Samuel.load(bundle_copy, threads=1)


def test_decoded_blocks_are_the_callers_to_keep(chunked: Codec) -> None:
    latents = np.random.default_rng(1).standard_normal((64, FRAMES)).astype(np.float32)
    blocks = list(chunked.decode(latents))
    assert len(blocks) > 2
    for block, again in zip(blocks, chunked.decode(latents), strict=True):
        np.testing.assert_array_equal(block, again)
