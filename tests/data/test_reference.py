"""References to a person's own function: found, refused with a reason, followed to the files they need."""

import pickle

import pytest

from workbench import reference
from workbench.errors import InvalidInput, WorkbenchError


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("json", "not of the form"),
        ("json:", "not of the form"),
        ("nowhere_at_all:f", "no module 'nowhere_at_all'"),
        ("nowhere.py:f", "no file"),
        ("json:loats", "did you mean 'loads'"),
    ],
)
def test_a_wrong_reference_is_explained_before_anything_runs(text, complaint):
    assert complaint in reference.problems(text)[0]
    with pytest.raises(InvalidInput):
        reference.load(text)


def test_a_syntax_error_is_named_with_its_line(tmp_path):
    (tmp_path / "own.py").write_text("x = 1\ndef f(:\n")
    assert "line 2" in reference.problems(f"{tmp_path / 'own.py'}:f")[0]


def test_checking_a_reference_runs_none_of_its_code(tmp_path):
    (tmp_path / "own.py").write_text("raise RuntimeError\ndef f(): pass\n")
    assert reference.problems(f"{tmp_path / 'own.py'}:f") == []


def test_a_module_and_a_file_both_load(tmp_path):
    (tmp_path / "own.py").write_text("def f():\n    return 7\n")
    assert reference.load(f"{tmp_path / 'own.py'}:f")() == 7
    assert reference.load("json:loads")("7") == 7


def test_neighbours_are_importable_and_belong_to_the_source(tmp_path):
    (tmp_path / "neighbour_of_own.py").write_text("import json\nSEVEN = 7\n")
    (tmp_path / "own.py").write_text("from neighbour_of_own import SEVEN\ndef f():\n    return SEVEN\n")
    text = f"{tmp_path / 'own.py'}:f"
    assert reference.load(text)() == 7
    assert [path.name for path in reference.source_files(text)] == ["neighbour_of_own.py", "own.py"]


def test_an_edited_file_loads_anew_and_its_classes_pickle(tmp_path):
    text = f"{tmp_path / 'own.py'}:C"
    (tmp_path / "own.py").write_text("class C:\n    value = 1\n")
    first = reference.load(text)
    assert reference.load(text) is first
    (tmp_path / "own.py").write_text("class C:\n    value = 2\n")
    assert (first.value, reference.load(text).value) == (1, 2)
    assert type(pickle.loads(pickle.dumps(first()))) is first


def test_a_missing_package_is_an_error_for_people(tmp_path):
    (tmp_path / "own.py").write_text("import nothing_like_this\ndef f(): pass\n")
    with pytest.raises(WorkbenchError, match="nothing_like_this"):
        reference.load(f"{tmp_path / 'own.py'}:f")
