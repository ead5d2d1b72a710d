"""A person's own module, with shared weights, control flow and odd shapes: every step does it, or says why not."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.methods._context import context, images
from tests.promises._every import SMALL_LENET, STEPS, carried_out_here, made, small_job
from workbench import catalog
from workbench.adopt import adopt_data
from workbench.context import StepContext
from workbench.errors import WorkbenchError
from workbench.part import Step
from workbench.store import Store
from workbench.train import predict
from workbench.zoo._describe import card_of

MODULE = """
import torch

class Odd(torch.nn.Module):
    def __init__(self, broken):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 5, 3, padding=1)
        self.grouped = torch.nn.Conv2d(5, 10, (3, 1), groups=5, bias=False)
        self.again = torch.nn.Linear(7, 7)
        self.first = torch.nn.Linear(60, 7)
        self.same = self.again
        self.last = torch.nn.Linear(7, CLASSES)
        self.unused = torch.nn.Linear(3, 2)
        self.unused.weight.requires_grad_(False)
        if broken:
            self.first.weight.data[0, 0] = float("nan")

    def forward(self, pixels):
        maps = torch.relu(self.grouped(torch.relu(self.conv(pixels))))
        if maps.shape[-1] > 3:
            maps = torch.nn.functional.adaptive_avg_pool2d(maps, (2, 3))
        hidden = self.first(maps.flatten(1))
        for turn in range(3):
            layer = self.again if turn % 2 else self.same
            hidden = hidden + torch.relu(layer(hidden))
        return self.last(hidden)

def whole():
    return Odd(False)

def broken():
    return Odd(True)
"""
every_step = pytest.mark.parametrize("name", STEPS)


def own(function: str, classes: int = 3) -> torch.nn.Module:
    space: dict[str, object] = {}
    torch.manual_seed(0)
    exec(MODULE.replace("CLASSES", str(classes)), space)
    return space[function]().eval()  # type: ignore[operator,no-any-return]


def own_context() -> StepContext:
    return context(images(), load=lambda *_: own("whole"), build=lambda *_: own("whole"))


@every_step
def test_a_step_does_it_or_says_why_not(name: str, tmp_path: Path) -> None:
    step = made("compress", name, tmp_path)
    assert isinstance(step, Step)
    card, model, ctx = card_of(own("whole"), own_context().data_card, name="own"), own("whole"), own_context()
    if reasons := step.why_not(card):
        assert all(len(reason) > 15 for reason in reasons)
        return
    before = copy.deepcopy(model.state_dict())
    try:
        changed = step.run(model, ctx)
    except WorkbenchError as told:
        assert name == "channel_prune" and "none has channels to spare" in told.message, told
        return
    outputs = predict(changed, ctx.data.validation)
    assert outputs.shape == (24, 3) and (outputs == outputs).all()
    same = {key for key, each in changed.state_dict().items() if key in before and torch.equal(each, before[key])}
    assert ctx.quantization or len(same) < len(before), "a step that changed nothing says so"
    assert step.preview(card).layers


def test_weights_that_are_no_numbers_stop_any_step(tmp_path: Path, shared_store: Store) -> None:
    """Nothing made of NaN is a model: the first step that meets it names the tensor, whatever the step."""
    file = tmp_path / "odd.py"
    file.write_text(MODULE.replace("CLASSES", "10"))
    model = {"use": "python_callable", "function": f"{file}:broken", "trained": True}
    job = small_job(model=model, steps=[{"use": "int8_static"}])
    run = carried_out_here(job, shared_store)
    assert run.status == "failed" and "first.weight holds NaN" in run.error["message"], run.error  # type: ignore[index]
    assert "int8_static can't go on" in run.error["message"] and run.error["next"]  # type: ignore[index]


class Empty(torch.nn.Module):
    """A layer without outputs beside a whole one."""

    def __init__(self) -> None:
        super().__init__()
        self.none, self.last = torch.nn.Linear(64, 0), torch.nn.Linear(64, 3)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        flat = pixels.flatten(1)
        return self.last(flat) + self.none(flat).sum(-1, keepdim=True)  # type: ignore[no-any-return]


@every_step
def test_an_empty_layer_is_no_obstacle_or_told(name: str, tmp_path: Path) -> None:
    step = catalog.make("compress", {"use": name, **catalog.get("compress", name).sample(tmp_path)})
    assert isinstance(step, Step)
    torch.manual_seed(0)
    model = Empty()
    if reasons := step.why_not(card_of(model, own_context().data_card, name="own")):
        assert all(len(reason) > 15 for reason in reasons)
        return
    ctx = context(images(), load=lambda *_: Empty(), build=lambda *_: Empty())
    try:
        outputs = predict(step.run(model, ctx), ctx.data.validation)
    except WorkbenchError as told:
        assert len(told.message) > 15
    else:
        assert (outputs == outputs).all()


def test_a_split_of_one_class_trains_and_is_measured(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    train, test = ((random.random((num, 1, 8, 8), np.float32), np.zeros(num, np.int64)) for num in (40, 20))
    data = adopt_data(train=train, test=test, labels=("this", "that"), folder=tmp_path, name="one")
    job = small_job({"use": "int8_static"}, model=SMALL_LENET, data=data, metrics=["size", "quality"])
    run = carried_out_here(job, Store(tmp_path / "runs"))
    assert run.status == "done", run.error
    assert run.get("accuracy", split="test").value == 1.0  # type: ignore[union-attr]
