"""Sides of the pairs: the paper's network with seeded weights in PyTorch, and its exported graphs."""

from __future__ import annotations

import os

import pytest
import torch

from benchmarks.machine import describe
from samuel_export.denoiser_graphs import conditioning_graph, step_graph, timesteps_graph
from samuel_runtime.choices import Provider
from samuel_runtime.denoiser import Denoiser as RuntimeDenoiser
from samuel_runtime.engines import open_engine
from samuel_runtime.manifest import ModelFacts
from samuel_train.config import ModelConfig
from samuel_train.model import FRAMES_MULTIPLE, Denoiser
from tests.miniature import miniature_statistics

THREADS = os.cpu_count() or 1


def pytest_report_header() -> str:
    """Name the machine above the results."""
    return f"machine: {describe()}"


@pytest.fixture(scope="session")
def model() -> Denoiser:
    """The denoiser of the paper's size; what is zero at the start is moved off it, so that agreement says much."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    model = Denoiser(ModelConfig()).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    return model


@pytest.fixture(scope="session")
def exported(model: Denoiser) -> RuntimeDenoiser:
    """The same network in the runtime, with as many threads."""
    engines = [
        open_engine(graph(model).SerializeToString(), graph.__name__, Provider.CPU, THREADS)
        for graph in (conditioning_graph, timesteps_graph, step_graph)
    ]
    facts = ModelFacts(
        prediction=model.config.prediction,
        timesteps=model.config.timesteps,
        latent_channels=model.config.latent_channels,
        frames=1024,
        frames_min=8,
        frames_multiple=FRAMES_MULTIPLE,
        guidance=3.0,
        statistics=miniature_statistics().to_dict(),
    )
    return RuntimeDenoiser(*engines, facts)
