# %% [markdown]
# # 03 · Quantization: choose your rounding
#
# After this page you can set a scale, a zero point, an axis and a range, and you know what few bits cost. 50 minutes.
# %% parameters
epochs = 12  # passes over the training digits
leave_out = []  # ways of storing that are not carried out
# %% begin
import pandas as pd

from widgets.lesson import Lesson
from widgets.watch import WatchStudy
from workbench import diagnose, wording
from workbench.charts.layers import layers_data, layers_figure
from workbench.charts.pareto import pareto_data, pareto_figure
from workbench.lessons.course.quantization import activations
from workbench.plan.inspect import inspect
from workbench.store import Store
from workbench.study import carry_out_study, check_study

store = Store(store_folder)
# %% [markdown]
# ## Predict
# %% predict 03.p1
# %% predict 03.p2
# %% [markdown]
# ## Do: an integer for each number
# %% exercise 03.1
# %% exercise 03.2
# %% [markdown]
# ## Look: fewer and fewer bits
#
# One trained network, stored six times. Every file is opened again and answers 900 test digits. The integers really lie packed in
# the file: bytes are those on disk.
# %%
ways = {
    "float32": [],
    "int8, weights and activations": ["int8_static"],
    "4 bits, a scale per 32": ["weight_only bits=4 group_size=32"],
    "4 bits, a scale per row": ["weight_only bits=4 group_size=none"],
    "2 bits, nearest": ["weight_only bits=2 group_size=32"],
    "2 bits, GPTQ": ["weight_only bits=2 group_size=32 method=gptq"],
}
study = {
    "name": "lesson_03",
    "data": "digits",
    "metrics": ["size", "quality"],
    "train": [f"train epochs={epochs}"],
    "models": {"LeNet-300-100": "lenet_300_100"},
    "recipes": {
        name: {"steps": steps} for name, steps in ways.items() if name not in leave_out
    },
}
runs = dict(
    zip(
        study["recipes"],
        carry_out_study(check_study(study), store, on_event=WatchStudy()),
    )
)
pd.DataFrame(
    {
        "stored as": name,
        "file": wording.bytes_text(run.get("artifact_bytes").value),
        "accuracy (test)": wording.measured_text(run.get("accuracy", split="test")),
    }
    for name, run in runs.items()
).style.hide()
# %%
size = {name: run.get("artifact_bytes").value for name, run in runs.items()}
lesson.observe("03.p1", size["float32"] / size["4 bits, a scale per 32"])
# %% [markdown]
# Eight times fewer bits aren't eight times fewer bytes: scales, biases and the graph stay.
# %%
points = {
    name: 100 * run.get("accuracy", split="test").value for name, run in runs.items()
}
lesson.observe("03.p2", points["float32"] - points["2 bits, nearest"])
# %%
lesson.reproduce("03.r1", points["2 bits, GPTQ"] - points["2 bits, nearest"])
# %%
pareto_figure(
    pareto_data(list(runs.values())), title="Bytes and accuracy of LeNet-300-100"
)
# %% [markdown]
# Which layer bears it worst? SQNR is the signal over the rounding noise, in decibels: 6 dB are one bit.
# %%
coarse = runs["2 bits, nearest"]
layers_figure(
    layers_data(
        diagnose.layer_facts(coarse, runs["float32"]),
        parent=diagnose.layer_facts(runs["float32"], None),
    )
)
# %% [markdown]
# ## Do: finer where it counts
# %% exercise 03.3
# %%
pd.Series(activations(), name="activations").describe().to_frame().T
# %% exercise 03.4
# %% decide 03.d1
# %% [markdown]
# ## At scale
#
# A language model reads all its weights for every token. Where memory is the limit, bytes are time.
# %%
pd.DataFrame(
    {
        "model": name,
        **{
            f"{bits} bits": wording.bytes_text(found["num_params"] * bits / 8)
            for bits in (16, 8, 4)
        },
    }
    for name in ("llama-2-7b", "llama-3-70b", "llama-3-405b")
    for found in [inspect(name)]
).style.hide()
# %% [markdown]
# **Before you go:** simulated precision changes accuracy and no millisecond. How would you find out, from a file alone, whether its
# integers are real?
#
# <details><summary>One answer</summary>Read the types and bytes of the tensors in it: an int8 tensor takes one byte for each
# number. Where the file holds float weights between two rounding nodes, the precision is simulated.</details>
# %%
lesson.progress()
