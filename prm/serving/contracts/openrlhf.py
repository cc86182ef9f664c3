"""OpenRLHF (as of 0.11): `--reward.remote_url http://localhost:8400/openrlhf`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from prm.errors import InputError
from prm.verifiers.adapters.openrlhf import completion_in

from ..own import Gold
from ..service import Routes, Service
from .rewards import Sample, Wish, rewards


class Body(msgspec.Struct, frozen=True):
    """Prompts with completions, the prompts alone, and gold answers."""

    query: list[str]
    prompts: list[str]
    labels: list[Gold] | None = None


async def reward(service: Service, body: Body, query: Mapping[str, str]) -> dict[str, Any]:
    """`rewards`; `scores`, by which OpenRLHF filters: whether the answers are right, or the rewards; and `extra_logs`.

    The logs have what is known of every completion: score, correct, decided; and refused, 1.0 where `rewards` has the
    number of the address.
    """
    golds = body.labels or [None] * len(body.query)
    if not len(body.query) == len(body.prompts) == len(golds):
        raise InputError("query, prompts and labels differ in number", "give one of each for every completion")
    try:
        texts = [completion_in(text, prompt) for text, prompt in zip(body.query, body.prompts, strict=True)]
    except ValueError as error:
        raise InputError(str(error), "is the prompt the one of the query?") from error
    samples = [Sample(*row) for row in zip(body.prompts, texts, golds, strict=True)]
    found = await rewards(service, samples, Wish.of(query))
    parts = [one.parts() for one in found]
    names = [name for name in ("score", "correct", "decided") if all(name in own for own in parts)]
    totals = [one.total for one in found]
    logs = {name: [own[name] for own in parts] for name in names}
    logs["refused"] = [float(one.is_given) for one in found]
    return {"rewards": totals, "scores": logs.get("correct", totals), "extra_logs": logs}


ROUTES: Routes = {"/openrlhf": (Body, reward)}
