"""How an order may end, as the event that tells it."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from samuel_runtime.errors import UserError

NAME = "voice"
"""What messages call the recording: its path is nobody's concern outside."""


class GivenUpError(Exception):
    """The server does not want the order any more."""


def outcome(do: Callable[[], dict[str, Any]], voice: Path) -> dict[str, Any]:
    """Do an order; whatever it ends with becomes an event.

    Args:
        do: returns the event of its success.
        voice: the recording, whose path is left out of messages.
    """
    try:
        return do()
    except GivenUpError:
        return {"event": "cancelled"}
    except UserError as error:
        return {"event": "refused", "detail": str(error).replace(str(voice), NAME)}
    except MemoryError:
        return {"event": "refused", "detail": f"{NAME}: the server has too little memory for it; cut it shorter"}
    except Exception:
        traceback.print_exc()
        return {"event": "defect"}
