"""Sweeps: many training runs as one plan, each distinct run made once, in local processes."""

from s2l_lab.sweeps.launch import SweepOutcome, run_sweep
from s2l_lab.sweeps.plan import SeededArm, SweepPlan, read_sweep
from s2l_lab.sweeps.status import RunState, reports, state_of

__all__ = ["RunState", "SeededArm", "SweepOutcome", "SweepPlan", "read_sweep", "reports", "run_sweep", "state_of"]
