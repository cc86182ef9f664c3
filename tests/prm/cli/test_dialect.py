"""`prm dialect`: an example rendered with its read positions, for every built-in dialect, and a dialect as a file."""

import json
from dataclasses import fields

import families
import pytest
from places import ROOT

import prm as toolkit
from prm.models.families import DIALECTS


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return {name: make(tmp_path_factory.mktemp(name)) for name, make in families.MADE.items() if name != "openr"}


@pytest.mark.parametrize("name", [name for name in DIALECTS if name != "openr"])
def test_an_example_is_rendered_with_its_read_positions(name, prm, paths):
    code, out, said = prm("dialect", "check", name, "--model", paths[name])
    assert code == 0, said
    text = out.partition("Read positions")[0]
    assert "First, 2 + 3 = 5." in text.replace("⟦", "").replace("⟧", "")
    reads = 1 if DIALECTS[name].kind == "orm" else 2
    assert text.count("⟦") == text.count("⟧") == reads
    assert ("Outputs: logits" in out) == (DIALECTS[name].is_causal and name != "implicit")


def test_an_example_of_ones_own(prm, paths):
    steps = ("--step", "So 2 + 2 = 4.", "--step", "Step 2: so.", "--step", "third")
    code, out, _ = prm("dialect", "check", "math-shepherd", "--model", paths["math-shepherd"], "--problem=why?", *steps)
    assert code == 0
    assert "why? Step 1: So 2 + 2 = 4.⟦ ки⟧\nStep 2: so.⟦ ки⟧\nStep 3: third⟦ ки⟧" in out


def test_the_scores_of_a_model_with_several_are_shown(prm, paths):
    code, out, said = prm("dialect", "check", "reasoneval-7b", "--model", paths["reasoneval-7b"])
    table = out.partition("weights of the model's probabilities")[2]
    assert (code, table.index("validity") < table.index("redundancy"), "0, 1, 1" in table) == (0, True, True)
    assert "score: softmax, 0 to 1; threshold: 0.5; aggregator: min" in " ".join(said.split())


def test_the_document_lists_every_field():
    document = (ROOT / "docs" / "scoring.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip(" `") for line in document.splitlines() if line.startswith("| `")}
    for_people = {"hub_names", "companion", "is_automatic", "form", "read_at", "source"}
    assert {field.name for field in fields(toolkit.Dialect)} - for_people <= rows


def test_what_cannot_be_rendered_is_one_line(prm, paths):
    code, _, said = prm("dialect", "check", "qwen", "--model", paths["qwen"], "--step", "a <extra_0> b")
    assert (code, "which is a marker for this model" in " ".join(said.split())) == (1, True)
    code, _, said = prm("dialect", "check", "lost.toml", "--model", paths["qwen"])
    assert (code, "cannot be read" in said) == (1, True)


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect_is_printed_as_a_file_that_is_read_again(name, prm, tmp_path):
    code, out, _ = prm("dialect", "show", name)
    (tmp_path / "d.json").write_text(out)
    assert code == 0
    from prm.models.dialects import read_dialect

    assert read_dialect(tmp_path / "d.json") == DIALECTS[name]
    assert toolkit.Dialect(**{**json.loads(out), "layout": DIALECTS[name].layout}).kind == DIALECTS[name].kind
