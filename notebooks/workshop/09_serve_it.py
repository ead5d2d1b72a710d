# %% [markdown]
# # 09 · Serve it: REST, gRPC and the tail
#
# After this page you can put a model behind an API, load it, read what comes out, and tell an honest latency from another. 40 minutes.
# %% parameters
epochs = 12  # passes over the training digits
rates = []  # requests per second; none = go up until the server falls behind
seconds = 2.0  # of each rate
# %% begin
from pathlib import Path

import pandas as pd

from widgets.lesson import Lesson
from widgets.watch import WatchStudy
from workbench import catalog
from workbench.charts.load import load_data, load_figure, summary
from workbench.load.process import LoadTest
from workbench.open_inference import infer_request
from workbench.serve import asking, process
from workbench.store import Store
from workbench.study import carry_out_study, check_study

store = Store(store_folder)
# %% [markdown]
# ## Predict
# %% predict 09.p1
# %% predict 09.p2
# %% [markdown]
# ## Look: two models behind one API
#
# One trained network as ONNX, in float32 and in int8, served by one process. Ports are free ones; nobody without the token is answered.
# %%
study = {
    "name": "lesson_09",
    "data": "digits",
    "metrics": ["size", "quality"],
    "train": [f"train epochs={epochs}"],
    "models": {"LeNet-300-100": "lenet_300_100"},
    "recipes": {"float32": {}, "int8": {"steps": ["int8_static"]}},
}
runs = dict(
    zip(
        study["recipes"],
        carry_out_study(check_study(study), store, on_event=WatchStudy()),
    )
)
server = process.start(
    [f"{name}={Path(run.folder) / 'artifact'}" for name, run in runs.items()]
)
print("serves", *server.models)
# %% [markdown]
# A client changes nothing but the name. Do the two answer alike?
# %%
test = catalog.make("data", "digits").load().test
images = {"pixels": test.inputs["pixels"][:64]}
answers = {
    (name, way.__name__): way(server, name, images)
    for name in runs
    for way in (asking.over_rest, asking.over_grpc)
}
label = {key: answer.outputs["logits"].argmax(-1) for key, answer in answers.items()}
pd.DataFrame(
    {
        "model": name,
        "asked": way,
        "outputs": str({key: each.shape for key, each in answer.outputs.items()}),
        "right of 64": int((label[name, way] == test.targets[:64]).sum()),
        "ms for 64, with a new connection": round(answer.took_ms, 1),
    }
    for (name, way), answer in answers.items()
).style.hide()
# %%
alike = label["float32", "over_rest"] == label["int8", "over_rest"]
lesson.observe("09.p1", 100 * float(alike.mean()))
# %% [markdown]
# ## Do: what is a latency?
# %% exercise 09.1
# %% exercise 09.2
# %% [markdown]
# ## Look: more and more requests
#
# Requests come at their own times, whether the server keeps up or not. Each latency counts from when it was due.
# %%
one = infer_request({"pixels": images["pixels"][:1]})
target = {"url": server.url, "model": "int8", "request": one, "token": server.token}
measured = LoadTest(target, {"rates": rates, "seconds": seconds}).follow(lambda _: None)
print(summary(load_data(measured)))
load_figure(load_data(measured))
# %% [markdown]
# Now at 40 % and at 80 % of what it kept up with. Percentiles are p95: a p99 takes ten times the samples.
# %%
top = measured["saturation"] or measured["steps"][0]["rate"]
parts = {"rates": [0.4 * top, 0.8 * top], "seconds": max(seconds, 60 / (0.4 * top))}
low, high = LoadTest(target, parts).follow(lambda _: None)["steps"]
columns = ["rate", "num_due", "num_failed", "percentiles_ms", "own_delay_p99_ms"]
pd.DataFrame([low, high])[columns].style.hide()
# %%
lesson.observe("09.p2", high["percentiles_ms"]["p95"] / low["percentiles_ms"]["p95"])
print("exit code", server.stop())
# %% [markdown]
# Own delay is how late the client itself was. Where it is as large as the latency, the figure is the client's, not the server's.
#
# ## Do: batches
# %% exercise 09.3
# %% decide 09.d1
# %% [markdown]
# ## At scale
#
# A page that asks many servers waits for the slowest of them.
# %% exercise 09.4
# %%
some_slow = lesson.carry_on("09.4", some_slow)
pd.DataFrame(
    {
        "servers asked": count,
        "pages that meet the slowest 1 %": f"{some_slow(0.01, count):.0%}",
        "the slowest 0.1 %": f"{some_slow(0.001, count):.0%}",
    }
    for count in (1, 10, 100, 1000)
).style.hide()
# %% [markdown]
# **Before you go:** somebody shows you a p99 that a loop of ten clients measured. What do you ask?
#
# <details><summary>One answer</summary>Did each client wait for its answer before it asked again? Then nobody asks during a
# stall, and the worst waits are missing. From when does a latency count, how many were there at which rate, were failures
# left out, and how late was the client itself?</details>
# %%
lesson.progress()
