"""The runtime: a bundle and a vocal recording in, an accompaniment out; numpy and ONNX Runtime, never torch.

from samuel_runtime import Samuel, Settings

with Samuel.load() as samuel:
    band = samuel.accompany("vocals.wav", Settings(seed=7))
band.write("accompaniment.wav")
band.mixed_with("vocals.wav").write("mix.wav")

Notes and warnings go to the logger "samuel".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from samuel_runtime.audio.samples import Audio
    from samuel_runtime.errors import UserError
    from samuel_runtime.leadsheet.files import read_sheet, write_sheet
    from samuel_runtime.leadsheet.sheet import ChordSpan, LeadSheet
    from samuel_runtime.pipeline import Samuel
    from samuel_runtime.progress import Progress
    from samuel_runtime.settings import Precision, Provider, Sampler, Settings

    __version__: str

__all__ = [
    "Audio",
    "ChordSpan",
    "LeadSheet",
    "Precision",
    "Progress",
    "Provider",
    "Sampler",
    "Samuel",
    "Settings",
    "UserError",
    "__version__",
    "read_sheet",
    "write_sheet",
]

_HOMES = {
    "Audio": "audio.samples",
    "ChordSpan": "leadsheet.sheet",
    "LeadSheet": "leadsheet.sheet",
    "Precision": "settings",
    "Progress": "progress",
    "Provider": "settings",
    "Sampler": "settings",
    "Samuel": "pipeline",
    "Settings": "settings",
    "UserError": "errors",
    "read_sheet": "leadsheet.files",
    "write_sheet": "leadsheet.files",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use: `samuel-run --help` answers before numpy and ONNX Runtime are imported.
    if name == "__version__":
        from importlib.metadata import version

        return version("samuel-deploy")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
