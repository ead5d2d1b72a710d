"""The errors that a person is meant to read: what happened, why, and what to do next.

WorkbenchError
├── InvalidInput      the request is wrong; carries every problem at once       (exit code 2)
├── MissingExtra      an optional package is absent; names the install command  (exit code 2)
├── ArtifactError     a saved file is missing, changed or of another version    (exit code 1)
├── RunFailed         a worker failed, was killed or ran out of something       (exit code 1)
└── Cancelled         somebody asked for it to stop                             (exit code 1)
"""

from __future__ import annotations

from collections.abc import Sequence


class WorkbenchError(Exception):
    """Something a person can act on; `next_move` says how."""

    exit_code = 1

    def __init__(self, message: str, *, next_move: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_move = next_move

    def __str__(self) -> str:
        return f"{self.message} → {self.next_move}" if self.next_move else self.message


class InvalidInput(WorkbenchError):
    """A request that can't be carried out; `problems` lists all of what is wrong with it."""

    exit_code = 2

    def __init__(self, problems: Sequence[str], *, next_move: str = "") -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems), next_move=next_move)


class MissingExtra(WorkbenchError):
    """A part needs a package that isn't installed."""

    exit_code = 2


class ArtifactError(WorkbenchError):
    """A saved artifact or record can't be used as it lies on disk."""


class RunFailed(WorkbenchError):
    """A job ended without a result; its run record holds the cause."""


class Cancelled(WorkbenchError):
    """The work was asked to stop before it was done."""
