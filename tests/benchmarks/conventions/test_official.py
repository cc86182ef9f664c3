"""Each suite's official convention against its authors' rule, written anew, on rows with ties and exact thresholds."""

import json
import math
import random
from collections import Counter

import pytest
from places import SAMPLES

import prm
from prm.benchmarks.evaluation import measure_suite
from prm.benchmarks.numbers import EvalSettings
from prm.benchmarks.pools import make_pools
from prm.benchmarks.scores import table_of
from prm.benchmarks.suites import read_suite
from prm.data.drops import Drops
from prm.data.records import StepScores
from prm.errors import InputError

FEW = EvalSettings(draws=100)


def read(suite, rows, tmp_path, convention="official", name="rows"):
    path = write_lines(tmp_path / f"{name}.jsonl", rows)
    return read_suite(suite, path, Drops(), convention=convention)


def measured(data, scores=None):
    """Values by (metric, split, variant) of the scorer "S", with the scores of chains by id, or of what is stored."""
    if scores is None:
        (tables,) = [{"S": table_of(own.values())} for own in data.stored.values()]
    else:
        kind = "prm" if data.protocol in ("localization", "steps") else "orm"
        records = [
            StepScores(i, data.problems[next(iter(data.problems))].id, tuple(s), kind) for i, s in scores.items()
        ]
        tables = {"S": table_of(records)}
    pools = ()
    if data.protocol == "best-of-n":
        pools = list(make_pools(data.truths, data.problems, data.chains, Drops()))
    result, *_ = measure_suite(data, tables, FEW, Drops(), pools)
    assert result.convention == data.convention.name
    return {(m.scorer, m.name, m.split, m.variant): m.value for m in result.metrics}, result


def headline(result, scorer="S"):
    return next(m for m in result.headline if m.scorer == scorer)


def steps_of(rng, count):
    """Distinct step texts, some blank."""
    return [" " if i and rng.random() < 0.2 else f"step {rng.random()}" for i in range(count)]


def coarse(rng):
    """A score that is often the threshold."""
    return rng.choice((0.1, 0.5, 0.5, 0.9))


def f1(a, b):
    return 2 * a * b / (a + b) if a + b else 0.0


# ---------------------------------------------------------------------------------------------- steps and solutions


def test_processbench(tmp_path):
    """`find_first_zero(argmax)`: a step is wrong at 0.5 or below; blank steps are steps."""
    rng = random.Random(1)
    rows, scores = [], {}
    for i in range(61):
        steps = steps_of(rng, rng.randint(1, 5))
        label = rng.choice([-1, *range(len(steps))])
        rows.append({"id": f"gsm8k-{i}", "problem": f"p{i}", "steps": steps, "label": label})
        scores[f"gsm8k-{i}"] = [coarse(rng) for _ in steps]
    found = {True: [], False: []}
    for row in rows:
        called = next((k for k, s in enumerate(scores[row["id"]]) if s <= 0.5), -1)
        found[row["label"] == -1].append(called == row["label"])
    right, wrong = (sum(found[kind]) / len(found[kind]) for kind in (True, False))
    values, result = measured(read("processbench", rows, tmp_path), scores)
    assert values["S", "first_error_accuracy", "all", "fixed 0.5"] == pytest.approx(wrong)
    assert values["S", "all_right_accuracy", "all", "fixed 0.5"] == pytest.approx(right)
    assert headline(result).value == pytest.approx(f1(wrong, right))
    assert result.settings["called wrong"] == "a step that scores at or below the threshold"


def test_a_blank_step_takes_the_score_before_it(tmp_path):
    rows = [{"id": "gsm8k-0", "problem": "p", "steps": ["", "a", " ", "b"], "label": 2}]
    data = read("processbench", rows, tmp_path)
    (truth,) = data.truths
    assert (truth.steps, truth.places) == ((True, True, False, None), (0, 0, 0, 1))
    assert truth.fitted([0.2, 0.7]) == [0.2, 0.2, 0.2, 0.7]
    assert truth.fitted([0.1, 0.2, 0.3, 0.4]) == [0.1, 0.2, 0.3, 0.4]
    assert truth.of_chain == (False, None)
    values, _ = measured(data, {"gsm8k-0": [0.9, 0.9, 0.1, 0.9]})
    assert values["S", "first_error_accuracy", "all", "fixed 0.5"] == 1
    values, _ = measured(data, {"gsm8k-0": [0.1, 0.9]})  # the first step is called wrong, not the third
    assert values["S", "first_error_accuracy", "all", "fixed 0.5"] == 0


