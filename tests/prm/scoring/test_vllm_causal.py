"""A causal dialect in vLLM, as a token classifier: the scores that the logits of two words give in transformers."""

import families
import pytest
from families import MADE, options

from prm.models.conversion import convert
from prm.scoring.loading import load_scorer

SERVABLE = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
}
PROBLEMS = ["what is 2 + 2?", "a much longer problem = than the others have", "is it 12 / 3?"] * 8
CHAINS = [
    ("So 2 + 2 = 4.\n", "Thus it is 4.\n\n"),
    ("one\n",),
    ("a - b\n", "two +\nin one - here\n", "third 4 e\n"),
] * 8


def test_a_converted_causal_model_scores_the_same_in_vllm(tmp_path, monkeypatch):
    """One dialect of several turns; `tests/prm/models/test_conversion.py` converts the others."""
    dialect = "rlhflow"
    monkeypatch.setattr(families, "SIZES", families.SIZES | SERVABLE)
    path = MADE[dialect](tmp_path / "model")
    convert(path, tmp_path / "classes", to="token-classifier", dialect=dialect)
    expected = flat(load_scorer(str(path), dialect=dialect, **options(dialect, path)).score(PROBLEMS, CHAINS))
    served = load_scorer(str(tmp_path / "classes"), backend="vllm")
    found = flat(served.score(PROBLEMS, CHAINS))
    served.close()
    assert max(expected) - min(expected) > 0.1
    assert found == pytest.approx(expected, abs=1e-4)


def flat(scores):
    return [value for row in scores for value in row]
