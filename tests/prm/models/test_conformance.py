"""Every dialect on a second backbone, and awkward texts in every dialect: scores as the author's recipe gives them."""

import pytest
from families import MADE, OTHERS, by_the_card, options
from places import ROOT

import prm
from prm.models.families import DIALECTS
from prm.scoring.scorer import Refusal

pytestmark = pytest.mark.usefixtures("one_thread")
AWKWARD = {
    "white space": ("  a = 1 \n", "\tb = 2\t\n", "so 3   "),
    "indentation": ("def f:\n    return 1\n", "  * one\n    * two\n"),
    "blank lines inside": ("a\n\nb\n", "c\n\n\nd"),
    "CRLF": ("a = 1\r\n", "b\r\nc\r\n", "d"),
    "decomposed unicode": ("cafe\u0301 = 1\n", "n\u0303 数\n"),
    "digits": ("4\n", "12\n", "0.5"),
    "signs": ("+\n", "-\n", "+ -"),
    "numbered": ("Step 1: a\n", "Step 2: b\n", "Step 3: c"),
    "wrongly numbered": ("Step 2: a\n", "b\n", "Step 9: c"),
    "sixty steps": tuple(f"then {n} + 1 = {n + 1}\n" for n in range(60)),
}
DOCUMENT = (ROOT / "docs" / "scoring.md").read_text(encoding="utf-8")
EVERY = {**{name: (name, make) for name, make in MADE.items()}, **OTHERS}


@pytest.fixture(scope="module", params=EVERY)
def model(request, tmp_path_factory):
    """Dialect, directory and scorer of a model."""
    dialect, make = EVERY[request.param]
    path = make(tmp_path_factory.mktemp("model"))
    return dialect, path, prm.load_scorer(str(path), dialect=dialect, **options(dialect, path))


def test_every_dialect_without_an_architecture_of_its_own_has_two_backbones():
    seen = [dialect for dialect, _ in OTHERS.values()]
    bound = {name for name, dialect in DIALECTS.items() if not any("*" in a for a in dialect.architectures)}
    assert set(seen) | bound == set(DIALECTS)


@pytest.mark.parametrize("kind", AWKWARD)
def test_awkward_texts_are_scored_as_by_the_author(model, kind):
    dialect, path, scorer = model
    problem, steps = "  what is\n\n2 + 2?\r\n", AWKWARD[kind]
    (found,) = scorer.score_each([problem], [steps])
    assert not isinstance(found, Refusal), found
    assert len(found) == (len(steps) if DIALECTS[dialect].kind == "prm" else 1)
    assert list(found) == pytest.approx(by_the_card(dialect, path, problem.strip(), steps), abs=2e-5)


def test_awkward_texts_together_are_scored_as_alone(model):
    _, _, scorer = model
    alone = [scorer.score(["why?"], [steps])[0] for steps in AWKWARD.values()]
    together = scorer.score(["why?"] * len(AWKWARD), list(AWKWARD.values()))
    for one, other in zip(alone, together, strict=True):
        assert list(one) == pytest.approx(list(other), abs=2e-5)


def test_the_document_says_what_each_dialect_is_tried_on(model):
    dialect, _, scorer = model
    rows = dict(line.strip("| ").split(" | ") for line in DOCUMENT.splitlines() if line.startswith(f"| {dialect} | "))
    backbone = getattr(scorer.backend.model, "policy", scorer.backend.model)
    tried = rows[dialect].split(", ")
    assert backbone.config.architectures[0] in tried
    assert len(set(tried)) == 1 + sum(dialect == other for other, _ in OTHERS.values())
