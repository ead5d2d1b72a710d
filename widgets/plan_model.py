"""Plan a model past this machine: which layout trains it, which precision serves it, which hardware does, and why the rest does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets import _words
from widgets._plan_hardware import PlanHardware
from widgets._plan_serving import PlanServing
from widgets._plan_training import PlanTraining
from workbench import ceilings
from workbench.errors import InvalidInput
from workbench.plan import architecture, devices

if TYPE_CHECKING:
    from widgets.pump import Pump
    from widgets.session import Session
    from workbench.plan.architecture import Architecture

FIRST_MODEL, FIRST_DEVICE, FIRST_NUMBER = "llama-3-70b", "h100", 64
NOT_MEASURED = "Worked out from public figures, not measured."
HELP = "A known name, a transformers folder, or a config.json; no weight is read"


class PlanModel:
    """Three questions about one model. Everything is arithmetic, worked out anew at each change."""

    def __init__(self, session: Session, pump: Pump) -> None:
        self.session, self.pump = session, pump
        wide = {"width": "min(420px, 100%)"}
        self.model = ipywidgets.Combobox(
            value=FIRST_MODEL, options=list(architecture.known()), description="Model", tooltip=HELP, continuous_update=False, layout=wide,
        )  # fmt: skip
        self.device = ipywidgets.Dropdown(
            description="Device", options=_device_options(), value=FIRST_DEVICE, tooltip="By its maker's figures"
        )
        self.number = ipywidgets.BoundedIntText(
            FIRST_NUMBER, min=1, max=65536, description="How many", tooltip="Devices", style={"description_width": "auto"}, layout={"width": "150px"},
        )  # fmt: skip
        self.asked = ipywidgets.ToggleButtons(
            options=["Train", "Serve", "Choose hardware"],
            tooltips=[
                "Layouts of a training step",
                "Generating text at each precision",
                "What reaches a latency, a throughput, a budget",
            ],
        )
        self.told = ipywidgets.HTML()
        self.questions = {
            "Train": PlanTraining(pump, session.store), "Serve": PlanServing(pump), "Choose hardware": PlanHardware(pump),
        }  # fmt: skip
        self.shown = ipywidgets.VBox()
        rows = [ipywidgets.Box([self.model, self.device, self.number]), ipywidgets.Box([self.asked])]
        for row in rows:
            row.add_class("wb-flow")
        self.view = ipywidgets.VBox([*rows, self.told, self.shown])
        self.view.add_class("wb-plan")
        for control in (self.model, self.device, self.number, self.asked):
            control.observe(lambda _: pump.do(self.update, key=self), names="value")

    def on_shown(self) -> None:
        """Work out the plan when the tab is opened first."""
        if not self.told.value:
            self.update()
        self.questions["Train"].check.recall()

    def close(self) -> None:
        """End what is being simulated."""
        self.questions["Train"].close()

    def update(self) -> None:
        """Ask the picked question about the picked model, or say what is wrong."""
        question = self.questions[self.asked.value]
        _words.show(self.device, self.asked.value != "Choose hardware")
        _words.show(self.number, self.asked.value != "Choose hardware")
        self.shown.children = (question.view,)
        try:
            model = architecture.find(self.model.value.strip())
            device = devices.find(self.device.value)
        except InvalidInput as error:
            _words.say(self.told, _words.problem(str(error)))
            _words.show(self.shown, False)
            return
        _words.say(self.told, _words.note(f"{in_words(model)} {NOT_MEASURED}"))
        _words.show(self.shown, True)
        question.ask(self.model.value.strip(), model, device, self.number.value)

    def static(self) -> list[Any]:
        """Return what the first question finds, for a notebook that nobody touches."""
        from IPython.display import HTML

        self.update()
        return [HTML(_words.head("Plan") + self.told.value + self.questions["Train"].summary())]


def in_words(model: Architecture) -> str:
    """Return what a model is made of."""
    told = f"{model.num_params / 1e9:.4g} billion parameters: {model.layers} blocks of {model.hidden:,}, {model.heads} heads"
    heads = f" over {model.kv_heads} of keys and values" if model.kv_heads else ""
    experts = f", {model.experts} experts of which a token meets {model.experts_per_token}" if model.experts > 1 else ""
    return f"{told}{heads}{experts}; a token's cache takes {model.kv_bytes() / 1e3:,.0f} kB in 16 bits."


def _device_options() -> list[tuple[str, str]]:
    known = [
        (f"{each.title} · {each.memory_bytes / 1e9:.0f} GB", name)
        for name, each in devices.known().items()
        if not each.why_not
    ]
    return [*known, *([("this machine, one thread", devices.HERE)] if ceilings.known() else [])]
