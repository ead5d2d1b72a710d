"""Why unstructured zeros moved neither bytes nor milliseconds, said from each run's own figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from workbench import table, wording
from workbench.nouns import Run
from workbench.report._groups import Group

SAME_BYTES = 0.01  # sizes closer than this share are called equal; both are printed
MORE_ZEROS = 0.1  # a run counts as sparse when this share more of its parameters is zero than in its parent
ZEROS = (
    "Pruning single weights leaves zeros in place: the tensors keep their shapes. All figures are against the same model as "
    "trained, in the same format. What moves bytes is removing whole channels, storing fewer bits, or coding the file."
)


def zeros(groups: Sequence[Group]) -> str:
    """Explain the sparsest run of each model from its own figures and list all others; "" when no run is sparse."""
    sparse = {group.name: _sparse(group) for group in groups}
    told = "".join(
        f"<li>{_in_words(group, *max(sparse[group.name], key=lambda pair: _share_of_zeros(pair[0])))}</li>"
        for group in groups
        if sparse[group.name]
    )
    if not told:
        return ""
    heads = ("Run", "Zeros", "Bytes", "Bytes as trained", "Zipped", "Zipped as trained", "Latency / parent")
    head = "".join(f'<th scope="col"{" class=n" if index else ""}>{name}</th>' for index, name in enumerate(heads))
    lines = "".join(_line(group, *pair) for group in groups for pair in sparse[group.name])
    return (
        f'<p>{ZEROS}</p><ul>{told}</ul><div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def _sparse(group: Group) -> list[tuple[Run, Run]]:
    """Return (run, parent) where many more parameters are zero and nothing else about them changed."""
    found = []
    for run in group.runs:
        parent = group.parent_of(run)
        mine, theirs = _sizes(run), _sizes(parent) if parent else {}
        if not mine or not theirs or parent is None or mine["num_params"] != theirs["num_params"]:
            continue
        more = (theirs["nonzero_params"] - mine["nonzero_params"]) / mine["num_params"]
        if more >= MORE_ZEROS and abs(mine["dense_bytes"] / theirs["dense_bytes"] - 1) <= SAME_BYTES:
            found.append((run, parent))
    return found


def _sizes(run: Run) -> Mapping[str, float]:
    names = ("num_params", "nonzero_params", "dense_bytes", "artifact_bytes", "zipped_bytes")
    found = {name: run.get(name) for name in names}
    return {} if None in found.values() else {name: each.value for name, each in found.items() if each}


def _share_of_zeros(run: Run) -> float:
    sizes = _sizes(run)
    return 1 - sizes["nonzero_params"] / sizes["num_params"]


def _line(group: Group, run: Run, parent: Run) -> str:
    mine, theirs, ratio = _sizes(run), _sizes(parent), run.get("latency_ratio_to_parent")
    cells = [f"{_share_of_zeros(run):.1%}"]
    cells += [f"{sizes[name]:,.0f}" for name in ("artifact_bytes", "zipped_bytes") for sizes in (mine, theirs)]
    cells.append(f"{ratio.value:.3f} {wording.interval_text(ratio)}" if ratio else "not measured")
    body = "".join(f'<td class="n">{escape(cell)}</td>' for cell in cells)
    return (
        f"<tr><td>{escape(group.name)}: {escape(group.short(run))} ({escape(table.format_text(run))})</td>{body}</tr>"
    )


def _in_words(group: Group, run: Run, parent: Run) -> str:
    told = (
        f"{_share_of_zeros(run):.0%} of {_sizes(run)['num_params']:,.0f} parameters are zero, and {_bytes(run, parent)}"
    )
    return f"<b>{escape(group.name)}, {escape(group.short(run))}</b>: {escape(f'{told} {_time(run)}')}"


def _bytes(run: Run, parent: Run) -> str:
    """Return what the zeros did to the file, plain and zipped."""
    mine, theirs = _sizes(run), _sizes(parent)
    before, after = theirs["artifact_bytes"], mine["artifact_bytes"]
    change = "exactly as before" if after == before else f"against {before:,.0f}, {after / before - 1:+.2%}"
    told = f"the files have {after:,.0f} bytes, {change.replace('-', wording.MINUS)}: "
    if abs(after / before - 1) <= SAME_BYTES:
        each = mine["dense_bytes"] / mine["num_params"]
        told += f"a zero is stored like any other number, in {each:.0f} bytes ({mine['dense_bytes']:,.0f} in all). "
    else:
        told += "something besides the zeros changed them, for the parameters take as many bytes as before. "
    seen = mine["zipped_bytes"] < (1 - MORE_ZEROS / 2) * theirs["zipped_bytes"]
    told += f"Zipped, they have {mine['zipped_bytes']:,.0f} bytes against {theirs['zipped_bytes']:,.0f}: "
    return told + ("only a general-purpose compressor sees the zeros." if seen else "not even that helps.")


def _time(run: Run) -> str:
    ratio = run.get("latency_ratio_to_parent")
    if ratio is None:
        return "Its latency against the parent was not measured."
    taken = f"One call takes {ratio.value:.3f} {wording.interval_text(ratio)} × as long as the parent's"
    if wording.ratio_verdict(ratio) == "cannot be told apart":
        return f"{taken}: they cannot be told apart, because dense kernels multiply zeros like any other number."
    return f"{taken}: {wording.ratio_verdict(ratio)}, but not through zeros, which dense kernels do not skip."
