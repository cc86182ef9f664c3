"""The checker and the rewards in the forms that other tools call. Importing this package needs none of those tools.

| tool | what to name in its configuration | module, with an example |
| --- | --- | --- |
| TRL | `accuracy_reward`, `TrlReward` | `trl` |
| verl | `compute_score`, `VerlReward` | `verl` |
| OpenRLHF | `reward_func`, `OpenRlhfReward` | `openrlhf` |
| slime, miles | `slime_reward`, `SlimeReward` | `slime` |
| NeMo Gym | `NemoGymReward` | `nemo_gym` |
| lm-evaluation-harness | `process_results`, `answer_match` | `lm_eval` |
| Inspect | `inspect_scorer` | `inspect_ai` |

An undecided answer is left out where the tool can leave one out. Where it needs a number, it gets the documented one,
and a field of its own says that the answer was not decided.
"""

from .inspect_ai import inspect_scorer
from .lm_eval import answer_match, process_results
from .nemo_gym import NemoGymReward
from .openrlhf import OpenRlhfReward, reward_func
from .slime import SlimeReward, slime_reward
from .texts import completion_text
from .trl import TrlReward, accuracy_reward
from .verl import VerlReward, compute_score

__all__ = [
    "NemoGymReward",
    "OpenRlhfReward",
    "SlimeReward",
    "TrlReward",
    "VerlReward",
    "accuracy_reward",
    "answer_match",
    "completion_text",
    "compute_score",
    "inspect_scorer",
    "process_results",
    "reward_func",
    "slime_reward",
]
