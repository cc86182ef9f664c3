"""Going on from an earlier row gives the outputs of the whole row."""

import pytest
import torch
from torch import nn

from prm import ModelError, load_scorer
from prm.models.heads import token_head
from prm.scoring.backends import TransformersBackend
from prm.scoring.prefixes import PrefixBackend


@pytest.fixture
def classifier(base_model):
    from transformers import AutoModelForTokenClassification

    torch.manual_seed(0)
    return AutoModelForTokenClassification.from_pretrained(base_model, num_labels=2)


def rows_of(lengths, shared=5):
    """Rows that begin alike, each with a read in the middle and at its end."""
    return [((*range(10, 10 + shared), *range(100 + i, 100 + i + n)), (shared, shared + n - 1)) for i, n in lengths]


@pytest.mark.parametrize("kept", [10, 10_000])
@pytest.mark.parametrize("tokens_per_pass", [20, 2048])
def test_outputs_are_those_of_whole_rows(classifier, kept, tokens_per_pass):
    whole = TransformersBackend(classifier, token_head)
    parts = PrefixBackend(TransformersBackend(classifier, token_head, tokens_per_pass=tokens_per_pass), kept)
    short, long = rows_of([(0, 3), (1, 9), (2, 1)]), rows_of([(0, 8), (1, 9), (2, 4), (0, 3)])
    grown = [(long[0][0], (5, 7, 12)), *long[1:]]
    for rows in (short, grown, grown[::-1]):
        for found, expected in zip(parts.outputs(rows), whole.outputs(rows), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_only_what_is_new_is_read(classifier):
    seen = []

    def counting(model, inputs, rows, positions):
        seen.append(int(inputs["attention_mask"][:, -inputs["input_ids"].shape[1] :].sum()))
        return token_head(model, inputs, rows, positions)

    backend = PrefixBackend(TransformersBackend(classifier, counting), 10_000)
    seen.clear()
    ids = tuple(range(10, 30))
    backend.outputs([(ids[:12], (11,))])
    backend.outputs([(ids[:12], (11,))])
    backend.outputs([(ids, (11, 19))])
    backend.outputs([(ids, (5, 19))])
    assert seen == [12, 8, 20], "the last one is read where nothing is known"


class Forgetful(nn.Module):
    """A model that has no keys and values to go on from: its outputs depend on the tokens it is given alone."""

    def __init__(self, config):
        super().__init__()
        self.config, self.device = config, torch.device("cpu")

    def forward(self, input_ids, **_):
        class Output:
            logits = input_ids.float().cumsum(dim=1)[..., None]

        return Output()


def test_a_model_that_cannot_go_on_is_refused(classifier):
    with pytest.raises(ModelError, match="Forgetful: cannot go on"):
        PrefixBackend(TransformersBackend(Forgetful(classifier.config), token_head), 100)


def test_a_scorer_with_it_gives_the_same_scores(tmp_path, base_model):
    from prm.models.checkpoint import load_tokenizer

    model = tmp_path / "public"
    from transformers import AutoModelForTokenClassification

    AutoModelForTokenClassification.from_pretrained(base_model, num_labels=2).save_pretrained(model)
    load_tokenizer(base_model).save_pretrained(model)
    plain, reusing = (load_scorer(str(model), dialect="trl", reuse_tokens=kept) for kept in (None, 1000))
    steps = ["First 2 + 2 = 4.", "Then 4 / 2 = 2.", "The answer is 2."]
    for n in (1, 2, 3):
        found, expected = (s.score(["How many?"], [steps[:n]])[0] for s in (reusing, plain))
        assert found == pytest.approx(expected, abs=1e-5)
    with pytest.raises(ModelError, match="no effect on the backend vllm"):
        load_scorer(str(model), dialect="trl", backend="vllm", reuse_tokens=9)
