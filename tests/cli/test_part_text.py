"""Parts as people type them."""

from __future__ import annotations

import pytest

from workbench.errors import InvalidInput
from workbench.part_text import part_record


def test_values_take_the_declared_kind() -> None:
    assert part_record("compress", "train epochs=20 learning_rate=1e-3 keep_zeros=no optimizer=sgd") == {
        "use": "train", "epochs": 20, "learning_rate": 1e-3, "keep_zeros": False, "optimizer": "sgd",
    }  # fmt: skip
    assert part_record("data", "digits fold=none")["fold"] is None
    assert part_record("compress", "magnitude_prune skip=fc1,fc2")["skip"] == ["fc1", "fc2"]


def test_a_dot_leads_into_a_nested_part() -> None:
    record = part_record("compress", "distill teacher.use=resnet teacher.depth=18 alpha=0.3")
    assert record == {"use": "distill", "teacher": {"use": "resnet", "depth": 18}, "alpha": 0.3}


def test_a_nested_part_may_be_a_name_or_a_run() -> None:
    assert part_record("compress", "distill teacher=lenet_5")["teacher"] == "lenet_5"
    assert part_record("compress", "distill teacher=run:x-01")["teacher"] == "run:x-01"


def test_a_value_with_blanks_is_quoted() -> None:
    assert part_record("zoo", "lenet_5 note='two words'")["note"] == "two words"


def test_unknown_names_are_left_to_the_catalog() -> None:
    assert part_record("compress", "trian epochs=2") == {"use": "trian", "epochs": "2"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected NAME KEY=VALUE"),
        ("epochs=3", "expected NAME KEY=VALUE"),
        ("train epochs", "expected KEY=VALUE, given 'epochs'"),
        ("train 'epochs=3", "No closing quotation"),
        ("distill teacher.use=resnet teacher=lenet_5", "a value of its own and values inside"),
        ("distill teacher=lenet_5 teacher.depth=2", "a value of its own and values inside"),
    ],
)
def test_text_that_is_no_part_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        part_record("compress", text)


def test_every_odd_word_is_named() -> None:
    with pytest.raises(InvalidInput) as caught:
        part_record("compress", "train epochs lr")
    assert len(caught.value.problems) == 2
