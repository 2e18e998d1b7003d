"""Latents from Kaggle: ``kaggle:OWNER/DATASET`` in place of a folder."""

from __future__ import annotations

import re
from pathlib import Path

from samuel_runtime.errors import UserError
from samuel_train.data.latents import ACCOMPANIMENT_FILE, VOCALS_FILE

PREFIX = "kaggle:"
_REFERENCE = re.compile(r"[A-Za-z0-9_-]+/[A-Za-z0-9_.-]+")


def fetch_latents(reference: str) -> Path:
    """Download the data set ``OWNER/DATASET`` (once; kagglehub keeps it) and return its folder of latents.

    Raises:
        UserError: if kagglehub is missing, the download fails, or the data set holds no latents.
    """
    if not _REFERENCE.fullmatch(reference):
        raise UserError(f"{PREFIX}{reference}: not the name of a data set; write {PREFIX}OWNER/DATASET")
    try:
        import kagglehub
    except ImportError as error:
        raise UserError(
            f"{PREFIX}{reference}: kagglehub is not installed; run pip install 'samuel-deploy[kaggle]'"
        ) from error
    try:
        root = Path(kagglehub.dataset_download(reference))
    except Exception as error:  # kagglehub passes on whatever its HTTP library raises
        raise UserError(
            f"{PREFIX}{reference}: the download failed ({type(error).__name__}: {error}); check the name, the network "
            "and the credentials in ~/.kaggle/kaggle.json, or download it by hand and give its folder"
        ) from error
    for vocals in sorted(root.rglob(VOCALS_FILE)):
        if (vocals.parent / ACCOMPANIMENT_FILE).is_file():
            return vocals.parent
    raise UserError(f"{root}: holds no {VOCALS_FILE} beside {ACCOMPANIMENT_FILE}; name a data set of latents")