@pytest.mark.parametrize("suite", ["mr-gsm8k", "mr-math"])
def test_mr_gsm8k_and_mr_math(suite, tmp_path):
    """ReasonEval's macro F1 of solutions and of steps; MR-Score without reasons."""
    rng = random.Random(2)
    rows = []
    for i in range(41):
        count = rng.randint(1, 5)
        error = rng.choice(["N/A", *range(1, count + 1)])
        rows.append(
            {
                "uuid": f"u{i}",
                "id": f"u{i}",
                "question": f"q{i}",
                "question_type": rng.choice(("original", "POT")),
                "model_output_steps": [f"{i} {k}" for k in range(count)],
                "model_output_step_format": [[f"{i} {k}"] for k in range(count)],
                "model_output_solution_correctness": "correct" if error == "N/A" else "wrong",
                "model_output_solution_first_error_step": error,
                "prm_scores": {"m": [coarse(rng) for _ in range(count)]},
            }
        )
    solutions, steps, called, first = Counter(), Counter(), Counter(), []
    for row in rows:
        scores, error = row["prm_scores"]["m"], row["model_output_solution_first_error_step"]
        if error == "N/A":
            solutions["right"] += 1
            solutions["found right"] += min(scores) > 0.5
            truth = [1] * len(scores)
        else:
            solutions["wrong"] += 1
            solutions["found wrong"] += min(scores) < 0.5
            truth = [1] * (error - 1) + [0]
            first.append(next((k for k, s in enumerate(scores, 1) if s <= 0.5), None) == error)
        for label, score in zip(truth, scores, strict=False):
            steps["right" if label else "wrong"] += 1
            steps["found right" if label else "found wrong"] += (score > 0.5) == label
        called["wrong" if min(scores) <= 0.5 else "right", error == "N/A"] += 1
    values, result = measured(read(suite, rows, tmp_path))
    for name, counts in (("solution_macro_f1", solutions), ("step_macro_f1", steps)):
        assert values["S", name, "all", "fixed 0.5"] == pytest.approx(reasoneval(counts))
    if suite == "mr-math":
        assert headline(result).name == "solution_macro_f1"
        return
    tp, tn = called["right", True], called["wrong", False]
    fp, fn = called["right", False], called["wrong", True]
    mcc = (tp * tn - fp * fn) / math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    score = 0.2 * max(0, mcc) + 0.3 * sum(first) / len(first)
    assert (headline(result).name, headline(result).value) == ("mr_score", pytest.approx(score))
    assert values["S", "first_error_accuracy", "weighted", "fixed 0.5"] == pytest.approx(sum(first) / len(first))


def reasoneval(counts):
    """`calculate_f1_score` of codes/mr-math_eval.py."""
    found = []
    for kind, other in (("right", "wrong"), ("wrong", "right")):
        precision = counts[f"found {kind}"] / counts[kind]
        recall = counts[f"found {kind}"] / (counts[f"found {kind}"] + counts[other] - counts[f"found {other}"])
        found.append(2 * precision * recall / (precision + recall))
    return sum(found) / 2


def test_gr_ben(tmp_path):
    """`predict_sample`: the first step below the threshold, from 1; a label beyond the end is the last step."""
    rng = random.Random(8)
    rows, scores, found = [], {}, {True: [], False: []}
    for i in range(31):
        count = rng.randint(1, 4)
        label = rng.choice([-1, *range(1, count + 2)])
        rows.append({"id": f"r{i}", "domain": "physics", "problem": f"p{i}", "label": label})
        rows[-1]["steps"] = [f"{i} {k}" for k in range(count)]
        scores[f"r{i}"] = [coarse(rng) for _ in range(count)]
        called = next((k for k, s in enumerate(scores[f"r{i}"], 1) if s < 0.5), -1)
        found[label == -1].append(called == min(label, count))
    right, wrong = (sum(found[kind]) / len(found[kind]) for kind in (True, False))
    _, result = measured(read("gr-ben", rows, tmp_path), scores)
    assert headline(result).value == pytest.approx(f1(right, wrong))


