"""Add TensorRT engines to a bundle: all four after a passed parity check, or none."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from samuel_export.parity.check import Say
from samuel_export.parity.compare import ParityError
from samuel_export.tensorrt.builder import build, flavor_for, known_targets
from samuel_export.tensorrt.graphs import engine_graphs
from samuel_export.tensorrt.parity import check_engine_graphs
from samuel_export.tensorrt.profiles import profiles_of
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import MANIFEST_NAME, SCHEMA_VERSION, EngineFacts, Engines
from samuel_runtime.bundle.trust import trust
from samuel_runtime.engines.tensorrt.device import gpu_here
from samuel_runtime.engines.tensorrt.library import version_of
from samuel_runtime.errors import UserError
from samuel_runtime.files import recover_dir, replacing_dir
from samuel_runtime.settings import Flavor, Precision


def add_engines(folder: Path, precision: Precision, flavor: Flavor | None, targets: Sequence[str], say: Say) -> Engines:
    """Build an engine for each of a bundle's graphs that runs on a GPU, and trust them here.

    Args:
        folder: of the bundle; engines that it has already are replaced.
        precision: of the engines' heavy arithmetic.
        flavor: which library; None is the classic one where it and a GPU are here, else TensorRT for RTX.
        targets: compute capabilities, such as "8.6"; none are 8.0 and newer.
        say: called with each line of progress.

    Raises:
        UserError: the bundle is not in order, the library is missing, or it does not build for a target.
        ParityError: what the engines are built from does not compute what the bundle does; nothing is changed.
    """
    recover_dir(folder)
    bundle = Bundle.open(folder)
    flavor, targets = check_builder(flavor, targets), tuple(dict.fromkeys(targets))
    graphs = engine_graphs(bundle, precision)
    report = check_engine_graphs(bundle, graphs, precision, say)
    if not report["passed"]:
        raise ParityError(f"{folder}: its engines would differ from it, so none were built")
    files = {}
    with replacing_dir(folder) as whole:
        replaced = {} if bundle.manifest.engines is None else bundle.manifest.engines.files
        outdated = {MANIFEST_NAME, *(facts.file for facts in replaced.values())}
        outdated -= {facts.file for facts in bundle.manifest.graphs.values()}
        shutil.copytree(folder, whole, symlinks=True, ignore=shutil.ignore_patterns(*outdated), dirs_exist_ok=True)
        for name, graph in graphs.items():
            source, profiles = graph.SerializeToString(), profiles_of(name, graph, bundle.manifest)
            built = build(source, f"{name.value}.onnx", profiles, flavor, targets)
            file = f"{name.value}.engine"
            (whole / file).write_bytes(built.engine)
            files[name] = EngineFacts(
                file=file,
                sha256=hashlib.sha256(built.engine).hexdigest(),
                size_bytes=len(built.engine),
                profiles=profiles,
                build_s=round(built.build_s, 3),
                source_sha256=hashlib.sha256(source).hexdigest(),
            )
            say(
                f"built {file}: {precision.value}, {len(built.engine) / 1e6:.1f} MB in {built.build_s:.1f} s, "
                f"at most {built.scratch_bytes / 1e6:.1f} MB of scratch memory"
            )
        engines = Engines(
            flavor=flavor,
            version=version_of(flavor),
            precision=precision,
            targets=targets,
            built_on=str(gpu_here()) if flavor is Flavor.CLASSIC else "",
            files=files,
        )
        parity = {**bundle.manifest.parity, "engines": report}
        update = {"schema_version": SCHEMA_VERSION, "engines": engines, "parity": parity}
        manifest = bundle.manifest.model_copy(update=update)
        (whole / MANIFEST_NAME).write_text(manifest.to_json())
        trust(engines)
    return engines


def check_builder(flavor: Flavor | None, targets: Sequence[str]) -> Flavor:
    """The flavour to build; see :func:`add_engines`.

    Raises:
        UserError: the library is missing, or knows no such target.
    """
    flavor = flavor_for(flavor)
    known = known_targets(flavor)
    for target in targets:
        if not known:
            raise UserError(
                f"--trt-target {target}: TensorRT's engines are for the GPU they are built on; leave it out"
            )
        if target not in known:
            raise UserError(f"--trt-target {target}: no such compute capability here; choose from {', '.join(known)}")
    return flavor
