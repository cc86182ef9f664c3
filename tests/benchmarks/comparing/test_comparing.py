"""`prm compare`: which rows are paired, what is computed of them, and what is said, from files of `prm eval`."""

import json

import numpy as np
import pytest

import prm
from prm.benchmarks.eval_rows import rows_path
from prm.benchmarks.results import read_result
from prm.data.records import Chain, Problem, StepScores
from prm.errors import InputError
from prm.statistics.paired import sign_flip_p

FEW = {"draws": 200}


def processbench_rows(count=12):
    """Chains of two steps; the even ones have their error in the second step, in two subsets."""
    return [
        {"id": f"{'gsm8k' if i < count // 2 else 'math'}-{i}", "generator": "ab"[i % 3 == 0],
         "problem": f"What is {i}?", "steps": [f"It is {i}.", f"So it is {i} + 1."], "label": 1 if i % 2 == 0 else -1,
         "final_answer_correct": i % 2 == 1}
        for i in range(count)
    ]  # fmt: skip


def chain_scores(rows, right):
    """Step scores that find the first error of the rows in `right`, and are wrong about the others."""
    return [
        {"id": row["id"], "scores": [0.9, 0.1 if (row["label"] == 1) == (i in right) else 0.8]}
        for i, row in enumerate(rows)
    ]


def located(tmp_path, name, right, rows=None, scorer="PRM", **options):
    rows = processbench_rows() if rows is None else rows
    scores = {scorer: chain_scores(rows, right)}
    return prm.evaluate("processbench", rows, scores=scores, out=tmp_path / name, **FEW, **options).path


def chosen(tmp_path, name, wins, problems=None):
    """Best of two by an ORM: of each problem a right and a wrong solution; the right one scores higher in `wins`."""
    names = [f"p{i}" for i in range(8)] if problems is None else problems
    given = [Problem(p, f"What is {p}?", "4", {"level": "hard" if p in ("p0", "p1") else "easy"}) for p in names]
    chains = [Chain(f"{p}/{a}", p, (f"The answer is {a}",)) for p in names for a in (4, 5)]
    scores = [
        StepScores(c.id, c.problem_id, (float((c.id[-1] == "4") == (c.problem_id in wins)),), "orm") for c in chains
    ]
    return prm.evaluate(
        "best-of-n", problems=given, chains=chains, scores={"ORM": scores}, out=tmp_path / name, **FEW
    ).path


def compared(*paths, **options):
    return prm.compare(paths, **FEW, **options).comparison


def only(found):
    (difference,) = found.differences
    return difference


def test_a_mean_by_hand(tmp_path):
    """A is right in p0 to p4, B in p3 to p7 and p0: B gains p5, p6, p7 and loses p1, p2. 2·(1+5+10)/32 = 1."""
    a, b = (
        chosen(tmp_path, "a.json", {"p0", "p1", "p2", "p3", "p4"}),
        chosen(tmp_path, "b.json", {"p0", "p3", "p4", "p5", "p6", "p7"}),
    )
    found = compared(a, b)
    d = only(found)
    assert (found.metric, found.split, found.rows, d.rows) == ("best-of-2", "all", 8, 8)
    assert (d.a, d.b, d.test) == ("ORM [a.json]", "ORM [b.json]", "permutation")
    assert (d.value_a, d.value_b, d.difference) == (5 / 8, 6 / 8, pytest.approx(1 / 8))
    assert (d.gained, d.lost, d.p, d.p_holm) == (3, 2, pytest.approx(1.0), pytest.approx(1.0))
    assert d.low < 0 < d.high
    assert [(m.id, m.outcome_a, m.outcome_b) for m in found.moved] == [
        ("p1", 1, 0), ("p2", 1, 0), ("p5", 0, 1), ("p6", 0, 1), ("p7", 0, 1),
    ]  # fmt: skip
    lost = found.moved[0]
    assert (lost.problem, lost.answer, lost.fields) == ("What is p1?", "4", {"level": "hard"})
    assert (lost.scores_a, lost.scores_b) == (["p1/4", 1.0], ["p1/5", 1.0])
    assert lost.texts == {"p1/4": ["The answer is 4"], "p1/5": ["The answer is 5"]}


