from __future__ import annotations

import pytest

from samuel_runtime.errors import unhandled, with_options


@pytest.mark.parametrize(
    "said, told",
    [
        ("steps must be at least 1, not 0", "--steps must be at least 1, not 0"),
        ("sampler must be one of a, b, not 'c'", "--sampler must be one of a, b, not 'c'"),
        ("m: failed; try `provider='cpu'`, or another `seed`", "m: failed; try --provider cpu, or another --seed"),
        ("`provider='cuda'` `precision='fp16'`: not here", "--provider cuda --precision fp16: not here"),
        ("leave `bundle` out", "leave --bundle out"),
        ("first_beat_s must come with `bpm`", "--first-beat-s must come with --bpm"),
        ("`lead_sheet='song.json'`: another", "--lead-sheet song.json: another"),
        ("make it with `mkdir -p steps`", "make it with `mkdir -p steps`"),
        ("steps=3 provider='cpu'.wav: no such file", "steps=3 provider='cpu'.wav: no such file"),
        ("the steps must be even", "the steps must be even"),
    ],
)
def test_a_command_names_options_where_the_library_names_parameters(said: str, told: str) -> None:
    assert with_options(said) == told


def test_a_case_that_nobody_handles_is_named() -> None:
    assert "no such case: 'foo'" in str(unhandled("foo"))  # type: ignore[arg-type]
