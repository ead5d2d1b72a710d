"""What both ports share: the models, who may do what, what is counted and what is written down."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from workbench.serve._metrics import Metrics
from workbench.serve._policy import ADMIN, Policy
from workbench.serve._trail import Trail
from workbench.serve.api_keys import ApiKey
from workbench.serve.models import Models

PREDICTING = ("infer", "generate", "generate_stream")  # actions that a model answers


@dataclass(frozen=True)
class Limits:
    max_bytes: int = 32 << 20  # of one request, decompressed
    receive_seconds: float = 20.0  # from a request's first byte to its last
    max_connections: int = 2000  # on REST
    generate_seconds: float = 60.0  # of one text
    stop_seconds: float = 20.0  # what is under way may take this long after SIGTERM


@dataclass
class Visit:
    """One request as it is counted and written down."""

    port: str  # rest | grpc
    action: str
    peer: str
    key: ApiKey | None = None
    model: str = ""
    version: str = ""
    begun: float = field(default_factory=time.perf_counter)


@dataclass(frozen=True)
class Desk:
    models: Models
    policy: Policy
    metrics: Metrics
    limits: Limits
    trail: Trail | None  # None = no audit log

    def begun(self, port: str, action: str, peer: str) -> Visit:
        self.metrics.begun(port)
        return Visit(port, action, peer)

    def admit(self, visit: Visit, authorization: str, scope: str) -> None:
        """Raise Refusal unless the key may do this."""
        visit.key = self.policy.admit(authorization, scope)

    async def ended(self, visit: Visit, status: str, scope: str) -> None:
        """Count a request; note predictions and who was turned away, write down what administers."""
        self.metrics.ended(visit.port)
        self.metrics.count(visit.model, visit.version, visit.port, status)
        if visit.action in PREDICTING and visit.model:
            self.metrics.took(visit.model, visit.port, time.perf_counter() - visit.begun)
        if self.trail is None:
            return
        if scope == ADMIN and visit.key:
            facts = {"by": visit.key.id, "peer": visit.peer, "model": visit.model, "status": status, "port": visit.port}
            await self.trail.write(visit.action, **facts)
        elif visit.action in PREDICTING or (scope and not visit.key):
            key_id = visit.key.id if visit.key else ""
            self.trail.gather(key_id, visit.peer, visit.action, visit.model, visit.version, status)

    async def infer(self, visit: Visit, name: str, version: str, decode: Any) -> tuple[Any, Any, dict[str, Any]]:
        """Return the model that answered, the request that `decode(signature)` made, and the outputs."""
        served = self.models.get(name, version)
        visit.model, visit.version = served.name, str(served.version)
        request = decode(served.signature)
        outputs = await self.models.infer(served, request.inputs, request.wanted)
        return served, request, outputs
