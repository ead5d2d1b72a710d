# %% [markdown]
# # 01 · Measure first
#
# After this page you can measure size, latency and accuracy so that you would bet on the figure. 45 minutes, no network, no
# accelerator. Each part goes **predict → do → look → decide**: say what you expect before you see it.
#
# Run the cells one by one (Shift + Enter). Where a cell has three dots, the dots are yours.
# %% parameters
epochs = 12  # passes over the training digits
calls = 1000  # timed one by one
# %% begin
import pandas as pd

from widgets.lesson import Lesson
from widgets.watch import WatchRun
from workbench import ceilings, wording
from workbench.bench import carry_out
from workbench.charts.ecdf import ecdf_data, ecdf_figure
from workbench.data.digits import Digits
from workbench.job import Job
from workbench.store import Store

# %% [markdown]
# ## Predict
#
# Both answers are locked once given. Being wrong is the point: you will remember the difference.
# %% predict 01.p1
# %% predict 01.p2
# %% [markdown]
# ## Do: bytes
# %% exercise 01.1
# %% [markdown]
# ## Look: one real model
#
# A small convolutional network learns 598 real handwritten digits. What is measured is the **saved file**, opened again in a
# process of its own: bytes, answers on 900 test digits, and single calls. This takes about half a minute.
# %%
record = {
    "model": {"use": "small_cnn", "width": 32},
    "data": "digits",
    "steps": [{"use": "train", "epochs": epochs}],
    "format": "onnx",
    "metrics": [
        "size",
        "quality",
        {"use": "latency", "pairs": 6, "restarts": 2, "singles": calls},
    ],
}
run = carry_out(Job.from_json(record), Store(store_folder), on_event=WatchRun())
print("examples:", dict(Digits().card().num_examples))
shown = [
    run.get("num_params"),
    run.get("artifact_bytes"),
    run.get("accuracy", split="test"),
]
shown += [run.get(f"latency_ms_{name}") for name in ("p50", "p95", "p99")]
pd.DataFrame(
    {"quantity": each.name, "measured": wording.measured_text(each)} for each in shown
).style.hide()
# %%
lesson.observe("01.p1", run.get("artifact_bytes").value / 1000)
# %% [markdown]
# The file is its numbers at four bytes each, plus the graph and the names of its tensors. They are a few less than the network was
# trained with: saving folds each batch norm into the convolution before it.
#
# Now the calls. Every one was kept, so that the picture shows all of them, and not a mean:
# %%
ecdf_figure(ecdf_data([run]))
# %%
lesson.observe("01.p2", run.get("latency_ms_p99").value / run.get("latency_ms_p50").value)
# %% [markdown]
# A mean hides this tail, and users feel the tail: a page that makes a hundred calls waits for the slowest.
# %%
print(wording.timing_text(run.get("latency_ms_p50")))
# %% [markdown]
# ## Do: a benchmark that lies
# %% exercise 01.2
# %% [markdown]
# ## Do: how sure is an accuracy?
#
# The table above gives an interval beside the accuracy. Where does its width come from?
# %% exercise 01.3
# %%
images_needed = lesson.carry_on("01.3", images_needed)
accuracy = run.get("accuracy", split="test")
print(
    "95 % ± 1 point takes",
    images_needed(0.95, 0.01),
    "images; ± 1 point around 96 %:",
    images_needed(0.96, 0.01),
)
print(
    f"{accuracy.k} of {accuracy.n} right: {accuracy.value:.1%}, 95 % interval [{accuracy.lo:.1%}, {accuracy.hi:.1%}]"
)
# %% [markdown]
# ## Your machine
#
# What one thread of this machine can do at most, measured once and kept. Later lessons estimate with it, `workbench doctor` prints it.
# %%
pd.Series(ceilings.obtain(), name="this machine").to_frame()
# %% [markdown]
# ## Decide
# %% decide 01.d1
# %% [markdown]
# ## At scale
#
# The same sum for well-known models, from their public shapes. Nothing is downloaded.
# %%
from workbench.plan.inspect import inspect

pd.DataFrame(
    {
        "model": name,
        "parameters": f"{found['num_params']:,}",
        "in 16 bits": wording.bytes_text(found["bytes"]),
    }
    for name in ("llama-2-7b", "llama-3-70b", "llama-3-405b")
    for found in [inspect(name)]
).style.hide()
# %% [markdown]
# **Before you go:** a colleague says "our model got 2 % faster and lost nothing on 200 test images". Which two questions do you ask?
#
# <details><summary>One answer</summary>How was it timed: warm, alternately, from the saved files, and with which interval of
# the ratio? And how many of the answers changed, in each direction? On so few images a loss of some points can't be
# seen.</details>
# %%
lesson.progress()