def test_p_and_holm_by_hand(tmp_path):
    """Against A, which is always wrong, B gains 8 and C 5: p = 2/2^8 and 2/2^5; B and C differ in 3: p = 2/2^3."""
    names = [f"p{i}" for i in range(8)]
    a, b, c = (chosen(tmp_path, f"{n}.json", wins) for n, wins in (("a", ()), ("b", names), ("c", names[:5])))
    found = compared(a, b, c)
    assert [(d.a[5], d.b[5], d.p) for d in found.differences] == [
        ("a", "b", pytest.approx(2 / 256)), ("a", "c", pytest.approx(2 / 32)), ("b", "c", pytest.approx(2 / 8)),
    ]  # fmt: skip
    assert [d.p_holm for d in found.differences] == [pytest.approx(p) for p in (6 / 256, 4 / 32, 2 / 8)]


def test_groups_are_compared_within_and_corrected_together(tmp_path):
    names = [f"p{i}" for i in range(8)]
    found = compared(chosen(tmp_path, "a.json", ()), chosen(tmp_path, "b.json", names), by="level")
    assert [(d.group, d.rows, d.p) for d in found.differences] == [
        ("", 8, pytest.approx(2 / 256)), ("easy", 6, pytest.approx(2 / 64)), ("hard", 2, pytest.approx(2 / 4)),
    ]  # fmt: skip
    assert [d.p_holm for d in found.differences] == [pytest.approx(p) for p in (6 / 256, 4 / 64, 2 / 4)]


def test_quarters_of_long_numbers_stay_apart(tmp_path):
    """Six digits are the same in all of them. A number beyond the range of a float is no field."""
    rows = [row | {"time": 1700000000 + i, "far": 10**400 + i} for i, row in enumerate(processbench_rows(16))]
    a, b = located(tmp_path, "a.json", {0, 1, 2}, rows), located(tmp_path, "b.json", {1, 2, 3, 8}, rows)
    found = compared(a, b, by="time", metric="all_right_accuracy")
    assert [(d.group, d.rows) for d in found.differences] == [
        ("", 8), ("1700000000 to 1700000003", 2), ("1700000004 to 1700000007", 2), ("1700000008 to 1700000011", 2),
        ("1700000012 to 1700000015", 2),
    ]  # fmt: skip
    assert found.ungrouped == {}
    with pytest.raises(InputError, match="no row has a field 'far'"):
        compared(a, b, by="far")


def test_rows_of_no_group_are_counted(tmp_path, prm_command):
    """Odd rows, of the group "right", have no error, and a first one cannot be found; the last row has no field."""
    rows = [row | {"truth": "wrong" if row["label"] == 1 else "right"} for row in processbench_rows()]
    del rows[-1]["truth"]
    older = [{name: value for name, value in row.items() if name != "truth"} for row in rows]
    a, b = located(tmp_path, "a.json", {0, 1, 2}, older), located(tmp_path, "b.json", {0, 1, 3}, rows)
    found = compared(a, b, by="truth", metric="first_error_accuracy")
    assert [(d.group, d.rows) for d in found.differences] == [("", 6), ("wrong", 6)]
    assert found.ungrouped == {"without truth": 1, "with truth right: first_error_accuracy is undefined there": 5}
    _, out, _ = prm_command("compare", "a.json", "b.json", "--by", "truth", "--metric", "first_error_accuracy")
    assert "in no group: 1 without truth\n" in out


def test_a_result_against_itself_is_no_difference(tmp_path):
    a = located(tmp_path, "a.json", range(0, 12, 5))
    (tmp_path / "again").mkdir()
    for path in (a, rows_path(a)):
        (tmp_path / "again" / path.name).write_bytes(path.read_bytes())
    for metric in (None, "first_error_accuracy", "solution_auroc"):
        found = compared(a, tmp_path / "again" / "a.json", metric=metric)
        d = only(found)
        assert (d.difference, d.low, d.high, d.p, d.p_holm) == (0, 0, 0, 1, 1)
        assert not found.moved


