"""Results elsewhere: Weights & Biases, MLflow, logs of Inspect, and the model card of a repository on the Hub.

    prm report runs/*.json --out report.html --report-to mlflow --report-to hub:USER/MODEL

Where runs go is up to each tool's own settings: `WANDB_PROJECT`, `MLFLOW_TRACKING_URI`, `MLFLOW_EXPERIMENT_NAME`,
`HF_TOKEN`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from prm.errors import InputError, PrmError, require_known

from ..results import Metric, Result
from .inspect_log import write_inspect_logs
from .wording import owner

_HUB, _INSPECT = "hub:", "inspect:"


def require_targets(targets: Sequence[str], results: Mapping[str, Result]) -> None:
    """Refuse what cannot be reported to, before any work.

    Raises:
        PrmError: a target is unknown or not installed; or the results of several scorers would go into one model card.
    """
    for target in targets:
        if target.startswith(_INSPECT):
            if not target.removeprefix(_INSPECT):
                raise InputError(f"{target} names no directory", "such as inspect:logs/")
        elif not target.startswith(_HUB):
            require_known("report-to", target, TARGETS)
            _module(target)
        elif len(names := {name for result in results.values() for name in result.scorers}) != 1:
            raise InputError(
                f"{target}: a model card is of one scorer, and the results have {len(names)}", "give its results alone"
            )


def share(targets: Sequence[str], results: Mapping[str, Result], page: Path, paths: Sequence[Path]) -> None:
    """Report to each target: headline numbers as metrics, the page and the result files beside them.

    Args:
        targets: "wandb", "mlflow", "inspect:DIRECTORY" or "hub:USER/MODEL".
        results: by file name.
        page: the report.
        paths: the files of the results, in their order.
    """
    for target in targets:
        if target.startswith(_INSPECT):
            files = dict(zip(results, paths, strict=True))
            write_inspect_logs(Path(target.removeprefix(_INSPECT)), results, files)
        elif target.startswith(_HUB):
            _to_hub(target.removeprefix(_HUB), results, page)
        else:
            TARGETS[target](_module(target), values_of(results), page, paths)


def values_of(results: Mapping[str, Result]) -> dict[str, float]:
    """Headline numbers by `suite/scorer/metric`, in characters that both trackers accept.

    Of a scorer with variants, the variant is part of the name.
    """
    named = {
        "/".join(filter(None, (result.suite, owner(m), m.variant if m.scorer else "", m.name))): m.value
        for result in results.values()
        for m in result.headline
        if m.value is not None
    }
    return {re.sub(r"[^\w\-./ ]", "_", name, flags=re.ASCII): value for name, value in named.items()}


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise PrmError(f"{name} is not installed", f"pip install {name}") from error


def _to_wandb(wandb: Any, values: Mapping[str, float], page: Path, paths: Sequence[Path]) -> None:
    with wandb.init(job_type="evaluation") as run:
        run.summary.update(values)
        artifact = wandb.Artifact("prm-report", type="evaluation")
        for path in (page, *paths):
            artifact.add_file(str(path))
        run.log_artifact(artifact)


def _to_mlflow(mlflow: Any, values: Mapping[str, float], page: Path, paths: Sequence[Path]) -> None:
    with mlflow.start_run(run_name="prm report"):
        mlflow.log_metrics(dict(values))
        for path in (page, *paths):
            mlflow.log_artifact(str(path))


TARGETS: dict[str, Callable[[Any, Mapping[str, float], Path, Sequence[Path]], None]] = {
    "wandb": _to_wandb,
    "mlflow": _to_mlflow,
}
"""By module."""


def _to_hub(repository: str, results: Mapping[str, Result], page: Path) -> None:
    """Put the numbers into the model card's `model-index`, and the page into the repository."""
    from huggingface_hub import HfApi, metadata_update
    from huggingface_hub.repocard_data import eval_results_to_model_index

    (name,) = {name for result in results.values() for name in result.scorers}
    found = [_eval_result(r, m) for r in results.values() for m in r.headline if m.scorer and m.value is not None]
    index = eval_results_to_model_index(name, found)
    metadata_update(repository, {"model-index": index}, overwrite=True)
    HfApi().upload_file(path_or_fileobj=str(page), path_in_repo=page.name, repo_id=repository)


def _eval_result(result: Result, metric: Metric) -> Any:
    from huggingface_hub import EvalResult

    return EvalResult(
        task_type="text-classification",
        task_name=result.protocol,
        dataset_type=result.suite,
        dataset_name=result.suite,
        dataset_split=metric.split,
        metric_type=metric.name,
        metric_name=" ".join(filter(None, (metric.name, metric.variant))),
        metric_value=metric.value,
    )
