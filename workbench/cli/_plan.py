"""The commands for models past this machine: look into a checkpoint, plan its layout, choose its hardware."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli import _plan_check
from workbench.cli._options import HERE, Json, Store
from workbench.errors import InvalidInput

if TYPE_CHECKING:
    from workbench.plan.hardware import Answer
    from workbench.plan.serving import Served
    from workbench.plan.training import Planned

MODEL = typer.Argument(metavar="MODEL", help="A known name (llama-3-70b …), a transformers folder, or a config.json")
GIB = 2**30


def inspect(source: Annotated[str, MODEL], json: Json = False) -> None:
    """Say what a checkpoint holds, from its headers alone: tensors, parameters, bytes, cache per token, licence.

    \b
    --json: {"schema", "name", "source", "architecture": {…} or null, "why_not_planned", "licence", "num_params", "bytes",
      "dtypes": {DTYPE: {"tensors", "params", "bytes"}}, "groups": [{"pattern", "shape", "dtype", "tensors", "params",
      "bytes"}], "files", "missing_files", "kv_bytes_per_token"}
    """
    from workbench.cli._text import console, say_json, say_rows
    from workbench.plan.inspect import inspect as look
    from workbench.wording import bytes_text

    found = look(source)
    if json:
        say_json(found)
        return
    rows = [(each["pattern"], " × ".join(map(str, each["shape"])), each["dtype"], f"{each['tensors']:,}", f"{each['params']:,}", bytes_text(each["bytes"]))
            for each in found["groups"]]  # fmt: skip
    if rows:
        say_rows(
            ("tensors", "shape", "dtype", "count", "parameters", "bytes"),
            rows,
            numbers=("count", "parameters", "bytes"),
        )
    told = f"{found['name']}: {found['num_params']:,} parameters, {bytes_text(found['bytes'])}"
    say = console().print
    say(told + ("" if found["groups"] else " in 16 bits"), markup=False)
    for dtype, counts in found["dtypes"].items():
        say(f"  {dtype}: {counts['params']:,} parameters, {bytes_text(counts['bytes'])}", markup=False)
    if found["kv_bytes_per_token"]:
        say(
            f"  cache: {bytes_text(found['kv_bytes_per_token'])} for each token of the context, in 16 bits",
            markup=False,
        )
    if found["licence"]:
        say(f"  licence: {found['licence']}", markup=False)
    if found["missing_files"]:
        missing = found["missing_files"]
        say(f"  missing: {len(missing)} files that the index names, {', '.join(missing[:3])} …", markup=False)
    if found["why_not_planned"]:
        say(f"  workbench plan: {found['why_not_planned']}", markup=False)


def plan(
    model: Annotated[str, MODEL],
    devices: Annotated[int, typer.Option(min=1, max=65536, help="How many")] = 8,
    device: Annotated[str, typer.Option(help="h100, a100, tpu-v5p, …, or `here`")] = "h100",
    serve: Annotated[bool, typer.Option("--serve/--train", help="Generate text, or train")] = False,
    batch: Annotated[int | None, typer.Option(min=1, help="Sequences of a step in all; serving: at once in a group. Default: 8 a device; all that fit")] = None,
    length: Annotated[int | None, typer.Option(min=1, help="Tokens of a sequence. Default: the model's context, at most 4096")] = None,
    micro_batch: Annotated[int, typer.Option(min=1, help="Sequences at once on a rank")] = 1,
    precision: Annotated[str, typer.Option(help="Of computing: bfloat16 or float32")] = "bfloat16",
    optimizer: Annotated[str, typer.Option(help="adamw or sgd")] = "adamw",
    price: Annotated[float | None, typer.Option(min=0, help="Of a device for an hour")] = None,
    top: Annotated[int, typer.Option(min=1, help="Rows to print")] = 12,
    check: Annotated[bool, typer.Option("--check", help="Simulate a rank of one layout on the real model: minutes of a core, no device")] = False,
    layout: Annotated[str | None, typer.Option(help="Which one to check, as printed: 'shard=8 tensor=8 recompute'. Default: the first")] = None,
    store: Store = HERE, json: Json = False,
) -> None:  # fmt: skip
    """Table every legal layout of a model over N devices: memory of a rank, time of a step, what limits it.

    Worked out from public figures, not measured. The first row is the fastest that fits.

    \b
    --json: {"schema", "model": {…}, "device", "devices", "assumed": {…}, "layouts": [{"layout": {"replicate", "shard",
      "tensor", "pipeline", "recompute"}, "memory": {PART: bytes}, "memory_bytes", "seconds": {PART: s}, "step_seconds",
      "sent": {AXIS: bytes}, "fits", "tokens_per_second", "share_of_peak", "joules", "limit", "cost"}]}; with --check also
      "checked": {"layout", "stage", "planned": {PART: bytes}, "simulated": {PART: bytes}, "difference", "cpu_seconds",
      "own_bytes"}, "calibration": [{"title", "processes", "state_planned", "state_measured", "state_error",
      "seconds_planned", "seconds_measured", "time_error", "date"}]; with --serve
      "ways": [{"precision", "tensor", "groups", "weight_bytes", "cache_bytes", "max_batch", "batch",
      "seconds_per_token", "prompt_seconds", "tokens_per_second", "limit", "fits"}]
    """
    from workbench.cli._text import say_json
    from workbench.plan import architecture, serving, training
    from workbench.plan import devices as hardware

    found, on = architecture.find(model), hardware.find(device)
    length = length or min(found.context, 4096)
    head = {"model": architecture.record(found), "device": on.title, "devices": devices}
    if serve:
        if check:
            raise InvalidInput(["--check simulates a training step, and --serve plans none"], next_move="leave one out")
        ways = serving.plan(found, on, devices, context=length, prompt=length // 2, batch=batch)
        assumed = {"read": serving.READ, "efficiency": serving.EFFICIENCY, "usable": serving.USABLE, "context": length}
        if json:
            say_json({**head, "assumed": assumed, "ways": [way.to_json() for way in ways]})
        else:
            _say_served(f"{found.name} on {devices} × {on.title}, context {length}", ways[:top])
        return
    for value, known in ((precision, training.BYTES), (optimizer, training.OPTIMIZER)):
        if value not in known:
            raise InvalidInput([f"{value!r} is none of {', '.join(known)}"])
    wanted = training.Wanted(batch or 8 * devices, length, micro_batch, precision, optimizer)  # type: ignore[arg-type]
    layouts = training.plan(found, on, devices, wanted)
    picked = _plan_check.chosen(layouts, layout)
    if not json:
        title = f"{found.name} ({found.num_params / 1e9:.3g} billion parameters) on {devices} × {on.title}, {wanted.batch} × {length} tokens a step"
        _say_layouts(title, layouts, devices, price, top)
    simulated = _plan_check.checked(model, wanted, picked, layouts) if check else None
    compared = _plan_check.measured(store) if check else []
    if json:
        assumed = {"usable": training.USABLE, "efficiency": training.EFFICIENCY, "bandwidth": training.BANDWIDTH,
                   "overlap": training.OVERLAP, "batch": wanted.batch, "length": length, "micro_batch": micro_batch}  # fmt: skip
        rows = [{**each.to_json(), "cost": _cost(each.step_seconds, devices, price)} for each in layouts]
        more = _plan_check.record(simulated, compared) if simulated else {}
        say_json({**head, "assumed": assumed, "layouts": rows, **more})
    elif simulated:
        _plan_check.say(simulated, compared)


def hardware(
    model: Annotated[str, MODEL],
    latency: Annotated[float | None, typer.Option(min=0, help="ms of a generated token, at most")] = None,
    throughput: Annotated[float | None, typer.Option(min=0, help="Generated tokens a second, at least")] = None,
    budget: Annotated[float | None, typer.Option(min=0, help="Cost of 1,000 requests, at most; needs --price")] = None,
    price: Annotated[list[str] | None, typer.Option(metavar="DEVICE=PRICE", help="For an hour; repeat for each device")] = None,
    prompt: Annotated[int, typer.Option(min=1, help="Tokens that a request reads")] = 512,
    generate: Annotated[int, typer.Option(min=1, help="Tokens that it writes")] = 128,
    precision: Annotated[str | None, typer.Option(help="Of weights: float32, bfloat16, int8 or int4. Default: the quickest")] = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Say which hardware serves a model within a latency, a throughput and a budget, and why the rest does not.

    Worked out from the makers' figures, and from what `workbench doctor` measured here.

    \b
    --json: {"schema", "model": {…}, "answers": [{"device", "title", "kind", "source", "num_devices", "served": {as for
      workbench plan --serve} or null, "request_seconds", "joules_per_1000_requests", "cost_per_1000_requests", "why_not"}]}
    """
    from workbench.cli._text import say_json
    from workbench.plan import architecture, serving
    from workbench.plan.hardware import Asked, choose

    if precision is not None and precision not in serving.BITS:
        raise InvalidInput([f"{precision!r} is none of {', '.join(serving.BITS)}"])
    found = architecture.find(model)
    asked = Asked(prompt, generate, latency, throughput, budget, precision, prices=_prices(price or []))
    answers = choose(found, asked)
    if json:
        say_json({"model": architecture.record(found), "answers": [answer.to_json() for answer in answers]})
    else:
        _say_answers(f"{found.name}: requests of {prompt} + {generate} tokens", answers)


