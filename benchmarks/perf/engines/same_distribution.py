"""Whether vLLM in the process, a server and Ray draw from the same distribution: two-sample tests over the prefixes.

    python -m prm.benchmarks.perf.engines.same_distribution --out runs/same

`prm label` draws K rollouts from each prefix four times: twice in the process (the control), on a server whose
`generation_config.json` would spoil every draw that left it in force, and on Ray. For each way and the first run, the
answers of the rollouts are compared prefix by prefix: the statistic is the sum over prefixes of Pearson's chi-squared
for two samples, and its p-value comes from permutations of the two samples' rollouts within each prefix.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from prm.data.files import read_chains, read_records, to_json
from prm.data.records import Chain, Rollout
from prm.data.writing import write_lines
from prm.verifiers import answer_key

from ..job import machine, make_chains, run, server

HOSTILE = {"top_k": 1, "top_p": 0.05, "min_p": 0.9, "repetition_penalty": 5.0}
PERMUTATIONS = 2_000
Drawn = Mapping[tuple[str, int], list[str]]
"""The answers of the rollouts from each prefix: chain and step."""


def main() -> None:
    """Draw four times, and print one line per comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/same"))
    parser.add_argument("--prefixes", type=int, default=200)
    parser.add_argument("--rollouts", type=int, default=32)
    parser.add_argument("--port", type=int, default=8141)
    arguments = parser.parse_args()
    out: Path = arguments.out
    data = make_chains(out, arguments.prefixes // 8 + 5, 4)
    number = keep_prefixes(out / "chains.jsonl", out / "kept.jsonl", arguments.prefixes)
    data[-1] = f"--chains={out}/kept.jsonl"
    job = ["label", *data, "--strategy=fixed", f"--rollouts={arguments.rollouts}", "--overwrite"]
    ways: dict[str, list[str]] = {"process": [], "process again": [], "ray": ["--engine=ray", "--workers=1"]}
    for name, options in ways.items():
        run(*job, *options, f"--out={out}/{name}.jsonl")
    (out / "hostile").mkdir(exist_ok=True)
    (out / "hostile" / "generation_config.json").write_text(json.dumps(HOSTILE))
    with server(arguments.port, f"--generation-config={out}/hostile") as url:
        run(*job, f"--endpoint={url}", f"--out={out}/server.jsonl")
    print(f"{number} prefixes, {arguments.rollouts} rollouts each, unseeded ({machine()})")
    first = drawn(out / "process.jsonl")
    for name in ("process again", "server", "ray"):
        statistic, p = compare(first, drawn(out / f"{name}.jsonl"))
        print(f"process against {name:14} chi-squared {statistic:8.1f}  p = {p:.3f}")


def keep_prefixes(path: Path, out: Path, most: int) -> int:
    """Write the first chains, as many as have `most` prefixes to draw from, to `out`; return the number of prefixes."""
    kept, number = list[Chain](), 0
    for chain in read_chains(path):
        if number < most and len(chain.steps) > 1:
            kept.append(chain)
            number += len(chain.steps) - 1
    write_lines(out, map(to_json, kept))
    return number


def drawn(labels: Path) -> Drawn:
    """The answers in the rollouts of a label file."""
    found = defaultdict[tuple[str, int], list[str]](list)
    for rollout in read_records(labels.with_name(f"{labels.name}.rollouts.jsonl"), Rollout):
        found[rollout.chain_id, rollout.step].append(answer_key(rollout.text) or "none")
    return found


def compare(first: Drawn, second: Drawn, seed: int = 0) -> tuple[float, float]:
    """The statistic, and its p-value by permutations."""
    rng = np.random.default_rng(seed)
    observed, permuted = 0.0, np.zeros(PERMUTATIONS)
    for prefix in first.keys() & second.keys():
        answers = np.array(first[prefix] + second[prefix])
        kinds, codes = np.unique(answers, return_inverse=True)
        is_first = np.arange(len(answers)) < len(first[prefix])
        observed += chi_squared(codes, is_first, len(kinds))
        permuted += [chi_squared(codes, rng.permutation(is_first), len(kinds)) for _ in range(PERMUTATIONS)]
    return observed, float((1 + (permuted >= observed - 1e-9).sum()) / (1 + PERMUTATIONS))


def chi_squared(codes: np.ndarray, is_first: np.ndarray, kinds: int) -> float:
    """Pearson's statistic of two samples of categories."""
    both = np.bincount(codes, minlength=kinds)
    expected = both * is_first.mean()
    own = np.bincount(codes[is_first], minlength=kinds)
    return float(((own - expected) ** 2 / (both * is_first.mean() * (1 - is_first.mean()))).sum())


if __name__ == "__main__":
    main()