@pytest.mark.parametrize("metric", [None, "all_right_accuracy", "step_auroc"])
def test_the_other_way_round_the_signs_flip(tmp_path, metric):
    a, b = located(tmp_path, "a.json", {0, 1, 2, 3, 7}), located(tmp_path, "b.json", {0, 1, 4, 5, 6, 8, 9, 11})
    one, two = only(compared(a, b, metric=metric)), only(compared(b, a, metric=metric))
    assert one.difference == -two.difference
    assert (one.low, one.high, one.p) == (pytest.approx(-two.high), pytest.approx(-two.low), pytest.approx(two.p))
    assert (one.gained, one.lost) == (two.lost, two.gained)


def test_the_order_of_rows_does_not_matter(tmp_path):
    rows = processbench_rows()
    a = located(tmp_path, "a.json", {0, 1, 2}, rows)
    order = np.random.default_rng(0).permutation(len(rows)).tolist()
    shuffled = [rows[i] for i in order]
    (tmp_path / "two").mkdir()
    one = located(tmp_path, "b.json", {3, 4, 5, 6}, rows)
    two = located(tmp_path / "two", "b.json", {order.index(i) for i in (3, 4, 5, 6)}, shuffled)
    assert compared(a, one) == compared(a, two)


def test_the_values_of_all_rows_are_those_of_the_results(tmp_path):
    a, b = located(tmp_path, "a.json", {0, 1, 2, 5, 8}), located(tmp_path, "b.json", {0, 1, 4, 6, 7, 9})
    for metric in dict.fromkeys(m.name for m in read_result(a).metrics):
        given = [[m for m in read_result(p).metrics if m.name == metric] for p in (a, b)]
        if given[0][0].value is None:
            continue
        found = compared(a, b, metric=metric)
        values = [next(m.value for m in own if m.split == found.split) for own in given]
        d = only(found)
        assert [d.value_a, d.value_b] == pytest.approx(values), metric


def test_f1_is_tested_by_the_bootstrap_and_a_planted_difference_is_found(tmp_path):
    rows = processbench_rows(60)
    a, b = located(tmp_path, "a.json", range(0, 60, 2), rows), located(tmp_path, "b.json", range(54), rows)
    found = compared(a, b, by="generator")
    d = found.differences[0]
    assert (found.metric, found.split, d.test, d.rows) == ("f1", "macro", "bootstrap", 60)
    assert d.low > 0
    assert d.p == pytest.approx(2 / 201)
    assert {m.id for m in found.moved} == {row["id"] for i, row in enumerate(rows) if (i % 2 == 0) != (i < 54)}
    assert [d.group for d in found.differences] == ["", "a", "b"]
    assert sum(d.rows for d in found.differences[1:]) == 60


def test_rows_of_one_problem_are_flipped_together(tmp_path):
    """Two chains of each of three problems: three coins, not six."""
    rows = [row | {"problem": f"What is {i // 2}?", "label": 1} for i, row in enumerate(processbench_rows(6))]
    a, b = located(tmp_path, "a.json", (), rows), located(tmp_path, "b.json", range(6), rows)
    d = only(compared(a, b, metric="first_error_accuracy"))
    assert (d.difference, d.gained, d.p) == (1.0, 6, pytest.approx(2 / 8))
    assert sign_flip_p(np.ones(6)) == pytest.approx(2 / 64)


def test_rows_that_are_not_shared_are_left_out_and_counted(tmp_path):
    rows = processbench_rows()
    other = [row | {"problem": "Another?"} if row["id"] == "math-7" else row for row in rows[1:]]
    a, b = located(tmp_path, "a.json", {0, 1, 2}, rows), located(tmp_path, "b.json", {0, 1, 2}, other)
    found = compared(a, b)
    assert found.rows == 10
    assert dict(found.left_out) == {"absent in b.json": 1, "with another text or truth in a.json": 1}
    assert found.left_out_ids["absent in b.json"] == ["gsm8k-0"]


def test_preference_suites_are_paired_by_comparison(tmp_path):
    rows = [
        {"id": i, "prompt": f"Which {i}?", "chosen": "good", "rejected": "bad one", "subset": "xy"[i % 2]}
        for i in range(8)
    ]
    paths = []
    for name, wins in (("a.json", {0, 1, 2}), ("b.json", {1, 2, 3, 4, 5, 6})):
        scores = [{"id": i, "score_chosen": float(i in wins), "score_rejected": 0.5} for i in range(8)]
        paths.append(prm.evaluate("rewardbench", rows, scores={"RM": scores}, out=tmp_path / name, **FEW).path)
    found = compared(*paths, metric="accuracy")
    d = only(found)
    assert (d.gained, d.lost, d.p) == (4, 1, pytest.approx(2 * 6 / 32))
    assert found.moved[0].truth["better"]
    assert found.moved[0].scores_a == [1.0, 0.5]
    named = compared(*paths, metric="accuracy", variants=["longer"])
    assert (only(named).difference, only(named).p) == (0, 1)


