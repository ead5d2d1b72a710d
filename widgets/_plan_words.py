"""Plans as rows of tables and as words: what fits, what limits it, what a rank holds and sends."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from widgets import _words
from widgets.table_view import Column
from workbench.charts.layouts import title_of
from workbench.plan.hardware import Answer
from workbench.plan.serving import Served
from workbench.plan.training import USABLE, Planned
from workbench.wording import bytes_text

LAYOUTS = (
    Column("layout", "layout", "Ranks along each axis"),
    Column("fits", "fits", "Into the device's usable memory"),
    Column("memory", "a rank", "Bytes of the fullest rank", True),
    Column("tokens", "tokens/s", "Of all devices", True),
    Column("step", "step (s)", "Of one optimizer step", True),
    Column("limit", "limited by"),
    Column("share", "of peak", "Useful operations over the peak", True),
    Column("bubble", "bubble", "Share of the step that a pipeline waits", True),
    Column("sent", "sent", "Bytes that a rank sends in a step", True),
    Column("cost", "cost", "Of a step", True),
)  # fmt: skip
SERVED = (
    Column("weights", "weights"),
    Column("ranks", "tensor × groups"),
    Column("fits", "fits"),
    Column("token", "ms a token", "", True),
    Column("tokens", "tokens/s", "Of all devices", True),
    Column("batch", "at once", "Sequences in a group", True),
    Column("most", "most at once", "Sequences in a group", True),
    Column("limit", "limited by"),
    Column("size", "weights of a device", "", True),
    Column("cache", "cache", "Of one sequence with a full context, on a device", True),
    Column("prompt", "prompt (ms)", "Of one sequence alone", True),
)  # fmt: skip
ANSWERS = (
    Column("device", "device"),
    Column("fits", "does it"),
    Column("number", "how many", "", True),
    Column("weights", "weights"),
    Column("token", "ms a token", "", True),
    Column("request", "s a request", "Among those at once", True),
    Column("cost", "cost / 1,000", "Of 1,000 requests", True),
    Column("energy", "kJ / 1,000", "Energy of 1,000 requests at the device's full power", True),
    Column("why", "why not"),
    Column("kind", "kind"),
    Column("source", "figures from"),
)  # fmt: skip


def fits_text(fits: bool) -> tuple[float, str]:
    """Return a cell that sorts what fits first."""
    return (0.0, "✓ fits") if fits else (1.0, "✗ no")


def layout_rows(planned: Sequence[Planned], price: float | None, num_devices: int) -> list[dict[str, Any]]:
    """Return a row per layout, by its place in the plan; `price` is of a device for an hour."""
    return [
        {
            "id": str(index), "layout": title_of(each.to_json()["layout"]), "fits": fits_text(each.fits),
            "memory": (each.memory_bytes, bytes_text(each.memory_bytes)), "step": each.step_seconds,
            "tokens": (each.tokens_per_second, f"{each.tokens_per_second:,.0f}"), "share": (each.share_of_peak, f"{each.share_of_peak:.0%}"),
            "bubble": (each.seconds["bubble"], f"{each.seconds['bubble'] / each.step_seconds:.0%}"),
            "sent": (sum(each.sent.values()), bytes_text(sum(each.sent.values()))),
            "cost": None if price is None else each.step_seconds * num_devices * price / 3600, "limit": each.limit,
        }
        for index, each in enumerate(planned)
    ]  # fmt: skip


def served_rows(ways: Sequence[Served]) -> list[dict[str, Any]]:
    """Return a row per way of serving."""
    return [
        {
            "id": str(index), "weights": way.precision, "ranks": f"{way.tensor} × {way.groups}", "fits": fits_text(way.fits),
            "size": (way.weight_bytes, bytes_text(way.weight_bytes)), "cache": (way.cache_bytes, bytes_text(way.cache_bytes)),
            "most": float(way.max_batch), "batch": float(way.batch), "token": way.seconds_per_token * 1e3,
            "prompt": way.prompt_seconds * 1e3, "tokens": (way.tokens_per_second, f"{way.tokens_per_second:,.0f}"), "limit": way.limit,
        }
        for index, way in enumerate(ways)
    ]  # fmt: skip


def answer_rows(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Return a row per device; those that do it have a sign, the others a reason."""
    rows = []
    for each in answers:
        served = each.served
        rows.append(
            {
                "id": each.device.name, "device": each.device.title, "kind": each.device.kind,
                "fits": (0.0, "✓ yes") if served else (1.0, "✗ no"), "number": float(each.num_devices) if served else None,
                "weights": served.precision if served else None, "token": served.seconds_per_token * 1e3 if served else None,
                "request": each.request_seconds, "energy": each.joules and each.joules / 1e3, "cost": each.cost, "why": each.why_not,
                "source": each.device.source,
            }
        )  # fmt: skip
    return rows


def chosen_html(each: Planned, memory_bytes: float) -> str:
    """Return why a layout fits or not, what its step waits for, and what it sends."""
    usable = USABLE * memory_bytes
    kind, sign = ("wb-good", "✓ fits") if each.fits else ("wb-bad", "✗ does not fit")
    spare = usable - each.memory_bytes
    room = f"{bytes_text(spare)} to spare" if each.fits else f"{bytes_text(-spare)} too much"
    title = html.escape(title_of(each.to_json()["layout"]))
    head = f'<p class="wb-headline">{title} <span class="wb-chip {kind}">{sign}</span></p>'
    told = f"{bytes_text(each.memory_bytes)} of {bytes_text(usable)} usable: {room}. Limited by {each.limit}."
    return (
        head
        + _words.note(told)
        + _shares("Where a step's time goes", each.seconds, "s")
        + _shares("What a rank sends in a step", each.sent, "bytes")
    )


def why_none_fits(planned: Sequence[Planned]) -> str:
    """Return what to do where nothing fits; empty where something does."""
    if any(each.fits for each in planned):
        return ""
    return f"None of {len(planned)} layouts fits: more devices, ones with more memory, a shorter length, or a smaller model."


def _shares(caption: str, parts: Mapping[str, float], unit: str) -> str:
    whole = sum(parts.values())
    if not whole:
        return ""
    rows = [
        (html.escape(name), bytes_text(value) if unit == "bytes" else f"{value:.3g} {unit}", f"{value / whole:.0%}")
        for name, value in sorted(parts.items(), key=lambda part: -part[1])
        if value
    ]
    return _words.table(caption, ("", "", "share"), rows)
