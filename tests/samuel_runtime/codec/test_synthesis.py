"""What is predicted is what sounds: amplitude, pitch, place, time; and chunks are one piece."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samuel_runtime.codec import SpectralSynthesis, Spectrum
from samuel_runtime.codec.spectrum import HOP_SAMPLES, LOWEST_BIN, LOWEST_MIDI, SAMPLE_RATE_HZ, TUNED_BINS
from samuel_runtime.codec.synthesis import noise_phasors
from tests.support.runtime.spectra import SILENT, anything, silence

FRAMES = 128
INSIDE = slice(8192, 57_344)


def synthesised(spectrum: Spectrum) -> np.ndarray:
    return SpectralSynthesis()(spectrum, last=True)


def partial(midi: float, level: float = 0.25, frames: int = FRAMES, pan: float = 0.0) -> Spectrum:
    """One partial of the bank, held."""
    place = round(midi) - LOWEST_MIDI
    levels, deviations, pans = (np.zeros((frames, 56), np.float32) for _ in range(3))
    levels[:] = SILENT
    levels[:, place], deviations[:, place], pans[:, place] = np.log(level), midi - round(midi), pan
    return silence(frames, partial_levels=levels, partial_deviations=deviations, partial_pans=pans)


def amplitude(samples: np.ndarray, hz: float) -> float:
    """Of a sine in the middle of the samples."""
    window = np.hanning(len(samples[INSIDE]))
    turning = np.exp(-2j * np.pi * hz * np.arange(len(samples))[INSIDE] / SAMPLE_RATE_HZ)
    return float(2 * np.abs(np.sum(samples[INSIDE] * window * turning)) / window.sum())


def hz_of(midi: float) -> float:
    return float(440 * 2 ** ((midi - 69) / 12))


@settings(deadline=None, max_examples=25)
@given(midi=st.floats(28, 74))
def test_a_partial_has_its_amplitude_at_its_frequency(midi: float) -> None:
    samples = synthesised(partial(midi))
    assert amplitude(samples[:, 0], hz_of(midi)) == pytest.approx(0.25, rel=0.01)
    spectrum = np.abs(np.fft.rfft(samples[INSIDE, 0] * np.hanning(len(samples[INSIDE])), 1 << 19))
    cents = 1200 * np.log2(spectrum.argmax() * SAMPLE_RATE_HZ / (1 << 19) / hz_of(midi))
    assert abs(cents) < 4


def test_a_partial_between_two_semitones_is_one() -> None:
    """Both semitones claim it, and their waves add up instead of beating."""
    spectrum = partial(45.5)
    place = round(45.5) - LOWEST_MIDI
    other = place + (1 if spectrum.partial_deviations[0, place] > 0 else -1)
    spectrum.partial_levels[:, other] = np.log(0.25)
    spectrum.partial_deviations[:, other] = -spectrum.partial_deviations[:, place]
    assert amplitude(synthesised(spectrum)[:, 0], hz_of(45.5)) == pytest.approx(0.5, rel=0.02)


def test_a_glide_goes_on_with_its_phase() -> None:
    """Handed from semitone to semitone, without a gap in its envelope."""
    midi = np.linspace(50, 56, FRAMES)
    levels, deviations = np.full((FRAMES, 56), SILENT, np.float32), np.zeros((FRAMES, 56), np.float32)
    places = np.round(midi).astype(int) - LOWEST_MIDI
    levels[np.arange(FRAMES), places] = np.log(0.3)
    deviations[np.arange(FRAMES), places] = midi - np.round(midi)
    samples = synthesised(silence(FRAMES, partial_levels=levels, partial_deviations=deviations))[INSIDE, 0]
    loudness = np.sqrt(np.convolve(np.square(samples), np.ones(1024) / 1024, "valid"))
    assert loudness.min() > 0.8 * loudness.max()


@pytest.mark.parametrize(("pan", "left", "right"), [(0.0, 0.25, 0.25), (1.0, 0.5, 0.0), (-1.0, 0.0, 0.5)])
def test_a_panned_partial_is_where_it_is_put(pan: float, left: float, right: float) -> None:
    samples = synthesised(partial(60.0, pan=pan))
    assert [amplitude(channel, hz_of(60.0)) for channel in samples.T] == pytest.approx([left, right], abs=0.01)


@pytest.mark.parametrize("deviation", [-0.5, 0.0, 0.31])
def test_a_tuned_bin_turns_as_it_is_told(deviation: float) -> None:
    bin_number = 90
    levels = np.full((FRAMES, 992), SILENT, np.float32)
    for offset in (-1, 0, 1):
        levels[:, bin_number + offset - LOWEST_BIN] = np.log(0.2) - 0.7 * abs(offset)
    deviations = np.full((FRAMES, TUNED_BINS), deviation, np.float32)
    spectrum = silence(FRAMES, mid_levels=levels, bin_deviations=deviations,
                       bin_spreads=np.full((FRAMES, TUNED_BINS), -5, np.float32))  # fmt: skip
    samples = synthesised(spectrum)[INSIDE, 0]
    found = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 19)).argmax() * 2048 / (1 << 19)
    assert found == pytest.approx(bin_number + deviation, abs=0.01)


def test_uncertain_bins_are_noise_without_lines() -> None:
    spectrum = silence(512, mid_levels=np.full((512, 992), -5, np.float32),
                       bin_spreads=np.full((512, TUNED_BINS), 1, np.float32))  # fmt: skip
    samples = synthesised(spectrum)[:, 0]
    power = np.square(np.abs(np.fft.rfft(samples[: 1 << 17] * np.hanning(1 << 17))))
    line = SAMPLE_RATE_HZ / HOP_SAMPLES * (1 << 17) / SAMPLE_RATE_HZ  # bins from one multiple of 86 Hz to the next
    lines = np.round(np.arange(20, 200) * line).astype(int)
    assert power[lines].mean() < 2 * power[lines[0] : lines[-1]].mean()


def test_diffuse_side_is_as_loud_on_the_left_as_on_the_right() -> None:
    levels = np.full((512, 992), -5, np.float32)
    left, right = synthesised(silence(512, mid_levels=levels, side_levels=levels)).T
    assert np.square(left).mean() == pytest.approx(np.square(right).mean(), rel=0.05)
    assert abs(np.corrcoef(left, right)[0, 1]) < 0.1


def test_an_envelope_shapes_what_is_within_a_window() -> None:
    levels = np.full((FRAMES, 992), -5, np.float32)
    envelope = np.zeros((FRAMES, 4), np.float32)
    envelope[60, 1] = -3.0  # 128 samples around 512 * 60 + 192
    even, dipped = (synthesised(silence(FRAMES, mid_levels=levels, envelope=e))[:, 0] for e in (0 * envelope, envelope))
    centre = 512 * 60 + 191
    assert dipped[centre] == pytest.approx(even[centre] * np.exp(-3), rel=0.05, abs=1e-4)
    far = np.abs(np.arange(len(even)) - centre) > 128
    np.testing.assert_allclose(dipped[far], even[far], atol=1e-6)


@settings(deadline=None, max_examples=15)
@given(cuts=st.lists(st.integers(1, 63), max_size=4, unique=True), seed=st.integers(0, 100))
def test_chunks_are_one_piece(cuts: list[int], seed: int) -> None:
    spectrum, edges = anything(64, seed), [0, *sorted(cuts), 64]
    synthesis = SpectralSynthesis()
    spans = list(pairwise(edges))
    found = np.concatenate([synthesis(spectrum[a:b], last=b == 64) for a, b in spans])
    expected = synthesised(spectrum)
    assert expected.shape == (64 * HOP_SAMPLES, 2)
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_a_chunk_may_be_overwritten_once_it_is_synthesised() -> None:
    """Engines reuse their outputs' memory, and the frame before a chunk was then read from the chunk itself."""
    spectrum, other = anything(64), anything(32, seed=1)
    synthesis = SpectralSynthesis()
    first = spectrum[:32].copy()
    found = [synthesis(first, last=False)]
    for name, value in vars(first).items():
        value[:] = getattr(other, name)
    found.append(synthesis(spectrum[32:], last=True))
    np.testing.assert_allclose(np.concatenate(found), synthesised(spectrum), atol=2e-6)


def test_the_same_spectrum_gives_the_same_bytes() -> None:
    assert synthesised(anything(32)).tobytes() == synthesised(anything(32)).tobytes()


def test_noise_has_directions_and_no_size() -> None:
    np.testing.assert_allclose(np.abs(noise_phasors()), 1, rtol=1e-5)
    assert abs(noise_phasors().mean()) < 0.01
