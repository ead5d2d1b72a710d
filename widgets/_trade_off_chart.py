"""What the trade-off chart shows of a session: measured points, the estimate of the picked recipe, budgets, marks.

The measured part is made once for the same runs and axes: a knob of the recipe redraws the estimate alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from widgets._trade_off_facts import Expected, expected
from workbench.charts.estimated import estimate_point
from workbench.charts.pareto import Marks, ParetoData, Point, pareto_data
from workbench.compare import Choice
from workbench.errors import WorkbenchError
from workbench.nouns import Run

if TYPE_CHECKING:
    from widgets.session import Session

# Budget → the axis that it limits.
LIMITED = {
    "max_bytes": "artifact_bytes",
    "max_latency_ms": "latency_ms_p50",
    "max_memory_bytes": "peak_memory_bytes",
    "min_accuracy": "accuracy",
}


class Picture:
    """The data of the chart; raises InvalidInput where no run has a quantity that was picked."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._kept: tuple[tuple[Any, ...], ParetoData] | None = None

    def data(self, runs: list[Run], estimate: Point | None) -> ParetoData:
        """Return the measured points, with the estimate where there is one."""
        measured = self._measured(runs)
        limits = {
            LIMITED[name]: limit
            for name, limit in self.session.budgets.items()
            if limit is not None and name in LIMITED and LIMITED[name] in (measured.x.name, measured.y.name)
        }
        if self.session.split != "validation":
            limits.pop("accuracy", None)  # budgets hold for validation
        return replace(measured, points=(*measured.points, *([estimate] if estimate else [])), limits=limits)

    def marks(self, runs: list[Run], choice: Choice | None) -> Marks:
        """Return what stands out: compared, recommended, brushed; and what stands back: outside the budgets."""
        session, pair = self.session, self.session.compared()
        kept = {*choice.fitting, *choice.not_shown} if choice else {run.run_id for run in runs}
        return Marks(
            selected=session.selected,
            dimmed=tuple(run.run_id for run in runs if run.run_id not in kept),
            recommended=choice.recommended.run_id if choice and choice.recommended else "",
            a=pair[0].run_id if pair else session.a,
            b=session.b,
        )

    def _measured(self, runs: list[Run]) -> ParetoData:
        session = self.session
        axes = {"x": session.x, "y": session.y, "split": session.split}
        key = (tuple(runs), *axes.values())  # equal runs are one object: a run is read once
        if self._kept is None or self._kept[0] != key:
            self._kept = key, pareto_data(runs, **axes)
        return self._kept[1]


def picked_estimate(session: Session) -> tuple[Expected | None, str]:
    """Return what is estimated of the picked recipe; or None with the reason in words."""
    if session.card is None:
        return None, "no estimate: what the model looks like isn't known yet"
    try:
        job = session.job()
        if reasons := job.why_not(session.card):
            return None, f"no estimate: {reasons[0]}"
        return expected(job, session.card), ""
    except WorkbenchError as error:
        return None, f"no estimate: {error.message}"


def picked_point(session: Session, estimate: Expected, base: Run | None, became: Run | None) -> Point | None:
    """Return where the picked recipe is expected; what nothing predicts stands at the baseline's, then the run's own value.

    None when an axis is neither predicted nor measured there.
    """
    nobody = Run("", estimate.job.job_id, "planned", {})
    like = became or replace(base or nobody, job=estimate.job.to_json())
    return estimate_point(
        estimate.cost, like, x=session.x, y=session.y, split=session.split, size_band=estimate.size_band,
        became=became.run_id if became else "",
    )  # fmt: skip
