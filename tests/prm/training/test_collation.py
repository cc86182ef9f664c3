"""Batches by hand, and the promise of the whole: how a batch is cut into passes never changes a loss."""

from array import array

import pytest
import torch

from prm.training.collation import collate, forwards, passes
from prm.training.examples import ChainExample, GroupExample, blank
from prm.training.objectives import TERMS, LossOptions, Read, losses, total_weights


def chain(identity, ids, ends, targets, value=None, weights=None):
    return ChainExample(identity, array("i", ids), ends, targets, weights or (1.0,) * len(ends), (value,))


PAIR = GroupExample(
    "p",
    1,
    (
        chain("a", (5, 6, 7), (1, 2), (1.0, None), 0.0),
        chain("b", (5, 8), (1,), (0.25,), 1.0, (4.0,)),
    ),
)
THREE = GroupExample(
    "q",
    0,
    (
        chain("c", (1, 2), (1,), (None,), 1.0),
        chain("d", (1,), (0,), (None,), 0.0),
        chain("e", (1, 3), (1,), (None,), 1.0),
        chain("f", (1, 4), (1,), (0.0,)),
    ),
)


def lists(batch):
    return {name: value.tolist() for name, value in batch.items()}


def test_a_pass_by_hand():
    batch = lists(collate([PAIR, THREE], pad_id=9))
    assert batch["input_ids"] == [[5, 6, 7], [5, 8, 9], [1, 2, 9], [1, 9, 9], [1, 3, 9], [1, 4, 9]]
    assert batch["attention_mask"] == [[1, 1, 1], [1, 1, 0], [1, 1, 0], [1, 0, 0], [1, 1, 0], [1, 1, 0]]
    assert batch["last_places"] == [2, 1, 1, 0, 1, 1]
    steps = [batch[f"step_{name}"] for name in ("rows", "places", "targets", "weights")]
    assert list(zip(*steps, strict=True)) == [(0, 1, 1.0, 1.0), (1, 1, 0.25, 4.0), (5, 1, 0.0, 1.0)]
    assert batch["values"] == [[0.0], [1.0], [1.0], [0.0], [1.0], [0.0]]
    assert batch["value_weights"] == [[1.0], [1.0], [1.0], [1.0], [1.0], [0.0]]
    assert batch["list_weights"] == [0.0, 1.0, 0.5, 0.0, 0.5, 0.0]
    assert batch["groups"][:5] == [0, 0, 1, 1, 1]
    assert batch["groups"][5] not in (0, 1), "what is worth nobody knows how much is compared with none"
    pairs = [batch[name] for name in ("chosen", "rejected", "pair_weights", "pair_gaps", "pair_targets")]
    assert list(zip(*pairs, strict=True)) == [(1, 0, 1.0, 1.0, 1.0), (2, 3, 0.5, 1.0, 1.0), (4, 3, 0.5, 1.0, 1.0)]
    assert batch["lengths"] == [2.0, 1.0, 2.0, 1.0, 2.0, 2.0]
    ends = [batch["end_rows"], batch["end_places"], [value for (value,) in batch["end_values"]]]
    assert list(zip(*ends, strict=True)) == [
        (0, 1, 0.0),
        (0, 2, 0.0),
        (1, 1, 1.0),
        (2, 1, 1.0),
        (3, 0, 0.0),
        (4, 1, 1.0),
    ]
    tokens = [batch[f"token_{name}"] for name in ("rows", "places", "targets", "weights")]
    assert list(zip(*tokens, strict=True)) == [
        (0, 0, 6, 1), (0, 1, 7, 1), (1, 0, 8, 1), (2, 0, 2, 1), (4, 0, 3, 1), (5, 0, 4, 1)
    ]  # fmt: skip


def test_a_prompt_is_no_target_of_the_language_model():
    group = GroupExample("p", 2, (chain("a", (5, 6, 7, 8), (3,), (1.0,)),))
    batch = collate([group], 0)
    assert batch["token_targets"].tolist() == [7, 8]
    assert batch["token_places"].tolist() == [1, 2]


def test_the_labels_of_a_chain_rank_as_one():
    """Two right, two wrong: the problem, the two right ones and nothing else make three terms."""
    group = GroupExample(
        "p",
        1,
        (
            chain(
                "a", (1, 2, 3, 4, 5, 6), (1, 2, 3, 4, 5), (1.0, None, 1.0, 0.0, 0.0), weights=(1.0, 1.0, 3.0, 2.0, 1.0)
            ),
            chain("b", (1, 2, 3), (1, 2), (1.0, 1.0)),
            chain("c", (1, 2), (1,), (0.0,)),
        ),
    )
    batch = collate([group], 0)
    assert batch["step_chains"].tolist() == [0, 0, 0, 0, 1, 1, 2]
    assert batch["step_draws"].tolist() == [1.0, 3.0, 2.0, 1.0, 1.0, 1.0, 1.0]
    assert batch["count_weights"].tolist() == [1.0] * 7
    assert batch["rank_weights"].tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 6, 1 / 6, 1 / 2, 1 / 2, 1.0])


def test_gaps_are_those_of_values_or_what_the_row_says():
    group = GroupExample("p", 0, (chain("a", (1,), (0,), (None,), 5.0), chain("b", (1,), (0,), (None,), 2.0)))
    assert collate([group], 0)["pair_gaps"].tolist() == [3.0]
    said = GroupExample("p", 0, group.chains, margin=0.4, agreement=0.8)
    assert collate([said], 0)["pair_gaps"].tolist() == pytest.approx([0.4])
    assert collate([said], 0)["pair_targets"].tolist() == pytest.approx([0.8])


