"""Several results as one table."""

import json
from dataclasses import replace

import made_results
import pytest

from prm.benchmarks.report.leaderboard import leaderboard, write
from prm.benchmarks.results import Metric, Result, read_result, result_to_json
from prm.cli.measuring.report import Form
from prm.cli.measuring.report import leaderboard as command
from prm.errors import InputError


def metric(scorer, value, half=0.03, **changes):
    plain = Metric(scorer, "f1", "macro", "fixed 0.5", value, value - half, value + half, 100)
    return replace(plain, **changes)


def result(*headline, suite="processbench", **changes):
    scorers = tuple(dict.fromkeys(m.scorer for m in headline if m.scorer))
    data = {"rows": 100, "digest": "d1"}
    plain = Result(suite, "localization", {"seed": 0, "draws": 1000}, data, {}, scorers, headline, headline)
    return replace(plain, **changes)


MAJORITY = metric("", 0.9, name="accuracy", variant="majority")
BASE = {
    "a.json": result(metric("A", 0.5), metric("B", 0.7)),
    "b.json": result(metric("B", 0.61), metric("A", 0.6), MAJORITY, suite="math"),
}


def test_markdown_has_a_row_per_scorer_a_column_per_suite_and_the_best_in_bold():
    assert write(leaderboard(BASE), "markdown") == (
        "| scorer | math (Accuracy, % / F1, %) | processbench (F1, %) |\n"
        "| :-- | --: | --: |\n"
        "| B | **61.0** ± 3.0 | **70.0** ± 3.0 |\n"
        "| A | 60.0 ± 3.0 | 50.0 ± 3.0 |\n"
        "| *majority* | 90.0 ± 3.0 | - |\n"
        "\n"
        "± is half the width of the 95% interval.\n"
    )


def test_latex_has_the_same_cells():
    assert write(leaderboard(BASE), "latex") == (
        "% needs \\usepackage{booktabs}\n"
        "\\begin{tabular}{lrr}\n"
        "\\toprule\n"
        "scorer & math (Accuracy, \\% / F1, \\%) & processbench (F1, \\%) \\\\\n"
        "\\midrule\n"
        "B & \\textbf{61.0} $\\pm$ 3.0 & \\textbf{70.0} $\\pm$ 3.0 \\\\\n"
        "A & 60.0 $\\pm$ 3.0 & 50.0 $\\pm$ 3.0 \\\\\n"
        "\\midrule\n"
        "\\emph{majority} & 90.0 $\\pm$ 3.0 & - \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
        "\\par{\\footnotesize $\\pm$ is half the width of the 95\\% interval.}\n"
    )


def test_json_has_the_numbers_as_they_are():
    found = json.loads(write(leaderboard(BASE), "json"))
    assert found["schema"] == "leaderboard/1"
    assert found["suites"] == {"math": ["accuracy", "f1"], "processbench": ["f1"]}
    assert found["rows"][0]["name"] == "B"
    cell = found["rows"][0]["cells"]["processbench"]
    assert cell == {"metric": "f1", "value": 0.7, "low": 0.6699999999999999, "high": 0.73, "n": 100, "is_best": True}
    assert found["rows"][2]["is_baseline"]


@pytest.mark.parametrize("form", ["markdown", "latex", "json"])
def test_the_order_of_the_files_does_not_matter(form):
    turned = dict(reversed(BASE.items()))
    assert write(leaderboard(BASE), form) == write(leaderboard(turned), form)


def test_scorers_are_ordered_by_average_rank_not_by_a_mean_over_unlike_suites():
    """A wins two suites of three; the mean would favor B, for a suite whose numbers spread more."""
    values = {"x": {"A": 0.52, "B": 0.51}, "y": {"A": 0.62, "B": 0.61}, "z": {"A": 0.1, "B": 0.9}}
    own = {f"{s}.json": result(*(metric(n, v) for n, v in of.items()), suite=s) for s, of in values.items()}
    assert [row.name for row in leaderboard(own).rows] == ["A", "B"]