def test_hard2verify(tmp_path):
    """Harmonic mean of the shares of right steps called right and wrong ones called wrong; and of responses."""
    rng = random.Random(9)
    rows, scores, steps, responses = [], {}, Counter(), Counter()
    for i in range(21):
        labels = [rng.randint(0, 1) if rng.random() < 0.5 else 1 for _ in range(rng.randint(1, 5))]
        texts = [f"{i} {k}" for k in range(len(labels))]
        rows.append(
            {"unique_id": f"h{i}", "question": f"q{i}", "model_response_by_step": texts, "human_labels": labels}
        )
        own = scores[f"rows/h{i}"] = [coarse(rng) for _ in labels]
        for label, score in zip(labels, own, strict=True):
            steps[label, (score >= 0.5) == label] += 1
        responses[min(labels), (min(own) >= 0.5) == min(labels)] += 1
    values, result = measured(read("hard2verify", rows, tmp_path), scores)
    for name, counts in (("step", steps), ("solution", responses)):
        shares = [counts[kind, True] / (counts[kind, True] + counts[kind, False]) for kind in (0, 1)]
        assert values["S", f"{name}_balanced_f1", "all", "fixed 0.5"] == pytest.approx(f1(*shares))
        assert values["S", f"{name}_balanced_accuracy", "all", "fixed 0.5"] == pytest.approx(sum(shares) / 2)
    assert headline(result).name == "step_balanced_f1"


def prmbench_rows(rng):
    rows, scores = [], {}
    for i in range(23):
        original = steps_of(rng, rng.randint(1, 6))
        scores[f"correct/p_{i}"] = [coarse(rng) for _ in original]
        for kind in ("redundency", "confidence", "multi_solutions"):
            steps = steps_of(rng, rng.randint(1, 6))
            beyond = [len(steps) + 3] if rng.random() < 0.2 else []
            errors = [] if kind == "multi_solutions" else [k for k in range(1, len(steps) + 1) if rng.random() < 0.3]
            row = {"idx": f"p_{i}", "classification": kind, "original_question": f"q{i}", "modified_question": f"m{i}"}
            row |= {"original_process": original, "modified_process": steps, "error_steps": errors + beyond}
            rows.append(row)
            scores[f"{kind}/p_{i}"] = [coarse(rng) for _ in steps]
            if rng.random() < 0.2:  # another row with its idx and class, which mr_eval leaves out
                rows.append(row | {"modified_process": [*steps, "more"]})
    return rows, scores


def test_prmbench(tmp_path):
    """Every row but repeated ids; a step beyond the end is ignored; right above 0.5; first error and similarity."""
    rows, scores = prmbench_rows(random.Random(3))
    counts, first, similar, seen = Counter(), [], [], set()
    for row in rows:
        own = f"{row['classification']}/{row['idx']}"
        if own in seen:
            continue
        seen.add(own)
        labels = [score > 0.5 for score in scores[own]]
        wrong = [step - 1 for step in row["error_steps"]]
        for k, label in enumerate(labels):
            counts["FP" if label else "TN"] += k in wrong
            counts["TP" if label else "FN"] += k not in wrong
        if wrong and min(wrong) < len(labels):
            first.append(not labels[min(wrong)])
        before = [score > 0.5 for score in scores[f"correct/{row['idx']}"]]
        if sum(before):
            similar.append(abs(sum(labels) / len(labels) - sum(before) / len(before)))
    right = 2 * counts["TP"] / (2 * counts["TP"] + counts["FP"] + counts["FN"])
    wrong = 2 * counts["TN"] / (2 * counts["TN"] + counts["FP"] + counts["FN"])
    values, result = measured(read("prmbench", rows, tmp_path), scores)
    assert values["S", "f1", "all", "fixed 0.5"] == pytest.approx(right)
    assert values["S", "f1_wrong", "all", "fixed 0.5"] == pytest.approx(wrong)
    assert headline(result).value == pytest.approx((right + wrong) / 2)
    assert values["S", "first_error_recall", "all", "fixed 0.5"] == pytest.approx(sum(first) / len(first))
    assert values["S", "similarity", "all", "fixed 0.5"] == pytest.approx(sum(similar) / len(similar))
    exact = read("prmbench", rows, tmp_path, "exact")
    assert len(exact.truths) != len(seen)
    assert not any(truth.original for truth in exact.truths)


