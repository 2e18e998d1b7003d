"""Bundles that must be refused: each function damages a good one and returns what the message must name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from samuel_runtime.bundle.manifest import SCHEMA_VERSION
from tests.support.runtime.onnx_models import HOSTILE


def edit(bundle: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change `bundle.json`."""
    path = bundle / "bundle.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def put_graph(bundle: Path, content: bytes, name: str = "encoder") -> str:
    """Put a file in a graph's place, with hash and size that hold; returns the file's name."""
    file = bundle / f"{name}.onnx"
    file.write_bytes(content)

    def describe(values: dict[str, Any]) -> None:
        values["graphs"][name].update(size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())

    edit(bundle, describe)
    return file.name


def _set(*keys: str | int, to: Any) -> Callable[[Path], str]:
    def damage(bundle: Path) -> str:
        def change(values: Any) -> None:
            for key in keys[:-1]:
                values = values[key]
            values[keys[-1]] = to

        edit(bundle, change)
        return "bundle.json"

    return damage


def _manifest(content: bytes) -> Callable[[Path], str]:
    def damage(bundle: Path) -> str:
        (bundle / "bundle.json").write_bytes(content)
        return "bundle.json"

    return damage


def _graph(content: Callable[[], bytes]) -> Callable[[Path], str]:
    return lambda bundle: put_graph(bundle, content())


def _no_manifest(bundle: Path) -> str:
    (bundle / "bundle.json").unlink()
    return "bundle.json"


def _half_copied(bundle: Path) -> str:
    (bundle / "step.onnx").unlink()
    return "step.onnx"


def _cut_short(bundle: Path) -> str:
    file = bundle / "step.onnx"
    file.write_bytes(file.read_bytes()[:-1000])
    return file.name


def _changed_byte(bundle: Path) -> str:
    file = bundle / "decoder.onnx"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    return file.name


def _symlinked(bundle: Path) -> str:
    file = bundle / "decoder.onnx"
    file.unlink()
    file.symlink_to(bundle.parent)
    return file.name


def _not_to_be_loaded(bundle: Path) -> str:
    from tests.support.runtime.onnx_models import honest

    model = honest()
    model.graph.node[0].op_type = "NoSuchOperator"
    return put_graph(bundle, model.SerializeToString())


def _other_graph(bundle: Path) -> str:
    from tests.support.runtime.onnx_models import honest

    return put_graph(bundle, honest().SerializeToString())


_STATISTICS = ("model", "statistics")

BAD_BUNDLES: dict[str, Callable[[Path], str]] = {
    "no manifest": _no_manifest,
    "graph missing": _half_copied,
    "graph cut short": _cut_short,
    "changed byte": _changed_byte,
    "graph is a link to a folder": _symlinked,
    "newer schema": _set("schema_version", to=SCHEMA_VERSION + 1),
    "no schema": _set("schema_version", to=None),
    "parent folder in a name": _set("graphs", "step", "file", to="../step.onnx"),
    "absolute name": _set("graphs", "step", "file", to="/etc/passwd"),
    "windows name": _set("graphs", "step", "file", to="..\\step.onnx"),
    "hidden name": _set("graphs", "step", "file", to=".."),
    "unknown key": _set("model", "surprise", to=1),
    "unknown graph": _set("graphs", "backdoor", to={}),
    "huge hop": _set("codec", "hop_samples", to=1 << 40),
    "chunks too large by their product": _set("codec", "chunk_frames", to=1 << 20),
    "latent channels and statistics differ": _set("model", "latent_channels", to=32),
    "prediction of a third kind": _set("model", "prediction", to="x0"),
    "statistics with NaN": _set(*_STATISTICS, "vocals_mean", 3, to=float("nan")),
    "statistics beyond single precision": _set(*_STATISTICS, "vocals_mean", 3, to=1e300),
    "statistics beyond any number": _set(*_STATISTICS, "clamp_max", to=10**400),
    "statistics with a zero deviation": _set(*_STATISTICS, "accompaniment_std", 0, to=0.0),
    "statistics of wrong length": _set(*_STATISTICS, "vocals_std", to=[1.0, 1.0]),
    "statistics of words": _set(*_STATISTICS, "vocals_std", to=["one"] * 64),
    "clamp range upside down": _set(*_STATISTICS, "clamp_max", to=-100),
    "manifest is a list": _manifest(b"[1, 2]"),
    "manifest is not JSON": _manifest(b"schema_version = 1"),
    "manifest is not text": _manifest(bytes(range(128, 256))),
    "manifest is huge": _manifest(b" " * (5 << 20)),
    "manifest is nested deeply": _manifest(b'{"schema_version":' + b"[" * 1_000_000),
    "manifest has a huge number": _manifest(b'{"schema_version":' + b"9" * 100_000 + b"}"),
    "graph is text": _graph(lambda: b"not a graph at all\n" * 50),
    "graph is empty protobuf": _graph(lambda: b"\x08\x0a"),
    "graph with an unknown operator": _not_to_be_loaded,
    "graph of another kind": _other_graph,
    **{f"graph with {kind}": _graph(lambda make=make: make().SerializeToString()) for kind, make in HOSTILE.items()},
}