def test_lm_eval_has_an_object_per_scorer():
    found = json.loads(write(leaderboard(BASE), "lm-eval"))
    assert list(found) == ["B", "A", "majority"]
    own = found["A"]["results"]["processbench"]
    assert own == {"alias": "processbench", "f1,none": 0.5, "f1_stderr,none": pytest.approx(0.03 / 1.96)}
    assert found["A"]["higher_is_better"]["math"] == {"f1": True}
    assert found["A"]["n-samples"]["math"] == {"original": 100, "effective": 100}
    undefined = {"a.json": result(metric("A", 0.5, low=None, high=None))}
    bare = json.loads(write(leaderboard(undefined), "lm-eval"))["A"]["results"]["processbench"]
    assert bare["f1_stderr,none"] == "N/A"


def test_equal_numbers_are_both_best_as_shown():
    board = leaderboard({"a.json": result(metric("A", 0.5001), metric("B", 0.5004), metric("C", 0.499))})
    assert {row.name: row.cells["processbench"].is_best for row in board.rows} == {"A": True, "B": True, "C": False}


def test_of_an_error_the_lowest_is_best():
    board = leaderboard({"a.json": result(metric("A", 0.2, name="ece"), metric("B", 0.1, name="ece"))})
    assert [(row.name, row.cells["processbench"].is_best) for row in board.rows] == [("B", True), ("A", False)]


def test_an_undefined_number_is_a_dash_and_never_best():
    board = leaderboard({"a.json": result(replace(metric("A", 0.5), value=None, low=None, high=None))})
    assert write(board, "markdown").splitlines()[2] == "| A | - |"
    assert board.notes == ()


# ---- several numbers of one scorer


SEVERAL = {
    "m.json": result(
        *(metric("PRM", value, variant=variant) for variant, value in (("min", 0.6), ("min vote", 0.7), ("last", 0.5))),
        *(metric("ORM", value, variant=variant) for variant, value in (("", 0.55), ("vote", 0.65))),
        suite="math",
    )
}


def names(board):
    return {row.name: round(row.cells["math"].value, 2) for row in board.rows}


def test_of_several_numbers_the_first_is_shown_and_a_note_says_so():
    board = leaderboard(SEVERAL)
    assert names(board) == {"PRM": 0.6, "ORM": 0.55}
    assert board.notes[1] == "Variants shown on math: min (PRM), plain score (ORM)."


def test_variants_can_be_named():
    assert names(leaderboard(SEVERAL, ["min vote", "vote"])) == {"PRM": 0.7, "ORM": 0.65}
    assert names(leaderboard(SEVERAL, ["min", "last"])) == {"PRM (min)": 0.6, "PRM (last)": 0.5, "ORM": 0.55}


def test_a_variant_that_no_scorer_has_is_refused():
    with pytest.raises(InputError, match="no scorer has the variant 'nonsense'"):
        leaderboard(BASE, ["nonsense"])


def test_all_variants_can_be_shown():
    board = leaderboard(SEVERAL, ["all"])
    assert list(names(board)) == ["PRM (min vote)", "ORM (vote)", "PRM (min)", "ORM", "PRM (last)"]
    assert len(board.notes) == 1


# ---- incompatible results


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"settings": {"seed": 1, "draws": 1000}}, "settings.seed is 0 and 1"),
        ({"settings": {"seed": 0}}, "settings.draws is 1000 and not given"),
        ({"data": {"rows": 99, "digest": "d2"}}, 'data.rows is 100 and 99, data.digest is "d1" and "d2"'),
        ({"protocol": "steps"}, 'protocol is "localization" and "steps"'),
    ],
)
def test_results_of_a_suite_with_other_settings_are_refused_or_noted(changes, message):
    both = {"a.json": result(metric("A", 0.5)), "b.json": result(metric("B", 0.6), **changes)}
    with pytest.raises(InputError) as caught:
        leaderboard(both)
    assert f"processbench in a.json and b.json: {message}" in str(caught.value)
    assert "--allow-mixed" in caught.value.hint
    board = leaderboard(both, allow_mixed=True)
    assert [row.name for row in board.rows] == ["B", "A"]
    assert board.notes[1] == f"Mixed: processbench in a.json and b.json: {message}."
    assert "Mixed:" in write(board, "markdown")


