"""AdamW for weights that are held in bfloat16."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

CHUNK = 2**22
"""Weights that are updated at a time: the update needs some float32 copies of them."""


class StochasticAdamW(torch.optim.Optimizer):
    """AdamW (arXiv 1711.05101) that rounds weights and moments in bfloat16 stochastically (arXiv 2010.06192).

    A bfloat16 has 8 significant bits. Rounded to nearest, a weight would not move unless its update is at least 1/512
    of it, and neither would most second moments, which change by a thousandth. Here each is rounded up or down with
    probabilities by which it is right in expectation. The random bits follow from the seed, the step and the number of
    the parameter alone: they are the same in all processes, and again after a resumption.

    A weight takes 8 bytes with its gradient and moments; in float32 it takes 16. Parameters in float32 are updated as
    AdamW does.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})
        self.seed = seed

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update all parameters that have a gradient."""
        owned = [(group, parameter) for group in self.param_groups for parameter in group["params"]]
        for number, (group, parameter) in enumerate(owned):
            if parameter.grad is not None:
                self._update(number, group, parameter)
        return closure() if closure else None

    def _update(self, number: int, group: dict[str, Any], parameter: Tensor) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        state["step"] += 1
        step, (beta1, beta2) = int(state["step"]), group["betas"]
        tensors = [_own(one) for one in (parameter, parameter.grad, state["exp_avg"], state["exp_avg_sq"])]
        drawn = torch.Generator(tensors[0].device).manual_seed(hash((self.seed, step, number)) % 2**63)
        for weight, grad, mean, square in zip(*(_chunks(one) for one in tensors), strict=True):
            exact = grad.float()
            new_mean = mean.float().lerp_(exact, 1 - beta1)
            new_square = square.float().lerp_(exact * exact, 1 - beta2)
            scale = new_square.div(1 - beta2**step).sqrt_().add_(group["eps"])
            new_weight = weight.float().mul_(1 - group["lr"] * group["weight_decay"])
            new_weight.addcdiv_(new_mean, scale, value=-group["lr"] / (1 - beta1**step))
            for old, new in ((weight, new_weight), (mean, new_mean), (square, new_square)):
                old.copy_(round_stochastically(new, drawn) if old.dtype == torch.bfloat16 else new)


def _own(tensor: Any) -> Tensor:
    """The part of a tensor that is in this process."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def _chunks(tensor: Tensor) -> tuple[Tensor, ...]:
    """Views of whole rows, of some `CHUNK` elements together."""
    rows = tensor if tensor.ndim else tensor.view(1)
    chunks: tuple[Tensor, ...] = rows.split(max(1, CHUNK // max(1, rows[:1].numel())))  # type: ignore[no-untyped-call]
    return chunks


def round_stochastically(exact: Tensor, drawn: torch.Generator) -> Tensor:
    """The bfloat16 above or below each float32, with an expectation of that float32.

    A bfloat16 is the upper half of a float32: random bits are added to the lower half, which is then cut off.

    >>> third = torch.full((30_000,), 1 / 3)
    >>> rounded = round_stochastically(third, torch.Generator().manual_seed(0))
    >>> sorted(set(rounded.tolist()))
    [0.33203125, 0.333984375]
    >>> abs(float(rounded.float().mean()) - 1 / 3) < 2e-5
    True
    """
    noise = torch.randint(2**16, exact.shape, dtype=torch.int32, device=exact.device, generator=drawn)
    rounded = (exact.view(torch.int32) + noise).bitwise_and_(-(2**16)).view(torch.float32).bfloat16()
    return torch.where(exact.isfinite(), rounded, exact.bfloat16())  # the bits of a NaN could overflow to those of 0
