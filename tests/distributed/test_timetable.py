"""The timetable of a pipeline is torch's own order, and idles as the literature says."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.extents import Extents
from workbench.timetable import idle_share, most_in_flight, orders, timetable


@pytest.mark.parametrize(("pipeline", "microbatches", "stages"), [(2, 4, 2), (4, 8, 2), (4, 4, 3), (2, 2, 2)])
def test_interleaved_passes_are_in_torchs_order(pipeline: int, microbatches: int, stages: int) -> None:
    from torch.distributed.pipelining.schedules import ScheduleInterleaved1F1B

    extents = Extents(
        pipeline=pipeline, microbatches=microbatches, stages_per_process=stages, schedule="Interleaved1F1B"
    )
    made: Any = object.__new__(ScheduleInterleaved1F1B)
    made.n_local_stages, made.pp_group_size, made._n_microbatches = stages, pipeline, microbatches
    made.microbatches_per_round = pipeline
    for process in range(pipeline):
        theirs = [each for each in made._calculate_single_rank_operations(process) if each is not None]
        kinds = {"FORWARD": "forward", "FULL_BACKWARD": "backward"}
        assert list(orders(extents, process)) == [
            (kinds[each.computation_type.name], each.stage_index, each.microbatch_index) for each in theirs
        ]


@pytest.mark.parametrize("schedule", ["GPipe", "1F1B"])
@pytest.mark.parametrize(("pipeline", "microbatches"), [(2, 4), (4, 8), (4, 4)])
def test_a_pipeline_idles_at_its_ends(schedule: Any, pipeline: int, microbatches: int) -> None:
    """(p − 1) / (m + p − 1): arXiv 1811.06965, section 3.2; interleaving v stages divides p − 1 by v: arXiv 2104.04473."""
    extents = Extents(pipeline=pipeline, microbatches=microbatches, schedule=schedule)
    assert idle_share(extents) == pytest.approx((pipeline - 1) / (microbatches + pipeline - 1))
    interleaved = Extents(
        pipeline=pipeline, microbatches=microbatches, stages_per_process=2, schedule="Interleaved1F1B"
    )
    assert idle_share(interleaved) == pytest.approx((pipeline - 1) / 2 / (microbatches + (pipeline - 1) / 2))


def test_activations_are_kept_of_all_microbatches_or_of_as_many_as_stages_follow() -> None:
    gpipe, one = (Extents(pipeline=4, microbatches=8, schedule=name) for name in ("GPipe", "1F1B"))  # type: ignore[arg-type]
    assert [most_in_flight(gpipe, process) for process in range(4)] == [8, 8, 8, 8]
    assert [most_in_flight(one, process) for process in range(4)] == [4, 3, 2, 1]


def test_every_pass_is_once_there_and_nothing_overlaps_on_a_process() -> None:
    extents = Extents(pipeline=4, microbatches=8, stages_per_process=2, schedule="Interleaved1F1B", recompute=True)
    passes = timetable(extents)
    assert len({(each.kind, each.stage, each.microbatch) for each in passes}) == len(passes) == 2 * 8 * 8
    for process in range(4):
        row = sorted((each for each in passes if each.process == process), key=lambda each: each.begin)
        assert all(before.end <= after.begin for before, after in zip(row, row[1:]))
        assert {each.end - each.begin for each in row} == {1.0, 3.0}
