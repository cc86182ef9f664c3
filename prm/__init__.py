"""Process reward models: label steps, train and load scorers, rerank chains.

    import prm
    scorer = prm.load_scorer("runs/demo/prm")
    choice = prm.rerank(problem, solutions, scorer, aggregate="min")
    choice.best, choice.scores, choice.step_scores

Importing this loads neither torch nor vllm; `load_scorer` does, when it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prm.data.files import read_chains, read_problems, read_records, write_records
from prm.data.records import Chain, Choice, Problem, Rollout, StepLabels, StepScores
from prm.data.steps import split_steps
from prm.errors import EngineError, InputError, ModelError, OutputError, PrmError, RenderError
from prm.scoring.reranking import rerank
from prm.statistics.aggregation import AGGREGATORS, aggregate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from prm.models.heads import Head
    from prm.scoring.loading import Dtype
    from prm.scoring.scorer import Scorer

__all__ = [
    "AGGREGATORS",
    "Chain",
    "Choice",
    "EngineError",
    "InputError",
    "ModelError",
    "OutputError",
    "PrmError",
    "Problem",
    "RenderError",
    "Rollout",
    "StepLabels",
    "StepScores",
    "aggregate",
    "load_scorer",
    "read_chains",
    "read_problems",
    "read_records",
    "rerank",
    "split_steps",
    "write_records",
]


def load_scorer(
    name: str,
    head: Head | None = None,
    *,
    dialect: str | None = None,
    reference: str | None = None,
    dtype: Dtype = "auto",
    backend: str = "transformers",
    tokens_a_batch: int | None = None,
    engine_options: Mapping[str, Any] | None = None,
    is_calibrated: bool = False,
) -> Scorer:
    """Load a scorer that `prm train` wrote, or a public reward model; see `prm.scoring.loading.load_scorer`.

    Raises:
        ModelError: it is neither, or cannot be read in this way.
    """
    from prm.scoring.loading import load_scorer as load

    return load(
        name,
        head,
        dialect=dialect,
        reference=reference,
        dtype=dtype,
        backend=backend,
        tokens_a_batch=tokens_a_batch,
        engine_options=engine_options,
        is_calibrated=is_calibrated,
    )
