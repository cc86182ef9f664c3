"""The settings of a training job, each with its unit, range and default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from prm.data.rows import are_value_names
from prm.data.steps import split_steps
from prm.errors import InputError, require_known, require_number, require_texts
from prm.models.rendering import require_template

from .examples import Steps, Targets, TooLong
from .objectives import A_KIND, DEFAULT, TERMS, LossOptions, Objective, check_terms, heads_of, heeded

if TYPE_CHECKING:
    from prm.models.checkpoint import Form
    from prm.models.heads import Head

Scheduler = Literal["cosine", "linear", "constant"]
"""Of the learning rate, after the warm-up."""
METRICS: dict[Head, tuple[str, ...]] = {
    "step": ("step_auroc", "step_auroc_within_position", "first_error_f1", "ece"),
    "outcome": ("pair_accuracy", "mean_margin", "value_correlation"),
}
"""The metrics by which a state can be the best one, for each head; see `prm.training.measuring.measure`. Those of a
named output end in its name."""
Precision = Literal["float32", "bfloat16", "float16"]
"""Of the computation."""
Weights = Literal["float32", "bfloat16"]
"""In which weights are held."""
Optimizer = Literal["adamw", "adamw-8bit", "adafactor"]
Quantize = Literal["4bit"]
DEFAULT_BETA = 0.05
"""Scale of an implicit reward in training: that of PRIME (arXiv 2502.01456)."""


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How to train: everything but the data and the output.

    >>> TrainSettings("Qwen/Qwen2.5-Math-1.5B", objective="orm", losses={"bradley-terry": 1, "pointwise": 0.5}).lr
    1e-05

    Raises:
        InputError: a value is unknown, out of its range, or would make no difference; the message names it.
    """

    base: str
    """Backbone: Hugging Face directory or Hub name."""
    objective: Objective = "prm"
    """`prm` (scores steps), `orm` (scores chains), `joint` (both), or `implicit`: a language model that scores steps by
    its log-ratios to the untrained one, and learns from outcomes."""
    losses: Mapping[str, float] = field(default_factory=dict)
    """Weight above 0 of each loss, by its name in `prm.training.objectives.TERMS`; empty for the default of the
    objective: `step`, `bradley-terry`, or both; for an implicit PRM `pointwise`; with weight 1."""
    labels_as: Targets = "hard"
    """View of the step labels: `hard`, `soft`, `pooled`, or `counts` (soft, weighted by the number of rollouts)."""
    steps: Steps = "all"
    """Which labeled steps to learn from: `all`, those up to the `first-error`, or `one-past` it."""
    class_balance: bool = False
    """Whether right and wrong steps have equal total weight."""
    margin: float = 0.0
    """Bradley-Terry margin per unit that one chain is better than another; 0 or more."""
    label_smoothing: float = 0.0
    """Share of step labels that the loss `step` takes for the opposite of the truth, in [0, 0.5)."""
    zeta: float = 4.0
    """By how much `q-ranking` wants right steps above wrong ones; 0 or more."""
    beta: float = DEFAULT_BETA
    """Scale of an implicit reward: of the log-ratios that are summed; above 0."""
    epochs: float = 1.0
    """Passes over the data; above 0."""
    max_steps: int = 0
    """Optimizer steps to train for, in place of `epochs`; 0 to go by those."""
    lr: float = 1e-5
    """Peak learning rate, 0 or more."""
    warmup: float = 0.05
    """Share of the steps over which the learning rate rises from 0 to its peak, in [0, 1)."""
    scheduler: Scheduler = "cosine"
    """How it goes on: `cosine` or `linear` to 0, or `constant`."""
    weight_decay: float = 0.0
    """Of AdamW (arXiv 1711.05101), 0 or more."""
    batch_size: int = 64
    """Chains (prm) or problems (else) per optimizer step on one device; 1 or more."""
    held_out: float | None = None
    """Share of the problems to measure on and not train on, in [0, 0.9]; None for 0.05, or for 0 where other data are
    given to measure on."""
    max_length: int | None = None
    """Longest chain in tokens, 1 or more; None for the model's context. A longer chain is `too_long`."""
    too_long: TooLong = "drop"
    """What to do with a longer chain: `drop` it, or keep the `whole-steps` that fit (prm only)."""
    precision: Precision | None = None
    """Of the computation: `float32`, or `bfloat16` or `float16` mixed with it. None for that of the weights."""
    weights: Weights = "float32"
    """In which weights are held and stored: `float32`, or `bfloat16`, where updates are rounded stochastically, or with
    `lora_rank` the frozen backbone alone is in it. The head and adapters are in float32."""
    optimizer: Optimizer = "adamw"
    """`adamw`, with moments in the form of the weights; `adamw-8bit`, with moments in 8 bits (needs torchao); or
    `adafactor`, with moments of rows and columns (arXiv 1804.04235)."""
    quantize: Quantize | None = None
    """`4bit` to hold the frozen backbone in four bits (needs `lora_rank` and bitsandbytes); None for not."""
    lora_rank: int = 0
    """Rank of the adapters to train, merged into the backbone at the end; 0 to train all weights."""
    lora_alpha: float | None = None
    """Scale of the adapters times their rank, above 0; None for twice the rank."""
    lora_dropout: float = 0.0
    """Share of an adapter's inputs that is dropped in training, in [0, 1)."""
    lora_targets: str | tuple[str, ...] = ()
    """Names of the layers that get adapters, such as `q_proj`; empty for all linear layers."""
    keep_adapter: bool = False
    """Whether to keep the adapter beside the merged model, in `adapter/`, as peft writes it."""
    fsdp: bool = False
    """Whether to shard weights and optimizer over the processes of torchrun."""
    offload: bool = False
    """Whether to keep the shards of `fsdp` in main memory, and update them there."""
    separator: str = r"\n"
    r"""Text that ends every step, where steps are read (see `form`); escapes such as `\n` are decoded. Not empty."""
    splitter: str = "newline"
    """Cuts solutions that are given as one text into steps: a name in `prm.data.steps.SPLITTERS`, or
    `regex:EXPRESSION`."""
    chat: bool = False
    """Whether the problem becomes the user's turn of the model's chat template."""
    template: str | None = None
    """An instruction with {problem} in it, which stands around every problem, and may end in {solution}; None for the
    problem alone."""
    seed: int = 0
    """Draws the new head and the order of the data; 0 or more."""
    head_from: tuple[str, str] | None = None
    """Two words, one token each, for wrong and right: the new head begins as the language model's choice between them
    where it is read, in place of random numbers. None for those."""
    members: int = 1
    """Step heads on the one backbone, each from another start and on another bootstrap sample of the problems: an
    ensemble at little more than the cost of one (prm only)."""
    outputs: tuple[str, ...] = ()
    """Names of the values that the outcome head has an output for each of, such as `helpfulness` (orm only). Empty for
    a single output without a name."""
    tokens_per_pass: int | None = None
    """Tokens per forward pass, 1 or more: changes memory and speed, not the result. None for 8,192 on a GPU and
    1,024 without."""
    gradient_checkpointing: bool = False
    """Whether to recompute activations in the backward pass: less memory, more time."""
    measure_every: int = 0
    """Optimizer steps between two measurements on the held-out problems; 0 to measure only at the end."""
    save_every: int = 0
    """Optimizer steps between two states that a killed training resumes from; 0 for ten times per run."""
    best: str | None = None
    """Metric by which the best of the states that were measured is kept, a name in `METRICS`; None for the last one."""
    patience: int = 0
    """Measurements without a better one after which the training ends; 0 to go on."""
    report_to: str | tuple[str, ...] | None = None
    """Where else to log: `tensorboard`, `wandb`; None for TensorBoard where it is installed."""

    def __post_init__(self) -> None:
        require_known("objective", self.objective, DEFAULT)
        require_known("labels_as", self.labels_as, get_args(Targets))
        require_known("steps", self.steps, get_args(Steps))
        require_known("too_long", self.too_long, get_args(TooLong))
        require_known("weights", self.weights, get_args(Weights))
        require_known("precision", self.computation, get_args(Precision))
        require_known("optimizer", self.optimizer, get_args(Optimizer))
        if self.quantize is not None:
            require_known("quantize", self.quantize, get_args(Quantize))
        require_known("scheduler", self.scheduler, get_args(Scheduler))
        self._require_ranges()
        self._require_outputs()
        check_terms(self.objective, self.terms, len(self.outputs))
        self._require_heeded()
        self._require_counts()
        self._require_memory()
        self._require_best()
        if self.too_long == "whole-steps" and self.objective != "prm":
            raise InputError("too_long='whole-steps' cuts off a chain's outcome", "it needs objective='prm'")
        if not self.separator_text:
            raise InputError("separator is empty", r"give a text, such as \n")
        split_steps("", self.splitter)  # refuses an unknown one
        if self.template is not None:
            require_template(self.template, chat=self.chat)
            if self.chat and self.objective == "implicit":
                raise InputError("an implicit PRM takes no template in a chat", "omit template or chat")
        require_texts("report_to", self.report_to or ())
        require_texts("lora_targets", self.lora_targets)
        if self.head_from is not None and len(require_texts("head_from", self.head_from)) != 2:
            raise InputError(f"head_from={self.head_from!r} are not two words", "give one for wrong and one for right")

    def _require_ranges(self) -> None:
        losses: object = self.losses
        if not isinstance(losses, Mapping):
            raise InputError(f"losses={losses!r} is not a mapping", 'give a weight for each, such as {"step": 1.0}')
        for name, weight in losses.items():
            require_number(f"losses[{name!r}]", weight, "(-inf, inf)")
        for ranges, whole in ((_RANGES, False), (_WHOLE_RANGES, True)):
            for name, within in ranges.items():
                if getattr(self, name) is not None or name not in _OPTIONAL:
                    require_number(name, getattr(self, name), within, whole=whole)
        for name in _SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name}={getattr(self, name)!r} is neither True nor False", "give one of them")

    def _require_outputs(self) -> None:
        if not are_value_names(self.outputs):
            raise InputError(f"outputs={self.outputs!r} is no tuple of different names", 'such as ("helpfulness",)')
        if self.outputs and self.objective != "orm":
            raise InputError(f"outputs are those of an ORM, not of {A_KIND[self.objective]}", "give objective='orm'")

    def _require_heeded(self) -> None:
        """Refuse settings that would make no difference, so that nobody believes they did."""
        has_steps, is_implicit = "step" in heads_of(self.objective), self.objective == "implicit"
        changed = {name for name, _ in asdict(self.loss_options).items() - asdict(LossOptions()).items()}
        idle = {
            **dict.fromkeys(changed - heeded(self.terms), True),
            "class_balance": self.class_balance and not any(TERMS[n].weights == "step_weights" for n in self.terms),
            "steps": not has_steps and self.steps != "all",
            "labels_as": not has_steps and self.labels_as != "hard",
            "beta": not is_implicit and self.beta != DEFAULT_BETA,
            "head_from": is_implicit and self.head_from is not None,
            "members": self.objective != "prm" and self.members > 1,
            "separator": self.form == "whole" and self.separator_text not in ("", "\n"),
        }
        for name, is_idle in idle.items():
            if is_idle:
                raise makes_no_difference(name, self.objective)
        for name in ("lora_alpha", "lora_dropout", "lora_targets", "keep_adapter"):
            if getattr(self, name) and not self.lora_rank:
                raise InputError(f"{name} makes no difference without LoRA", "omit it, or give lora_rank")

    def _require_best(self) -> None:
        """Refuse to look for the best state where nothing tells which one it is."""
        if self.best is None:
            if self.patience:
                raise InputError("patience makes no difference without a metric", "omit it, or give best")
            return
        ends = [f"_{name}" for name in self.outputs] or [""]
        heads = [head for head in METRICS if head in heads_of(self.objective)]
        own = [name + end for end in ends for head in heads for name in METRICS[head]]
        require_known("best", self.best, own)
        if not self.measure_every:
            raise InputError(f"best={self.best!r} needs measurements during the training", "give measure_every")
        if self.save_every:
            raise InputError("save_every makes no difference with best: every measured state is saved", "omit it")

    def _require_counts(self) -> None:
        """Refuse a loss of counts where the weights of the labels are not counts."""
        counted = [name for name in self.terms if TERMS[name].needs_counts]
        if counted and self.labels_as != "counts":
            raise InputError(f"the loss {counted[0]!r} needs the counts of the rollouts", "give labels_as='counts'")
        if counted and self.class_balance:
            raise InputError(f"class_balance changes the counts that the loss {counted[0]!r} needs", "omit it")

    def _require_memory(self) -> None:
        """Refuse ways to hold weights that exclude each other."""
        if self.weights == "bfloat16" and self.computation != "bfloat16":
            raise InputError(f"precision={self.precision!r} with weights in bfloat16", "omit precision")
        if self.weights == "bfloat16" and self.optimizer == "adafactor" and not self.lora_rank:
            raise InputError("adafactor would round away small updates of weights in bfloat16", "choose an adamw")
        if self.quantize and not self.lora_rank:
            raise InputError(f"weights in {self.quantize} cannot be trained themselves", "give lora_rank")
        if self.quantize and self.fsdp:
            raise InputError("quantized weights are not sharded", "omit fsdp or quantize")
        if self.optimizer != "adamw" and self.fsdp:
            raise InputError(f"optimizer={self.optimizer!r} does not work with fsdp", "choose adamw")
        if self.fsdp and self.objective == "implicit":
            raise InputError("fsdp does not work with objective='implicit'", "omit it; lora_rank saves memory too")
        if self.offload and not self.fsdp:
            raise InputError("offload makes no difference without fsdp", "omit it, or give fsdp")

    @property
    def computation(self) -> Precision:
        """The precision of the computation, that of the weights where none is given."""
        return self.precision or self.weights

    @property
    def terms(self) -> dict[str, float]:
        """The weight of each loss, the default where none are given."""
        return dict(self.losses or DEFAULT[self.objective])

    @property
    def loss_options(self) -> LossOptions:
        """The numbers that the losses depend on."""
        return LossOptions(self.margin, self.label_smoothing, self.zeta)

    @property
    def form(self) -> Form:
        """How solutions are written, see `prm.models.checkpoint.Metadata.form`: whole where no step is read."""
        is_read_at_steps = self.objective != "orm" or any(TERMS[name].reads_ends for name in self.terms)
        return "steps" if is_read_at_steps else "whole"

    @property
    def separator_text(self) -> str:
        """The separator with its escapes decoded."""
        try:  # as Latin-1, because that is what `unicode_escape` reads; other characters are escaped first
            return self.separator.encode("latin-1", "backslashreplace").decode("unicode_escape")
        except ValueError as error:
            raise InputError(f"separator={self.separator!r}: {error}", r"give a text, such as \n") from error

    @property
    def score_labels(self) -> str:
        """The labels that scores are learned from; "outcome" for an ORM or an implicit PRM."""
        return self.labels_as if "step" in heads_of(self.objective) else "outcome"

    @property
    def score_means(self) -> str:
        """What a score estimates, see `prm.models.checkpoint.Metadata.labels`."""
        step_terms = {name for name in self.terms if TERMS[name].head == "step"}
        return "order" if step_terms == {"q-ranking"} else self.score_labels


DEFAULT_SHARE = 0.05
"""Share of the problems that is held out."""
_RANGES = {
    **dict.fromkeys(("margin", "zeta", "lr", "weight_decay"), "[0, inf)"),
    **dict.fromkeys(("beta", "epochs", "lora_alpha"), "(0, inf)"),
    **dict.fromkeys(("lora_dropout", "warmup"), "[0, 1)"),
    "label_smoothing": "[0, 0.5)",
    "held_out": "[0, 0.9]",
}
_WHOLE_RANGES = {
    **dict.fromkeys(("batch_size", "max_length", "tokens_per_pass", "members"), "[1, inf)"),
    **dict.fromkeys(("lora_rank", "seed", "max_steps", "measure_every", "save_every", "patience"), "[0, inf)"),
}
_OPTIONAL = ("held_out", "max_length", "tokens_per_pass", "lora_alpha")
_SWITCHES = ("class_balance", "fsdp", "offload", "chat", "gradient_checkpointing", "keep_adapter")


def makes_no_difference(name: str, objective: Objective) -> InputError:
    """The error for a parameter that has no effect."""
    return InputError(f"{name} makes no difference to {A_KIND[objective]} with these losses", "omit it")
