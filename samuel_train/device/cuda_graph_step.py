"""Training steps as CUDA graphs: recorded once for every shape of a batch, and replayed from then on.

A step is thousands of short kernels. A fast GPU runs them in a third of the time that Python takes to launch them one
by one; a replay launches them all at once. What is recorded sees the same tensors every time, so batches are copied
into them, and whatever changes from step to step, such as a rate, has to be a tensor too.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import Tensor

Measured = dict[str, Tensor]
"""What a step measures, () each, by name."""
Step = Callable[..., Measured]
"""(kind, *tensors) to what it measures; it waits for nothing, and everything else that it does stays on the device."""

_WARM_CALLS = 3  # in which libraries and optimisers set themselves up, which must not be recorded


class CudaGraphStep:
    """A step that is recorded where the device can do that, and simply called where it cannot."""

    def __init__(self, step: Step, device: torch.device, possible: bool = True) -> None:
        """``possible`` is False for steps that wait for other processes, or for the device."""
        self._step = step
        self.records = possible and device.type == "cuda"
        """Whether steps become graphs."""
        self._calls: Counter[Hashable] = Counter()
        self._graphs: dict[Hashable, _Graph] = {}
        if self.records:
            self._stream = torch.cuda.Stream(device)
            self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, kind: Hashable, *tensors: Tensor) -> Measured:
        """Do the step; ``kind`` is everything besides the tensors' shapes that decides what it does."""
        if not self.records:
            return self._step(kind, *tensors)
        caller = torch.cuda.current_stream()
        self._stream.wait_stream(caller)
        with torch.cuda.stream(self._stream):
            measured = self._called(kind, tensors)
        caller.wait_stream(self._stream)
        return measured

    def _called(self, kind: Hashable, tensors: tuple[Tensor, ...]) -> Measured:
        self._calls[kind] += 1
        if self._calls[kind] <= _WARM_CALLS:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*capturable=True")  # soon it is captured
                return self._step(kind, *tensors)
        key = (kind, *(tensor.shape for tensor in tensors))
        if key not in self._graphs:
            self._graphs[key] = _Graph(self._step, kind, tensors, self._stream, self._pool)
        return self._graphs[key].replay(tensors)


class _Graph:
    """One recording, and the tensors that it reads and writes."""

    def __init__(
        self, step: Step, kind: Hashable, tensors: tuple[Tensor, ...], stream: torch.cuda.Stream, pool: Any
    ) -> None:
        self._inputs = tuple(tensor.clone() for tensor in tensors)
        self._graph = torch.cuda.CUDAGraph()
        # Other threads, such as one that pins what a data loader made, may go on meanwhile.
        with torch.cuda.graph(self._graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
            self._measured = step(kind, *self._inputs)

    def replay(self, tensors: tuple[Tensor, ...]) -> Measured:
        """Do the step with these tensors."""
        for mine, given in zip(self._inputs, tensors, strict=True):
            mine.copy_(given)
        self._graph.replay()
        return {name: value.clone() for name, value in self._measured.items()}