# -------------------------------------------------------------------------------------------------------- best of n


def best_of(scores, n):
    """search-and-learn, `compute_naive_pred`: the first of a stable sort in descending order."""
    return sorted(range(n), key=lambda i: scores[i], reverse=True)[0]


def vote_of(answers, weights, n):
    """`find_answer_with_largest_sum`, and `Counter.most_common` for equal weights: the first of equals."""
    totals, first = {}, {}
    for i in range(n):
        totals[answers[i]] = totals.get(answers[i], 0) + weights[i]
        first.setdefault(answers[i], i)
    return first[max(totals, key=totals.get)]


@pytest.mark.parametrize("signs", [(0.0, 0.5, 0.5, 1.0), (-2.0, -1.0, -1.0, 0.5)])
def test_qwen_harness(signs, tmp_path):
    """rm@k and maj@k of the first k of 7, and the weighted vote; a solution without an answer is one of them."""
    rng = random.Random(4)
    rows = []
    for i in range(31):
        answers = [rng.choice(("1", "2", "3", "")) for _ in range(7)]
        rows.append(
            {
                "idx": i,
                "question": f"q{i}",
                "gt": "1",
                "code": [f"solution {k}" for k in range(7)],
                "pred": answers,
                "score": [answer == "1" for answer in answers],
                "pred_score": [[rng.choice(signs)] for _ in range(7)],
            }
        )
    values, result = measured(read("qwen-harness", rows, tmp_path))
    for k in (1, 2, 4, 7):
        chosen = Counter()
        for row in rows:
            rewards = [reward for (reward,) in row["pred_score"]]
            chosen["S", ""] += row["score"][best_of(rewards, k)]
            chosen["S", "vote"] += row["score"][vote_of(row["pred"], rewards, k)]
            chosen["", "majority"] += row["score"][vote_of(row["pred"], [1] * 7, k)]
            chosen["", "oracle"] += any(row["score"][:k])
            chosen["", "pass@1"] += row["score"][0]
        for (scorer, variant), right in chosen.items():
            assert values[scorer, f"best-of-{k}", "all", variant] == pytest.approx(right / len(rows)), (k, variant)
    assert result.settings["ties"] == "the first"


def test_own_files_are_counted_as_search_and_learn_does(tmp_path):
    problems = write_lines(tmp_path / "p.jsonl", [{"id": "p", "text": "2?", "answer": "2"}])
    texts = ["\\boxed{1}", "\\boxed{2}", "\\boxed{2}", "\\boxed{1}"]
    rows = [{"id": f"p/{i}", "problem_id": "p", "steps": [text]} for i, text in enumerate(texts)]
    chains = write_lines(tmp_path / "c.jsonl", rows)
    scores = [{"id": f"p/{i}", "score": score} for i, score in enumerate((0.5, 0.9, 0.9, 0.9))]
    values = {}
    for convention in ("exact", "official"):
        how = {"convention": convention, "scores": {"S": scores}, "draws": 100}
        result = prm.evaluate("best-of-n", problems=problems, chains=chains, **how).result
        assert result.convention == convention
        values[convention] = headline(result).value
    assert values == pytest.approx({"exact": 2 / 3, "official": 1.0})


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_search_and_learn_takes_the_first_of_equals(tmp_path):
    row = {"problem": "p", "answer": "2", "completions": [r"\boxed{1}", r"\boxed{2}", r"\boxed{2}", r"\boxed{1}"]}
    row["scores"] = [[0.5], [0.9], [0.9], [0.9]]
    for convention, best, majority in (("official", 1.0, 0.0), ("exact", 2 / 3, 0.5)):
        values, _ = measured(read("search-and-learn", [row], tmp_path, convention))
        assert values["S", "best-of-4", "all", "last"] == pytest.approx(best)
        assert values["", "best-of-4", "all", "majority"] == pytest.approx(majority)


# ------------------------------------------------------------------------------------------------------ preference


