# %% [markdown]
# # 02 · Pruning: zeros are not speed
#
# After this page you can prune by magnitude and by channel, read a sensitivity map, and explain the difference between a mask
# and a removal. 45 minutes. It goes on with the network of lesson 01.
# %% parameters
epochs = 12  # passes over the training digits
recover_epochs = 8  # after pruning
pairs = 40  # alternating timings of a model and its parent
restarts = 2  # fresh processes that time them
# %% begin
from dataclasses import replace

import pandas as pd

from widgets.lesson import Lesson
from widgets.watch import WatchRun, WatchStudy
from workbench import diagnose, wording
from workbench.bench import carry_out
from workbench.charts.sensitivity import sensitivity_data, sensitivity_figure
from workbench.charts.waterfall import waterfall_data, waterfall_figure
from workbench.job import Job
from workbench.plan.architecture import known
from workbench.store import Store
from workbench.study import carry_out_study, check_study

store = Store(store_folder)
# %% [markdown]
# ## Predict
# %% predict 02.p1
# %% predict 02.p2
# %% [markdown]
# ## Do: which weights go?
# %% exercise 02.1
# %% exercise 02.2
# %% [markdown]
# ## Look: zeros against channels
#
# Three runs on the same trained network: as it is, 80 % zeros, half of the channels. Both pruned ones train on for a few epochs.
# Times are taken alternately with the parent, in fresh processes, so that the ratio can be believed. About a minute.
# %%
timing = {"use": "latency", "pairs": pairs, "restarts": restarts, "singles": 30}
train, recover = (
    f"train epochs={epochs}",
    f"train epochs={recover_epochs} learning_rate=0.001",
)
study = {
    "name": "lesson_02",
    "data": "digits",
    "metrics": ["size", "quality", timing],
    "train": [train],
    "models": {"small_cnn": "small_cnn width=32"},
    "recipes": {
        "as trained": {},
        "80 % zeros": {"steps": ["magnitude_prune sparsity=0.8", recover]},
        "half the channels": {"steps": ["channel_prune ratio=0.5", recover]},
    },
}
trained, zeros, channels = carry_out_study(
    check_study(study), store, on_event=WatchStudy()
)
# %%
quantities = [
    "nonzero_params",
    "artifact_bytes",
    "zipped_bytes",
    "latency_ratio_to_parent",
]
rows = {
    name: [run.get(each) for each in quantities] + [run.get("accuracy", split="test")]
    for name, run in zip(study["recipes"], (trained, zeros, channels))
}
told = {
    name: [wording.measured_text(each) if each else "1" for each in row]
    for name, row in rows.items()
}
pd.DataFrame(told, index=[*quantities, "accuracy (test)"])
# %%
lesson.observe("02.p1", zeros.get("latency_ratio_to_parent").value)
lesson.observe(
    "02.p2", trained.get("artifact_bytes").value / channels.get("artifact_bytes").value
)
# %% [markdown]
# Half of the channels is a quarter of the weights *between* two layers: inputs and outputs both halve. Zeros changed one line
# only: what a zip makes of the file. Where do the bytes go, step by step?
# %%
waterfall_figure(waterfall_data(channels, [trained, zeros, channels]))
# %%
change = (
    zeros.get("accuracy", split="test").value
    - trained.get("accuracy", split="test").value
)
lesson.reproduce("02.r1", 100 * change)
# %% [markdown]
# ## Do: a level for each layer
#
# What does the network lose when the small weights of **one layer only** become zero? Measured on validation digits.
# %%
wanted = diagnose.sensitivity_job(
    Job.from_json(trained.job),
    {"use": "magnitude_prune"},
    "sparsity",
    [0.5, 0.7, 0.8, 0.9, 0.95],
)
mapped = carry_out(wanted, store, on_event=WatchRun())
sensitivity_figure(sensitivity_data(mapped))
# %% exercise 02.3
# %% [markdown]
# The same total, once with your levels and once with one level everywhere, **before any training**: the difference is what the
# map was worth.
# %%
levels = lesson.carry_on("02.3", levels)
steps = [{"use": "train", "epochs": epochs}]
for layer, level in levels.items():
    steps = diagnose.apply_level(
        steps,
        layer=layer,
        step_name="magnitude_prune",
        parameter="sparsity",
        level=level or None,
        layers=list(levels),
    )
everywhere = [steps[0], {"use": "magnitude_prune", "sparsity": 0.8}]
record = {**trained.job, "metrics": ["size", "quality"]}
both = {"your levels": steps, "80 % everywhere": everywhere}
pruned_runs = {
    name: carry_out(Job.from_json(record | {"steps": each}), store, on_event=WatchRun())
    for name, each in both.items()
}
pd.DataFrame(
    {
        "recipe": name,
        "weights left": wording.quantity(run.get("nonzero_params").value, "parameters"),
        "accuracy (test)": wording.measured_text(run.get("accuracy", split="test")),
    }
    for name, run in pruned_runs.items()
).style.hide()
# %% exercise 02.4
# %% decide 02.d1
# %% [markdown]
# ## At scale
#
# What half of the inner width of each feed-forward block would save of larger models, by the shapes alone.
# %%
shapes = {name: known()[name] for name in ("llama-2-7b", "llama-3-70b")}
pd.DataFrame(
    {
        "model": name,
        "parameters": f"{shape.num_params:,}",
        "with half the inner width": f"{replace(shape, ffn=shape.ffn // 2).num_params:,}",
    }
    for name, shape in shapes.items()
).style.hide()
# %% [markdown]
# **Before you go:** why do 50 % fewer channels mean about 75 % fewer multiplications between two layers, and why did the
# milliseconds shrink by less?
#
# <details><summary>One answer</summary>Between two layers the inputs and the outputs both halve: half of a half is left. Time
# also goes where no channel was taken away (the input, the last layer, pooling, the call itself), and smaller kernels fill a
# core less well.</details>
# %%
lesson.progress()
