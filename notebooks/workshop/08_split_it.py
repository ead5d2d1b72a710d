# %% [markdown]
# # 08 · Tensor, pipeline, hybrid
#
# After this page you can cut a layer so that its parts talk once, say how long a pipeline idles, and choose a layout for 64 devices. 45 minutes.
# %% parameters
# %% begin
import pandas as pd

from widgets.lesson import Lesson
from workbench import catalog
from workbench.lessons.course.split_it import best_by_axes
from workbench.plan import architecture, devices, training

# %% [markdown]
# ## Predict
# %% predict 08.p1
# %% predict 08.p2
# %% [markdown]
# ## Do: cut a layer
# %% exercise 08.1
# %% [markdown]
# The layouts of the workbench are parts like methods; each says of a model, without its weights, why it can't spread it.
# %%
data = catalog.make("data", "python_source").card()
card = catalog.make("zoo", {"use": "tiny_lm", "heads": 4}).card(data)
pd.DataFrame(
    {
        "layout": name,
        "processes": count,
        "why not": "; ".join(
            catalog.make("layout", name).why_not(card, num_processes=count, batch_size=64)
        )
        or "fits",
    }
    for name in ("data_parallel", "sharded", "tensor", "pipeline")
    for count in (2, 3)
).style.hide()
# %% [markdown]
# ## Do: the pipeline
# %% exercise 08.2
# %% exercise 08.3
# %% [markdown]
# ## Look: what a plan says
#
# A step of training Llama 3 70B on 64 devices, by the arithmetic of `workbench plan`: the fullest rank's memory and where the seconds go.
# %%
planned = best_by_axes()
fitting = {
    axes: each
    for axes, each in sorted(planned.items(), key=lambda item: item[1].step_seconds)
    if each.fits
}
pd.DataFrame(
    {
        "data × tensor × pipeline": " × ".join(map(str, axes)),
        "memory": f"{each.memory_bytes / 1e9:.0f} GB",
        **{part: f"{seconds:.1f} s" for part, seconds in each.seconds.items()},
        "limited by": each.limit,
    }
    for axes, each in [
        *list(fitting.items())[4::4],
        *((k, v) for k, v in planned.items() if not v.fits),
    ]
).style.hide()
# %%
wanted = training.Wanted(batch=32, length=4096)
plans = training.plan(architecture.find("llama-3-70b"), devices.find("h100"), 64, wanted)
eight = next(
    each.seconds for each in plans if (each.layout.tensor, each.layout.pipeline) == (8, 8)
)
idle = 100 * eight["bubble"] / (eight["compute"] + eight["bubble"])
lesson.observe("08.p1", idle)
lesson.observe("08.p2", next(iter(fitting))[1])
lesson.reproduce("08.r1", idle)
# %% [markdown]
# ## Do: choose
# %% exercise 08.4
# %% decide 08.d1
# %% [markdown]
# ## At scale
#
# The same model, more devices, the same batch: each plan's best.
# %%
told = []
for count in (32, 64, 128, 256):
    best = training.plan(
        architecture.find("llama-3-70b"),
        devices.find("h100"),
        count,
        training.Wanted(batch=512, length=4096),
    )[0]
    told.append(
        {
            "devices": count,
            "layout": str(best.layout),
            "step": f"{best.step_seconds:.1f} s",
            "share of the peak": f"{best.share_of_peak:.0%}",
            "fits": best.fits,
        }
    )
pd.DataFrame(told).style.hide()
# %% [markdown]
# **Before you go:** what would have to be measured to show that your plan is wrong?
#
# <details><summary>One answer</summary>One real step of it: the memory of the fullest rank, and the seconds of computing,
# sending and idling. And the second best plan as well: if one part is off by as much as the two differ, the order may be the
# other way round.</details>
# %%
lesson.progress()
