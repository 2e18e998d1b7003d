"""The house: imports run one way between the packages and in no circle inside them, and rooms stay small.

Every import counts, also those inside functions and under TYPE_CHECKING.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("samuel_runtime", "samuel_train", "samuel_export", "benchmarks")
"""Each may import those before it, and itself."""
ROOM_FILES_MOST = 12
# Data passes through the rooms of the runtime in this order; each may import those before it.
LEVELS = (
    ("errors", "progress", "files"),
    ("locations",),
    ("leadsheet.chords", "leadsheet.sheet", "leadsheet.raster"),
    ("leadsheet.given", "leadsheet.files"),
    ("settings",),
    ("audio",),
    ("diffusion.schedule", "diffusion.guidance", "diffusion.noise", "codec.spectrum"),
    ("leadsheet.activations", "melody.tracks", "melody.features"),
    ("bundle",),
    ("engines.backend",),
    ("codec", "diffusion", "melody", "leadsheet"),
    ("engines",),
    ("tuning.speed", "tuning.preference", "tuning.sampling_error"),
    ("pipeline",),
    ("tuning",),
    ("cli",),
    ("serve.limits", "serve.metrics", "serve.jobs.durable", "serve.jobs.request"),
    ("serve.jobs",),
    ("serve.worker",),
    ("serve.problems", "serve.upload", "serve.security", "serve.downloads"),
    ("serve.schemas",),
    ("serve.routes",),
    ("serve.cluster",),
    ("serve",),
    ("batch",),
)


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for package in PACKAGES for path in (ROOT / package).rglob("*.py")}


def imported(module: str) -> Iterator[str]:
    """Modules of ours that ``module`` names in its imports, wherever they stand."""
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            while name and name not in MODULES:
                name = name.rpartition(".")[0]
            if name and name != module and not module.startswith(f"{name}."):  # a room's file may name the room
                yield name


GRAPH = {module: set(imported(module)) for module in MODULES}


def test_the_graph_is_seen() -> None:
    assert "samuel_runtime.engines.openvino" in GRAPH["samuel_runtime.engines.loading"]  # inside a function
    assert "samuel_runtime.pipeline" in GRAPH["samuel_runtime"]  # under TYPE_CHECKING
    assert len(GRAPH) > 200


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_what_is_below_them_only(package: str) -> None:
    below = PACKAGES[: PACKAGES.index(package) + 1]
    wrong = [
        f"{module} imports {other}"
        for module, others in GRAPH.items()
        if module.partition(".")[0] == package
        for other in others
        if other.partition(".")[0] not in below
    ]
    assert not wrong


def test_nothing_imports_in_a_circle() -> None:
    try:
        TopologicalSorter(GRAPH).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def level(module: str) -> int:
    """Of a module of the runtime, by the longest name that it is in."""
    inside = module.removeprefix("samuel_runtime.")
    known = {name: index for index, names in enumerate(LEVELS) for name in names}
    while inside not in known:
        assert "." in inside, f"{module} is in no room that is known here"
        inside = inside.rpartition(".")[0]
    return known[inside]


def test_the_rooms_of_the_runtime_import_in_their_order() -> None:
    wrong = [
        f"{module} imports {other}"
        for module, others in GRAPH.items()
        if module.startswith("samuel_runtime.")
        for other in others
        if other != "samuel_runtime" and level(other) > level(module)
    ]
    assert not wrong


@pytest.mark.parametrize("package", [*PACKAGES, "tests"])
def test_rooms_stay_small(package: str) -> None:
    for folder in {path.parent for path in (ROOT / package).rglob("*.py")}:
        files = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(files) <= ROOM_FILES_MOST, folder


@pytest.mark.parametrize("package", PACKAGES)
def test_rooms_say_what_they_are_for(package: str) -> None:
    for folder in {path.parent for path in (ROOT / package).rglob("*.py")}:
        docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
        assert docstring, f"{folder}: says not what it is for"
