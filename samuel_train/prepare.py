"""Stems to latents in the published format, song by song, so that a run can be killed and continued.

OUT/latent_vocal.npy, OUT/latent_accomp.npy   (entries, 64, 1024) float32
OUT/latents.json                              entry -> song, start frame, valid frames; the codec
OUT/skipped.json                              songs left out, with the reason
OUT/.parts/                                   one file per encoded song, reused by the next run
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from samuel_runtime.errors import UserError
from samuel_runtime.files import replacing
from samuel_train.codec.base import Codec, encoder_context_frames
from samuel_train.data import ACCOMPANIMENT_FILE, INDEX_FILE, VOCALS_FILE
from samuel_train.encode import ENTRY_FRAMES, Encoded, encode_song
from samuel_train.stems import Skipped, Song, find_songs

SKIPPED_FILE = "skipped.json"
_PARTS = ".parts"
_VERSION = 1


@dataclass(frozen=True)
class Prepared:
    """What a run of :func:`prepare` made."""

    folder: Path
    """Where the latents are."""
    songs: int
    """Songs encoded."""
    entries: int
    """Entries of 1024 frames."""
    skipped: tuple[Skipped, ...]
    """Songs left out."""


def prepare(stems: Path, out: Path, codec: Codec, codec_location: str) -> Prepared:
    """Encode every song below ``stems`` and write the latents to ``out``.

    Songs that an earlier run encoded with the same codec from the same files are taken from there.
    ``codec_location`` is recorded, so that a checkpoint can say which codec it belongs to.

    Raises:
        UserError: if there is no usable song, or ``out`` cannot be written.
    """
    songs, skipped = find_songs(stems)
    parts = out / _PARTS
    _make_folder(parts)
    for leftover in out.glob(".latent_*-*.npy"):  # of a run that was killed
        leftover.unlink()
    digest = _encoder_digest(codec)
    context_frames = max(encoder_context_frames(codec))
    done: list[tuple[Song, Path]] = []
    for song in tqdm(songs, desc="encoding", unit="song", disable=None):
        part = parts / f"{_key(song, digest)}.npz"
        if not part.exists():
            try:
                encoded = encode_song(song, codec, context_frames)
            except UserError as error:
                skipped.append(Skipped(song.name, str(error)))
                continue
            with replacing(part) as temporary:
                np.savez(temporary, **encoded._asdict())
        done.append((song, part))
    skipped.sort(key=lambda skip: skip.song)
    _write_json(out / SKIPPED_FILE, [asdict(skip) for skip in skipped])
    if not done:
        reasons = "; ".join(f"{skip.song}: {skip.reason}" for skip in skipped[:3])
        raise UserError(f"{stems}: none of the {len(skipped)} songs can be used ({reasons})")
    index = _index(done, codec, codec_location, digest)
    _assemble(out, [part for _, part in done], index, codec.facts.latent_channels)
    _remove_others(parts, keep={part for _, part in done})
    return Prepared(out, len(done), len(index["entries"]), tuple(skipped))


def _key(song: Song, digest: str) -> str:
    """Changes with the song's name, any of its files, and the encoder."""
    facts = [song.name, digest]
    for path in song.files:
        status = path.stat()
        facts += [path.name, str(status.st_size), str(status.st_mtime_ns)]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]


def _encoder_digest(codec: Codec) -> str:
    """SHA-256 over the encoder's weights: latents of another codec must not be mixed in."""
    digest = hashlib.sha256()
    for name, tensor in sorted(codec.encoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _index(done: list[tuple[Song, Path]], codec: Codec, codec_location: str, digest: str) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "codec": {"location": codec_location, "encoder_sha256": digest, **asdict(codec.facts)},
        "entries": [
            {"song": song.name, "start_frame": number * ENTRY_FRAMES, "valid_frames": frames}
            for song, part in done
            for number, frames in enumerate(_load(part).valid_frames.tolist())
        ],
    }


def _assemble(out: Path, parts: list[Path], index: dict[str, Any], channels: int) -> None:
    """Concatenate the parts. Readers need all three files, and one is missing until all agree."""
    shape = (len(index["entries"]), channels, ENTRY_FRAMES)
    (out / ACCOMPANIMENT_FILE).unlink(missing_ok=True)
    _concatenate(out / VOCALS_FILE, parts, 0, shape)
    _write_json(out / INDEX_FILE, index)
    _concatenate(out / ACCOMPANIMENT_FILE, parts, 1, shape)


def _concatenate(path: Path, parts: list[Path], role: int, shape: tuple[int, int, int]) -> None:
    with replacing(path) as temporary:
        latents = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=shape)
        start = 0
        for part in parts:
            rows = _load(part).latents[role]  # (entries of the song, channels, 1024)
            latents[start : start + len(rows)] = rows
            start += len(rows)
        latents.flush()
        del latents


def _load(part: Path) -> Encoded:
    with np.load(part, allow_pickle=False) as arrays:
        return Encoded(**arrays)


def _remove_others(parts: Path, keep: set[Path]) -> None:
    for path in parts.iterdir():
        if path not in keep:
            path.unlink()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be created ({error.strerror}); choose another folder with -o") from error


def _write_json(path: Path, value: Any) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
