"""How a bundle's bands are made where nobody says otherwise: steps, guidance, and what is done to their sound."""

from __future__ import annotations

from pathlib import Path

from samuel_export.written import rewritten, write_manifest
from samuel_runtime.bundle.manifest import SCHEMA_VERSION
from samuel_runtime.diffusion.schedule import check_steps


def set_defaults(
    folder: Path,
    out: Path,
    steps: int | None = None,
    guidance: float | None = None,
    guided_down_to: int | None = None,
    side_gain_db: float | None = None,
    peak_ceiling: float | None = None,
) -> Path:
    """Write the bundle with other ones, None as before; its graphs and engines stay.

    Args:
        folder: of the bundle.
        out: folder of the new bundle, which may be ``folder``.
        steps: denoising steps, at most the timesteps of the model's schedule.
        guidance: classifier-free guidance scale.
        guided_down_to: the lowest timestep that is guided.
        side_gain_db: what the side signal of its bands is raised by.
        peak_ceiling: which no peak of its bands reaches, of full scale.

    Raises:
        UserError: the bundle is not in order, has fewer timesteps than ``steps``, or ``out`` is something else.
    """
    given = {
        "steps": steps,
        "guidance": guidance,
        "guided_down_to": guided_down_to,
        "side_gain_db": side_gain_db,
        "peak_ceiling": peak_ceiling,
    }
    with rewritten(folder, out) as (whole, manifest):
        model = manifest.model.model_copy(update={name: value for name, value in given.items() if value is not None})
        check_steps(model.steps, model.timesteps)
        write_manifest(whole, manifest.model_copy(update={"schema_version": SCHEMA_VERSION, "model": model}))
    return out