def _prices(written: Sequence[str]) -> Mapping[str, float]:
    from workbench.plan import devices

    prices = {}
    for each in written:
        name, _, value = each.partition("=")
        try:
            prices[name] = float(value)
        except ValueError:
            raise InvalidInput([f"--price {each!r} is not DEVICE=PRICE, as in h100=2.5"]) from None
        if name != devices.HERE:
            devices.find(name)
    return prices


def _cost(seconds: float, devices: int, price: float | None) -> float | None:
    return None if price is None else seconds * devices * price / 3600


def _say_layouts(title: str, layouts: Sequence[Planned], devices: int, price: float | None, top: int) -> None:
    from workbench.cli._text import console, or_dash, say_rows
    from workbench.wording import quantity

    head = ("layout", "fits", "GiB a rank", "state", "activations", "step s", "bubble", "sent GB", "tokens/s", "of peak", "energy kJ",
            "cost", "limited by")  # fmt: skip
    rows = []
    for each in layouts[:top]:
        state = sum(each.memory[part] for part in ("parameters", "gradients", "optimizer"))
        rows.append(
            (str(each.layout), "yes" if each.fits else "no", f"{each.memory_bytes / GIB:.3g}", f"{state / GIB:.3g}",
             f"{each.memory['activations'] / GIB:.3g}", f"{each.step_seconds:.3g}", f"{each.seconds['bubble'] / each.step_seconds:.0%}",
             f"{sum(each.sent.values()) / 1e9:.3g}", f"{each.tokens_per_second:,.0f}", f"{each.share_of_peak:.0%}",
             or_dash(each.joules and each.joules / 1e3, ",.3g"), or_dash(_cost(each.step_seconds, devices, price), ".3g"), each.limit)
        )  # fmt: skip
    say_rows(head, rows, title=title, numbers=head[2:12])
    first = layouts[0]
    parts = ", ".join(f"{part} {quantity(size, 'bytes')}" for part, size in first.memory.items() if size)
    fit = sum(each.fits for each in layouts)
    console().print(f"{len(layouts)} legal layouts, {fit} fit. The first one's rank: {parts}.", markup=False)
    if not fit:
        console().print("→ more devices, a shorter length, or a smaller model", markup=False)


