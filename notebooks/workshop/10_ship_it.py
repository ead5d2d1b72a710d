# %% [markdown]
# # 10 · Ship it: batch, protect, decide
#
# The capstone. After this page you can run a grid unattended, prove that a file is what was signed and whose it is, and write a
# decision with the rule that takes it back. 60 minutes.
# %% parameters
epochs = 12  # passes over the training digits
only = []  # words that narrow your grid, such as "bits=4,16"; none = all of it
# %% begin
import hashlib
import shutil
import tempfile
import time
from pathlib import Path

import nbformat
import pandas as pd
from IPython.display import Markdown

from widgets.lesson import Lesson
from widgets.watch import WatchStudy
from workbench import batch, wording
from workbench.charts.pareto import pareto_data, pareto_figure
from workbench.compare import Budgets, choose
from workbench.errors import WorkbenchError
from workbench.memo import decision_memo
from workbench.plan.inspect import inspect
from workbench.protect import keys, sign, watermark
from workbench.store import Store
from workbench.study import carry_out_study, check_study

store = Store(store_folder)
place = Path(store_folder).absolute().parent / "reports" / "lesson_10"
# %% [markdown]
# ## Predict
# %% predict 10.p1
# %% predict 10.p2
# %% [markdown]
# ## Do: a batch
# %% exercise 10.1
# %% [markdown]
# ## Look: a notebook, once for each row
#
# This is the notebook that is executed: parameters, and one job. Each row is a process of its own; one that fails stops no other.
# In a shell: `workbench batch run row.ipynb --grid grid.yaml --out rows`. Below it, the same once more.
# %%
parameters = 'store_folder = "runs"\nepochs = 12\nsparsity: float = 0.0  # range: 0..0.99\nbits = 8\nseed = 0'
work = """
from workbench.bench import carry_out
from workbench.job import Job
from workbench.store import Store

prune = [{"use": "magnitude_prune", "sparsity": sparsity}] if sparsity else []
steps = [{"use": "train", "epochs": epochs}, *prune, {"use": "weight_only", "bits": bits}]
job = {"model": "lenet_300_100", "data": "digits", "steps": steps, "seed": seed}
carry_out(Job.from_json(job | {"format": "onnx", "metrics": ["size", "quality"]}), Store(store_folder))"""
new_cell = nbformat.v4.new_code_cell
cells = [
    new_cell(parameters, id="parameters", metadata={"tags": ["parameters"]}),
    new_cell(work.strip(), id="work"),
]
place.mkdir(parents=True, exist_ok=True)
nbformat.write(nbformat.v4.new_notebook(cells=cells), place / "row.ipynb")
(place / "grid.yaml").write_text(lesson.carry_on("10.1", grid))
words = [f"store_folder={store.root.absolute()}", f"epochs={epochs}", *only]
rows = [place / "row.ipynb", place / "grid.yaml", place / "rows"]
first = batch.run(*rows, pairs=words)
print(first.batch.counts)
print("the one that failed said:", *(each["example"].message for each in first.failures))
# %%
again = batch.run(*rows, pairs=words)
began = first.df.set_index("meta.row_id")["meta.started"]
num_again = int((again.df.set_index("meta.row_id")["meta.started"] != began).sum())
failed = first.batch.counts.get("failed", 0)
lesson.observe("10.p1", {failed: "failed", 0: "none"}.get(num_again, "all"))
names = list(again.runs["meta.run_id"].dropna())
runs = [run for run in store.runs() if run.run_id in names]
runs += [run for run in store.runs() if run.run_id in {each.parent for each in runs}]
pareto_figure(
    pareto_data(runs), title="The rows of the batch, and the network as trained"
)
# %% [markdown]
# ## Do: is it still what was signed?
# %% exercise 10.2
# %% [markdown]
# The product's way: every file of the artifact is hashed, and the list of hashes is signed. One bit later:
# %%
private = Path(tempfile.mkdtemp())
keys.create(private / "keys")
copy = shutil.copytree(Path(runs[0].folder) / "artifact", private / "artifact")
sign.sign(copy, private / "keys")
content = bytearray((copy / "model.onnx").read_bytes())
content[-20] ^= 1
(copy / "model.onnx").write_bytes(content)
try:
    sign.verify(copy, private / "keys")
