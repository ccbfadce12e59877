from __future__ import annotations

from data.problems import Problem, one_line


def test_problems_read_like_a_compiler() -> None:
    problem = Problem("a.csv", 3, "原因", "error", "unknown cause", "use Q1")
    assert str(problem) == "a.csv:3: 原因: error: unknown cause (use Q1)"
    assert str(Problem("a.csv", 0, "", "warning", "m", "f")) == "a.csv: warning: m (f)"


def test_problems_quote_on_one_line() -> None:
    assert one_line("一\n二\x07三") == "一 二 三"
    assert one_line("长" * 99, 10) == "长" * 9 + "…"
