"""Which TensorRT is here. Both flavours have one Python interface; only this file knows that there are two."""

from __future__ import annotations

import importlib
import platform
import sys
from collections import deque
from importlib import metadata
from importlib.util import find_spec
from typing import Any

from samuel_runtime.errors import UserError
from samuel_runtime.settings import Flavor

_MODULES = {Flavor.RTX: "tensorrt_rtx", Flavor.CLASSIC: "tensorrt"}
_DISTRIBUTIONS = {
    Flavor.RTX: ("tensorrt-rtx",),
    Flavor.CLASSIC: ("tensorrt", "tensorrt-cu12", "tensorrt-cu13"),
}
_MESSAGES_KEPT, _MESSAGE_LONGEST = 10_000, 2_000  # a build of all graphs, told in full, has some thousands
_EXTRAS = {Flavor.RTX: "rtx", Flavor.CLASSIC: "trt"}


def is_installed(flavor: Flavor) -> bool:
    """Whether the library can be imported; does not import it."""
    return find_spec(_MODULES[flavor]) is not None


def unsupported_reason() -> str:
    """Why nothing can add TensorRT to this system; empty if it can be added, or is there."""
    made_for = sys.platform == "win32" or (sys.platform == "linux" and platform.machine() == "x86_64")
    if made_for or any(is_installed(flavor) for flavor in Flavor):
        return ""
    return "there is no TensorRT for this system, only for Windows and for Linux on x86-64; use another"


def install_command(flavor: Flavor) -> str:
    """What adds the library."""
    return f"pip install 'samuel-deploy[{_EXTRAS[flavor]}]'"


def unavailable_reason(flavor: Flavor) -> str:
    """Why engines of this flavour cannot be built or run here and what to do; empty if the library is there."""
    if is_installed(flavor):
        return ""
    if elsewhere := unsupported_reason():
        return elsewhere
    return f"its library {_MODULES[flavor]} is not installed; add it with `{install_command(flavor)}`"


def library(flavor: Flavor) -> Any:
    """The module: the same interface whichever it is.

    Raises:
        UserError: it is not installed, or does not load.
    """
    if missing := unavailable_reason(flavor):
        raise UserError(f"TensorRT: {missing}")
    try:
        return importlib.import_module(_MODULES[flavor])
    except (ImportError, OSError, RuntimeError) as error:
        raise UserError(
            f"TensorRT: {_MODULES[flavor]} does not load ({error}); install it again with `{install_command(flavor)}`"
        ) from error


def version_of(flavor: Flavor) -> str:
    """Of the installed library; empty if there is none. Does not import it."""
    for name in _DISTRIBUTIONS[flavor]:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return ""


def logger_of(trt: Any) -> Any:
    """A logger for one builder or runtime, which keeps its messages as ``messages``: (severity's name, text).

    The latest alone, and of each the beginning: what lives as long as an engine must not grow with every run.
    """

    class Kept(trt.ILogger):  # its base is known only once the library is
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.messages: deque[tuple[str, str]] = deque(maxlen=_MESSAGES_KEPT)

        def log(self, severity: Any, message: str) -> None:
            self.messages.append((severity.name, message[:_MESSAGE_LONGEST]))

    return Kept()


def last_error(logger: Any) -> str:
    """The last complaint that a logger kept, on one line."""
    errors = [text for severity, text in logger.messages if severity in ("ERROR", "INTERNAL_ERROR")]
    return " ".join(errors[-1].split()) if errors else "it gave no reason"
