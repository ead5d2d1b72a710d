# %% [markdown]
# # 05 · Recipes: order, front, choice
#
# After this page you can combine methods in an order that works, pick under budgets, and say who pays. 45 minutes. Nothing is trained
# here: the runs of a study are stored with the workbench, with their answers and times, without their weights. `workbench instructor
# rebuild 05` makes them again, in about half an hour.
# %% parameters
# %% begin
from pathlib import Path

import numpy as np
import pandas as pd

from widgets.lesson import Lesson
from workbench import catalog, compare
from workbench.charts.flips import flips_data, flips_figure
from workbench.charts.pareto import pareto_data, pareto_figure
from workbench.job import Job
from workbench.lessons.course.recipes import CANDIDATES, MAX_DROP, MAX_MS, measured
from workbench.study import Label

# %% [markdown]
# ## Predict
# %% predict 05.p1
# %% predict 05.p2
# %% [markdown]
# ## Do: what is worth a look?
# %% exercise 05.1
# %% [markdown]
# ## Look: the study
#
# Three networks, each as trained and by some twenty recipes of one to three steps. Every point is a saved file.
# %%
runs = measured()
print(len(runs), "runs of", *{label.model: None for label in runs})
chart = pareto_data(list(runs.values()))
size = {label: run.get("artifact_bytes").value for label, run in runs.items()}
accuracy = {
    label: run.get("accuracy", split="validation").value for label, run in runs.items()
}
on_front = lesson.carry_on("05.1", on_front)
yours = on_front([(size[label], accuracy[label]) for label in runs])
front = [label for label, is_on in zip(runs, yours) if is_on]
same = {runs[each].run_id for each in front} == {each.run_id for each in chart.front}
print("your front is the workbench's:", same)
of_the_six = [key for key, called in CANDIDATES.items() if Label(*called) in front]
lesson.observe("05.p2", of_the_six[0])
figure = pareto_figure(
    chart, title="Bytes and validation accuracy, from 85 % up", join_parents=False
)
figure.update_yaxes(range=[0.85, 1.01])
# %% [markdown]
# ## Look: the order
#
# The same steps, with the last ten epochs of training before or after the pruning. And a third order, which the workbench refuses:
# training on would undo the rounding.
# %%
pairs = {
    "80 % zeros": "80 % zeros after all training",
    "half the channels": "half the channels after all training",
    "80 % zeros, int8": "80 % zeros after all training, int8",
}
points = {label: 100 * value for label, value in accuracy.items()}
lost = {
    (label.model, recipe): points[Label(label.model, recipe)]
    - points[Label(label.model, other)]
    for recipe, other in pairs.items()
    for label in runs
}
steps = [
    {"use": "train"},
    {"use": "int8_static"},
    {"use": "magnitude_prune"},
    {"use": "train"},
]
record = {"model": "lenet_300_100", "data": "digits", "steps": steps, "format": "onnx"}
print("int8 first is refused:", *Job.from_json(record).why_not(), sep="\n  ")
lesson.observe("05.p1", lost["LeNet-300-100", "80 % zeros, int8"])
recipes = ("half the channels", "half the channels, int8")
alone, both = (
    runs[Label("CNN", each)].get("accuracy", split="test").value for each in recipes
)
lesson.reproduce("05.r1", 100 * (both - alone))
pd.Series(lost).unstack().round(1).rename_axis(columns="points lost by pruning last")
# %% [markdown]
# ## Do: who may choose?
# %% exercise 05.2
# %%
frame = pd.DataFrame(
    {
        "model": label.model,
        "recipe": label.recipe,
        "kB": size[label] / 1000,
        "ms": run.get("latency_ms_p50").value,
        "validation": points[label],
        "test": 100 * run.get("accuracy", split="test").value,
    }
    for label, run in runs.items()
)
told = "how much luck is in the best of many? the best on test, and what validation says of them"
frame.nlargest(5, "test").style.hide().format(precision=2).set_caption(told)
# %% [markdown]
# ## Do: choose
#
# What each lost on validation against its model as trained, and what it may be at most, with 95 % confidence. Those that answer in
# time, the smallest first:
# %%
verdict = compare.choose(
    list(runs.values()), compare.Budgets(max_latency_ms=MAX_MS, max_drop=MAX_DROP)
)
drops = [verdict.drops.get(run.run_id) for run in runs.values()]
frame["lost"] = [round(each.value, 1) + 0.0 if each else 0.0 for each in drops]
frame["at most"] = [each.bound if each else 0.0 for each in drops]
in_time = frame[frame["ms"] <= MAX_MS].sort_values("kB")
in_time.style.hide().format(precision=3, subset=["ms"]).format(
    precision=1, subset=["kB", "validation", "test", "lost", "at most"]
)
# %% exercise 05.3
# %% [markdown]
# ## Do: who pays?
# %% exercise 05.4
# %% [markdown]
# What the workbench says under your budgets, and what became of the answers of the run that you took:
# %%
print(*verdict.why, sep="\n")
choice = lesson.carry_on("05.3", choice)
most_harmed = lesson.carry_on("05.4", most_harmed)


def answers(run):
    with np.load(Path(run.folder) / "samples" / "predictions.npz") as kept:
        return kept["test_outputs"].argmax(1)


before, after = (
    runs[Label(choice["model"], each)] for each in ("as trained", choice["recipe"])
)
test = catalog.make("data", "digits").load().test
old, new = answers(before), answers(after)
harmed, change = most_harmed(*(list(map(int, each)) for each in (test.targets, old, new)))
mine = test.targets == harmed
paired = compare.paired_accuracy((old == test.targets)[mine], (new == test.targets)[mine])
lo, hi = 100 * paired.lo, 100 * paired.hi
print(
    f"\nthe {harmed}: {change:+.1f} points of {mine.sum()} examples, 95 % [{lo:+.1f}, {hi:+.1f}], exact McNemar p = {paired.p_value:.2f}: {paired.verdict}"
    " (told apart only where both agree)"
)
flips_figure(flips_data(after, before, images=test.inputs["pixels"]))
# %% decide 05.d1
# %% [markdown]
# ## At scale
#
# A budget on a loss is a budget on examples. With fewer than these, not even a model that answers all of them alike can show that it
# loses less:
# %%
pd.DataFrame(
    {"loss to show, points": each, "examples": f"{compare.examples_needed(each / 100):,}"}
    for each in (5.0, 2.0, 1.0, 0.5, 0.1)
).style.hide().format(precision=1)
# %% [markdown]
# **Before you go:** you looked at ten classes and reported the one that lost most. What does its interval not tell?
#
# <details><summary>One answer</summary>That the class was picked because it lost most. The worst of ten is partly the
# unluckiest of ten, and of ten intervals one may well miss. Look at that class again on examples that had no say, or ask for
# wider intervals.</details>
# %%
lesson.progress()
