"""`python -m samuel_runtime.serve.worker CONFIG` is a worker; a server starts it and speaks with it over its pipes."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from pathlib import Path

from samuel_runtime.serve.worker.config import InspectConfig, parse_config
from samuel_runtime.serve.worker.pipe import Pipe

_FIRST_TO_GO = "500"  # to the kernel: where memory runs out the worker goes, not the server


def main() -> None:
    """Work until the server is gone."""
    pipe = Pipe.take_over()
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)
    config = parse_config(sys.argv[1])
    if isinstance(config, InspectConfig):
        from samuel_runtime.serve.worker.inspecting import work as inspect

        inspect(config, pipe)
    else:
        from samuel_runtime.serve.worker.rendering import work as render

        render(config, pipe)


main()