def _say_served(title: str, ways: Sequence[Served]) -> None:
    from workbench.cli._text import say_rows

    head = ("weights", "tensor", "groups", "fits", "GiB of weights", "MiB a sequence", "most at once", "at once", "ms a token",
            "prompt ms", "tokens/s", "limited by")  # fmt: skip
    rows = [
        (way.precision, str(way.tensor), str(way.groups), "yes" if way.fits else "no", f"{way.weight_bytes / GIB:.3g}",
         f"{way.cache_bytes / 2**20:,.0f}", f"{way.max_batch:,}", f"{way.batch:,}", f"{way.seconds_per_token * 1e3:.3g}",
         f"{way.prompt_seconds * 1e3:,.3g}", f"{way.tokens_per_second:,.0f}", way.limit)
        for way in ways
    ]  # fmt: skip
    say_rows(head, rows, title=title, numbers=(*head[1:3], *head[4:11]))


def _say_answers(title: str, answers: Sequence[Answer]) -> None:
    from workbench.cli._text import or_dash, say_rows

    head = ("device", "kind", "how many", "weights", "at once", "ms a token", "s a request", "kJ / 1,000", "cost / 1,000", "why not")  # fmt: skip
    rows = []
    for each in answers:
        served: Any = each.served
        rows.append(
            (each.device.title, each.device.kind, str(each.num_devices or "–"), served.precision if served else "–",
             f"{served.batch * served.groups:,}" if served else "–", f"{served.seconds_per_token * 1e3:.3g}" if served else "–",
             or_dash(each.request_seconds, ".3g"), or_dash(each.joules and each.joules / 1e3, ",.3g"), or_dash(each.cost, ".3g"), each.why_not)
        )  # fmt: skip
    say_rows(head, rows, title=title, numbers=head[2:9])
