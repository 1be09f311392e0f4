"""Problems and the benchmarks they come from: procedural, from the hub at a pinned revision, or from a local file."""

from s2l_lab.problems.benchmarks import load_benchmark
from s2l_lab.problems.problem import Benchmark, Problem, VerifierKind

__all__ = ["Benchmark", "Problem", "VerifierKind", "load_benchmark"]
