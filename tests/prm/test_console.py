"""What a log shows of a long job, where there is no terminal to move a bar on."""

import pytest

from prm import console


@pytest.fixture
def clock(monkeypatch):
    """The time in seconds, which a test moves."""
    now = [0.0]
    monkeypatch.setattr(console, "monotonic", lambda: now[0])
    made = console.Progress.__init__
    monkeypatch.setattr(console.Progress, "__init__", lambda *a, **k: made(*a, **k, get_time=lambda: now[0]))
    return now


@pytest.mark.parametrize(
    ("total", "lines"),
    [
        (200, ["training: 30 of 200, 0:01:00, about 0:08:30 left, loss 0.5",
               "training: 50 of 200, 0:02:00, about 0:07:30 left, loss 0.5"]),
        (None, ["training: 30, 0:01:00, loss 0.5", "training: 50, 0:02:00, loss 0.5"]),
    ],
)  # fmt: skip
def test_a_log_has_a_line_a_minute_with_what_is_left(clock, capsys, total, lines):
    with console.progress("training", total) as advance:
        for _ in range(6):
            advance(10, "loss 0.5")
            clock[0] += 30
        assert capsys.readouterr().err.splitlines() == lines


def test_what_an_earlier_run_has_done_does_not_count_for_the_rate(clock, capsys):
    with console.progress("scoring", 1100) as advance:
        advance(1000)
        for _ in range(2):
            clock[0] += 60
            advance(10)
        assert capsys.readouterr().err.splitlines()[-1] == "scoring: 1,020 of 1,100, 0:02:00, about 0:08:00 left"


def test_a_short_job_has_no_such_line(clock, capsys):
    with console.progress("checking", 3) as advance:
        for _ in range(3):
            clock[0] += 10
            advance()
        assert capsys.readouterr().err == ""
