"""A form as it arrives: the recording goes to disk piece by piece, the other fields into memory, both within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO

from pydantic_core import from_json
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.files.json_format import to_dict
from samuel_runtime.leadsheet.files.midi_reading import LARGEST_BYTES as MIDI_LARGEST_BYTES
from samuel_runtime.leadsheet.files.midi_reading import from_midi
from samuel_runtime.serve.limits import Limits
from samuel_runtime.serve.problems import ProblemError

VOICE, SETTINGS, LEAD_SHEET = "voice", "settings", "lead_sheet"
_FIELDS_MOST = 50
_MIDI = b"MThd"


async def receive_form(content_type: str, body: AsyncIterator[bytes], voice: Path, limits: Limits) -> dict[str, bytes]:
    """Take in a form of `multipart/form-data`.

    Args:
        content_type: header of the request.
        body: of the request.
        voice: where the field of that name goes.
        limits: on sizes, and on pauses.

    Returns:
        All other fields.

    Raises:
        ProblemError: it is no such form (400, 415), without a voice (422), too large (413) or too slow (408).
    """
    kind, options = parse_options_header(content_type.encode())
    if kind != b"multipart/form-data" or b"boundary" not in options:
        raise ProblemError(415, f"send a form, multipart/form-data with the recording as `{VOICE}`")
    with voice.open("xb") as file:
        receiver = _Receiver(file, limits)
        parser = MultipartParser(options[b"boundary"], receiver.callbacks())
        try:
            while True:
                try:
                    parser.write(await asyncio.wait_for(anext(body), limits.silent_upload_s))
                except StopAsyncIteration:
                    break
            parser.finalize()
        except FormParserError as error:
            raise ProblemError(400, f"the form cannot be read ({error}); send multipart/form-data") from error
        except (TimeoutError, asyncio.TimeoutError):
            raise ProblemError(408, f"nothing came for {limits.silent_upload_s:g} s; send it again") from None
    if not receiver.ended:
        raise ProblemError(400, "the form ends early; send it again")
    if not receiver.has_voice:
        raise ProblemError(422, f"{VOICE} must be there: the recording, as a file of the form")
    return {name: bytes(content) for name, content in receiver.fields.items()}


def parsed_fields(form: dict[str, bytes]) -> dict[str, Any]:
    """A form's fields as plain values: those of `settings`, a JSON object, and those that are fields of their own.

    Raises:
        UserError: one of them is no text, no JSON or no lead sheet.
    """
    values: dict[str, Any] = {}
    if SETTINGS in form:
        settings = _json(SETTINGS, form[SETTINGS])
        if not isinstance(settings, dict):
            raise UserError(f"{SETTINGS} must be a JSON object of settings")
        values |= settings
    for name, content in form.items():
        if name == LEAD_SHEET and content:
            values[name] = _sheet(content)
        elif name != SETTINGS:
            try:
                values[name] = content.decode().strip()
            except UnicodeDecodeError as error:
                raise UserError(f"{name} must be text in UTF-8") from error
    return values


def _sheet(content: bytes) -> Any:
    """JSON or MIDI, by how it begins."""
    if not content.startswith(_MIDI):
        return _json(LEAD_SHEET, content)
    if len(content) > MIDI_LARGEST_BYTES:
        raise UserError(f"{LEAD_SHEET}: has more than {MIDI_LARGEST_BYTES >> 20} MiB; give the MIDI file of one song")
    try:
        return to_dict(from_midi(content))
    except UserError as error:
        raise UserError(f"{LEAD_SHEET}: {error}") from error


def _json(name: str, content: bytes) -> Any:
    try:
        return from_json(content, allow_inf_nan=False)
    except ValueError as error:
        raise UserError(f"{name}: is not JSON ({error}); send it again") from error


class _Receiver:
    """What the parser calls, part by part."""

    def __init__(self, voice: BinaryIO, limits: Limits) -> None:
        self.fields: dict[str, bytearray] = {}
        self.has_voice = self.ended = False
        self._voice, self._limits = voice, limits
        self._voice_bytes = self._field_bytes = 0
        self._header = (bytearray(), bytearray())
        self._headers: dict[bytes, bytes] = {}
        self._name = ""

    def callbacks(self) -> Any:
        """By the parser's names."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._open,
            "on_part_data": self._take,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._headers, self._header = {}, (bytearray(), bytearray())

    def _end_header(self) -> None:
        self._headers[bytes(self._header[0]).lower()] = bytes(self._header[1])
        self._header = (bytearray(), bytearray())

    def _open(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"name", b"").decode(errors="replace")
        if self._name in self.fields or (self._name == VOICE and self.has_voice):
            raise ProblemError(422, f"{self._name[:40]} must be there once")
        if self._name == VOICE:
            self.has_voice = True
        elif len(self.fields) >= _FIELDS_MOST:
            raise ProblemError(422, "the form has too many fields; /docs lists those that are used")
        else:
            self.fields[self._name] = bytearray()

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._name == VOICE:
            self._voice_bytes += end - start
            if self._voice_bytes > self._limits.upload_bytes:
                raise ProblemError(
                    413,
                    f"{VOICE}: has more than {self._limits.upload_bytes >> 20} MB; send it as FLAC, or cut it shorter",
                )
            self._voice.write(data[start:end])
        else:
            self._field_bytes += end - start
            if self._field_bytes > self._limits.field_bytes:
                raise ProblemError(
                    413, f"{self._name[:40]}: has more than {self._limits.field_bytes >> 20} MiB; send less"
                )
            self.fields[self._name] += data[start:end]

    def _end(self) -> None:
        self.ended = True