def test_scorers_of_one_result_are_compared(tmp_path):
    rows = processbench_rows()
    scores = {"A": chain_scores(rows, {0, 1}), "B": chain_scores(rows, {0, 1, 2, 3})}
    path = prm.evaluate("processbench", rows, scores=scores, out=tmp_path / "r.json", **FEW).path
    d = only(compared(path))
    assert (d.a, d.b, d.gained, d.lost) == ("A fixed 0.5", "B fixed 0.5", 2, 0)


def test_scores_as_a_filter_are_compared_and_plotted(tmp_path):
    rows = processbench_rows(40)
    a, b = located(tmp_path, "a.json", range(20), rows), located(tmp_path, "b.json", range(36), rows)
    found = compared(a, b, metric="solution_recall_at_fpr_5", plot=tmp_path / "curves.png")
    d = only(found)
    assert (d.test, found.moved, d.gained) == ("bootstrap", (), None)
    assert d.value_b > d.value_a
    kinds = [(curve.kind, curve.variant) for curve in found.curves["PRM min [b.json]"]]
    assert kinds == [
        ("roc", "solutions"), ("precision-recall", "solutions"), ("risk-coverage", "solutions"),
        ("roc", "steps"), ("precision-recall", "steps"),
    ]  # fmt: skip
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_lower_risk_of_chosen_solutions_is_better(tmp_path, prm_command):
    names = [f"p{i}" for i in range(8)]
    chosen(tmp_path, "a.json", ())
    chosen(tmp_path, "b.json", names)
    code, out, said = prm_command("compare", "a.json", "b.json", "--metric", "aurc", "--plot", "c.png")
    assert code == 0, said
    assert out.splitlines()[-1].startswith("ORM [b.json] is better than ORM [a.json]: \u22121.000")
    assert (tmp_path / "c.png").exists()


def test_what_scoring_took_is_told_per_row(tmp_path, prm_command):
    rows = processbench_rows()
    for name, tokens in (("a.json", 100), ("b.json", 900)):
        scores = [{**own, "tokens": tokens + i, "seconds": 0.5} for i, own in enumerate(chain_scores(rows, {0}))]
        prm.evaluate("processbench", rows, scores={"PRM": scores}, out=tmp_path / name, **FEW)
    found = compared(tmp_path / "a.json", tmp_path / "b.json")
    assert found.costs["PRM fixed 0.5 [a.json]"] == {"tokens": 105.5, "seconds": 0.5}
    _, out, _ = prm_command("compare", "a.json", "b.json")
    assert "tokens of scoring a row: PRM fixed 0.5 [a.json] 105.5, PRM fixed 0.5 [b.json] 905.5" in out


def test_a_problem_costs_what_all_its_solutions_do_if_that_is_known(tmp_path):
    given = [Problem(p, "2 + 2?", "4") for p in "pq"]
    chains = [Chain(f"{p}/{a}", p, (f"The answer is {a}",)) for p in "pq" for a in (4, 5)]
    scores = [{"id": c.id, "score": 0.5, "tokens": 10 * int(c.id[-1]), "seconds": 1} for c in chains]
    del scores[-1]["seconds"]
    path = prm.evaluate("best-of-n", problems=given, chains=chains, scores={"A": scores, "B": scores}, **FEW)
    assert compared(path).costs == {name: {"tokens": 90.0} for name in "AB"}


def strip(path):
    row = json.loads(path.read_text()) | {"rows": ""}
    path.write_text(json.dumps(row))


