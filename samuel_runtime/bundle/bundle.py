"""Bundles on disk: find one, check it, hand out its graphs' bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from samuel_runtime.bundle.manifest import MANIFEST_NAME, EngineFacts, FileFacts, GraphName, Manifest
from samuel_runtime.bundle.onnx_guard import check_onnx
from samuel_runtime.bundle.structure import structural_faults
from samuel_runtime.errors import UserError
from samuel_runtime.files import readable_dir

PACKAGED_BUNDLE = Path(__file__).parent.parent / "assets" / "bundle"


@dataclass(frozen=True)
class Bundle:
    """A folder with a checked manifest; graphs are checked when they are read."""

    folder: Path
    """Where it is."""
    manifest: Manifest
    """What it says of itself."""

    @classmethod
    def open(cls, folder: Path | str | None = None) -> Bundle:
        """Open a bundle, or the packaged one; if its replacement was killed half way, the one that was there before.

        Raises:
            UserError: the folder is missing or its manifest is not in order.
        """
        folder = PACKAGED_BUNDLE if folder is None else readable_dir(Path(folder))
        manifest = Manifest.read(folder)
        for fault in structural_faults(manifest):
            raise UserError(f"{folder / MANIFEST_NAME}: {fault}; export the bundle again")
        return cls(folder, manifest)

    def read_graph(self, name: GraphName) -> bytes:
        """The bytes of one graph: read once, of the promised size and hash, reaching nowhere else.

        Raises:
            UserError: missing, cut short, changed, or not a self-contained ONNX model.
        """
        facts = self.manifest.graphs[name]
        model = self._read(facts)
        check_onnx(model, str(self.folder / facts.file))
        return model

    def read_engine(self, facts: EngineFacts) -> bytes:
        """The bytes of one engine, of the promised size and hash: they are code, see bundle/trust.py.

        Raises:
            UserError: missing, cut short or changed.
        """
        return self._read(facts)

    def _read(self, facts: FileFacts) -> bytes:
        path = self.folder / facts.file
        # A link is followed, as caches of model hubs are made of them: the hash says that it is the right file.
        if not path.is_file():
            raise UserError(f"{path}: a file of the bundle is missing; copy the bundle again, whole")
        size = path.stat().st_size
        if size != facts.size_bytes:
            raise UserError(
                f"{path}: has {size} bytes, its manifest says {facts.size_bytes}; copy the bundle again, whole"
            )
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != facts.sha256:
            raise UserError(f"{path}: is not the file that its manifest describes (SHA-256); copy the bundle again")
        return content
