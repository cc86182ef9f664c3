"""slime and miles (as of November 2026): `--rm-type remote_rm --rm-url http://localhost:8400/slime`."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from prm.verifiers.adapters.openrlhf import without_end

from ..own import Asking, Gold
from ..service import Routes, Service
from .rewards import Sample, Wish, rewards


class Body(msgspec.Struct, frozen=True):
    """One completion."""

    prompt: Asking
    response: str
    label: Gold = None


async def reward(service: Service, body: Body, query: Mapping[str, str]) -> float:
    """The reward, as a number."""
    sample = Sample(body.prompt, without_end(body.response), body.label)
    (found,) = await rewards(service, [sample], Wish.of(query))
    return found.total


ROUTES: Routes = {"/slime": (Body, reward)}
