"""The README of a package: what the model is, what was measured of it where, and the commands for its folder."""

from __future__ import annotations

from collections.abc import Iterable

from workbench import wording
from workbench.nouns import Artifact, Measurement, Run

TOLD = ("accuracy", "perplexity", "artifact_bytes", "latency_ms_p50", "latency_ms_p95", "latency_ratio_to_parent",
        "peak_memory_bytes", "energy_joules", "membership_auc")  # fmt: skip


def text(run: Run, saved: Artifact, *, name: str, is_signed: bool) -> str:
    """Return the model card in markdown."""
    card = saved.card
    sections = [
        ("The model", _facts(run, saved)),
        ("What was measured", _measured(run)),
        ("Use it", _commands(name, is_signed=is_signed)),
        ("Know", _limits()),
    ]
    return "\n\n".join([f"# {card['title']}", *(f"## {head}\n\n{body}" for head, body in sections)]) + "\n"


def _facts(run: Run, saved: Artifact) -> str:
    card = saved.card
    rows = [
        ("task", card["task"]),
        ("answers", ", ".join(card["labels"]) or "see outputs"),
        ("inputs", "; ".join(map(_tensor, card["inputs"]))),
        ("outputs", "; ".join(map(_tensor, card["outputs"]))),
        ("weights", str(card["precision"]["weights"])),
        ("format", f"{card['format']}, opened by {', '.join(f'{name} {version}' for name, version in card['needs'].items())}"),
        ("licence", card["licence"] or "not stated"),
        ("source", card.get("source") or "not stated"),
        ("made by", f"run {run.run_id}, {run.ended or 'at an unknown time'}"),
        ("trained on", str(run.job.get("data", {}))),
        ("recipe", " → ".join(str(step) for step in run.job.get("steps", [])) or "as it comes"),
    ]  # fmt: skip
    return _table(("what", ""), rows)


def _measured(run: Run) -> str:
    """Return the main figures, each with its interval and conditions."""
    rows = [(each.name, wording.measured_text(each), _conditions(each)) for each in run.measurements if _is_told(each)]
    where = f"Measured on: {run.machine.get('cpu', 'an unknown processor')}, {run.machine.get('cores', '?')} cores."
    return f"{where} Elsewhere times differ: run `python measure.py`.\n\n{_table(('quantity', 'value', 'conditions'), rows)}"


def _is_told(each: Measurement) -> bool:
    return each.name in TOLD and each.conditions.get("split", "test") == "test" and "label" not in each.conditions


def _conditions(each: Measurement) -> str:
    return ", ".join(f"{key} {each.conditions[key]}" for key in ("split", "threads", "batch") if key in each.conditions)


def _commands(name: str, *, is_signed: bool) -> str:
    verify = (
        "\nworkbench protect verify artifact --keys KEYS   # who signed it, and whether it is unchanged"
        if is_signed
        else ""
    )
    return f"""```
python -m pip install -r requirements.txt
python -I artifact/load.py                      # opens it, and compares with the recorded output
python measure.py                               # writes RESULT.json; `workbench import RESULT.json` adds this machine{verify}
python client.py http://HOST:PORT --token TOKEN # asks a server that serves it as `{name}`
curl -H 'Authorization: Bearer TOKEN' -H 'Content-Type: application/json' -d @example.json http://HOST:PORT/v2/models/{name}/infer
```

In Python: `runpy.run_path("artifact/load.py")["open_model"](threads=1)` is a function of input arrays by name."""


def _limits() -> str:
    return "\n".join(
        [
            "- Accuracy holds for data like those it was tested on; the interval is that of this many test examples.",
            "- Weights can tell of training data: `membership_auc` above says how much the simplest attack sees, where it was measured.",
        ]
    )


def _tensor(spec: dict[str, object]) -> str:
    return f"{spec['name']} {spec['dtype']} {spec['shape']}"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    columns = list(head)
    return "\n".join([wording.table_line(columns), f"|{'---|' * len(columns)}", *map(wording.table_line, rows)])
