# %% [markdown]
# # 04 · Distillation: small student, big help?
#
# After this page you can build the loss, choose its temperature, and tell a gain from the luck of a seed. 40 minutes.
# %% parameters
epochs = 12  # of the teacher
student_epochs = 15
seeds = [0, 1, 2]
# %% begin
from statistics import mean

import pandas as pd

from widgets.lesson import Lesson
from widgets.watch import WatchStudy
from workbench.store import Store
from workbench.study import carry_out_study, check_study

# %% [markdown]
# ## Predict
# %% predict 04.p1
# %% [markdown]
# ## Do: what the teacher says besides
# %% exercise 04.1
# %% exercise 04.2
# %% [markdown]
# ## Look: taught and alone
#
# For each seed a teacher is trained, then a small student twice, from the same weights and on the same batches: taught, and **alone**
# with the labels only. The workbench keeps the lone student as a control inside the run.
# %%
taught = f"distill student.use=small_cnn student.width=4 epochs={student_epochs}"
study = {
    "name": "lesson_04",
    "data": "digits",
    "metrics": ["size", "quality"],
    "seeds": seeds,
    "train": [f"train epochs={epochs}"],
    "models": {"small_cnn": "small_cnn width=32"},
    "recipes": {"teacher": {}, "taught student": {"steps": [taught]}},
}
runs = carry_out_study(check_study(study), Store(store_folder), on_event=WatchStudy())
students = [run for run in runs if run.controls]
right = {"taught": [run.get("accuracy", split="test").k for run in students]}
right["alone"] = [run.controls["student_alone"]["test"]["k"] for run in students]
num_test = students[0].get("accuracy", split="test").n
pd.DataFrame(right, index=[f"seed {run.job['seed']}" for run in students]).assign(
    of=num_test
)
# %%
gain = 100 * (mean(right["taught"]) - mean(right["alone"])) / num_test
lesson.observe("04.p1", gain)
# %%
teachers = [run for run in runs if not run.controls]
sizes = [each.get("num_params").value for each in (teachers[0], students[0])]
print(
    f"parameters: teacher {sizes[0]:,.0f}, student {sizes[1]:,.0f} ({sizes[0] / sizes[1]:.0f} times fewer)"
)
lesson.reproduce("04.r1", gain)
# %% [markdown]
# ## Do: is that a gain?
# %% exercise 04.3
# %%
is_gain = lesson.carry_on("04.3", is_gain)
print("a gain:", is_gain(right["taught"], right["alone"]), "| seeds:", len(students))
# %% decide 04.d1
# %% [markdown]
# ## At scale
#
# A teacher answers every example once more in each epoch. Beside a student that is many times smaller, that is most of the cost,
# unless its answers are kept. What does a batch of kept answers take?
# %%
vocabulary, tokens = 128_256, 4096
print(
    f"one sequence of {tokens:,} tokens, {vocabulary:,} logits each, 16 bits: {2 * vocabulary * tokens / 1e9:.2f} GB"
)
# %% [markdown]
# **Before you go:** why are the largest ten logits of each token enough for most of what a student learns?
#
# <details><summary>One answer</summary>After the softmax the tail is nearly nothing: almost all of the probability, and of
# what the teacher says about likely mistakes, lies in the largest few.</details>
# %%
lesson.progress()