def test_rewardbench(tmp_path):
    """`1 if chosen > rejected else 0`, by subset, section and over sections."""
    rng = random.Random(5)
    subsets = {"Chat": ("alpacaeval-easy", "mt-bench-easy"), "Reasoning": ("math-prm", "hep-cpp")}
    counts = {"alpacaeval-easy": 1, "mt-bench-easy": 1, "math-prm": 984 / 447, "hep-cpp": 1}  # by row
    rows, scores, won = [], {}, {}
    for subset in (name for names in subsets.values() for name in names):
        for i in range(7):
            own = f"rows/{subset}-{i}"
            rows.append({"id": f"{subset}-{i}", "prompt": own, "chosen": "c", "rejected": "r", "subset": subset})
            scores |= {f"{own}/0": [rng.choice((0.0, 1.0))], f"{own}/1": [rng.choice((0.0, 1.0))]}
            won.setdefault(subset, []).append(scores[f"{own}/0"] > scores[f"{own}/1"])
    values, result = measured(read("rewardbench", rows, tmp_path), scores)
    sections = []
    for names in subsets.values():
        for name in names:
            assert values["S", "accuracy", name, ""] == pytest.approx(sum(won[name]) / 7)
        weighted = [(counts[name] * 7, sum(won[name]) / 7) for name in names]
        sections.append(sum(w * x for w, x in weighted) / sum(w for w, _ in weighted))
    assert headline(result).value == pytest.approx(sum(sections) / 2)
    ties = sum(scores[f"{row['prompt']}/0"] == scores[f"{row['prompt']}/1"] for row in rows)
    assert values["S", "ties", "all", ""] == pytest.approx(ties / len(rows))
    assert result.settings["ties"] == "lost"


def test_rm_bench(tmp_path):
    """`compute_accuracy`: above the diagonal hard, on it normal, below it easy; strictly higher wins."""
    rng = random.Random(6)
    rows, scores, matrix = [], {}, [[0] * 3 for _ in range(3)]
    for i in range(11):
        rows.append({"id": i, "prompt": f"p{i}", "chosen": list("abc"), "rejected": list("xyz"), "domain": "chat"})
        own = [rng.choice((0.0, 1.0)) for _ in range(6)]
        scores |= {f"rows/{i}/{k}": [s] for k, s in enumerate(own)}
        for a in range(3):
            for b in range(3):
                matrix[a][b] += own[a] > own[3 + b]
    mean = {
        "hard": sum(matrix[a][b] for a in range(3) for b in range(3) if b > a) / 3,
        "normal": sum(matrix[a][a] for a in range(3)) / 3,
        "easy": sum(matrix[a][b] for a in range(3) for b in range(3) if b < a) / 3,
    }
    values, _ = measured(read("rm-bench", rows, tmp_path), scores)
    for name, total in mean.items():
        assert values["S", f"accuracy_{name}", "all", ""] == pytest.approx(total / 11)


def test_judgebench_counts_identical_responses(tmp_path):
    """Decided in both orders; right if more decisions are right than wrong."""
    rng = random.Random(7)
    rows = []
    for i in range(15):
        scores = [rng.choice((0.0, 1.0)) for _ in range(2)] if i % 3 else [1.0, 1.0]
        texts = ("a", "b") if i % 3 else ("a", "a")
        row = {"pair_id": f"i{i}", "source": "mmlu-pro-law", "question": f"q{i}", "label": rng.choice(("A>B", "B>A"))}
        row |= {"response_A": texts[0], "response_B": texts[1]}
        rows.append(row | {"judgments": [{"judgment": {"judge_model": "m", "scores": scores}}]})
    right = 0
    for row in rows:
        a, b = row["judgments"][0]["judgment"]["scores"]
        once, flipped = "A>B" if a > b else "B>A", "B>A" if b > a else "A>B"
        right += sum(1 if decision == row["label"] else -1 for decision in (once, flipped)) > 0
    values, _ = measured(read("judgebench", rows, tmp_path))
    assert values["S", "accuracy", "all", ""] == pytest.approx(right / 15)
    assert len(read("judgebench", rows, tmp_path, "exact").truths) == 10


