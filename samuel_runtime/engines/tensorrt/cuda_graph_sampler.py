"""The sampling of a window as one CUDA graph: conditioning and every step, guidance and updates inside.

Each step reads what the step before wrote, where it wrote it, and its own row of every table, so between the upload of
a window's inputs and the download of its latents the host does nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from samuel_runtime.diffusion.fused_step import BRANCHES, COEFFICIENTS, Inputs
from samuel_runtime.engines.tensorrt.cuda import ALIGNMENT, Cuda
from samuel_runtime.engines.tensorrt.engine import TensorRtEngine

_FLOAT = np.dtype(np.float32)


class CudaGraphSampler:
    """A loop of so many steps over latents of one shape, ready to run again and again."""

    def __init__(
        self,
        cuda: Cuda,
        conditioning: TensorRtEngine,
        step: TensorRtEngine,
        shape: tuple[int, int, int],
        terms: Sequence[Mapping[str, np.ndarray]],
        *,
        noisy: bool,
        sheet_channels: int = 0,
    ) -> None:
        """Allocate everything that any step touches, and capture the steps.

        Args:
            cuda: the device.
            conditioning: its engine.
            step: its engine.
            shape: of the latents.
            terms: of each step's timestep, for their number and shapes.
            noisy: whether every step has noise of its own.
            sheet_channels: of the lead sheet that conditioning takes; 0 takes none.

        Raises:
            UserError: the engines take no such shape, or the device has too little memory.
        """
        self._cuda, self.steps, self._shape = cuda, len(terms), shape
        given = {"vocals": shape}
        if sheet_channels:
            given["sheet"] = (shape[0], sheet_channels, shape[2])
        self._given = {name: StridedBuffer(cuda, 1, size) for name, size in given.items()}
        self._conditioning = conditioning.execution(given)
        memory = {name: StridedBuffer(cuda, 1, size) for name, size in self._conditioning.output_shapes.items()}
        self._conditioning.address(**{name: rows[0] for name, rows in {**self._given, **memory}.items()})

        self._latents = StridedBuffer(cuda, self.steps + 1, shape)
        self._corrected, self._estimates = StridedBuffer(cuda, 2, shape), StridedBuffer(cuda, 2, shape)
        self._noise = StridedBuffer(cuda, self.steps if noisy else 1, shape)
        self._tables = {name: StridedBuffer(cuda, self.steps, value.shape) for name, value in terms[0].items()}
        self._tables["update"] = StridedBuffer(cuda, self.steps, (COEFFICIENTS,))
        self._tables["scales"] = StridedBuffer(cuda, self.steps, (BRANCHES,))
        self._once = {
            "known": StridedBuffer(cuda, 1, shape),
            "held": StridedBuffer(cuda, 1, (1, 1, shape[2]), np.dtype(bool)),
        }
        self._memory = memory
        tables = {name: rows.shape for name, rows in {**self._tables, **self._once, **memory}.items()}
        self._step = step.execution({**tables, "x": shape, **dict.fromkeys(("anchor", "before", "noise"), shape)})

        # The first run of an engine on a shape makes what cannot be made while a stream is captured.
        self._conditioning.enqueue()
        self._enqueue(0)
        cuda.synchronize()
        self._conditioning.check_capturable()
        self._step.check_capturable()
        with cuda.capturing() as graph:
            for rows in (self._corrected, self._estimates):
                rows.clear()  # the first step weighs them with 0, but 0 times what a run that overflowed left is NaN
            self._conditioning.enqueue()
            for index in range(self.steps):
                self._enqueue(index)
        self._graph = graph

    def run(self, inputs: Inputs) -> np.ndarray:
        """Sample: float32 (steps, batch, channels, frames), the latents after every step."""
        with self._cuda.lock:  # its memory is that of all runs
            return self._run(inputs)

    def _run(self, inputs: Inputs) -> np.ndarray:
        held = inputs.prefix_latents.shape[-1]
        for name, rows in self._given.items():
            rows.host[0] = inputs.conditioning[name]
        self._latents.host[0] = inputs.start
        self._once["known"].host[0, ..., :held] = inputs.prefix_latents
        self._once["held"].host[0, ..., :] = np.arange(self._shape[2]) < held
        self._tables["update"].host[...] = inputs.updates
        self._tables["scales"].host[...] = [(scale, 1 - scale) for scale in inputs.guidance]
        for index, terms in enumerate(inputs.terms):
            for name, value in terms.items():
                self._tables[name].host[index] = value
        uploads = [*self._given.values(), *self._once.values(), *self._tables.values()]
        if inputs.noise is not None:
            self._noise.host[...] = inputs.noise
            uploads.append(self._noise)
        for rows in uploads:
            rows.upload(rows.count)
        self._latents.upload(1)
        self._graph.launch()
        self._latents.download()
        self._cuda.synchronize()
        return self._latents.host[1:].copy()

    def _enqueue(self, index: int) -> None:
        """One step, on its own rows; corrected x and x_0 change places from step to step."""
        now, then = index % 2, (index + 1) % 2
        self._step.address(
            x=self._latents[index],
            next=self._latents[index + 1],
            anchor=self._corrected[now],
            next_anchor=self._corrected[then],
            before=self._estimates[now],
            x0=self._estimates[then],
            noise=self._noise[index % self._noise.count],
            **{name: rows[index] for name, rows in self._tables.items()},
            **{name: rows[0] for name, rows in {**self._once, **self._memory}.items()},
        )
        self._step.enqueue()


class StridedBuffer:
    """Equal arrays one after the other on the device, each at an address that TensorRT may read."""

    def __init__(self, cuda: Cuda, count: int, shape: tuple[int, ...], dtype: np.dtype[np.generic] = _FLOAT) -> None:
        """Allocate ``count`` of them, zeroed."""
        self._cuda, self.count, self.shape, self._dtype = cuda, count, shape, dtype
        size = int(np.prod(shape)) * dtype.itemsize
        self._stride = -(-size // ALIGNMENT) * ALIGNMENT
        self._memory = cuda.allocate(count * self._stride)
        self._staging: np.ndarray | None = None

    def __getitem__(self, index: int) -> int:
        """The address of one."""
        return self._memory.address + index * self._stride

    @property
    def host(self) -> np.ndarray:
        """The host's copy, (count, *shape)."""
        inner = np.empty(self.shape, self._dtype).strides
        return np.ndarray((self.count, *self.shape), self._dtype, self._staged, strides=(self._stride, *inner))

    def clear(self) -> None:
        """Zero all of the device's."""
        self._cuda.clear(self._memory)

    def upload(self, count: int) -> None:
        """Copy the first ``count`` of the host's to the device, all at once."""
        self._cuda.upload(self._memory.address, self._staged[: count * self._stride])

    def download(self) -> None:
        """Copy all of the device's to the host at once."""
        self._cuda.download(self._staged, self._memory.address)

    @property
    def _staged(self) -> np.ndarray:
        if self._staging is None:  # most are never copied
            self._staging = self._cuda.pinned((self.count * self._stride,), np.dtype(np.uint8))
        return self._staging
