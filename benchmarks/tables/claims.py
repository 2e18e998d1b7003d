"""The paper's claims beside what these benchmarks measured, and what each claim would need.

Cheung, Zhang & Chan, arXiv 2507.19991: "a 220 times parameter reduction compared to state-of-the-art systems while
delivering 52 times faster inference", "only 15M parameters", "real-time deployment on consumer hardware". The
published code's README names the 220-fold system: "15M (vs. ~3.3B in OpenAI Jukebox)"; it names none for the 52.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.tables.rows import Results, Row

SONG_S = 1024 * 2048 / 44_100
"""The published data set's songs."""
_COMPARED_PARAMETERS = 3.3e9
_CODEC_PARAMETERS = 156.1e6  # Stable Audio Open's autoencoder, without which the paper's network makes no sound
_FEWER, _FASTER = 220, 52

STEP, LOOP, RUN = "A guided step of 47.5 s", "The loop for a song", "From a voice file"
"""Beginnings of the groups' names."""
_PUBLISHED, _RUNTIME = "PyTorch as published", "ONNX Runtime fp32"


@dataclass(frozen=True)
class Claim:
    """A row of the table."""

    said: str
    """By the paper."""
    measured: str
    """Here."""
    needed: str
    """For the claim to hold on this machine."""


def claims(results: Results) -> Iterator[Claim]:
    """Every claim of which the results can say something."""
    step = results.find(STEP, _PUBLISHED)
    if step is not None and "parameters" in step.facts:
        yield from _sizes(float(step.facts["parameters"]))
    published, ours = results.find(LOOP, _PUBLISHED), results.find(LOOP, _RUNTIME)
    if published is not None and ours is not None:
        yield _speed(published, ours)
        yield _real_time(published, ours, results.find(RUN, _RUNTIME))


def _sizes(parameters: float) -> Iterator[Claim]:
    whole = parameters + _CODEC_PARAMETERS
    yield Claim(
        "only 15 M parameters",
        f"{parameters:,.0f}",
        "nothing; but its codec, Stable Audio Open's autoencoder, "
        f"has {_CODEC_PARAMETERS / 1e6:.0f} M more: {whole / 1e6:.0f} M make a sound",
    )
    yield Claim(
        f"{_FEWER} times fewer parameters",
        f"{_COMPARED_PARAMETERS / parameters:.0f} times fewer than the 3.3 billion that its README names; "
        f"{_COMPARED_PARAMETERS / whole:.0f} times with the codec",
        f"a system of {_FEWER * parameters / 1e9:.2f} billion parameters to compare with, and codecs left out",
    )


def _speed(published: Row, ours: Row) -> Claim:
    return Claim(
        f"{_FASTER} times faster inference",
        "against a system that is not named, so not measurable. Here the published 800 steps take "
        f"{published.seconds:.0f} s, {ours.runner} {ours.seconds:.2f} s: "
        f"{ours.ratio(_PUBLISHED) or 0:.0f} times faster",
        f"a system that takes {_FASTER * published.seconds / 3600:.1f} h on this machine for the same 47.5 s, "
        "its codec not counted",
    )


def _real_time(published: Row, ours: Row, run: Row | None) -> Claim:
    whole = "" if run is None else f"; the whole command, voice file to band file, {SONG_S / run.seconds:.0f} times"
    return Claim(
        "real time on consumer hardware",
        f"the published loop runs at {SONG_S / published.seconds:.2f} times real time, its codec not counted; "
        f"{ours.runner} at {SONG_S / ours.seconds:.0f} times{whole}",
        f"the published loop in {SONG_S:.1f} s: {published.seconds / SONG_S:.1f} times faster, "
        f"or {800 * SONG_S / published.seconds:.0f} of its 800 steps",
    )
