"""Gradient caching: a loss over more chains than are read at a time (GradCache, arXiv 2101.06983).

The chains are read twice: first without gradients, for the loss and its gradients with respect to what is read; then
again, part by part, each time to pass these gradients on to the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .objectives import Read

Inputs = Mapping[str, Any]
"""See `prm.training.collation.forwards`."""
_Loss = Callable[[Read], Tensor]


@dataclass(frozen=True, slots=True)
class Forward:
    """A forward pass with gradients."""

    inputs: Inputs
    loss: _Loss
    """Of what the model outputs."""
    random: tuple[Tensor, ...] | None = None
    """State of the random numbers to draw, such as those of dropout; None to go on with the present one."""


def cached(parts: Sequence[Inputs], read: Callable[[Inputs], Read], loss: _Loss) -> Iterator[Forward]:
    """The passes that together have the gradients of `loss` over all that is read.

    Args:
        parts: what is read, part by part.
        read: makes a forward pass.
        loss: of what is read from all parts, one after the other.
    """
    states, reads = [], []
    with torch.no_grad():
        for inputs in parts:
            states.append(_random_state())
            reads.append(read(inputs))
    whole = Read(*(torch.cat(column).float().requires_grad_() for column in _columns(reads)))
    torch.autograd.backward([loss(whole)])
    for inputs, state, gradients in zip(parts, states, _gradients(whole, reads), strict=True):
        yield Forward(inputs, partial(_along, gradients), state)


def idle(read: Read) -> Tensor:
    """A loss of 0: for a process with fewer passes than another, which must keep in step."""
    return 0 * torch.stack([column.sum() for (column,) in _columns([read])]).sum()


def _along(gradients: Read, read: Read) -> Tensor:
    """A loss with these gradients."""
    pairs = _columns([read, gradients])
    return torch.stack([(column.float() * gradient).sum() for column, gradient in pairs]).sum()


def _columns(reads: Sequence[Read]) -> list[list[Tensor]]:
    """The tensors of each kind."""
    return [[getattr(read, column.name) for read in reads] for column in fields(Read)]


def _gradients(whole: Read, reads: Sequence[Read]) -> Iterator[Read]:
    """The gradients of a read, for each of the reads that it was put together from."""
    split = []
    for (column,), parts in zip(_columns([whole]), _columns(reads), strict=True):
        gradient = torch.zeros_like(column) if column.grad is None else column.grad
        split.append(torch.split(gradient, [len(part) for part in parts]))
    return (Read(*one) for one in zip(*split, strict=True))


def _random_state() -> tuple[Tensor, ...]:
    """Of the CPU and, where there is one, of the GPU."""
    return (torch.get_rng_state(), *([torch.cuda.get_rng_state()] if torch.cuda.is_available() else []))


@contextmanager
def drawing_as(state: tuple[Tensor, ...] | None) -> Iterator[None]:
    """Draw random numbers as from this state, and afterward go on as if none had been drawn."""
    if state is None:
        yield
        return
    cpu, *gpu = state
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if gpu else []):
        torch.set_rng_state(cpu)
        for one in gpu:
            torch.cuda.set_rng_state(one)
        yield
