"""Build a TensorRT engine from a graph, with either flavour of the library."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from samuel_export.tensorrt.timing_cache import TimingCache
from samuel_runtime.bundle.manifest import ShapeRange
from samuel_runtime.engines.tensorrt.library import is_installed, last_error, library, logger_of, unavailable_reason
from samuel_runtime.errors import UserError
from samuel_runtime.settings import Flavor

_SCRATCH = re.compile(r"Max Scratch Memory: (\d+) bytes")


@dataclass(frozen=True, eq=False)
class Built:
    """An engine with its build time and memory."""

    engine: bytes
    """Serialised."""
    build_s: float
    """Build time, parsing included."""
    scratch_bytes: int
    """Scratch memory in the largest profile, beside inputs and outputs; small where attention is fused."""


def flavor_for(asked: Flavor | None) -> Flavor:
    """The flavour to build: the one that is asked for, else the classic one where it and a GPU are here, else RTX.

    Raises:
        UserError: its library is not installed, or a GPU that it needs is missing.
    """
    from samuel_runtime.engines.tensorrt.device import gpu_here

    if asked is None:
        asked = Flavor.RTX
        if is_installed(Flavor.CLASSIC):
            try:
                gpu_here()
                asked = Flavor.CLASSIC
            except UserError:
                pass  # without a GPU only the other can build
    if missing := unavailable_reason(asked):
        raise UserError(f"--trt: {missing}")
    if asked is Flavor.CLASSIC:
        try:
            gpu_here()
        except UserError as error:
            said = str(error).split(";")[0]
            raise UserError(
                f"--trt-flavor classic: builds on the GPU that its engines are for, and {said}; use --trt-flavor rtx"
            ) from error
    return asked


def build(
    model: bytes, name: str, profiles: Sequence[dict[str, ShapeRange]], flavor: Flavor, targets: Sequence[str] = ()
) -> Built:
    """Build an engine.

    Args:
        model: an ONNX file, typed.
        name: what to call it in messages.
        profiles: ranges of its inputs' shapes.
        flavor: which library.
        targets: compute capabilities, such as "8.6"; none are the library's own choice.

    Raises:
        UserError: the library is missing or does not take a node, a target or the network.
    """
    start, trt = perf_counter(), library(flavor)
    logger = logger_of(trt)
    builder = trt.Builder(logger)
    network = builder.create_network(_network_flags(trt))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model):
        raise UserError(f"{name}: TensorRT does not take it; {_complaints(parser)}")
    config = _configured(trt, builder, profiles, targets)
    timing = TimingCache(trt.__version__) if flavor is Flavor.CLASSIC else None  # the other measures nothing here
    if timing is not None:
        timing.attach(config)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise UserError(f"{name}: TensorRT cannot build it ({last_error(logger)}); please report this with the bundle")
    if timing is not None:
        timing.keep(config)
    scratch = [int(found) for _, text in logger.messages for found in _SCRATCH.findall(text)]
    return Built(bytes(engine), perf_counter() - start, max(scratch, default=0))


def known_targets(flavor: Flavor) -> list[str]:
    """The compute capabilities that can be named, such as "8.6"; none where engines are for the GPU they are built on.

    Raises:
        UserError: the library is not installed.
    """
    if flavor is Flavor.CLASSIC:
        return []
    members = library(flavor).ComputeCapability.__members__
    numbers = sorted(int(name[2:]) for name in members if re.fullmatch(r"SM\d+", name))
    return [f"{number // 10}.{number % 10}" for number in numbers]


def _configured(trt: Any, builder: Any, profiles: Sequence[dict[str, ShapeRange]], targets: Sequence[str]) -> Any:
    config = builder.create_builder_config()
    # TensorFloat-32 rounds float32 to 10 bits: what is typed float32 here is so because it needs its 23.
    config.clear_flag(trt.BuilderFlag.TF32)
    if hasattr(trt.BuilderFlag, "REQUIRE_USER_ALLOCATION"):
        config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)  # else the stream that it runs in cannot be captured
    _set_targets(trt, config, targets)
    for ranges in profiles:
        profile = builder.create_optimization_profile()
        for tensor, one in ranges.items():
            profile.set_shape(tensor, one.least, one.usual, one.most)
        config.add_optimization_profile(profile)
    return config


def _network_flags(trt: Any) -> int:
    """Strongly typed: said so to TensorRT 10, the only kind in later ones."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _set_targets(trt: Any, config: Any, targets: Sequence[str]) -> None:
    if not targets:
        return
    config.num_compute_capabilities = len(targets)
    for index, target in enumerate(targets):
        capability = getattr(trt.ComputeCapability, f"SM{target.replace('.', '')}")
        if not config.set_compute_capability(capability, index):
            raise UserError(f"--trt-target {target}: TensorRT {trt.__version__} does not build for it")


def _complaints(parser: Any) -> str:
    """The parser's errors, node by node, on one line."""
    found = []
    for index in range(parser.num_errors):
        error = parser.get_error(index)
        node = f"{error.node_operator()} {error.node_name() or error.node()}".strip()
        found.append(f"{node}: {error.code().name}, {' '.join(error.desc().split())}")
    return "; ".join(found) or "its parser gave no reason"
