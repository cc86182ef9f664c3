"""`prm sample`: problems → chains."""

from __future__ import annotations

from typing import Any

from prm.generation import sampling

from .options import ChainsEach, Model, OutFile, Overwrite, Problems, generating


@generating
def sample(
    model: Model, problems: Problems, out: OutFile, n: ChainsEach = 16, overwrite: Overwrite = False, **settings: Any
) -> None:
    """Problems → chains: N solutions for each problem, with vLLM or servers.

    A killed job resumes when the same command is run again.
    """
    sampling.sample(problems, out, model=model, n=n, overwrite=overwrite, **settings)
