"""A text classifier with its own tokenizer: every format takes the attention mask, and the tokenizer goes along."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests import own_tokenizer
from tests.promises._every import FORMATS, carried_out_here
from tests.promises._stranger import open_as_a_stranger
from workbench import artifact, tokenizer
from workbench.describe import model_card
from workbench.job import Job
from workbench.store import Store

pytestmark = pytest.mark.slow
LENGTH = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = own_tokenizer.encoder(tmp_path_factory.mktemp("bert"))
    lines = [
        f'"{"return" if n % 2 else "print"} {"words " * (n % 5)}{n}",{"even" if n % 2 else "odd"}' for n in range(90)
    ]
    (made / "texts.csv").write_text("text,label\n" + "\n".join(lines), encoding="utf-8")
    return made


def job(folder: Path, format_name: str, *steps: str) -> Job:
    data = {"use": "text_csv", "path": str(folder / "texts.csv"), "tokenizer": str(folder), "length": LENGTH}
    return Job.from_json(
        {
            "model": {"use": "hugging_face", "checkpoint": str(folder)},
            "data": data,
            "steps": [{"use": "train", "epochs": 1}, *({"use": name} for name in steps)],
            "format": {"use": format_name},
            "metrics": [{"use": "size"}, {"use": "quality"}],
        }
    )


@pytest.mark.parametrize("format_name", FORMATS)
def test_it_opens_for_a_stranger_and_padding_changes_nothing(
    format_name: str, folder: Path, shared_store: Store
) -> None:
    made = job(folder, format_name)
    assert not made.why_not(model_card(made))
    run = carried_out_here(made, shared_store)
    assert run.status == "done", (run.error or {}).get("traceback")
    saved = artifact.read(Path(run.folder) / run.artifact)
    assert open_as_a_stranger(saved).returncode == 0
    session, ours = artifact.open_session(saved), tokenizer.read(saved.folder)
    assert ours.files == tokenizer.read(folder).files
    tokens = ours.encode("print words 8")
    filled = np.full((2, LENGTH), ours.padding, np.int64)
    filled[0, : len(tokens)] = filled[1, : len(tokens)] = tokens
    filled[1, len(tokens) :] = 7  # what stands behind the mask isn't read
    mask = np.zeros_like(filled)
    mask[:, : len(tokens)] = 1
    answers = session({"tokens": filled, "attention_mask": mask})["logits"]
    assert np.allclose(answers[0], answers[1], atol=1e-4)
    assert not np.allclose(
        answers[0], session({"tokens": filled, "attention_mask": np.ones_like(mask)})["logits"][0], atol=1e-4
    )


@pytest.mark.parametrize("step", ["int8_dynamic", "int8_static", "head_prune", "wanda"])
def test_steps_take_both_inputs(step: str, folder: Path, shared_store: Store) -> None:
    made = job(folder, "onnx", step)
    assert not made.why_not(model_card(made))
    run = carried_out_here(made, shared_store)
    assert run.status == "done", (run.error or {}).get("traceback")
    assert run.get("accuracy", split="test") is not None
