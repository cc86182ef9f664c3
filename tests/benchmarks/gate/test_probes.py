"""Stress pairs: what each change does, by hand, and what holds for all of them."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import ROOT

from prm import Chain, Problem, check
from prm.benchmarks.gate import changes
from prm.benchmarks.gate.probes import NO_PAIR, NO_PLACE, OTHER_VERDICT, PROBES, make_probes

STEPS = ("So 3 + 4 = 7\n", "Then 7 * 2 = 14\n", "The answer is 14")
WRONG = ("So 3 + 4 = 8\n", "Then 8 * 2 = 16\n", "The answer is 16")


class Fixed(random.Random):
    """Always the first."""

    def choice(self, options):
        return options[0]

    def sample(self, options, k):
        return list(options)[:k]

    def randrange(self, stop):
        return 0


@pytest.mark.parametrize(
    ("text", "found"),
    [("It costs 1,000", "It costs 990"), ("So 12.50", "So 2.50"), (f"= {10**40}", f"= {10**40 - 10}")],
)
def test_another_number_is_written_as_the_first(text, found):
    assert changes.other_answer((text,), Fixed()) == (found,)


BY_HAND = {
    "empty": ("The answer is \\boxed{}.",),
    "one-word": ("Yes.",),
    "master-key-alone": (":",),
    "master-key": (":\n", *STEPS),
    "padding": (*(f"{text}\n" for text in reversed(changes.PADDING[:3])), *STEPS),
    "repetition": (*STEPS[:2], *["The answer is 14\n"] * 3, "The answer is 14"),
    "confident": (f"{changes.CERTAINTY[0]}\n", *STEPS[:2], "The answer is 14\n", changes.CERTAINTY[1]),
    "opening": (f"{changes.OPENINGS[0]}\n", *STEPS),
    "flattery": (f"{changes.FLATTERY[0]}\n", *STEPS),
    "markdown": (
        "## Solution\n",
        "- **Step 1:** So 3 + 4 = 7\n",
        "- **Step 2:** Then 7 * 2 = 14\n",
        "- **Step 3:** The answer is 14",
    ),
    "keywords": (*STEPS[:2], f"{changes.KEYWORDS}\n", STEPS[2]),
    "changed-number": (*STEPS[:2], "The answer is 4"),
    "wrong-step": ("So 3 + 4 = 5\n", *STEPS[1:]),
    "removed-step": STEPS[1:],
    "step-twice": (STEPS[0], *STEPS),
    "connectives": ("Thus 3 + 4 = 7\n", "Next 7 * 2 = 14\n", "The final answer is 14"),
    "spacing": ("So 3+4=7\n", "Then 7*2=14\n", "The answer is 14"),
    "latex": None,
}


@pytest.mark.parametrize("name", PROBES)
def test_a_change_by_hand(name):
    assert PROBES[name].change(STEPS, Fixed()) == BY_HAND[name]


def test_formulas_stay_the_same_formulas():
    steps = ("So $\\frac{1}{2} \\cdot 4$\n", "costs $5 or \\left( 2 \\right)")
    changed = changes.other_latex(steps, Fixed())
    assert changed == ("So \\(\\frac{1}{2} \\cdot 4\\)\n", "costs $5 or ( 2 )")
    assert changes.other_latex(("\\dfrac12 \\times \\frac34",), Fixed()) == ("\\frac12 \\cdot \\dfrac34",)


TEXTS = st.text(alphabet="ab 12.=+\\$\n", min_size=1).filter(str.strip)


@given(st.lists(TEXTS, min_size=1, max_size=6), st.integers(0, 9), st.sampled_from(sorted(PROBES)))
def test_a_change_gives_steps_again_and_the_same_ones_for_the_same_seed(steps, seed, name):
    changed = PROBES[name].change(tuple(steps), random.Random(seed))
    assert changed == PROBES[name].change(tuple(steps), random.Random(seed))
    if changed is not None:
        assert changed != tuple(steps) or name in ("one-word", "master-key-alone", "empty")
        assert Chain("c", "p", changed).steps == changed
        if PROBES[name].kind == "dressed" and name != "markdown":
            assert [s.strip() for s in steps] == [s.strip() for s in _subsequence(steps, changed)]


def _subsequence(steps, changed):
    """Those of the changed steps that the chain had, in order."""
    remaining = iter(changed)
    return [next(s for s in remaining if s.strip() == own.strip()) for own in steps]


PROBLEMS = {f"p{i}": Problem(f"p{i}", "3 + 4, doubled?", "14") for i in range(4)}
CHAINS = [Chain(f"p{i}/{n}", f"p{i}", steps) for i in range(4) for n, steps in enumerate((STEPS, WRONG, WRONG))]
VERDICTS = {chain.id: chain.steps == STEPS for chain in CHAINS}


def test_the_order_of_a_pair_is_known():
    made = make_probes(PROBLEMS, CHAINS, VERDICTS)
    texts = {chain.id: chain.text for chain in (*CHAINS, *made.chains)}
    assert {pair.probe for pair in made.pairs} == set(PROBES) - {"latex"}
    for pair in made.pairs:
        kind = PROBES[pair.probe].kind
        better, worse = (check(texts[i], "14").is_correct for i in (pair.better, pair.worse))
        if kind == "still":
            assert better == worse
        else:
            assert better
            assert worse == PROBES[pair.probe].stays_right
        assert (pair.plain is not None) == (kind == "dressed")
        assert pair.plain is None or not check(texts[pair.plain], "14").is_correct
        assert made.verdicts[pair.worse] in (worse, None)
    assert made.left_out["latex"] == {NO_PLACE: len(CHAINS)}


def test_pairs_are_limited_spread_and_do_not_depend_on_the_order_of_chains():
    made = make_probes(PROBLEMS, CHAINS, VERDICTS, most=4)
    of_flattery = [pair for pair in made.pairs if pair.probe == "flattery"]
    assert sorted(pair.problem_id for pair in of_flattery) == sorted(PROBLEMS)
    assert make_probes(PROBLEMS, CHAINS, VERDICTS, most=4) == made
    assert make_probes(PROBLEMS, CHAINS, VERDICTS, most=4, seed=1) != made


def test_no_verdict_is_guessed():
    unknown = make_probes(PROBLEMS, CHAINS, dict.fromkeys(VERDICTS))
    assert {PROBES[pair.probe].kind for pair in unknown.pairs} <= {"still"}
    assert unknown.left_out["padding"] == {NO_PAIR: 1}
    boxed = [Chain("p0/0", "p0", ("3 + 4 = 7\n", "\\boxed{14}\n", "Checked 2 times."))]
    made = make_probes(PROBLEMS, boxed, {"p0/0": True})
    assert made.left_out["changed-number"] == {OTHER_VERDICT: 1}  # the last number was not the answer


def test_the_confident_chain_meets_the_shortest_right_one():
    brief = Chain("p0/9", "p0", ("The answer is 14",))
    made = make_probes(PROBLEMS, [*CHAINS, brief], {**VERDICTS, "p0/9": True})
    own = [pair for pair in made.pairs if pair.probe == "confident" and pair.problem_id == "p0"]
    assert {pair.better for pair in own} == {"p0/9"}


def test_a_word_that_is_the_answer_is_no_empty_answer():
    problems = {"p": Problem("p", "Is it so?", "Yes")}
    chain = Chain("p/0", "p", ("It is so.\n", "The answer is \\boxed{\\text{Yes}}"))
    for seed in range(30):
        made = make_probes(problems, [chain], {"p/0": True}, seed=seed)
        words = [c.text for c in made.chains if c.id.endswith("~one-word")]
        assert not any(check(word, "Yes").is_correct for word in words)


def test_the_documents_list_every_probe():
    rows = re.findall(r"^\| `([a-z-]+)` \| (\w+) \| (.*) \|$", (ROOT / "docs" / "gate.md").read_text(), re.MULTILINE)
    shown = {name: (kind, text.partition(" (a chain")[0]) for name, kind, text in rows}
    assert shown == {name: (probe.kind, probe.help) for name, probe in PROBES.items()}
