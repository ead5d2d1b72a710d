"""What `workbench plan --check` does and says: a simulated rank beside the planned one, and how far plans were off here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cli._progress import Bar
from workbench.errors import InvalidInput

if TYPE_CHECKING:
    from workbench.plan.calibration import Compared
    from workbench.plan.check import Checked
    from workbench.plan.training import Planned, Wanted


def chosen(layouts: Sequence[Planned], wanted: str | None) -> Planned:
    """Return the layout that a text names as the table does, the first without one; raises InvalidInput for none of them."""
    if wanted is None:
        return layouts[0]
    words = sorted(wanted.split())
    for each in layouts:
        if sorted(str(each.layout).split()) == words:
            return each
    from difflib import get_close_matches

    near = get_close_matches(wanted, [str(each.layout) for each in layouts], n=3, cutoff=0.3)
    raise InvalidInput([f"no legal layout {wanted!r}; near are {', '.join(map(repr, near)) or 'none'}"], next_move="write it as the table does, as in 'shard=8 tensor=8 recompute'")  # fmt: skip


def checked(source: str, wanted: Wanted, planned: Planned, layouts: Sequence[Planned]) -> Checked:
    """Simulate a layout in a process of its own, with words on stderr while it goes on.

    Raises InvalidInput for one that can't be simulated, with the best of the `layouts` that can.
    """
    from workbench.plan._config import config_of
    from workbench.plan.check import Check, why_not

    config = config_of(source)
    if reasons := why_not(config, planned.layout):
        able = next((each for each in layouts if not why_not(config, each.layout)), None)
        raise InvalidInput(reasons, next_move=f"check another: --layout {str(able.layout)!r}" if able else "")
    check = Check(source, wanted, planned.layout)
    with Bar() as bar:
        try:
            return check.follow(
                lambda text: bar.show(f"simulating {planned.layout}: {text}", done=0, total=0, new=True)
            )
        finally:
            check.stop()


def measured(store: Path) -> list[Compared]:
    """Return what `workbench scale` measured in a store, beside its plans."""
    from workbench import scale
    from workbench.plan import calibration
    from workbench.store import Store

    return calibration.compare(scale.kept(Store(store)))


def record(found: Checked, compared: Sequence[Compared]) -> dict[str, Any]:
    return {"checked": found.to_json(), "calibration": [each.to_json() for each in compared]}


def say(found: Checked, compared: Sequence[Compared]) -> None:
    """Print the parts of both, and the calibration."""
    from workbench.cli._text import console, or_dash, say_rows
    from workbench.plan import calibration
    from workbench.wording import bytes_text

    rows = []
    for part in dict.fromkeys([*found.planned, *found.simulated]):
        planned, simulated = found.planned.get(part, 0.0), found.simulated.get(part, 0.0)
        if planned or simulated:
            rows.append((part, bytes_text(planned), bytes_text(simulated)))
    rows.append(("all", bytes_text(sum(found.planned.values())), bytes_text(sum(found.simulated.values()))))
    where = f"a rank of stage {found.stage}" if found.layout.pipeline > 1 else "a rank"
    say_rows(
        ("at the fullest moment", "planned", "simulated"),
        rows,
        title=f"{found.layout}: {where}",
        numbers=("planned", "simulated"),
    )
    cost = f"simulated in {found.cpu_seconds:.0f} s of one core and {bytes_text(found.own_bytes)}"
    print_ = console().print
    print_(f"The simulation holds {found.difference:+.1%} of what was planned; {cost}.", markup=False)
    print_(calibration.in_words(compared), markup=False)
    if compared:
        lines = [
            (each.title, bytes_text(each.state_planned), bytes_text(each.state_measured), f"{each.state_error:+.1%}",
             or_dash(each.seconds_planned and each.seconds_planned * 1e3, ".3g"), or_dash(each.seconds_measured and each.seconds_measured * 1e3, ".3g"),
             or_dash(each.time_error, "+.0%"))
            for each in compared
        ]  # fmt: skip
        head = ("measured here", "state planned", "measured", "off", "ms planned", "ms measured", "off ")
        say_rows(head, lines, numbers=head[1:])
