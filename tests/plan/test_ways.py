"""What is expected of a layout before it runs: every product of axes once, memory by what is shared, times that add up."""

from __future__ import annotations

from typing import Any

import pytest

from workbench import catalog, ceilings
from workbench.job import Job
from workbench.nouns import ModelCard
from workbench.plan import ways as spreading
from workbench.plan.ways import Way

LM = {"use": "tiny_lm", "layers": 4, "heads": 4}
TEXT = {"use": "python_source", "length": 32, "num_examples": 200}
MEASURED = {"float32_gflops": 50.0}


def job(nproc: int = 8, **changes: Any) -> Job:
    record = {"model": LM, "data": TEXT, "steps": ["train"], "layout": "hybrid", "launcher": {"use": "torchrun", "nproc": nproc}}  # fmt: skip
    return Job.from_json({**record, **changes})


def card(of: Job) -> ModelCard:
    return of.model.card(of.data.card())


def ways(of: Job) -> dict[str, Way]:
    return {way.title: way for way in spreading.ways(of, card(of))}


def test_every_product_of_the_axes_is_there_once_and_right_ones_come_first() -> None:
    found = spreading.ways(job(8), card(job(8)))
    assert len(found) == 20 == len({way.title for way in found})  # three twos over four axes
    refused = [bool(way.reasons) for way in found]
    assert refused == sorted(refused) and any(refused) and not all(refused)


def test_a_way_is_refused_exactly_where_the_job_is() -> None:
    found = spreading.ways(job(4), card(job(4)))
    assert len(found) > 3
    for way in found:
        same = job(4, layout=dict(way.layout))
        assert bool(same.why_not(card(same))) == bool(way.reasons)


def test_memory_falls_by_what_an_axis_shares() -> None:
    found = ways(job(2))
    whole, sharded, staged = (found[title].rank_bytes for title in ("replicate 2", "shard 2", "pipeline 2"))
    size = 4 * card(job(2)).num_params
    assert whole[0]["parameters"] == size and whole[0]["optimizer"] == 2 * size
    assert sharded[0]["parameters"] == size / 2
    assert sum(parts["parameters"] for parts in staged) == size
    assert staged[0]["activations"] > staged[1]["activations"]  # 1F1B: the first stage keeps more microbatches


def test_times_need_the_machine_and_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings, "known", lambda: None)
    unknown = ways(job(2))["pipeline 2"]
    assert unknown.seconds is None and "workbench doctor" in unknown.note
    monkeypatch.setattr(ceilings, "known", lambda: MEASURED)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    found = ways(job(2))["pipeline 2"]
    assert found.seconds is not None and found.efficiency is not None
    idle = found.seconds["idle"] / sum(found.seconds.values())
    assert idle == pytest.approx(1 / 5)  # two stages, four microbatches
    crowded = ways(job(4))["replicate 4"]
    assert crowded.note == "4 processes share 2 cores" and (crowded.efficiency or 0) < 0.5


@pytest.mark.parametrize(("model", "data"), [
    (LM, TEXT), ({"use": "vit", "layers": 4}, "digits"), ({"use": "resnet", "depth": 8, "width": 16}, "digits"),
])  # fmt: skip
def test_activations_are_what_autograd_keeps_within_a_quarter(model: Any, data: Any) -> None:
    import torch
    from torch.nn.functional import cross_entropy

    of = job(2, model=model, data=data, layout="data_parallel", steps=[{"use": "train", "batch_size": 8}])
    torch.manual_seed(0)
    module, examples = of.model.build(of.data.card()).train(), of.data.load().train.take(slice(0, 4))
    parameters = {each.untyped_storage().data_ptr() for each in module.parameters()}
    kept: dict[int, Any] = {}

    def pack(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = module(**{name: torch.from_numpy(array) for name, array in examples.inputs.items()})
        cross_entropy(outputs.flatten(0, -2), torch.from_numpy(examples.targets).flatten(), ignore_index=-100)
    layout: Any = catalog.make("layout", "data_parallel")
    expected = layout.rank_bytes(card(of), num_processes=2, batch_size=8, optimizer="adamw")[0]["activations"]
    assert expected == pytest.approx(sum(each.nbytes() for each in kept.values()), rel=0.25)
