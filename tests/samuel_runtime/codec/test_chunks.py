from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samuel_runtime.codec.chunks import chunks


@given(st.integers(0, 500), st.integers(1, 120), st.integers(0, 80))
def test_every_frame_is_kept_once_with_its_context(frames: int, chunk_frames: int, context_frames: int) -> None:
    kept, read_start = [], 0
    for chunk in chunks(frames, chunk_frames, context_frames):
        assert 0 <= chunk.read_start <= max(0, chunk.start - context_frames)
        assert min(frames, chunk.stop + context_frames) <= chunk.read_stop <= frames
        assert chunk.read_start >= read_start  # what is read as a stream cannot go back
        read_start = chunk.read_start
        kept += list(range(chunk.read_start, chunk.read_stop))[chunk.kept]
    assert kept == list(range(frames))


@given(st.integers(1, 500), st.integers(1, 120), st.integers(0, 80))
def test_all_reads_are_of_one_bounded_length(frames: int, chunk_frames: int, context_frames: int) -> None:
    lengths = {chunk.read_stop - chunk.read_start for chunk in chunks(frames, chunk_frames, context_frames)}
    assert lengths == {min(frames, chunk_frames + 2 * context_frames)}


@pytest.mark.parametrize("chunk_frames, context_frames", [(0, 3), (-1, 3), (4, -1)])
def test_impossible_chunks_are_refused(chunk_frames: int, context_frames: int) -> None:
    with pytest.raises(ValueError, match="no chunks"):
        list(chunks(10, chunk_frames, context_frames))
