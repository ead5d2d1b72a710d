"""The agent of a job's processes on one host: torch.distributed.run, and how it makes them.

    main(["work", DRAFT, STORE, MODULE, START, OPTION …])

Each process calls `main(["work", DRAFT, STORE])` of MODULE. They are forked from the agent, which has imported torch already,
where that is safe and START isn't `spawn`; else each is a new interpreter. All of them end when the agent does.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from dataclasses import replace
from typing import Any

from workbench.launch import _bound, _nursery_place, _order


def main(arguments: list[str]) -> int:
    """Start the processes, all of them again when one dies, and wait for their end; raises with the first failure."""
    _bound.end_with_parent()  # of a host's keeper (`_host`); others go on when whoever submitted them is gone
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.errors import record
    from torch.distributed.launcher.api import elastic_launch

    verb, draft, store, module, start, *options = arguments
    os.environ |= _bound.to_this()
    given = run.parse_args([*options, "-m", module, verb, draft, store])
    config, command, words = run.config_from_args(given)
    if start == "spawn" or _nursery_place.why_not_fork():
        record(elastic_launch(config, command))(*words)
    else:
        _import_first()
        config = replace(config, start_method="fork")
        record(elastic_launch(config, _process))(os.getpid(), module, [verb, draft, store])
    return 0


def _import_first() -> None:
    """Import once what each process would import."""
    for name in ("torch.nn.parallel", "workbench.bench", "workbench.worker"):
        importlib.import_module(name)


def _process(agent: int, module: str, arguments: list[str]) -> None:
    """(In each process) become what a new interpreter would be, and work."""
    import torch

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    _bound.end_with_parent(agent)
    torch.set_num_threads(int(os.environ[_order.THREAD_VARIABLES[0]]))
    sys.argv = [module, *arguments]
    made: Any = importlib.import_module(module)
    if code := made.main(arguments):
        sys.exit(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
