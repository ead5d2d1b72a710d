"""What a model did since it was loaded, in the protocol's terms: counts, and nanoseconds in the queue and in the model."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


class Request(Protocol):
    num_examples: int
    since_ns: int


@dataclass
class Statistics:
    num_examples: int = 0
    num_executions: int = 0  # calls of the model: below the number of requests when they shared batches
    last_ms: int = 0  # since 1970
    success: int = 0
    success_ns: int = 0
    fail: int = 0
    fail_ns: int = 0
    queue_ns: int = 0
    infer_ns: int = 0
    batches: Counter[int] = field(default_factory=Counter)  # examples in a batch → how many such batches
    batches_ns: Counter[int] = field(default_factory=Counter)

    def ran(self, batch: Sequence[Request], begun_ns: int, ended_ns: int) -> None:
        size = sum(each.num_examples for each in batch)
        self.num_examples += size
        self.num_executions += 1
        self.last_ms = time.time_ns() // 1_000_000
        self.success += len(batch)
        self.success_ns += sum(ended_ns - each.since_ns for each in batch)
        self.queue_ns += sum(begun_ns - each.since_ns for each in batch)
        self.infer_ns += (ended_ns - begun_ns) * len(batch)
        self.batches[size] += 1
        self.batches_ns[size] += ended_ns - begun_ns

    def failed(self, request: Request) -> None:
        self.fail += 1
        self.fail_ns += time.perf_counter_ns() - request.since_ns

    def to_json(self, name: str, version: int) -> dict[str, Any]:
        """Return one entry of `model_stats`."""
        return {
            "name": name,
            "version": str(version),
            "last_inference": self.last_ms,
            "inference_count": self.num_examples,
            "execution_count": self.num_executions,
            "inference_stats": {
                "success": _duration(self.success, self.success_ns),
                "fail": _duration(self.fail, self.fail_ns),
                "queue": _duration(self.success, self.queue_ns),
                "compute_infer": _duration(self.success, self.infer_ns),
            },
            "batch_stats": [
                {"batch_size": size, "compute_infer": _duration(count, self.batches_ns[size])}
                for size, count in sorted(self.batches.items())
            ],
        }


def _duration(count: int, ns: int) -> dict[str, int]:
    return {"count": count, "ns": ns}
