"""Whether a run's artifact is signed, by whom, encrypted, marked; and what a package of it would hold."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets import _words
from widgets._aside import aside
from workbench import package, wording
from workbench.errors import ArtifactError, InvalidInput
from workbench.nouns import Run
from workbench.protect import keys, sign

if TYPE_CHECKING:
    from widgets.pump import Pump


SECONDS_OF_REST = 0.4  # after a letter of the folder's name


class ProtectCard:
    """Signs and verifies with a folder of keys; packages are planned before they are written."""

    def __init__(self, pump: Pump) -> None:
        self.pump, self.run = pump, None
        self.facts, self.told, self.listed = ipywidgets.HTML(), ipywidgets.HTML(), ipywidgets.HTML()
        self.keys = ipywidgets.Text(
            "keys", description="Keys", tooltip="Folder of keys; made when it isn't there", layout={"width": "260px"}
        )
        self.file = ipywidgets.Text(
            "package.tar", description="File", tooltip="A new file for the package", layout={"width": "260px"}
        )
        self.sign = self._button("Sign", "pencil", "Signs every file of the artifact with the newest key", self._sign)
        self.verify = self._button(
            "Verify", "check", "Says whether the artifact is what somebody trusted has signed", self._verify
        )
        self.plan = self._button("Sizes", "list", "Lists what the package would hold; writes nothing", self._plan)
        self.write = self._button(
            "Write the package",
            "archive",
            "Writes artifact, client, measuring and model card into one file",
            self._write,
        )
        self.keys.observe(lambda _: pump.rested(SECONDS_OF_REST, self._tell_facts, key=self), names="value")
        self.view = ipywidgets.VBox(
            [ipywidgets.HTML(_words.head("Protection")), self.facts, _row(self.keys, self.sign, self.verify), self.told,
             ipywidgets.HTML(_words.head("Hand over")), _row(self.file, self.plan, self.write), self.listed]
        )  # fmt: skip

    def take(self, run: Run | None) -> None:
        """Show another run."""
        self.run: Run | None = run
        for part in (self.told, self.listed, self.facts):
            _words.say(part, "")
        self._tell_facts()

    def facts_html(self) -> str:
        """Return the card as HTML."""
        return _facts(self.run, _signed(_artifact(self.run), self._keys())) if self.run else ""

    def _tell_facts(self) -> None:
        """Tell what is known at once, and of the signature once every byte of the artifact is read beside the pump."""
        run, where = self.run, self._keys()
        if run is None:
            _words.say(self.facts, "")
            return
        if not self.facts.value:
            _words.say(self.facts, _facts(run, "…"))
        aside(self.pump, lambda: _signed(_artifact(run), where),
              lambda signed: self._facts_are(run, where, signed),
              lambda words: self._facts_are(run, where, html.escape(words)))  # fmt: skip

    def _facts_are(self, run: Run, where: Path, signed: str) -> None:
        if self._shows(run) and where == self._keys():
            _words.say(self.facts, _facts(run, signed))

    def _shows(self, run: Run) -> bool:
        return self.run is not None and self.run.run_id == run.run_id

    def _keys(self) -> Path:
        return Path(self.keys.value).expanduser()

    def _button(self, text: str, icon: str, tooltip: str, action: Any) -> ipywidgets.Button:
        button = ipywidgets.Button(description=text, icon=icon, tooltip=tooltip, layout={"width": "auto"})
        button.on_click(lambda _: self.pump.do(self._with_run, action))
        return button

    def _with_run(self, action: Any) -> None:
        if self.run is not None:
            action(self.run)

    def _sign(self, run: Run) -> None:
        where = self._keys()

        def work() -> str:
            if not where.exists():
                keys.create(where)
            signer, path = sign.sign(_artifact(run), where)
            return _words.note(f"Signed with key {signer}: {path.name} beside the artifact.")

        self._aside(run, work, self.told)

    def _verify(self, run: Run) -> None:
        where = self._keys()
        self._aside(
            run,
            lambda: _words.note(f"Unchanged since it was signed with key {sign.verify(_artifact(run), where)}."),
            self.told,
        )

    def _aside(self, run: Run, work: Callable[[], str], part: ipywidgets.HTML) -> None:
        """Do something with a run beside the pump and tell its end in `part`, unless another run is shown by then."""

        def tell(text: str) -> None:
            if self._shows(run):
                _words.say(part, text)
                if part is self.told:  # signing and verifying change what is known
                    self._tell_facts()

        aside(self.pump, work, tell, lambda words: tell(_words.problem(words)))

    def _plan(self, run: Run) -> None:
        where = self._keys()
        self._aside(run, lambda: _sizes(_planned(run, where)), self.listed)

    def _write(self, run: Run) -> None:
        target, where = Path(self.file.value).expanduser(), self._keys()

        def work() -> str:
            planned = _planned(run, where)
            path = package.write(planned, target)
            return _sizes(planned) + _words.note(
                f"Written: {path.resolve()} ({wording.bytes_text(path.stat().st_size)})."
            )

        self._aside(run, work, self.listed)


def _planned(run: Run, keys_folder: Path) -> package.Plan:
    return package.plan(run, keys=keys_folder if keys_folder.is_dir() else None)


def _artifact(run: Run) -> Path:
    return Path(run.folder) / "artifact"


def _facts(run: Run, signed: str) -> str:
    rows = [
        ("signed", signed),
        (
            "encrypted",
            "no: a run's own artifact is plain; <code>workbench protect encrypt</code> makes an encrypted copy",
        ),
        ("watermark", _marked(run.job)),
        ("membership attack", _membership(run)),
    ]
    return _words.table("What is known of this artifact", ("", ""), rows)


def _signed(folder: Path, keys_folder: Path) -> str:
    if not sign.signature_of(folder).exists():
        return "no"
    if not keys_folder.is_dir():
        return "yes, by whom says a folder of keys"
    try:
        return f"✓ by key <code>{html.escape(sign.verify(folder, keys_folder))}</code>, unchanged since"
    except (ArtifactError, InvalidInput) as error:
        return f'<span class="wb-verdict wb-worse">✕ {html.escape(error.message)}</span>'


def _marked(job: Mapping[str, Any]) -> str:
    step = next((each for each in job.get("steps", []) if each.get("use") == "watermark"), None)
    if step is None:
        return "none put in by its recipe"
    return f"{step['num_bits']} bits of {html.escape(repr(step['owner']))}, key <code>{html.escape(Path(step['key']).stem)}</code>"


def _membership(run: Run) -> str:
    found = run.get("membership_auc")
    return f"AUC {wording.measured_text(found)} (0.5 is chance)" if found else "not measured (metric membership)"


def _sizes(planned: package.Plan) -> str:
    rows = [
        (html.escape(file.name), wording.bytes_text(file.num_bytes), html.escape(file.what)) for file in planned.files
    ]
    return _words.table(f"{planned.name}: {wording.bytes_text(planned.num_bytes)}", ("file", "size", "what"), rows)


def _row(*parts: ipywidgets.Widget) -> ipywidgets.Box:
    row = ipywidgets.Box(list(parts))
    row.add_class("wb-flow")
    return row