def test_what_cannot_be_compared_is_refused_with_a_remedy(tmp_path):
    rows = processbench_rows()
    a, b = located(tmp_path, "a.json", {0}, rows), located(tmp_path, "b.json", {1}, rows)
    official = located(tmp_path, "official.json", {1}, rows, convention="official")
    far = located(tmp_path, "far.json", {1}, [row | {"id": f"gsm8k-{i + 50}"} for i, row in enumerate(rows)])
    for given, options, message, hint in (
        ([a, official], {}, "official convention", "--allow-mixed"),
        ([a, chosen(tmp_path, "n.json", ())], {}, "of the suite best-of-n", "one suite"),
        ([a], {}, "nothing to compare", "another result"),
        ([a, far], {}, "share no row: 12 absent in", "same rows"),
        ([a, b], {"by": "colour"}, "no row has a field 'colour'", "final_answer_correct, generator"),
        ([a, b], {"metric": "accuracy"}, "no metric 'accuracy'", "first_error_accuracy"),
        ([a, b], {"variants": ["max"]}, "is called 'max'", "omit"),
    ):
        with pytest.raises(InputError, match=message) as refused:
            compared(*given, **options)
        assert hint in refused.value.hint
    assert only(compared(a, official, allow_mixed=True)).rows == 12
    strip(b)
    with pytest.raises(InputError, match="no rows stored") as refused:
        compared(a, b)
    assert "prm eval" in refused.value.hint
    rows_path(a).unlink()
    with pytest.raises(InputError, match="is missing"):
        compared(a, official, allow_mixed=True)


def test_rows_of_another_result_are_noticed(tmp_path):
    a, b = located(tmp_path, "a.json", {0}), located(tmp_path, "b.json", {1})
    rows_path(a).write_bytes(rows_path(b).read_bytes())
    with pytest.raises(InputError, match="rows of another result"):
        compared(a, b)


def test_the_command_says_what_moved_and_concludes(prm_command, tmp_path):
    rows = processbench_rows(60)
    located(tmp_path, "a.json", range(0, 60, 2), rows)
    located(tmp_path, "b.json", range(54), rows)
    code, out, said = prm_command(
        "compare", "a.json", "b.json", "--by", "generator", "--moved", 1, "--out", "c.json", "--draws", 200
    )
    assert code == 0, said
    assert "comparison: 60 rows, 3 differences, 30 moved rows" in said
    assert "is worse than PRM fixed 0.5 [a.json] in 3 rows, such as:" in out
    assert "math-54 (math): 1 \u2192 0" in out
    assert "WRONG  So it is 54 + 1." in out
    last = out.splitlines()[-1]
    assert last.startswith("PRM fixed 0.5 [b.json] is better than PRM fixed 0.5 [a.json]: +")
    assert last.endswith("3 of 3 differences are sure (p < 0.05 after Holm)")
    written = json.loads((tmp_path / "c.json").read_text())
    assert len(written["moved"]) == 30
    code, out, _ = prm_command("compare", "a.json", "a.json")
    assert code == 1
    code, again, said = prm_command(
        "compare", "a.json", "b.json", "--by", "generator", "--moved", 1, "--out", "c.json", "--draws", 200
    )
    assert (code, again.splitlines()[-1]) == (0, last)
    assert "reused" in said


@pytest.fixture
def prm_command(request):
    return request.getfixturevalue("prm")


def test_two_rows_with_solutions_of_one_problem_are_two_rows(tmp_path):
    """Two batches of samples: both count in the comparison, as in the results."""
    texts = {"What is 1 + 1?": "2", "What is 1 + 2?": "3"}
    asked = [*texts, next(iter(texts))]
    rows = [
        {"problem": text, "answer": texts[text], "candidates": [{"solution": f"So it is {i}, and the answer is {a}"}
                                                                 for a in (texts[text], "9")]}
        for i, text in enumerate(asked)
    ]  # fmt: skip

    def result(name, wins):
        scores = [
            {"id": f"data-{i + 1}/{k}", "scores": [float((k == 0) == (i in wins))]} for i in range(3) for k in (0, 1)
        ]
        data = tmp_path / "data.jsonl"
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return prm.evaluate("candidates", data, scores={"A": scores}, out=tmp_path / name, **FEW).path

    paths = [result("one.json", {0, 1, 2}), result("two.json", {0, 1})]
    assert [row["id"] for row in map(json.loads, rows_path(paths[0]).read_text().splitlines())] == [
        "data-1", "data-2", "data-1#2"
    ]  # fmt: skip
    found = only(compared(*paths))
    assert (found.rows, found.value_a, found.value_b) == (3, 1.0, pytest.approx(2 / 3))
