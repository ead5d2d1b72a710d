"""How a batch is carried out: limits, retries, threads. Parsed from words, kept in batch.json, checked in one place."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from workbench.errors import InvalidInput
from workbench.launch import _ray_cluster
from workbench.params import did_you_mean

RETRYABLE = ("timeout", "kernel_died", "oom_limit", "network", "disk", "error")
"""What `--retry-on` may name: statuses, and categories of errors that can go away by themselves."""
EXECUTORS = ("local", "ray")
PAGES = ("all", "failed", "none")
SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "": 1.0}
BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


@dataclass(frozen=True)
class Options:
    """Limits are per row, but for `budget_s`. None = no limit."""

    jobs: int = 0  # 0 = as many as cores and memory allow
    threads: int = 0  # per row; 0 = cores // jobs
    timeout_s: float | None = None
    cell_timeout_s: float | None = None
    memory_bytes: int | None = None
    retries: int = 0
    retry_on: tuple[str, ...] = ("timeout", "kernel_died", "network")
    max_failures: int | None = None
    budget_s: float | None = None
    cold: bool = False
    exclusive: bool = True  # other rows are paused while one measures through `exclusive`
    pages: str = "failed"  # which rows get an out.html: all, failed or none
    executor: str = "local"  # where rows are executed: here, or on a Ray cluster
    address: str = ""  # of the cluster; empty = RAY_ADDRESS, or the one that runs on this machine
    resources: dict[str, float] = field(
        default_factory=dict
    )  # what a row asks the cluster for, beside threads and memory

    def settled(self) -> Options:
        """Return these options with numbers for what was left to us; raises InvalidInput with every problem."""
        problems = [
            f"--retry-on: {word!r} is not one of {', '.join(RETRYABLE)}{did_you_mean(word, RETRYABLE)}"
            for word in self.retry_on
            if word not in RETRYABLE
        ]
        for name in ("jobs", "threads", "retries"):
            if getattr(self, name) < 0:
                problems.append(f"--{name}: {getattr(self, name)} is less than 0")
        if self.executor not in EXECUTORS:
            known = ", ".join(EXECUTORS)
            problems.append(
                f"--executor: {self.executor!r} is not one of {known}{did_you_mean(self.executor, EXECUTORS)}"
            )
        elif self.executor == "local":
            for name in ("address", "resources"):
                problems += [f"--{name} is for --executor ray only"] if getattr(self, name) else []
        problems += _ray_cluster.address_problems(self.address, "--address")
        if self.pages not in PAGES:
            problems.append(f"--pages: {self.pages!r} is not one of {', '.join(PAGES)}")
        if problems:
            raise InvalidInput(problems)
        if self.executor == "ray":  # how many rows fit is the cluster's to say
            return Options(**{**asdict(self), "threads": self.threads or 1, "retry_on": tuple(self.retry_on)})
        jobs = self.jobs or _default_jobs(self.memory_bytes)
        threads = self.threads or max(1, num_cores() // jobs)
        return Options(**{**asdict(self), "jobs": jobs, "threads": threads, "retry_on": tuple(self.retry_on)})

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "retry_on": list(self.retry_on)}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Options:
        return cls(**{**record, "retry_on": tuple(record.get("retry_on", cls.retry_on))})


def num_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def seconds(text: str, option: str) -> float:
    """Read `90`, `15m`, `1.5h` or `30s`; raises InvalidInput."""
    return _scaled(text, SECONDS, option, "as in 90s, 15m or 1.5h")


def memory(text: str, option: str) -> int:
    """Read `3G`, `500MB`, `2GiB` as bytes; raises InvalidInput."""
    bare = re.sub(r"i?B$", "", text.strip(), flags=re.IGNORECASE)
    factor = 1.024 if re.search(r"[kmgt]i", text, re.IGNORECASE) else 1.0
    power = "kmgt".find(bare[-1:].lower()) + 1 if bare[-1:].isalpha() else 0
    return int(_scaled(bare, BYTES, option, "as in 500MB or 3G") * factor**power)


def amounts(texts: Sequence[str], option: str) -> dict[str, float]:
    """Read `gpu=1`, `cpu=4` or `my_label=0.5`; raises InvalidInput with every one that can't be read."""
    found = {text: re.fullmatch(r"\s*([^=\s]+)\s*=\s*(\d+(?:\.\d+)?)\s*", text) for text in texts}
    if wrong := [
        f"{option}: {text!r} can't be read; write it as in gpu=1" for text, match in found.items() if not match
    ]:
        raise InvalidInput(wrong)
    return {match[1]: float(match[2]) for match in found.values() if match}


def words(texts: Sequence[str]) -> tuple[str, ...]:
    """Return what commas separate."""
    return tuple(word for text in texts for word in re.split(r"[\s,]+", text) if word)


def _scaled(text: str, units: dict[str, Any], option: str, example: str) -> float:
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.lower())
    if not found or found[2] not in units or not float(found[1]):
        raise InvalidInput([f"{option}: {text!r} can't be read; write it {example}"])
    return float(found[1]) * units[found[2]]


def _default_jobs(memory_bytes: int | None) -> int:
    """Return half of the cores, or fewer where free memory holds fewer rows of the declared size."""
    import psutil

    by_cores = max(1, num_cores() // 2)
    fitting = psutil.virtual_memory().available // memory_bytes if memory_bytes else by_cores
    return max(1, min(by_cores, int(fitting)))
