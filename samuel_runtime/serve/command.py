"""`samuel-serve`: its options, and how it starts and ends."""

from __future__ import annotations

import socket
from importlib.util import find_spec
from pathlib import Path

import click

from samuel_runtime.cli import console
from samuel_runtime.errors import UserError
from samuel_runtime.serve.limits import Limits
from samuel_runtime.settings import Provider

_NEEDED = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")
_GRACE_S = 2  # for downloads that go on; event streams would never end
_CONNECTIONS_MOST = 512
_DEFAULTS = Limits()


@click.command(name="samuel-serve", context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--bundle", type=click.Path(path_type=Path), help="Bundle folder.  [default: the packaged one]")
@click.option("--host", default="127.0.0.1", help="Address to listen at; any but this machine's own takes a key.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8000, help="Port to listen at; 0 takes a free one.")
@click.option("--provider", type=click.Choice([p.value for p in Provider]), default=Provider.AUTO.value,
              help="Where to run; auto is what `samuel-run --doctor` measured as the fastest.")  # fmt: skip
@click.option("--workers", type=click.IntRange(1, 64), default=1,
              help="Bands that are made at a time, each by a process with the bundle in its memory.")  # fmt: skip
@click.option("--data", type=click.Path(path_type=Path, file_okay=False),
              help="Folder of the jobs, which outlive the server.  [default: in the user's data folder]")  # fmt: skip
@click.option("--max-minutes", type=click.FloatRange(min=0, min_open=True), default=_DEFAULTS.longest_s / 60,
              help="Longest recording that is taken.")  # fmt: skip
@click.option("--max-mb", type=click.IntRange(1, 10_000), default=_DEFAULTS.upload_bytes >> 20,
              help="Largest file that is taken.")  # fmt: skip
@click.option("--keep-hours", type=click.FloatRange(0), default=_DEFAULTS.keep_s / 3600,
              help="How long bands are kept once they are made.")  # fmt: skip
@click.option("--max-gb", type=click.FloatRange(min=0, min_open=True), default=_DEFAULTS.total_bytes / (1 << 30),
              help="Size of the folder above which the oldest bands go.")  # fmt: skip
@click.option("--api-key-file", type=click.Path(path_type=Path),
              help="Keys that let clients in, one a line, each of at least 16 characters.")  # fmt: skip
def command(
    bundle: Path | None,
    host: str,
    port: int,
    provider: str,
    workers: int,
    data: Path | None,
    max_minutes: float,
    max_mb: int,
    keep_hours: float,
    max_gb: float,
    api_key_file: Path | None,
) -> None:
    """Serve bands over HTTP, and a page to make them with.

    A recording that was accepted is never lost: the server may be killed at any moment, and goes on when it is started
    again.
    """
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise UserError(f"samuel-serve needs {', '.join(missing)}; add it with `pip install 'samuel-deploy[serve]'`")
    import uvicorn

    from samuel_runtime.bundle.bundle import Bundle
    from samuel_runtime.engines import processors
    from samuel_runtime.engines.availability import chosen_backends
    from samuel_runtime.files import data_file
    from samuel_runtime.serve.app import Config, create_app
    from samuel_runtime.serve.security import Access, read_keys

    access = Access(host, () if api_key_file is None else tuple(read_keys(api_key_file)))
    chosen_backends(Bundle.open(bundle).manifest, Provider(provider))
    limits = Limits(
        longest_s=60 * max_minutes,
        upload_bytes=max_mb << 20,
        keep_s=3600 * keep_hours,
        total_bytes=round(max_gb * (1 << 30)),
    )
    threads = None if workers == 1 else max(1, processors.usable() // workers)
    folder = data_file("serve") if data is None else data
    listening = _listen(host, port)
    app = create_app(Config(bundle, provider, workers, threads, folder, limits, access))
    name = f"[{host}]" if ":" in host else host
    console.tell(f"http://{name}:{listening.getsockname()[1]}/  (jobs in {folder}; Ctrl-C ends it)")
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # ids are what lets people in
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS_MOST,
        timeout_graceful_shutdown=_GRACE_S,
    )
    uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise UserError(
            f"{host}:{port}: cannot be listened at ({error.strerror}); choose another --port or --host"
        ) from error


def main() -> None:
    """Entry point of `samuel-serve`."""
    console.run(command)
