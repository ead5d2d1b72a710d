"""Quantities as people read them: bytes, shares, ratios, intervals, n."""

from __future__ import annotations

from collections.abc import Iterable

from workbench.nouns import Measurement

MINUS = "−"


def bytes_text(count: float) -> str:
    """Return a number of bytes with its sign: 24.3 kB (1 kB = 1,000 bytes)."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(count) >= size:
            text = f"{count / size:.3g}" if abs(count) < 999.5 * size else f"{count / size:,.0f}"
            return f"{text} {unit}".replace("-", MINUS)
    return f"{count:,.0f} bytes".replace("-", MINUS)


def quantity(value: float, unit: str) -> str:
    """Return a value in its unit; a share in per cent."""
    if unit == "share":
        return f"{value:.1%}"
    if unit == "bytes":
        return bytes_text(value)
    if unit == "parameters":
        return f"{value:,.0f} parameters"
    return f"{value:.3g} {unit}" if unit in ("ms", "s", "J", "bits", "examples/s") else f"{value:.3g}"


def interval_text(measured: Measurement) -> str:
    """Return `[lo, hi]` in the unit of the value; empty when it has no interval."""
    if measured.lo is None or measured.hi is None:
        return ""
    return f"[{quantity(measured.lo, measured.unit)}, {quantity(measured.hi, measured.unit)}]"


def measured_text(measured: Measurement) -> str:
    """Return a value with its interval and its n, where there are."""
    told = " ".join(filter(None, (quantity(measured.value, measured.unit), interval_text(measured))))
    return f"{told}, n = {measured.n:,}" if measured.n else told


def ratio_verdict(measured: Measurement) -> str:
    """Return `faster`, `slower` or `cannot be told apart` for a ratio this / other with an interval."""
    if measured.lo is None or measured.hi is None:
        return "no interval"
    if measured.lo <= 1 <= measured.hi:
        return "cannot be told apart"
    return "faster" if measured.hi < 1 else "slower"


def timing_text(measured: Measurement) -> str:
    """Return under which conditions a latency was taken: threads, batch, warm-up, samples, alone or not."""
    how = measured.conditions
    told = [f"{name} {how[name]}" for name in ("threads", "batch") if name in how]
    told.append(
        f"warmed up {how['warm_up_seconds']:g} s or more" if "warm_up_seconds" in how else "warm-up not recorded"
    )
    told += [f"{measured.n:,} samples"] if measured.n else []
    told += [f"{how['restarts']} processes"] if how.get("restarts") else []
    alone = {True: "alone", False: "not alone"}.get(how.get("measured_alone"), "alone or not: not recorded")  # type: ignore[arg-type]
    return ", ".join([*told, alone])


def table_line(cells: Iterable[str]) -> str:
    """Return one line of a table in markdown, whose cells can hold any text."""
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    """Return text that ends no cell and no line."""
    return " ".join(text.replace("|", "\\|").split())
