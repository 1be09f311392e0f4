"""The main job: pass@k over a model family, from a request to a report."""

from s2l_lab.passk.dry_run import Expected, Forecast, forecast
from s2l_lab.passk.plan import Plan, Task, make_plan
from s2l_lab.passk.report import PasskReport, PolicyReport
from s2l_lab.passk.request import PasskRequest
from s2l_lab.passk.run import Completed, complete_run, run_passk

__all__ = [
    "Completed",
    "Expected",
    "Forecast",
    "PasskReport",
    "PasskRequest",
    "Plan",
    "PolicyReport",
    "Task",
    "complete_run",
    "forecast",
    "make_plan",
    "run_passk",
]
