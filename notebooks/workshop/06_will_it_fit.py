# %% [markdown]
# # 06 · Will it fit? From 7B to 405B
#
# After this page you can say how much memory a model takes, how fast it can be at most, and what it costs: before anything
# runs. 35 minutes. Nothing is trained and nothing downloaded here: it is arithmetic on public figures.
# %% parameters
# %% begin
import pandas as pd

from widgets.lesson import Lesson
from workbench import wording
from workbench.lessons.course.will_it_fit import (
    HOURLY,
    SERVED,
    TOKEN_MS,
    TOKENS_PER_SECOND,
)
from workbench.plan import devices, training
from workbench.plan.architecture import known
from workbench.plan.hardware import Asked, choose

# %% [markdown]
# ## Predict
# %% predict 06.p1
# %% predict 06.p2
# %% [markdown]
# ## Do: what training keeps
# %% exercise 06.1
# %%
state_bytes = lesson.carry_on("06.1", state_bytes)
llama = known()["llama-2-7b"]
print(f"{llama.num_params:,} parameters")
lesson.observe("06.p1", state_bytes(llama.num_params, 1, 0) / 1e9)
# %%
pd.DataFrame(
    {
        "devices": ranks,
        **{
            f"stage {stage}": wording.bytes_text(
                state_bytes(llama.num_params, ranks, stage)
            )
            for stage in range(4)
        },
    }
    for ranks in (1, 8, 64)
).style.hide()
# %%
lesson.reproduce("06.r1", state_bytes(7.5e9, 64, 2) / 1e9)
# %% [markdown]
# ## Do: what answering keeps
# %% exercise 06.2
# %% [markdown]
# Your formula beside the planner's own, for well-known models, at 32,768 tokens:
# %%
cache_bytes = lesson.carry_on("06.2", cache_bytes)
shapes = {name: known()[name] for name in ("llama-2-7b", "llama-3-70b", "llama-3-405b")}
heads = {
    name: (each.layers, each.kv_heads or each.heads, each.hidden // each.heads)
    for name, each in shapes.items()
}
pd.DataFrame(
    {
        "model": name,
        "yours": wording.bytes_text(cache_bytes(*heads[name], 32768)),
        "the planner's": wording.bytes_text(each.kv_bytes() * 32768),
        "weights in 16 bits": wording.bytes_text(2 * each.num_params),
    }
    for name, each in shapes.items()
).style.hide()
# %%
lesson.observe("06.p2", cache_bytes(*heads["llama-3-70b"], 32768) / 1e9)
# %% [markdown]
# ## Do: how fast can it be?
# %% exercise 06.3
# %%
most_tokens_per_second = lesson.carry_on("06.3", most_tokens_per_second)
bandwidth = {
    name: devices.find(name).memory_bandwidth / 1e9
    for name in ("l4", "rtx-4090", "h100", "b200")
}
pd.DataFrame(
    {
        "device": name,
        "GB/s": f"{speed:,.0f}",
        **{
            f"{bits} bits": f"{most_tokens_per_second(llama.num_params, bits, speed):,.0f}"
            for bits in (16, 8, 4)
        },
    }
    for name, speed in bandwidth.items()
).style.hide().set_caption("tokens per second of one sequence, at most")
# %% [markdown]
# ## Do: the bill
#
# What the planner says of each device: how many it takes. Prices are made up for practice; bring your own.
# %%
asked = Asked(token_ms=TOKEN_MS, tokens_per_second=TOKENS_PER_SECOND, prices=HOURLY)
answers = {each.device.name: each for each in choose(known()[SERVED], asked)}
pd.DataFrame(
    {
        "device": name,
        "price of one, an hour": HOURLY[name],
        "how many it takes": answers[name].num_devices,
        "ms per token": round(1000 * answers[name].served.seconds_per_token, 1),
    }
    for name in HOURLY
).style.hide().format(precision=2)
# %% exercise 06.4
# %% decide 06.d1
# %% [markdown]
# ## At scale
#
# The same planner on a training: each legal layout of 64 devices for 70 billion parameters, the fastest that fit first. How do
# they divide what you have counted?
# %%
wanted = training.Wanted(batch=512, length=4096)
plans = training.plan(known()["llama-3-70b"], devices.find("h100"), 64, wanted)
pd.DataFrame(
    {
        "layout": str(each.layout),
        "fits": each.fits,
        "memory of a rank": wording.bytes_text(each.memory_bytes),
        "step (s)": round(each.step_seconds, 2),
        "limited by": each.limit,
    }
    for each in plans[:6]
).style.hide()
# %% [markdown]
# **Before you go:** these are estimates: products reach half of the peak, links four fifths. What would you measure first to find
# out how wrong they are?
#
# <details><summary>One answer</summary>What bounds most of the answers: how many bytes per second the memory really gives,
# and what share of the peak your kernels reach on one step of the real shapes. Then the links, under load.</details>
# %%
lesson.progress()