except WorkbenchError as error:
    print("refused:", error.message.replace(str(private), "…"))
shutil.rmtree(private)
# %% [markdown]
# ## Do: whose is it?
#
# A signature can be taken off. A mark in the weights stays in them: the signs of 64 secret sums spell its owner's bits.
# %% exercise 10.3
# %%
kept = place / "keys"
key = next(iter(sorted(kept.glob("*.key"))), None) or watermark.keygen(kept)
mark = f'watermark key="{key}" owner="a learner"'
study = {
    "name": "lesson_10",
    "data": "digits",
    "metrics": ["size", "quality"],
    "train": [f"train epochs={epochs}"],
    "models": {"LeNet-300-100": "lenet_300_100"},
    "recipes": {
        "no mark": {},
        "marked, then 65 % pruned": {"steps": [mark, "magnitude_prune sparsity=0.65"]},
        "marked, then 4 bits": {"steps": [mark, "weight_only bits=4"]},
    },
}
marked = carry_out_study(check_study(study), store, on_event=WatchStudy())
seen = {
    name: watermark.detect(Path(run.folder) / "artifact", key, "a learner", num_bits=64)
    for name, run in zip(study["recipes"], marked)
}
chance = lesson.carry_on("10.3", chance)
pd.DataFrame(
    {
        "model": name,
        "accuracy (test)": wording.measured_text(run.get("accuracy", split="test")),
        "bits that agree": f"{each.num_right} of {each.num_bits}",
        "by chance, in one layer": f"{chance(each.num_right, each.num_bits):.1e}",
        "a mark": each.is_there,
    }
    for (name, each), run in zip(seen.items(), marked)
).style.hide()
# %%
lesson.observe("10.p2", seen["marked, then 4 bits"].num_right)
lesson.reproduce("10.r1", seen["marked, then 65 % pruned"].num_right)
# %% [markdown]
# ## Decide
#
# The memo: the budget, what is taken, why not the others, how each figure is known. Validation chose; test is told for the chosen one.
# A memo without a rule to take the decision back is half of one.
# %%
budgets = Budgets(max_drop=5.0)
Markdown(decision_memo(runs, choose(runs, budgets), budgets=budgets))
# %% exercise 10.4
# %% decide 10.d1
# %% [markdown]
# ## At scale
#
# Verifying reads every byte. How long, at the speed at which this machine hashes now?
# %%
begun = time.perf_counter()
hashlib.sha256(bytes(2**26)).hexdigest()
speed = 2**26 / (time.perf_counter() - begun)
sizes = {
    name: 2 * inspect(name)["num_params"]
    for name in ("llama-2-7b", "llama-3-70b", "llama-3-405b")
}
pd.DataFrame(
    {
        "model, 16 bits": name,
        "file": wording.bytes_text(size),
        "seconds": round(size / speed),
    }
    for name, size in sizes.items()
).style.hide()
# %% [markdown]
# **Before you go:** who must be able to check your signature, and what do they need from you? What would you say of your mark to
# somebody before there is a quarrel?
#
# <details><summary>One answer</summary>Everybody who opens the file: they need your public key by a way that an attacker
# doesn't control, and the signature. Of the mark, tell somebody beforehand that it is there, and the id of its key; the key
# itself stays with you.</details>
#
# Then ten questions over all lessons. And the challenge, in a terminal, with the word that your instructor tells: the smallest file
# that loses at most 2 points, on digits that nobody has tuned for. `workbench lesson challenge --word WORD --step 'int8_static'`
# %%
lesson.quiz()
lesson.progress()
