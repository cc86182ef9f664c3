"""Process reward models: label steps, train and load scorers, rerank chains, evaluate.

    import prm

    scorer = prm.load_scorer("Qwen/Qwen2.5-Math-PRM-7B")
    choice = prm.rerank(problem, solutions, scorer, aggregate="min")
    choice.best, choice.scores, choice.step_scores

A job of the command line is a function here, with the same settings: `sample`, `label`, `train`, `score`,
`rerank_chains`, `calibrate`, `evaluate` and so on take files, lists of records, plain rows or a `datasets.Dataset`, and
give what they made as records, a file and a table.

Importing this loads none of torch, vllm, sympy and numpy: each name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prm.benchmarks.arithmetic.step_truth import measure_label_quality
    from prm.benchmarks.arithmetic.world import write_world
    from prm.benchmarks.comparing import compare
    from prm.benchmarks.gate.job import gate, gate_probes
    from prm.benchmarks.jobs import evaluate, read_benchmark, write_suite
    from prm.benchmarks.report.job import leaderboard, report
    from prm.benchmarks.search.job import evaluate_search
    from prm.console import quiet
    from prm.data.files import read_chains, read_problems, read_records, write_records
    from prm.data.formats.jobs import export_labels, import_rows
    from prm.data.jobs import Output, Records, Source
    from prm.data.records import Chain, Choice, Drop, Message, Problem, Rollout, StepLabels, StepScores
    from prm.data.steps import split_steps
    from prm.errors import EngineError, InputError, ModelError, OutputError, PrmError, RenderError
    from prm.generation.engine import Engine, Sampling
    from prm.generation.sampling import sample
    from prm.labeling.growing.trees import export_trees, grow
    from prm.labeling.job import label, labeling_cost
    from prm.labeling.planning import plan_labels
    from prm.labeling.rejudging import rejudge
    from prm.models.conversion import convert
    from prm.models.dialects import Dialect
    from prm.scoring.calibrating import calibrate, chain_values
    from prm.scoring.ensembles import Ensemble, combine
    from prm.scoring.jobs import rerank_chains, score
    from prm.scoring.loading import load_scorer
    from prm.scoring.remote.client import RemoteScorer
    from prm.scoring.reranking import SELECTIONS, choose, rerank
    from prm.scoring.scorer import Refusal, Scorer
    from prm.scoring.verifying import audit_golds, verify
    from prm.search.job import solve
    from prm.search.pruning import fit_pruning
    from prm.serving.job import serve
    from prm.statistics.aggregation import AGGREGATORS, Aggregator, aggregate
    from prm.training.job import train
    from prm.training.settings import TrainSettings
    from prm.verifiers import Checker, check, check_many, extract_answer

_HOMES = {
    "prm.benchmarks.arithmetic.step_truth": ("measure_label_quality",),
    "prm.benchmarks.arithmetic.world": ("write_world",),
    "prm.benchmarks.comparing": ("compare",),
    "prm.benchmarks.gate.job": ("gate", "gate_probes"),
    "prm.benchmarks.jobs": ("evaluate", "read_benchmark", "write_suite"),
    "prm.benchmarks.report.job": ("leaderboard", "report"),
    "prm.benchmarks.search.job": ("evaluate_search",),
    "prm.console": ("quiet",),
    "prm.data.files": ("read_chains", "read_problems", "read_records", "write_records"),
    "prm.data.formats.jobs": ("export_labels", "import_rows"),
    "prm.data.jobs": ("Output", "Records", "Source"),
    "prm.data.records": (
        "Chain", "Choice", "Drop", "Message", "Problem", "Rollout", "StepLabels", "StepScores",
    ),
    "prm.data.steps": ("split_steps",),
    "prm.errors": ("EngineError", "InputError", "ModelError", "OutputError", "PrmError", "RenderError"),
    "prm.generation.engine": ("Engine", "Sampling"),
    "prm.generation.sampling": ("sample",),
    "prm.labeling.job": ("label", "labeling_cost"),
    "prm.labeling.planning": ("plan_labels",),
    "prm.labeling.rejudging": ("rejudge",),
    "prm.labeling.growing.trees": ("export_trees", "grow"),
    "prm.models.conversion": ("convert",),
    "prm.models.dialects": ("Dialect",),
    "prm.scoring.calibrating": ("calibrate", "chain_values"),
    "prm.scoring.ensembles": ("Ensemble", "combine"),
    "prm.scoring.jobs": ("rerank_chains", "score"),
    "prm.scoring.loading": ("load_scorer",),
    "prm.scoring.remote.client": ("RemoteScorer",),
    "prm.scoring.reranking": ("SELECTIONS", "choose", "rerank"),
    "prm.scoring.scorer": ("Refusal", "Scorer"),
    "prm.scoring.verifying": ("audit_golds", "verify"),
    "prm.search.job": ("solve",),
    "prm.search.pruning": ("fit_pruning",),
    "prm.serving.job": ("serve",),
    "prm.statistics.aggregation": ("AGGREGATORS", "Aggregator", "aggregate"),
    "prm.verifiers": ("Checker", "check", "check_many", "extract_answer"),
    "prm.training.job": ("train",),
    "prm.training.settings": ("TrainSettings",),
}  # fmt: skip
"""Where each public name lives."""
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    *_HOME_OF,
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'prm' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME_OF[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
