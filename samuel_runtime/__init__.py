"""The runtime: a bundle and a voice in, a band out; numpy and ONNX Runtime, never torch.

from samuel_runtime import Audio, Samuel, Settings

samuel = Samuel.load()
band = samuel.accompany(Audio.read("vocals.wav"), Settings(seed=7))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from samuel_runtime.audio.reading import Audio
    from samuel_runtime.errors import UserError
    from samuel_runtime.pipeline import Samuel
    from samuel_runtime.settings import Settings

__all__ = ["Audio", "Samuel", "Settings", "UserError"]

_HOMES = {"Audio": "audio.reading", "Samuel": "pipeline", "Settings": "settings", "UserError": "errors"}


def __getattr__(name: str) -> Any:
    # Loaded on first use: `samuel-run --help` answers before numpy and ONNX Runtime are imported.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
