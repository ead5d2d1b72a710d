"""Why a request is refused: one word here, a status on REST and one on gRPC."""

from __future__ import annotations

from typing import Literal

from workbench.errors import WorkbenchError

Kind = Literal["invalid", "no_key", "forbidden", "unknown", "too_slow", "too_large", "too_many", "unsupported"]
# kind → status of HTTP, name of gRPC's status
STATUS: dict[Kind, tuple[int, str]] = {
    "invalid": (400, "INVALID_ARGUMENT"),
    "no_key": (401, "UNAUTHENTICATED"),
    "forbidden": (403, "PERMISSION_DENIED"),
    "unknown": (404, "NOT_FOUND"),
    "too_slow": (408, "DEADLINE_EXCEEDED"),
    "too_large": (413, "RESOURCE_EXHAUSTED"),
    "unsupported": (415, "UNIMPLEMENTED"),
    "too_many": (429, "RESOURCE_EXHAUSTED"),
}


class Refusal(WorkbenchError):
    """A request that this server won't carry out, told to its client."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind = kind

    @property
    def http_status(self) -> int:
        return STATUS[self.kind][0]

    @property
    def grpc_status(self) -> str:
        return STATUS[self.kind][1]
