"""Writing a text token by token: the wait for the first one, the time of each further one, and what is kept between them."""

from __future__ import annotations

from typing import Any

from workbench.nouns import DataCard, Measurement
from workbench.params import param
from workbench.part import MeasureContext, Metric

WINDOWS = 4  # stretches of the text whose tokens per second are told apart: what was read before slows the next one


class Generation(Metric):
    """Fresh processes write the likeliest continuation of a validation text; with a parent, a text of each in turn.

    first_token_ms: reading the prompt. token_ms: each further token, at every length up to the context's end.
    tokens_per_second: of each quarter of the text, `context` being what had been read at its end. kv_bytes: keys, values
    and their scales after the last token. token_ratio_to_parent: medians over the tokens of a text, pair by pair.
    Samples: `first_ms` (restarts, texts), `token_ms` (restarts, texts, tokens), of the parent likewise.
    """

    title = "Text generation"
    source = "greedy decoding, texts interleaved, median with an interval over restarts and texts"
    decodes = True

    prompt: int = param(32, help="Tokens that are given", unit="tokens", ge=1, le=1_000_000)
    tokens: int | None = param(
        None, help="Tokens to write; none = to the end of the context", unit="tokens", ge=8, le=1_000_000
    )
    texts: int = param(5, help="Texts in each process", unit="texts", ge=2, le=1000)
    threads: int = param(1, help="Threads", unit="threads", ge=1, le=256)
    restarts: int = param(3, help="Fresh processes", unit="processes", ge=1, le=20)

    def why_not(self, data: DataCard) -> list[str]:
        if data.task != "language-modelling":
            return [f"{data.name} is {data.task}: text is written by language models"]
        length = int(data.inputs[0].shape[1])
        return (
            [f"texts of {data.name} have {length} tokens: prompt={self.prompt} is longer"]
            if self.prompt > length
            else []
        )

    def measure(self, ctx: MeasureContext) -> list[Measurement]:
        given = next(iter(ctx.data.validation.inputs.values()))[: self.texts, : self.prompt]
        variants = [ctx.artifact, *([ctx.parent] if ctx.parent else [])]
        answers: list[dict[str, Any]] = []
        with ctx.exclusive() as told:
            for turn in range(self.restarts):
                ctx.say("writing texts", done=turn, total=self.restarts, unit="processes")
                answers.append(
                    ctx.fresh("workbench.measure._generation:timed", variants, threads=self.threads, decoding=True,
                              prompts=given.tolist(), tokens=self.tokens, texts=self.texts, turn=turn)
                )  # fmt: skip
        return self._measurements(ctx, answers, dict(told))

    def _measurements(
        self, ctx: MeasureContext, answers: list[dict[str, Any]], told: dict[str, Any]
    ) -> list[Measurement]:
        import numpy as np

        from workbench import compare

        first, token = (np.array([answer[name] for answer in answers]) for name in ("first_ms", "token_ms"))
        kept = {"first_ms": first[:, 0], "token_ms": token[:, 0]}  # of (restarts, variants, texts[, tokens])
        if ctx.parent:
            kept |= {"parent_first_ms": first[:, 1], "parent_token_ms": token[:, 1]}
        file = ctx.keep(f"generation_prompt{self.prompt}_threads{self.threads}.npz", **kept)
        end = self.prompt + token.shape[-1]
        how = {"prompt": self.prompt, "threads": self.threads, "restarts": self.restarts, "texts": self.texts, **told}
        found = []
        for name, samples, conditions in (
            ("first_token_ms", first[:, 0], how),
            ("token_ms", token[:, 0].reshape(self.restarts, -1), {**how, "context": end}),
        ):
            middle = compare.median_interval(samples, seed=ctx.seed)
            found.append(
                Measurement(name, "ms", "lower", middle.value, middle.lo, middle.hi, middle.interval, n=samples.size,
                            samples_in=file, conditions=conditions)
            )  # fmt: skip
        for stretch in np.array_split(np.arange(token.shape[-1]), WINDOWS):
            rates = 1e3 / np.median(token[:, 0][..., stretch], -1)
            middle = compare.median_interval(rates, seed=ctx.seed)
            found.append(
                Measurement("tokens_per_second", "tokens/s", "higher", middle.value, middle.lo, middle.hi, middle.interval,
                            n=rates.size, samples_in=file, conditions={**how, "context": self.prompt + int(stretch[-1]) + 1})
            )  # fmt: skip
        found.append(Measurement("kv_bytes", "bytes", "lower", answers[0]["kv_bytes"], conditions={"context": end}))
        if ctx.parent:
            ratio = compare.ratio_interval(np.median(token[:, 0], -1), np.median(token[:, 1], -1), seed=ctx.seed)
            found.append(
                Measurement("token_ratio_to_parent", "this / parent", "lower", ratio.ratio, ratio.lo, ratio.hi, ratio.interval,
                            n=first[:, 0].size, samples_in=file, conditions={**how, "context": end})
            )  # fmt: skip
        return found
