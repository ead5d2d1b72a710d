"""The examples behind recorded answers, loaded again for looking at; refused when they are no longer the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import InvalidInput
from workbench.job import Job
from workbench.nouns import Run

if TYPE_CHECKING:
    import numpy as np


def load_inputs(run: Run, split: str) -> np.ndarray:
    """Return the first input of every example of a split, (N, …), as the run saw them; takes seconds.

    Raises InvalidInput when the data can't be loaded here or has changed since the run.
    """
    from workbench.states import data_hash

    data = Job.from_json(run.job).data
    if reasons := data.missing():
        raise InvalidInput(reasons)
    try:
        splits = data.load()
    except OSError as error:
        raise InvalidInput(
            [f"the data can't be read: {error.strerror or error} ({error.filename or data.name()})"]
        ) from error
    if data_hash(splits) != run.data_sha256:
        raise InvalidInput(["the data changed since these runs: what it holds now is not what they answered"])
    return next(iter(getattr(splits, split).inputs.values()))
