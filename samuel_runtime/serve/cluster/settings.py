"""Settings of the Ray application: `serve run samuel_runtime.serve.ray_app:app cpus=2`, or `args` in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from samuel_runtime.diffusion.batching import MOST_TOGETHER
from samuel_runtime.errors import UserError
from samuel_runtime.serve.limits import Limits
from samuel_runtime.settings import Provider, chosen

_LIMITS = Limits()

Count = Annotated[int, Field(ge=1, le=100_000)]


class ClusterSettings(BaseModel):
    """What replicas are given, how many there are, and what the server takes; all of it has a default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: str | None = None
    """Folder, on every node; None is the packaged bundle."""
    provider: str = Provider.AUTO.value
    data: str | None = None
    """Where jobs are: a folder that all nodes see, or a URL that fsspec opens; None is the user's data folder."""
    cpus: Annotated[float, Field(gt=0)] = 1.0
    """Processors of a replica; as many threads, rounded down, but at least one."""
    gpus: Annotated[float, Field(ge=0)] = 0.0
    """GPUs of a replica; 0.5 lets two share one."""
    min_replicas: Annotated[int, Field(ge=0)] = 1
    max_replicas: Count = 8
    target_ongoing_requests: Annotated[float, Field(gt=0)] | None = None
    """Jobs in a replica on average, above which there will be more replicas; None is half of the most."""
    max_ongoing_requests: Annotated[int, Field(ge=1, le=64)] | None = None
    """Jobs in a replica at most, all of which memory must hold; None is as many as a batch has, and at least two, so
    that one is listened to and written while another is sampled."""
    batch: Annotated[int, Field(ge=1, le=MOST_TOGETHER)] | None = None
    """Windows that are sampled together at most; None is 8 with a GPU, and 1 on processors, where it saves nothing."""
    batch_wait_s: Annotated[float, Field(ge=0, le=10)] = 0.02
    """How long a window waits for others."""
    drain_s: Annotated[float, Field(ge=0)] = 120.0
    """How long a replica may go on with its jobs when it is to end, before they are done elsewhere."""
    host: str = "127.0.0.1"
    """The name that clients know the server by; any but this machine's own takes keys."""
    api_key_file: Path | None = None
    """On the nodes that may run the server."""
    max_minutes: Annotated[float, Field(gt=0)] = _LIMITS.longest_s / 60
    max_mb: Annotated[int, Field(ge=1, le=10_000)] = _LIMITS.upload_bytes >> 20
    keep_hours: Annotated[float, Field(ge=0)] = _LIMITS.keep_s / 3600
    max_gb: Annotated[float, Field(gt=0)] = _LIMITS.total_bytes / (1 << 30)
    waiting: Count = _LIMITS.waiting
    """Jobs that wait."""
    waiting_of_client: Count = _LIMITS.waiting_of_client
    crashes: Count = 4
    """Replicas that a job may go down with before it is given up: a node that ends takes the jobs of others along."""

    @model_validator(mode="after")
    def _consistent(self) -> ClusterSettings:
        if self.min_replicas > self.max_replicas:
            raise ValueError(f"min_replicas must be at most max_replicas, {self.max_replicas}")
        if self.together > self.ongoing:
            raise ValueError(f"batch must be at most max_ongoing_requests, {self.ongoing}")
        return self

    @classmethod
    def parse(cls, arguments: dict[str, Any]) -> ClusterSettings:
        """From names and values, as text or as what they are.

        Raises:
            UserError: a name is unknown, or a value out of range.
        """
        try:
            settings = cls.model_validate(arguments)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"]))
            said = str(first["msg"]).removeprefix("Value error, ")
            raise UserError(f"{name}: {said}; settings are {', '.join(cls.model_fields)}" if name else said) from error
        chosen(Provider, settings.provider, "provider")
        return settings

    @property
    def together(self) -> int:
        """Windows of a batch at most."""
        return self.batch or (MOST_TOGETHER if self.gpus else 1)

    @property
    def ongoing(self) -> int:
        """Jobs in a replica at most."""
        return self.max_ongoing_requests or max(2, self.together)

    @property
    def target(self) -> float:
        """Jobs in a replica on average."""
        return self.target_ongoing_requests or self.ongoing / 2

    @property
    def threads(self) -> int:
        """Of a replica."""
        return max(1, int(self.cpus))

    @property
    def limits(self) -> Limits:
        """Of the server."""
        return Limits(
            longest_s=60 * self.max_minutes,
            upload_bytes=self.max_mb << 20,
            keep_s=3600 * self.keep_hours,
            total_bytes=round(self.max_gb * (1 << 30)),
            waiting=self.waiting,
            waiting_of_client=self.waiting_of_client,
            crashes=self.crashes,
        )
