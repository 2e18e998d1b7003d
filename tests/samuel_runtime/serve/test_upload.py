"""Forms as they arrive: in any pieces, within bounds, whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

from hypothesis import given, settings
from hypothesis import strategies as st

from samuel_runtime.serve.limits import Limits
from samuel_runtime.serve.problems import ProblemError
from samuel_runtime.serve.upload import receive_form

BOUNDARY = "a-boundary"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def form(parts: list[tuple[str, bytes]]) -> bytes:
    body = b""
    for name, content in parts:
        header = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="../../evil"\r\n\r\n'
        body += header.encode() + content + b"\r\n"
    return body + f"--{BOUNDARY}--\r\n".encode()


def receive(pieces: list[bytes], voice: Path, limits: Limits | None = None, kind: str = TYPE) -> dict[str, bytes]:
    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece
            await asyncio.sleep(0)

    return asyncio.run(receive_form(kind, body(), voice, limits or Limits()))


@settings(max_examples=40, deadline=None)
@given(
    voice=st.binary(max_size=300),
    fields=st.dictionaries(st.sampled_from(["seed", "key", "lead_sheet"]), st.binary(max_size=50)),
    cuts=st.lists(st.integers(0, 1000), max_size=6),
)
def test_pieces_make_the_form_wherever_it_is_cut(
    voice: bytes, fields: dict[str, bytes], cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    if any(BOUNDARY.encode() in content for content in (voice, *fields.values())):
        return
    target = tmp_path_factory.mktemp("form") / "voice"
    body = form([*list(fields.items())[:1], ("voice", voice), *list(fields.items())[1:]])
    places = sorted({0, len(body), *(min(cut, len(body)) for cut in cuts)})
    pieces = [body[start:end] for start, end in pairwise(places)]
    assert receive(pieces, target) == fields
    assert target.read_bytes() == voice and [path.name for path in target.parent.iterdir()] == ["voice"]


@pytest.mark.parametrize(
    ("pieces", "kind", "status"),
    [
        ([form([("voice", b"x")])[:-9]], TYPE, 400),
        ([b"nonsense" * 9], TYPE, 400),
        ([], TYPE, 400),
        ([form([("voice", b"x")])], "application/json", 415),
        ([form([("voice", b"x")])], "multipart/form-data", 415),
        ([form([("seed", b"1")])], TYPE, 422),
        ([form([("voice", b"x"), ("voice", b"y")])], TYPE, 422),
        ([form([("voice", b"x"), ("seed", b"1"), ("seed", b"2")])], TYPE, 422),
        ([form([(f"field{index}", b"x") for index in range(60)])], TYPE, 422),
        ([form([("voice", bytes(101))])], TYPE, 413),
        ([form([("voice", b"x"), ("key", bytes(60)), ("chords", bytes(60))])], TYPE, 413),
    ],
)
def test_what_is_no_such_form_is_refused(pieces: list[bytes], kind: str, status: int, tmp_path: Path) -> None:
    with pytest.raises(ProblemError) as refused:
        receive(pieces, tmp_path / "voice", Limits(upload_bytes=100, field_bytes=100), kind)
    assert refused.value.status == status
    if (tmp_path / "voice").exists():
        assert (tmp_path / "voice").stat().st_size <= 100


def test_an_upload_that_pauses_for_too_long_is_ended(tmp_path: Path) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield form([("voice", b"x")])[:30]
        await asyncio.sleep(60)

    with pytest.raises(ProblemError, match="nothing came for"):
        asyncio.run(receive_form(TYPE, body(), tmp_path / "voice", Limits(silent_upload_s=0.05)))
