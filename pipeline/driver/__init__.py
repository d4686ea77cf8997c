"""The Ray driver: one task per point, a bounded number in flight, rows written as they come.

The only part that knows Ray. A point that fails is retried where a retry can help (its worker or
node died) and becomes a row with status `error` where not; the sweep goes on.
"""

from pipeline.driver.cluster import start_ray, stop_ray
from pipeline.driver.sweeping import FlushRule, Stopped, run_sweep, signals_noted
from pipeline.driver.tally import Tally
from pipeline.driver.tasks import TaskRules

__all__ = [
    "FlushRule",
    "Stopped",
    "Tally",
    "TaskRules",
    "run_sweep",
    "signals_noted",
    "start_ray",
    "stop_ray",
]
