"""The check of gold answers against themselves."""

from s2l_lab.problems import Benchmark
from s2l_lab.verifiers import Outcome, check_gold


def benchmark(problems, kind="math"):
    return Benchmark("test", tuple(problems), kind, None, {})


def test_what_cannot_be_graded_is_listed_with_the_reason(pool, problem):
    answers = ["5", r"\frac{1}{2}", "$t(0,4]$", "{"]
    report = check_gold(benchmark([problem(a) for a in answers]), pool)
    assert (report.total, report.boxed, report.marked) == (4, 3, 4)
    ((refused, verdict),) = report.refused
    assert refused.answer == "{"  # no box holds a single brace
    assert verdict.outcome is Outcome.NO_ANSWER


def test_the_papers_scorer_depends_on_the_form(pool, problem):
    report = check_gold(benchmark([problem(r"\frac{14}{3}"), problem("7")]), pool, "official")
    assert (report.total, report.boxed, report.marked) == (2, 1, 2)
    assert report.verifier == "official-1"


def test_problems_that_store_no_gold_answer_are_counted_apart(pool, problem):
    report = check_gold(benchmark([problem("", "exact"), problem("east", "exact")], "exact"), pool)
    assert (report.total, report.boxed, report.without_gold) == (1, 1, 1)


def test_choice_by_its_labels(pool, problem):
    report = check_gold(benchmark([problem("B", "choice", labels=["A", "B"])], "choice"), pool)
    assert (report.boxed, report.marked) == (1, 1)