def test_rewardmath(tmp_path):
    """`min(chosen) > max(rejected)`, and the reciprocal rank with rejected ones first among equals."""
    rng = random.Random(10)
    rows, scores, best, ranks = [], {}, [], []
    for i in range(15):
        own = [float(rng.randint(0, 3)) for _ in range(4)]
        for k in range(4):
            rows.append({"problem_id": i, "problem": f"p{i}", "eval_solution": [f"{i} {k}"]})
            rows[-1]["solution_type"] = "rejected" if k else "chosen"
            scores[f"rows/{i}/{k}"] = [own[k]]
        best.append(own[0] > max(own[1:]))
        order = sorted([(own[0], "cho"), *((s, "rej") for s in own[1:])], reverse=True)
        ranks.append(1 / (1 + [kind for _, kind in order].index("cho")))
    values, result = measured(read("rewardmath", rows, tmp_path), scores)
    assert headline(result).value == pytest.approx(sum(best) / 15)
    assert values["S", "mrr", "all", ""] == pytest.approx(sum(ranks) / 15)


def test_llmbar_has_the_mean_of_its_adversarial_subsets(tmp_path):
    names = [f"LLMBar_Adversarial_{name}" for name in ("Neighbor", "GPTInst", "GPTOut", "Manual")]
    for place, name in enumerate([*names, "LLMBar_Natural"]):
        rows = [{"input": f"{name}{i}", "output_1": "x", "output_2": "y", "label": 1} for i in range(place + 1)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = read_suite("llmbar", tmp_path, Drops(), convention="official")
    scores = {f"{name}-{i + 1}/{k}": [float(k == (i > 0))] for name in names for i in range(4) for k in (0, 1)}
    scores |= {f"LLMBar_Natural-{i + 1}/{k}": [0.0] for i in range(5) for k in (0, 1)}
    _, result = measured(data, scores)  # the first row of each is right, so 1, 1/2, 1/3, 1/4
    assert (headline(result).split, headline(result).value) == (
        "adversarial",
        pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4),
    )


# ------------------------------------------------------------------------------------------------------- everywhere


def test_a_suite_without_an_official_convention_refuses_it(tmp_path):
    with pytest.raises(InputError, match="pairs has no official convention"):
        read("pairs", [{"prompt": "p", "chosen": "a", "rejected": "b"}], tmp_path)
    with pytest.raises(InputError, match="convention"):
        read("processbench", [], tmp_path, "ours")


@pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no sample data in {SAMPLES}; set PRM_SAMPLE_DATA")
@pytest.mark.parametrize(
    ("suite", "path", "exact", "official"),
    [
        ("mr-gsm8k", "mr_gsm8k_subset/mr_gsm8k_errors.jsonl", "macro", "weighted"),
        ("mr-math", "mr_math/mr-math_invalid_errors_with_scores.jsonl", "f1", "solution_macro_f1"),
    ],
)
def test_real_scores_by_both_conventions(suite, path, exact, official, capsys):
    """Their headlines differ; printed for comparison."""
    shown = {}
    for convention, part in (("exact", exact), ("official", official)):
        data = read_suite(suite, SAMPLES / path, Drops(), convention=convention)
        tables = {name: table_of(own.values()) for name, own in data.stored.items()}
        result, *_ = measure_suite(data, tables, FEW, Drops())
        shown[convention] = {m.scorer: m.value for m in result.headline}
        assert all(part in (m.name, m.split) for m in result.headline)
    with capsys.disabled():
        for name, value in shown["exact"].items():
            print(f"\n{suite} {name}: exact {100 * value:.2f}, official {100 * shown['official'][name]:.2f}", end="")
    assert shown["exact"] != shown["official"]


def test_a_headline_that_no_row_has_a_part_of_is_written_and_compared(tmp_path):
    """The official number of mr-math-redundant is a macro F1 of solutions; its rows have no outcome."""
    rows = [
        {"id": i, "question": f"What is {i}?", "ground_truth_answer": "6", "rating": [1, i % 2],
         "model_output_step_format": [["a"], ["b"]]}
        for i in range(6)
    ]  # fmt: skip
    given = {name: [{"id": i, "scores": [0.9, low]} for i in range(6)] for name, low in (("A", 0), ("B", 1))}
    made = prm.evaluate("mr-math-redundant", rows, scores=given, convention="official", draws=100)
    (found,) = prm.compare([made], draws=100).comparison.differences
    assert (found.value_a, found.value_b, found.gained) == (pytest.approx(1 / 3), pytest.approx(1 / 3), None)
