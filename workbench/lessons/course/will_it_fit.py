"""Lesson 06: will it fit? Memory, the memory-bound limit on speed, and hardware under a budget, before anything runs."""

from __future__ import annotations

from typing import Any

from workbench.lessons.exercise import Exercise, Finding, Lesson, Paper, Question

SERVED = "llama-3-8b"
TOKEN_MS, TOKENS_PER_SECOND = 20.0, 500.0
HOURLY = {
    "t4": 0.35,
    "l4": 0.70,
    "rtx-4090": 0.50,
    "l40s": 1.10,
    "a100": 1.80,
    "h100": 2.90,
    "b200": 5.50,
}  # for practice


def _state(lines: str) -> str:
    return "def state_bytes(params, ranks, stage):\n" + "".join(f"    {line}\n" for line in lines.splitlines())


STATE = Exercise(
    id="06.1",
    answer="state_bytes",
    starter='''def state_bytes(params, ranks, stage):
    """Return the bytes of training state on one of `ranks` devices under ZeRO stage 0, 1, 2 or 3."""
    ...
''',
    solution='''def state_bytes(params, ranks, stage):
    """Return the bytes of training state on one of `ranks` devices under ZeRO stage 0, 1, 2 or 3."""
    optimizer = 12 / (ranks if stage >= 1 else 1)
    gradients = 2 / (ranks if stage >= 2 else 1)
    weights = 2 / (ranks if stage >= 3 else 1)
    return params * (weights + gradients + optimizer)
''',
    wrong={
        "no_master": _state(
            "o = 8 / (ranks if stage >= 1 else 1)\ng = 2 / (ranks if stage >= 2 else 1)\n"
            "w = 2 / (ranks if stage >= 3 else 1)\nreturn params * (w + g + o)"
        ),
        "one_stage_early": _state(
            "o = 12 / ranks\ng = 2 / (ranks if stage >= 1 else 1)\n"
            "w = 2 / (ranks if stage >= 2 else 1)\nreturn params * (w + g + o)"
        ),
        "all_at_once": _state("return params * 16 / (ranks if stage >= 1 else 1)"),
        "never_sharded": _state("return params * 16"),
        "weights_only": _state("return params * 2 / (ranks if stage >= 3 else 1)"),
        "over_all_ranks": _state(
            "o = 12 / (ranks if stage >= 1 else 1)\ng = 2 / (ranks if stage >= 2 else 1)\n"
            "w = 2 / (ranks if stage >= 3 else 1)\nreturn params * (w + g + o) * ranks"
        ),
    },
    cases={f"7.5e9, 64 devices, stage {stage}": lambda stage=stage: (7.5e9, 64, stage) for stage in range(4)}
    | {"1e9, 1 device, stage 3": lambda: (1e9, 1, 3)},
    minutes=8,
)


def _cache(lines: str) -> str:
    return "def cache_bytes(layers, kv_heads, head_width, tokens):\n    " + lines + "\n"


CACHE = Exercise(
    id="06.2",
    answer="cache_bytes",
    starter='''def cache_bytes(layers, kv_heads, head_width, tokens):
    """Return the bytes of the cache of keys and values for one sequence, in 16 bits."""
    ...
''',
    solution='''def cache_bytes(layers, kv_heads, head_width, tokens):
    """Return the bytes of the cache of keys and values for one sequence, in 16 bits."""
    return 2 * layers * kv_heads * head_width * tokens * 2
''',
    wrong={
        "half": _cache("return layers * kv_heads * head_width * tokens * 2"),
        "bits": _cache("return 2 * layers * kv_heads * head_width * tokens * 16"),
        "one_layer": _cache("return 2 * kv_heads * head_width * tokens * 2"),
        "one_token": _cache("return 2 * layers * kv_heads * head_width * 2"),
        "squared": _cache("return 2 * layers * kv_heads * head_width * tokens**2 * 2"),
    },
    cases={
        "32 layers, 32 × 128, 4,096 tokens": lambda: (32, 32, 128, 4096),
        "80 layers, 8 × 128, 8,192 tokens": lambda: (80, 8, 128, 8192),
        "1 layer, 1 × 1, 1 token": lambda: (1, 1, 1, 1),
    },
    minutes=6,
)


