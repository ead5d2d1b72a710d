"""Serve a run from the workbench: start, ask, load, stop; and who has signed it, and what handing it over would take."""

from __future__ import annotations

import atexit
import html
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets import _words
from widgets._aside import aside
from widgets._client_words import clients, folded
from widgets._load_curve import LoadCurve
from widgets._protect_card import ProtectCard
from widgets._try_once import TryOnce
from workbench import artifact, table
from workbench.nouns import Run
from workbench.open_inference import infer_request

if TYPE_CHECKING:
    from widgets.pump import Pump
    from widgets.session import Session
    from workbench.serve.process import Serving

NOTHING = "No finished run of this model has an artifact yet."
STARTING = "Starting a server of its own process, on free ports of this machine…"


class ServeModel:
    """The server is a process of its own, on this machine only, with a token made for it; it ends with this workbench."""

    def __init__(self, session: Session, pump: Pump) -> None:
        self.session, self.pump = session, pump
        self.server: Serving | None = None
        self.launched: Serving | None = None  # set beside the pump: a workbench may be closed while its server starts
        self.is_closed = False
        self.served: Run | None = None
        self.which = ipywidgets.Dropdown(
            description="Run", tooltip="Which run's artifact to serve", layout={"width": "100%", "max_width": "720px"}
        )
        self.start = ipywidgets.Button(
            description="Serve", icon="play", tooltip="Starts REST and gRPC on this machine, with a key"
        )
        self.stop = ipywidgets.Button(
            description="Stop", icon="stop", tooltip="Finishes what is under way, and ends", disabled=True
        )
        self.status, self.clients = ipywidgets.HTML(_words.note("Nothing is served.")), ipywidgets.HTML()
        self.once = TryOnce(pump, lambda: self.server)
        self.load = LoadCurve(pump, self._target)
        self.protect = ProtectCard(pump)
        self.start.on_click(lambda _: pump.do(self._start))
        self.stop.on_click(lambda _: pump.do(self._stop))
        self.which.observe(lambda _: pump.do(self._picked), names="value")
        row = ipywidgets.Box([self.start, self.stop])
        row.add_class("wb-flow")
        self.asking = ipywidgets.VBox([self.clients, self.once.view, self.load.view])
        _words.show(self.asking, False)
        self.view = ipywidgets.VBox([self.which, row, self.status, self.asking, self.protect.view])
        self.view.add_class("wb-serve")
        session.observe(lambda _: pump.do(self.update, key=self), names=["b", "runs", "model", "data", "scope"])
        ending = weakref.ref(self)
        atexit.register(lambda: (panel := ending()) is not None and panel.close())
        self.update()

    def update(self) -> None:
        """Offer the done runs, newest first; the picked run B stands first at the beginning."""
        runs = [run for run in reversed(self.session.of_this_model()) if run.artifact]
        options = [(f"{table.recipe_text(run)}, {table.format_text(run)} · {run.run_id}", run.run_id) for run in runs]
        if tuple(options) == self.which.options:
            return
        before = self.which.value
        self.which.options = options
        known = [run_id for _, run_id in options]
        wanted = next((each for each in (before, self.session.b) if each in known), known[0] if known else None)
        self.which.value = wanted
        self.start.disabled = not known or self.server is not None
        if not known:
            _words.say(self.status, _words.note(NOTHING))
        self._picked()

    def static(self) -> list[Any]:
        """Return what is known of the artifact's protection, for a notebook that nobody touches."""
        from IPython.display import HTML

        if self.protect.run is None:
            return [HTML(_words.head("Serve") + _words.note(NOTHING))]
        command = _words.note(f"workbench serve {self.protect.run.run_id}")
        return [HTML(_words.head("Serve") + command + self.protect.facts_html())]

    def close(self) -> None:
        """End what this panel has started; called when its workbench closes and when the kernel ends."""
        self.load.stop()
        self.is_closed, self.server = True, None
        if self.launched is not None:
            self.launched.process.terminate()

    def _picked(self) -> None:
        run = self.session.run_of(self.which.value or "")
        if self.protect.run is None or run is None or run.run_id != self.protect.run.run_id:
            self.protect.take(run)

    def _start(self) -> None:
        run = self.session.run_of(self.which.value or "")
        if run is None or self.server is not None:
            return
        folder = Path(run.folder) / "artifact"
        name = str(artifact.read(folder).card["model"]["use"])
        self.start.disabled = True
        _words.say(self.status, _words.waiting(STARTING))
        aside(
            self.pump,
            lambda: self._launch(f"{name}={folder}"),
            lambda server: self._started(server, run, name),
            self._failed,
        )

    def _launch(self, words: str) -> Serving:
        from workbench.serve import process

        self.launched = process.start([words], environment={"WORKBENCH_TOKEN": ""})
        if self.is_closed:
            self.launched.process.terminate()
        return self.launched

    def _started(self, server: Serving, run: Run, name: str) -> None:
        self.server, self.served, self.stop.disabled = server, run, False
        folder = Path(run.folder) / "artifact"
        self.once.take(name, folder, artifact.read(folder).card)
        where = f"REST <code>{html.escape(server.url)}</code> · gRPC <code>{html.escape(server.grpc)}</code>"
        _words.say(self.status, f'<p role="status"><span class="wb-chip wb-good">✓ serving</span> <b>{html.escape(name)}</b> '
                                f"({html.escape(run.run_id)}) · {where}</p>")  # fmt: skip
        _words.say(self.clients, _words.head("Ask it from elsewhere on this machine") + folded(
            clients(server.url, server.grpc, server.token, name, self.once.inputs())))  # fmt: skip
        _words.show(self.asking, True)

    def _failed(self, words: str) -> None:
        self.start.disabled = False
        _words.say(self.status, _words.problem(words))

    def _stop(self) -> None:
        server, self.server = self.server, None
        if server is None:
            return
        self.load.stop()
        self.stop.disabled = True
        _words.say(self.status, _words.waiting("Finishing what is under way…"))
        aside(self.pump, server.stop, self._stopped, self._failed)

    def _stopped(self, code: int) -> None:
        self.start.disabled = False
        _words.show(self.asking, False)
        told = "Nothing is served." if code == 0 else f"The server ended with exit code {code}."
        _words.say(self.status, _words.note(told))

    def _target(self, way: str) -> dict[str, Any] | None:
        """Return the fields of a load test's target."""
        if self.server is None:
            return None
        url = self.server.url if way == "REST" else f"grpc://{self.server.grpc}"
        return {
            "url": url,
            "model": self.once.name,
            "request": infer_request(self.once.inputs()),
            "token": self.server.token,
        }
