# %% [markdown]
# # 07 · Data parallel on a laptop
#
# After this page you can say who sends what, what is averaged, and when more processes are slower. 45 minutes. The processes are
# real, and started by the workbench; nothing is forked from this notebook.
# %% parameters
run_it = True  # False: look at recorded times instead of training over two processes
# %% begin
from datetime import datetime

import pandas as pd

from widgets.lesson import Lesson
from widgets.watch import WatchRun
from workbench import wording
from workbench.bench import carry_out
from workbench.job import Job
from workbench.lessons.course.data_parallel import RECORDED_SECONDS
from workbench.plan import devices, training
from workbench.plan.architecture import known
from workbench.store import Store

# %% [markdown]
# ## Predict
# %% predict 07.p1
# %% [markdown]
# ## Do: everybody wants the sum
# %% exercise 07.1
# %% [markdown]
# ## Do: together, or side by side?
# %% exercise 07.2
# %% exercise 07.3
# %% [markdown]
# ## Look: one process and two
#
# The same job, once in one process and once over two that average their gradients. The recipe and the seed are the same, so the answers
# should be, too. Starting two processes takes a while: up to a minute on a busy machine.
# %%
record = {
    "model": {"use": "small_cnn", "width": 24},
    "data": "digits",
    "steps": [{"use": "train", "epochs": 6}],
    "metrics": ["size", "quality"],
}
spread = {"layout": {"use": "data_parallel"}, "launcher": {"use": "torchrun", "nproc": 2}}
jobs = {1: record, 2: record | spread} if run_it else {1: record}
runs = {
    count: carry_out(Job.from_json(each), Store(store_folder), on_event=WatchRun())
    for count, each in jobs.items()
}
pd.DataFrame(
    {
        "processes": count,
        "accuracy (test)": wording.measured_text(run.get("accuracy", split="test")),
    }
    for count, run in runs.items()
).style.hide()
# %%
times = {
    count: [datetime.fromisoformat(each) for each in (run.started, run.ended)]
    for count, run in runs.items()
}
took = {count: (end - start).total_seconds() for count, (start, end) in times.items()}
seconds = took if run_it else RECORDED_SECONDS
print("measured here" if run_it else "recorded", seconds)
lesson.observe("07.p1", seconds[1] / seconds[2])
# %% [markdown]
# A network this small computes for less than a second, and two interpreters have to start and meet. Answers may differ by an
# example or two: sums in another order round differently.
#
# ## Do: when is more slower?
# %% exercise 07.4
# %%
step_seconds = lesson.carry_on("07.4", step_seconds)
links = {
    "network, 1 GB/s": 1.0,
    "network, 50 GB/s": 50.0,
    "within a node, 450 GB/s": 450.0,
}
pd.DataFrame(
    {
        "7 billion gradients, 16 bits": name,
        **{
            f"{ranks} ranks": f"{step_seconds(60.0, 13.5, 1, rate) / step_seconds(60.0, 13.5, ranks, rate):.1f} ×"
            for ranks in (2, 8, 64)
        },
    }
    for name, rate in links.items()
).style.hide().set_caption(
    "how many times faster than one device, where a step takes it 60 s"
)
# %% decide 07.d1
# %% [markdown]
# ## At scale
#
# The planner on the same question: 7 billion parameters on 8 devices, by data alone. What limits it, and does it fit?
# %%
wanted = training.Wanted(batch=64, length=4096)
plans = training.plan(known()["llama-2-7b"], devices.find("h100"), 8, wanted)
pd.DataFrame(
    {
        "layout": str(each.layout),
        "fits": each.fits,
        "memory of a rank": wording.bytes_text(each.memory_bytes),
        "step (s)": round(each.step_seconds, 2),
        "limited by": each.limit,
    }
    for each in plans
    if each.layout.tensor == each.layout.pipeline == 1
).style.hide()
# %% [markdown]
# **Before you go:** a run over four processes has four times the batch of yours. What else has to change before you compare their
# accuracies?
#
# <details><summary>One answer</summary>The learning rate and its warm-up belong to the batch, and as many epochs are a
# quarter of the updates. Tune both alike, and compare over several seeds, after as many examples.</details>
# %%
lesson.progress()
