"""The command that asks a server at rising rates: workbench load URL"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli._options import exit_unless

if TYPE_CHECKING:
    from workbench.load import Step


def load(
    url: Annotated[str, typer.Argument(metavar="URL", help="As in http://127.0.0.1:8080 or grpc://127.0.0.1:8081")],
    model: Annotated[str, typer.Option(help="Name of the model there")],
    request: Annotated[Path | None, typer.Option(metavar="FILE", help="A V2 request as JSON; default: zeros (REST only)")] = None,
    token: Annotated[str, typer.Option(envvar="WORKBENCH_TOKEN", help="API key of the server")] = "",
    rates: Annotated[str, typer.Option(help="Requests per second, as in 50,100,200; default: up to saturation")] = "",
    seconds: Annotated[float, typer.Option(help="Of each rate")] = 5.0,
    connections: Annotated[int, typer.Option(help="At most under way at once; others wait, and that counts")] = 64,
    timeout: Annotated[float, typer.Option(help="Seconds from when a request was due")] = 10.0,
    even: Annotated[bool, typer.Option("--even", help="Evenly spaced requests in place of independent ones")] = False,
    seed: Annotated[int, typer.Option(help="Of the arrival times")] = 0,
    ca: Annotated[Path | None, typer.Option(metavar="PEM", help="A private certificate authority")] = None,
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE.json", help="Keep the figures")] = None,
    chart: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Draw them, on one offline page")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON; its fields are listed above")] = False,
) -> None:  # fmt: skip
    """Send requests at given rates, whether the server keeps up or not, and find where it saturates. Exit code 1 when all were too much.

    Latency counts from when a request was due, so a stall is seen by every request that it delays (no coordinated omission).

    \b
    --json: {"schema", "kind", "url", "model", "settings", "saturation", "first_too_much": rates or null, "steps": [{"rate", "seconds",
      "answered_rate", "num_due", "num_failed", "percentiles_ms": {p50, p95, p99, p99.9}, "max_ms", "own_delay_p99_ms", "own_cpu",
      "failures": {reason: count}, "keeps_up"}]}; null = not known
    """
    import asyncio

    from workbench.charts.load import load_data, load_figure, summary
    from workbench.cli._input import read_json
    from workbench.cli._text import say_json
    from workbench.errors import InvalidInput
    from workbench.load import Settings, Target, measure_load
    from workbench.load._target import made_up_request

    settings = Settings(_numbers(rates), seconds, connections, timeout, "even" if even else "poisson", seed)
    if request is not None:
        asked = read_json(request)
    elif url.startswith("http"):
        asked = asyncio.run(made_up_request(url, model, token=token, ca=ca))
    else:
        raise InvalidInput(
            ["over gRPC a request is needed"], next_move="--request FILE: example.json of a package is one"
        )
    tested = measure_load(Target(url, model, asked, token, ca), settings, say=lambda step: None if json else _say(step))
    record = tested.to_json()
    data = load_data(record)
    if to is not None:
        tested.write(to)
    if chart is not None:
        load_figure(data).write_html(chart, include_plotlyjs=True)
    if json:
        say_json(record)
    else:
        typer.echo(summary(data))
    exit_unless(tested.saturation is not None)


def _numbers(text: str) -> tuple[float, ...]:
    from workbench.errors import InvalidInput

    try:
        return tuple(float(each) for each in text.split(",") if each)
    except ValueError:
        raise InvalidInput([f"--rates {text!r}: numbers with commas between"]) from None


def _say(step: Step) -> None:
    told: list[Any] = [f"{step.rate:>8,.4g}/s"]
    told += [f"{name} {'–' if value is None else f'{value:.3g} ms'}" for name, value in step.percentiles_ms.items()]
    told += [f"answered {step.answered_rate:,.4g}/s"]
    told += [f"{step.num_failed:,} of {step.num_due:,} failed: {', '.join(step.failures)}"] if step.num_failed else []
    told += [] if step.keeps_up else ["falls behind"]
    told += (
        [f"this client was itself late (p99 {step.own_delay_p99_ms:.1f} ms, {step.own_cpu:.0%} of a core)"]
        if step.own_cpu > 0.8
        else []
    )
    typer.echo("  ".join(told))