def test_the_official_convention_is_named_and_not_mixed_unseen():
    ours, theirs = result(metric("A", 0.5)), result(metric("B", 0.4), convention="official")
    with pytest.raises(InputError, match='convention is "exact" and "official"'):
        leaderboard({"a.json": ours, "b.json": theirs})
    mixed = leaderboard({"a.json": ours, "b.json": theirs}, allow_mixed=True)
    alone = leaderboard({"b.json": theirs})
    note = "Official convention, as the authors' code counts: processbench."
    assert note in mixed.notes
    assert note in alone.notes
    assert any(text.startswith("Mixed: processbench") for text in mixed.notes)


def test_a_result_without_a_convention_is_exact(tmp_path):
    row = result_to_json(result(metric("A", 0.5)))
    del row["convention"]
    path = tmp_path / "old.json"
    path.write_text(json.dumps(row))
    assert read_result(path).convention == "exact"


def test_with_equal_rows_the_dropped_ones_do_not_matter():
    data = {"rows": 100, "digest": "d1", "dropped": {"no score": 3}}
    both = {"a.json": result(metric("A", 0.5)), "b.json": result(metric("B", 0.6), data=data)}
    assert [row.name for row in leaderboard(both).rows] == ["B", "A"]


def test_settings_per_scorer_are_compared_for_scorers_in_both_results():
    one = result(metric("A", 0.5), settings={"threshold": {"A": 0.5}})
    two = result(metric("B", 0.6), settings={"threshold": {"B": 0.3}})
    assert [row.name for row in leaderboard({"a.json": one, "b.json": two}).rows] == ["B", "A"]
    other = result(metric("A", 0.5), metric("B", 0.6), settings={"threshold": {"A": 0.4, "B": 0.3}})
    with pytest.raises(InputError, match=r"settings.threshold of A is 0\.5 and 0\.4"):
        leaderboard({"a.json": one, "b.json": other})


def test_results_of_several_suites_may_differ():
    both = {"a.json": result(metric("A", 0.5)), "b.json": result(metric("A", 0.6), suite="other", settings={"seed": 9})}
    assert len(leaderboard(both).suites) == 2


def test_two_numbers_for_one_scorer_are_refused_or_distinguished_by_file():
    both = {"a.json": result(metric("A", 0.5)), "b.json": result(metric("A", 0.6))}
    with pytest.raises(InputError, match="A has different numbers on processbench"):
        leaderboard(both)
    assert [row.name for row in leaderboard(both, allow_mixed=True).rows] == ["A [b.json]", "A [a.json]"]


def test_the_same_baseline_in_two_results_is_one_row():
    both = {"a.json": result(metric("A", 0.5), MAJORITY), "b.json": result(metric("B", 0.6), MAJORITY)}
    assert [row.name for row in leaderboard(both).rows] == ["B", "A", "majority"]


# ---- texts


def test_names_are_escaped():
    board = leaderboard({"a.json": result(metric("a_b|c*d%\\e$<x>", 0.5), suite="s_#1")})
    assert "| a\\_b\\|c\\*d%\\\\e\\$\\<x\\> |" in write(board, "markdown")
    latex = write(board, "latex")
    assert "a\\_b\\textbar{}c*d\\%\\textbackslash{}e\\$\\textless{}x\\textgreater{} &" in latex
    assert "s\\_\\#1 (F1, \\%)" in latex


# ---- the command


def test_the_command_prints_or_writes(tmp_path, capsys):
    paths = made_results.write_results(tmp_path, BASE, {})
    command(paths)
    printed = capsys.readouterr().out
    assert printed == write(leaderboard(BASE), "markdown")
    command(paths, form=Form.latex, out=tmp_path / "board.tex")
    assert (tmp_path / "board.tex").read_text() == write(leaderboard(BASE), "latex")
    assert "leaderboard: 2 results" in capsys.readouterr().err


def test_the_command_refuses_a_file_that_is_not_a_result(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(InputError, match="is not an eval/1 file"):
        command([tmp_path / "a.json"])
