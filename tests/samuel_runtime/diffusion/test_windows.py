from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samuel_runtime.diffusion.windows import Window, inpaint_prefix, windows


@given(st.integers(1, 5000), st.integers(1, 600).flatmap(lambda w: st.tuples(st.just(w), st.integers(0, w - 1))))
def test_windows_cover_the_song_and_hold_half_of_what_they_share(frames: int, sizes: tuple[int, int]) -> None:
    window_frames, overlap_frames = sizes
    spans = windows(frames, window_frames, overlap_frames)
    covered = settled = 0
    for span in spans:
        assert span.frames == min(frames, window_frames)
        assert covered - span.start >= (overlap_frames if span.start else 0)
        assert span.prefix_frames == settled - span.start >= 0  # all that is settled, and no gap before it
        assert span.start + span.frames > covered  # each window brings something new
        covered = span.start + span.frames
        settled = covered - overlap_frames // 2
    assert covered == frames


def test_a_song_no_longer_than_a_window_is_one_window() -> None:
    assert windows(300, 1024) == [Window(0, 300, 0)]
    assert windows(1024, 1024) == [Window(0, 1024, 0)]


def test_one_frame_more_needs_one_window_more() -> None:
    assert windows(1025, 1024, 256) == [Window(0, 1024, 0), Window(1, 1024, 1023 - 128)]


@pytest.mark.parametrize("overlap", [-1, 16, 17])
def test_an_overlap_that_leaves_nothing_new_is_refused(overlap: int) -> None:
    with pytest.raises(ValueError, match="nothing new"):
        windows(100, 16, overlap)


def test_hold_replaces_the_estimate_where_it_is_known_and_only_there() -> None:
    estimate = np.arange(12.0).reshape(1, 2, 6)
    prefix_latents = np.full((1, 2, 2), -1.0)
    held = inpaint_prefix(lambda x, t: estimate, prefix_latents)(estimate, 0)
    np.testing.assert_array_equal(held[..., :2], prefix_latents)
    np.testing.assert_array_equal(held[..., 2:], estimate[..., 2:])
    assert estimate[0, 0, 0] == 0  # the denoiser's own array is left alone


def test_holding_nothing_is_the_denoiser_itself() -> None:
    def denoise(x: np.ndarray, t: int) -> np.ndarray:
        return x

    assert inpaint_prefix(denoise, np.zeros((1, 4, 0))) is denoise
