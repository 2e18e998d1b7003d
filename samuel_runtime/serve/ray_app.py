"""`serve run samuel_runtime.serve.ray_app:app [data=s3://bucket/jobs cpus=2 ...]`: samuel-serve on a Ray cluster.

Two deployments. ``Server`` is the application of `samuel-serve`, with its queue; there is one of it, which Ray begins
again wherever it can should it end, and which takes up all jobs from the store then. ``Bundle`` makes bands, and has as
many replicas as there are jobs for; jobs of one that ends go back to the queue.
"""

from __future__ import annotations

from typing import Any

from ray import serve
from starlette.types import ASGIApp

from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.files import data_file
from samuel_runtime.locations import local_path
from samuel_runtime.serve.app import assemble
from samuel_runtime.serve.cluster.inspector import TaskInspector
from samuel_runtime.serve.cluster.renderer import ReplicaRenderer
from samuel_runtime.serve.cluster.replica import BundleReplica
from samuel_runtime.serve.cluster.settings import ClusterSettings
from samuel_runtime.serve.jobs.objects import ObjectStore
from samuel_runtime.serve.jobs.protocols import JobStore
from samuel_runtime.serve.jobs.store import FolderStore
from samuel_runtime.serve.security import Access, read_keys

_BUNDLE, _SERVER = "Bundle", "Server"
_SERVER_CPUS = 0.5  # it waits for most of the time; encoding FLAC and MP3 is all that it computes
_STREAMS = 10_000  # connections of clients, of which each that follows a job keeps one
_SERVER_DRAIN_S = 20.0  # for uploads and downloads; streams of events would never end


def app(arguments: dict[str, Any]) -> serve.Application:
    """The application that `serve run` and a config file's ``import_path`` name.

    Args:
        arguments: by the names of :class:`ClusterSettings`.

    Raises:
        UserError: they are not in order.
    """
    settings = ClusterSettings.parse(arguments)
    if settings.api_key_file is None:
        Access(settings.host)  # what is wrong with it is said here, not in a replica's log

    def server() -> ASGIApp:
        return _server(settings)

    @serve.ingress(server)
    class Server:
        """One for the cluster."""

        def __init__(self, bundle: Any) -> None:
            """``bundle`` is here so that Ray starts that deployment, too; its handle is found by name."""

    bundle = serve.deployment(
        name=_BUNDLE,
        ray_actor_options={"num_cpus": settings.cpus, "num_gpus": settings.gpus},
        max_ongoing_requests=settings.ongoing,
        autoscaling_config={
            "min_replicas": settings.min_replicas,
            "max_replicas": settings.max_replicas,
            "target_ongoing_requests": settings.target,
        },
        graceful_shutdown_timeout_s=settings.drain_s,
        graceful_shutdown_wait_loop_s=0.5,
    )(BundleReplica)
    front = serve.deployment(
        name=_SERVER,
        num_replicas=1,
        ray_actor_options={"num_cpus": _SERVER_CPUS},
        max_ongoing_requests=_STREAMS,
        graceful_shutdown_timeout_s=_SERVER_DRAIN_S,
        graceful_shutdown_wait_loop_s=0.5,
    )(Server)
    return front.bind(bundle.bind(settings))


def _server(settings: ClusterSettings) -> ASGIApp:
    """In its replica."""
    handle = serve.get_deployment_handle(_BUNDLE)
    places = settings.max_replicas * settings.ongoing
    limits = settings.limits
    renderers = [ReplicaRenderer(handle, limits.silent_work_s) for _ in range(places)]
    keys = () if settings.api_key_file is None else tuple(read_keys(settings.api_key_file))
    manifest = Bundle.open(settings.bundle).manifest
    inspector = TaskInspector(limits.longest_s, limits.inspection_s)
    return assemble(manifest, _store(settings.data), renderers, inspector, limits, Access(settings.host, keys))


def _store(data: str | None) -> JobStore:
    if data is None:
        return FolderStore(data_file("serve"))
    folder = local_path(data)
    return ObjectStore(data) if folder is None else FolderStore(folder)
