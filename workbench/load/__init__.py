"""How a server behaves under requests that come whether it keeps up or not: latency at given rates, and where it saturates.

_open_loop.py   sends requests at their times and keeps when each was due, sent and answered
_target.py      one way of asking a server: V2 over REST or gRPC      _search.py   which rates to try, and the saturation point

A closed loop (so many clients that each wait for an answer) sends less when a server stalls, so the stall hides in a few samples: coordinated omission.
Here a request is due at a time drawn beforehand, and its latency counts from then, also while it waits for a free connection.
"""

from workbench.load._open_loop import Step
from workbench.load._search import Settings, Tested, measure_load, saturation
from workbench.load._target import Target

__all__ = ["Settings", "Step", "Target", "Tested", "measure_load", "saturation"]
