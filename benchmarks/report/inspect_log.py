"""Results as logs of Inspect (`inspect_ai`, format 2, tried with 0.3.285), for its viewer and its data frames.

    prm report runs/pb.json --out report.html --report-to inspect:logs/
    inspect view --log-dir logs/

One log for each scorer of each result: the suite is the task, the scorer the model, every number a metric with its
interval, and every measured row a sample with its outcomes. A row that a metric is not about has no score for it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from prm import console
from prm.data.writing import write_json

from ..eval_rows import EvalRow, read_eval_rows, rows_path
from ..results import Metric, Result

LOG_VERSION = 2
_LONGEST = 50
"""Characters of a name in a file's name: their bytes fit any disk."""


def write_inspect_logs(directory: Path, results: Mapping[str, Result], paths: Mapping[str, Path]) -> None:
    """Write the logs: their names begin with the time at which the result was made, as those of Inspect do.

    Args:
        directory: made if it is not there; a log of the same result and scorer is replaced.
        results: by file name.
        paths: the files of the results, for the rows beside them, by the same names.

    Raises:
        InputError: the rows beside a result are another result's.
    """
    directory.mkdir(parents=True, exist_ok=True)
    names = _file_names(name.removesuffix(".json") for name in results)
    for name, result in results.items():
        has_rows = bool(result.rows) and rows_path(paths[name]).exists()
        rows = read_eval_rows(paths[name], result) if has_rows else {}
        if not has_rows:
            console.say(f"{name}: its log has no samples, for {rows_path(paths[name])} is missing")
        created = datetime.fromtimestamp(int(paths[name].stat().st_mtime), UTC).isoformat()
        for scorer, plain in _file_names(result.scorers).items():
            file = "_".join([created.replace(":", "-"), names[name.removesuffix(".json")], plain])
            write_json(directory / f"{file}.json", log_of(result, scorer, rows, created))


def log_of(result: Result, scorer: str, rows: Mapping[Any, EvalRow], created: str) -> dict[str, Any]:
    """The log of one scorer.

    Args:
        result: with its numbers.
        scorer: its name.
        rows: behind the result; may be empty.
        created: date and time, in ISO 8601.
    """
    size = int(result.data.get("rows") or len(rows))
    identity = hashlib.sha256(json.dumps([result.suite, scorer, result.rows, created]).encode()).hexdigest()[:22]
    return {  # in this order, in which Inspect reads the head of a long log
        "version": LOG_VERSION,
        "status": "success",
        "eval": {
            **dict.fromkeys(("eval_id", "run_id", "task_id"), identity),
            "created": created,
            "task": result.suite,
            "dataset": {"name": result.suite, "samples": size},
            "model": scorer,
            "config": {},
            "packages": dict(result.versions),
            "metadata": {"convention": result.convention, "settings": result.settings, "data": result.data},
        },
        "plan": {"name": "plan", "steps": []},
        "results": {"total_samples": size, "completed_samples": size, "scores": list(_scores(result, scorer))},
        "stats": {"started_at": created, "completed_at": created},
        "samples": [_sample(row, scorer) for row in rows.values()],
    }


def _scores(result: Result, scorer: str) -> Iterator[dict[str, Any]]:
    """The numbers of the scorer, those of one split and variant together; the headline first."""
    own = [m for m in dict.fromkeys((*result.headline, *result.metrics)) if m.scorer == scorer and m.value is not None]
    places = list(dict.fromkeys((m.split, m.variant) for m in own))
    ordered = sorted(own, key=lambda m: places.index((m.split, m.variant)))
    for (split, variant), group in groupby(ordered, key=lambda m: (m.split, m.variant)):
        metrics = {m.name: _metric(m) for m in group}
        yield {"name": f"{split} {variant}".strip(), "scorer": scorer, "metrics": metrics}


def _metric(metric: Metric) -> dict[str, Any]:
    interval = {"low": metric.low, "high": metric.high, "rows": metric.n}
    return {"name": metric.name, "value": metric.value, "metadata": interval}


def _sample(row: EvalRow, scorer: str) -> dict[str, Any]:
    outcomes = {
        f"{metric} {variant}".strip(): {"value": value}
        for metric, by_scorer in row.outcomes.items()
        for variant, value in by_scorer.get(scorer, {}).items()
        if value is not None
    }
    return {
        "id": f"{row.split}/{row.id}",
        "epoch": 1,
        "input": row.problem,
        "target": row.answer or json.dumps(row.truth, ensure_ascii=False),
        "scores": outcomes,
        "metadata": {**row.fields, "split": row.split, "step_scores": row.scores.get(scorer), "texts": row.texts},
    }


def _file_names(names: Iterable[str]) -> dict[str, str]:
    """Each name as a part of a file's, with a digest if it is long, or would be that of another.

    >>> _file_names(["A B", "C/D", "C:D"])
    {'A B': 'A-B', 'C/D': 'C-D-b8f69f5b', 'C:D': 'C-D-f297c77d'}
    """
    plain = {name: re.sub(r"[^\w\-.]+", "-", name) for name in names}
    count = Counter(text.casefold() for text in plain.values())
    return {
        name: text
        if count[text.casefold()] == 1 and len(text) <= _LONGEST
        else f"{text[:_LONGEST]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        for name, text in plain.items()
    }