def test_a_groups_weight_is_shared_by_its_pairs():
    """However many answers a row has, it weighs as much as any other, times its weight."""
    values = (1.0, 1.0, 0.0, 0.0, 0.0)
    several = GroupExample(
        "p", 1, tuple(chain(str(i), [1, 2], [1], [None], v) for i, v in enumerate(values)), weight=3.0
    )
    one = GroupExample("q", 1, (chain("a", [1, 2], [1], [None], 1.0), chain("b", [1, 3], [1], [None], 0.0)))
    batch = collate([several, one], 0)
    assert batch["pair_weights"].tolist() == pytest.approx([3 / 6] * 6 + [1.0])
    assert batch["list_weights"].tolist() == pytest.approx([1.5, 1.5, 0, 0, 0, 1, 0])
    assert batch["value_weights"].tolist() == batch["end_weights"].tolist() == [[3.0]] * 5 + [[1.0]] * 2


def test_a_batch_without_labels_or_pairs_has_empty_columns():
    batch = collate([GroupExample("p", 0, (chain("a", (1, 2), (1,), (None,), 1.0),))], 0)
    assert batch["step_rows"].shape == batch["chosen"].shape == (0,)
    assert batch["step_rows"].dtype == torch.long


@pytest.mark.parametrize("budget", [1, 4, 7, 100])
def test_passes_keep_groups_whole_and_within_the_budget(budget):
    parts = list(passes([PAIR, THREE, PAIR], budget))
    assert sorted(g.problem_id for part in parts for g in part) == ["p", "p", "q"]
    for part in parts:
        chains = [c for g in part for c in g.chains]
        assert len(part) == 1 or len(chains) * max(len(c.ids) for c in chains) <= budget


def test_passes_without_padding_are_counted_without_it():
    """Groups of 5, 7 and 5 tokens: padded they would count 6, 8 and 6."""
    assert list(passes([PAIR, THREE, PAIR], 12, is_packed=True)) == [[THREE, PAIR], [PAIR]]
    assert list(passes([PAIR, THREE, PAIR], 12)) == [[PAIR, PAIR], [THREE]]


def test_a_pass_beyond_the_budget_is_several_forward_passes_in_order():
    batch = collate([THREE], 0)
    padded, tight = forwards(batch, 4), forwards(batch, 4, is_packed=True)
    assert [part["input_ids"].tolist() for part in padded] == [[[1, 2], [1, 0]], [[1, 3], [1, 4]]]
    assert [part["input_ids"].tolist() for part in tight] == [[[1, 2, 1]], [[1, 3, 1, 4]]]
    assert [part["position_ids"].tolist() for part in tight] == [[[0, 1, 0]], [[0, 1, 0, 1]]]
    assert [part["chain_starts"] for part in tight] == [[0, 2, 3], [0, 2, 4]]
    for parts in (padded, tight):
        ends = [part["input_ids"][part["last_rows"], part["last_places"]].tolist() for part in parts]
        assert ends == [[2, 1], [3, 4]]
    assert len(forwards(batch, 1)) == 4, "one chain is never cut"
    assert len(forwards(batch, 8)) == len(forwards(batch, 7, is_packed=True)) == 1


def read(batch):
    """What heads would say that look at a token and its place alone."""
    places = torch.arange(batch["input_ids"].shape[1])
    outputs = torch.sin(batch["input_ids"].float() * 3 + places)
    logits = torch.stack([torch.cos(batch["input_ids"].float() * k + places) for k in range(10)], dim=-1)
    return Read(
        step_logits=logits[batch["step_rows"], batch["step_places"], :2],
        rewards=outputs[batch["last_rows"], batch["last_places"], None],
        end_rewards=outputs[batch["end_rows"], batch["end_places"], None],
        token_logits=logits[batch["token_rows"], batch["token_places"]],
    )


@pytest.mark.parametrize("name", TERMS)
def test_how_a_batch_is_cut_into_passes_changes_no_loss(name):
    groups = [PAIR, THREE, GroupExample("r", 1, PAIR.chains[::-1], agreement=0.7)]
    options = LossOptions(margin=1.0, label_smoothing=0.1, length_coefficient=0.5)
    found = []
    for budget in (1, 8, 1000):
        parts = [collate(part, 0) for part in passes(groups, budget)]
        totals = {name: sum(total_weights([name], part)[name] for part in parts)}
        found.append(sum(float(losses({name: 2.0}, read(part), part, totals, options)[name]) for part in parts))
    assert len(list(passes(groups, 1))) == 3
    assert found[0] != 0
    assert found == pytest.approx([found[0]] * 3, rel=1e-5)


@pytest.mark.parametrize("name", TERMS)
def test_a_blank_adds_nothing_to_any_loss(name):
    totals = total_weights([name], collate([PAIR], 0))
    of_pair, of_both, of_blank = (
        losses({name: 1.0}, read(batch), batch, totals, LossOptions(length_coefficient=1.0))[name]
        for batch in (collate(groups, 0) for groups in ([PAIR], [PAIR, blank(1)], [blank(1)]))
    )
    assert float(of_both) == pytest.approx(float(of_pair), rel=1e-6)
    assert float(of_blank) == 0


def test_a_term_without_items_contributes_nothing():
    batch = collate([GroupExample("p", 0, (chain("a", (1, 2), (1,), (None,), 1.0),))], 0)
    found = losses({"bradley-terry": 1.0}, read(batch), batch, total_weights(["bradley-terry"], batch), LossOptions())
    assert float(found["bradley-terry"]) == 0.0
