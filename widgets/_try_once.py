"""One recorded input sent to the server, and its answer beside the one that was recorded."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets import _words
from widgets._aside import aside

if TYPE_CHECKING:
    import numpy as np

    from widgets.pump import Pump
    from workbench.serve.process import Serving

WAYS = ("REST", "gRPC")
MOST_BARS = 10


class TryOnce:
    """A number picks one of the artifact's recorded inputs; the answer is shown as probabilities where it has labels."""

    def __init__(self, pump: Pump, server: Callable[[], Serving | None]) -> None:
        self.pump, self._server = pump, server
        self.name, self.card = "", dict[str, Any]()
        self.probe: dict[str, np.ndarray] = {}
        self.number = ipywidgets.Dropdown(
            description="Example", tooltip="One of the inputs recorded in the artifact", layout={"width": "auto"}
        )
        self.way = ipywidgets.ToggleButtons(options=WAYS, tooltips=["JSON over HTTP", "binary, with Triton's client"])
        self.ask = ipywidgets.Button(description="Ask", icon="paper-plane", tooltip="Sends the example to the server")
        self.answer = ipywidgets.HTML()
        self.ask.on_click(lambda _: pump.do(self._ask))
        row = ipywidgets.Box([self.number, self.way, self.ask])
        row.add_class("wb-flow")
        self.view = ipywidgets.VBox([ipywidgets.HTML(_words.head("Try it")), row, self.answer])

    def take(self, name: str, folder: Path, card: Mapping[str, Any]) -> None:
        """Offer the recorded inputs of the model that is served."""
        import numpy as np

        self.name, self.card = name, dict(card)
        with np.load(folder / "probe.npz") as file:
            self.probe = dict(file)
        self.number.options = [(f"recorded input {index + 1}", index) for index in range(len(self.probe["output"]))]
        self.number.value = 0
        _words.say(self.answer, "")

    def inputs(self, index: int = 0) -> dict[str, np.ndarray]:
        """Return one recorded input as a batch of one."""
        return {each["name"]: self.probe[f"input_{each['name']}"][index : index + 1] for each in self.card["inputs"]}

    def _ask(self) -> None:
        from workbench.serve import asking

        server, index, way = self._server(), self.number.value, self.way.value
        if server is None:
            return
        _words.say(self.answer, _words.waiting("asking…"))
        ask = asking.over_rest if way == "REST" else asking.over_grpc
        inputs = self.inputs(index)
        aside(self.pump, lambda: ask(server, self.name, inputs), lambda answer: self._show(answer, index, way),
              lambda words: _words.say(self.answer, _words.problem(words)))  # fmt: skip

    def _show(self, answer: Any, index: int, way: str) -> None:
        output = next(iter(answer.outputs.values()))[0]
        gap = float(abs(output - self.probe["output"][index]).max())
        apart = f"{gap:.1e} from the answer recorded in the file" if gap else "exactly the answer recorded in the file"
        told = f"{way}, {answer.took_ms:.1f} ms with a new connection; {apart}."
        bars = (
            _bars(output, self.card.get("labels", []))
            if output.ndim == 1
            else f"<p>{html.escape(str(output.shape))}</p>"
        )
        _words.say(self.answer, bars + _words.note(told))


def _bars(logits: np.ndarray, labels: list[str]) -> str:
    """Return the most probable classes with their probabilities."""
    import numpy as np

    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    best = np.argsort(-shares)[:MOST_BARS]
    rows = "".join(
        f"<span>{html.escape(labels[index] if index < len(labels) else str(index))}</span><span>{shares[index]:.1%}</span>"
        f'<div><i style="width:{shares[index]:.1%}"></i></div>'
        for index in best
    )
    return f'<div class="wb-answer wb-served">{rows}</div>'
