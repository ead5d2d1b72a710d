"""Looking at what there is must stay cheap: no torch, no pandas, no plotly until work begins."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "sklearn", "onnx", "onnxruntime", "pandas", "plotly", "scipy", "numpy")


def loaded_after(code: str) -> set[str]:
    ending = f"\nimport sys; print('|'.join(name for name in {HEAVY!r} if name in sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code + ending], capture_output=True, text=True, check=True)
    return set(ended.stdout.strip().splitlines()[-1].split("|")) - {""} if ended.stdout.strip() else set()


def test_importing_the_library_loads_nothing_heavy() -> None:
    assert loaded_after("import workbench, workbench.job, workbench.catalog, workbench.store, workbench.bench") == set()
    assert loaded_after("import workbench.queue") == set()


def test_the_command_line_starts_light() -> None:
    assert loaded_after("import workbench.cli") == set()


def test_the_whole_catalog_is_declared_without_torch() -> None:
    code = """
from workbench import catalog
from workbench.params import describe
from workbench.part import FAMILIES
for family in FAMILIES:
    for part in catalog.parts(family):
        describe(part); part.missing()
"""
    assert loaded_after(code) & {"torch", "transformers", "sklearn", "onnx", "onnxruntime"} == set()


def test_cards_and_reasons_need_no_torch() -> None:
    code = """
from workbench import catalog
from workbench.params import describe
datas = [p() for p in catalog.parts("data") if not any(s.required for s in describe(p))]
models = [p() for p in catalog.parts("zoo") if not p.card_needs_module and not any(s.required for s in describe(p))]
steps = [p() for p in catalog.parts("compress") if not any(s.required for s in describe(p))]
formats = [p() for p in catalog.parts("formats")]
count = 0
for data in datas:
    for model in models:
        if model.why_not(data.card()):
            continue
        card = model.card(data.card())
        for step in steps:
            step.why_not(card), [f.why_not(step.preview(card)) for f in formats]
            count += 1
assert count >= 10, count
"""
    assert loaded_after(code) & {"torch", "transformers", "sklearn", "onnx", "onnxruntime"} == set()


@pytest.mark.parametrize("name", ["workbench.bench", "workbench.store", "workbench.job", "workbench.queue"])
def test_a_module_says_what_it_is_for(name: str) -> None:
    module = __import__(name, fromlist=["_"])
    assert module.__doc__ and len(module.__doc__.splitlines()[0]) > 20
