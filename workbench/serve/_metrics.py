"""What Prometheus reads: requests by model, port and status, their seconds, and what is under way."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)  # seconds


class Metrics:
    """Has a registry of its own, so that two servers in one process don't meet."""

    def __init__(self) -> None:
        self.num_begun = 0
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        labels = ("model", "version", "port", "status")
        self.requests = Counter(
            "workbench_requests",
            "Answered requests; model is empty when none was meant",
            labels,
            registry=self.registry,
        )
        self.seconds = Histogram(
            "workbench_infer_seconds",
            "From the whole request to its answer",
            ("model", "port"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.under_way = Gauge(
            "workbench_under_way", "Requests that are being answered", ("port",), registry=self.registry
        )
        self._children: dict[tuple[Any, ...], Any] = {}

    def count(self, model: str, version: str, port: str, status: str) -> None:
        self._child(self.requests, model, version, port, status).inc()

    def begun(self, port: str) -> None:
        self.num_begun += 1
        self._child(self.under_way, port).inc()

    def ended(self, port: str) -> None:
        self._child(self.under_way, port).dec()

    def took(self, model: str, port: str, seconds: float) -> None:
        self._child(self.seconds, model, port).observe(seconds)

    def page(self) -> bytes:
        return generate_latest(self.registry)

    def _child(self, metric: Any, *labels: str) -> Any:
        """Finding a child anew takes longer than counting with it."""
        key = (metric, *labels)
        if key not in self._children:
            self._children[key] = metric.labels(*labels)
        return self._children[key]
