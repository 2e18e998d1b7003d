"""The application: its parts put together, and taken apart when it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

import samuel_runtime
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import Manifest
from samuel_runtime.serve import problems
from samuel_runtime.serve.downloads import Downloads
from samuel_runtime.serve.jobs.protocols import Inspector, JobStore, Renderer
from samuel_runtime.serve.jobs.queue import JobQueue
from samuel_runtime.serve.jobs.store import FolderStore
from samuel_runtime.serve.limits import Limits
from samuel_runtime.serve.metrics import Metrics
from samuel_runtime.serve.routes import Service, api, health
from samuel_runtime.serve.security import Access, Guard
from samuel_runtime.serve.worker.config import RenderConfig
from samuel_runtime.serve.worker.inspector import ProcessInspector
from samuel_runtime.serve.worker.renderer import ProcessRenderer

_PAGE = Path(__file__).parent / "page"
_ABOUT = (
    "A recording of a voice in, a band out. `POST /v1/accompaniments` begins; everything else follows from its answer."
)


@dataclass(frozen=True)
class Config:
    """Of one server."""

    bundle: Path | None
    """Folder; None is the packaged bundle."""
    provider: str
    workers: int
    """Processes that make bands, each with the bundle in its memory."""
    threads: int | None
    """CPU threads of each; None is one per physical core."""
    data: Path
    """Folder of the jobs."""
    limits: Limits
    access: Access


def create_app(config: Config) -> ASGIApp:
    """A server of this machine; its processes start and end with its lifespan.

    Raises:
        UserError: the bundle is not in order, or another server uses the folder.
    """
    manifest = Bundle.open(config.bundle).manifest
    bundle = None if config.bundle is None else str(config.bundle.resolve())
    worker = RenderConfig(bundle=bundle, provider=config.provider, threads=config.threads)
    renderers = [ProcessRenderer(worker, config.limits.silent_work_s) for _ in range(config.workers)]
    inspector = ProcessInspector(config.limits.longest_s, config.limits.inspection_s)
    return assemble(manifest, FolderStore(config.data), renderers, inspector, config.limits, config.access)


def assemble(
    manifest: Manifest,
    store: JobStore,
    renderers: Sequence[Renderer],
    inspector: Inspector,
    limits: Limits,
    access: Access,
) -> ASGIApp:
    """The application over its parts, which it closes in the end.

    Args:
        manifest: of the bundle that the renderers have.
        store: of the jobs.
        renderers: as many as jobs may run at a time; they begin with the application.
        inspector: of uploads.
        limits: of what is taken and kept.
        access: who may ask.
    """
    metrics = Metrics()
    queue = JobQueue(store, renderers, limits, metrics)
    version = samuel_runtime.__version__
    service = Service(manifest, queue, store, Downloads(store), inspector, limits, metrics, version)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await queue.start()
        try:
            yield
        finally:
            await queue.close()
            await inspector.close()
            store.close()

    app = FastAPI(title="samuel", version=version, description=_ABOUT, lifespan=lifespan, docs_url=None, redoc_url=None)
    problems.install(app)
    app.include_router(api(service))
    app.include_router(health(service))

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(_PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    @app.get("/docs", include_in_schema=False)
    async def docs() -> FileResponse:
        return FileResponse(_PAGE / "docs.html", headers={"Cache-Control": "no-cache"})

    app.mount("/page", StaticFiles(directory=_PAGE))
    return Guard(app, access, lambda status: metrics.answers.labels(status).inc())