def _speed(lines: str) -> str:
    return "def most_tokens_per_second(params, bits, gigabytes_per_second):\n    " + lines + "\n"


SPEED = Exercise(
    id="06.3",
    answer="most_tokens_per_second",
    starter='''def most_tokens_per_second(params, bits, gigabytes_per_second):
    """Return how many tokens a second one sequence gets at most, if every weight is read once for each token."""
    ...
''',
    solution='''def most_tokens_per_second(params, bits, gigabytes_per_second):
    """Return how many tokens a second one sequence gets at most, if every weight is read once for each token."""
    return gigabytes_per_second * 1e9 / (params * bits / 8)
''',
    wrong={
        "bits_as_bytes": _speed("return gigabytes_per_second * 1e9 / (params * bits)"),
        "inverted": _speed("return params * bits / 8 / (gigabytes_per_second * 1e9)"),
        "always_16": _speed("return gigabytes_per_second * 1e9 / (params * 2)"),
        "gigabytes": _speed("return gigabytes_per_second / (params * bits / 8)"),
    },
    cases={
        "7e9, 16 bits, 3,350 GB/s": lambda: (7e9, 16, 3350),
        "7e9, 4 bits, 3,350 GB/s": lambda: (7e9, 4, 3350),
        "70e9, 8 bits, 50 GB/s": lambda: (70e9, 8, 50),
    },
    minutes=6,
)


def _check_device(answer: Any) -> Finding:
    """Judge a device by the hourly bill of as many as reach the latency and the throughput."""
    from workbench.plan.architecture import known
    from workbench.plan.hardware import Asked, choose

    if answer not in HOURLY:
        return Finding("try_again", "no_such_device", {"given": answer, "known": ", ".join(HOURLY)})
    asked = Asked(token_ms=TOKEN_MS, tokens_per_second=TOKENS_PER_SECOND, prices=HOURLY)
    found = {each.device.name: each for each in choose(known()[SERVED], asked) if each.device.name in HOURLY}
    bills = {name: each.num_devices * HOURLY[name] for name, each in found.items() if not each.why_not}
    mine, least = found[answer], min(bills, key=lambda name: bills[name])
    bars = ((f"{answer} × {mine.num_devices}", bills[answer], f"{bills[answer]:.2f} an hour"),)
    values = {"given": answer, "num": mine.num_devices, "bill": f"{bills[answer]:.2f}"}
    if answer == least:
        return Finding("ok", values=values, bars=bars)
    if answer == min(HOURLY, key=lambda name: HOURLY[name]):
        return Finding("try_again", "cheapest_board", values, bars=bars)
    per_request = min(found, key=lambda name: found[name].cost or float("inf"))
    return Finding("try_again", "per_request" if answer == per_request else "dearer", values, bars=bars)


DEVICE = Exercise(
    id="06.4",
    answer="device",
    starter="device = ...  # a name of the table above\n",
    solution='device = "rtx-4090"\n',
    wrong={
        "cheapest_board": 'device = "t4"\n',
        "per_request": 'device = "b200"\n',
        "dearer": 'device = "h100"\n',
        "no_such_device": 'device = "abacus"\n',
    },
    check=_check_device,
    minutes=6,
)

LESSON = Lesson(
    number="06",
    name="will_it_fit",
    minutes=35,
    run_seconds=15,
    exercises=(STATE, CACHE, SPEED, DEVICE),
    questions=(
        Question("06.p1", "number", 108, unit="GB"),
        Question("06.p2", "number", 10.7, unit="GB"),
        Question(
            "06.d1",
            "decision",
            {"first": "fewer_bits", "watch": "cache"},
            fields={"first": ("fewer_bits", "more_devices", "smaller_model"), "watch": ("cache", "weights", "price")},
        ),
    ),
    papers=(Paper("06.r1", "Rajbhandari et al., arXiv 1910.02054, figure 1", low=16.5, high=16.75, unit="GB"),),
)
