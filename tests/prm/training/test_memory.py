"""Less memory, the same training: weights in bfloat16 or four bits, other optimizers, shards."""

import copy
import json
import subprocess
import sys
from dataclasses import replace

import peft
import pytest
import torch
from test_job import ALONE, LISTS
from test_training import QUICK, STEPS, distance

import prm as toolkit
from prm import TrainSettings, write_records
from prm.models.checkpoint import four_bits, load_model
from prm.models.rounding import StochasticAdamW, round_stochastically
from prm.training.trainer import ADAPTER, LOG, FitSettings, RewardTrainer, fit

pytestmark = [pytest.mark.timeout(3600), pytest.mark.usefixtures("one_thread")]
HALF = torch.bfloat16
BELOW = 2e-5
"""A learning rate of which half a bfloat16's last place is more, in most weights of the small model."""


def trained(base, work, dtype=torch.float32, reload=None, groups=STEPS, **settings):
    model = load_model(base, "prm", 0, dtype=dtype)
    held = {"weights": str(dtype).removeprefix("torch."), "precision": str(dtype).removeprefix("torch.")}
    options = {"epochs": 8, "learning_rate": BELOW, "batch_size": 4, "save_every": 10**9, **held, **settings}
    return fit(model, "prm", groups, groups, FitSettings(**options), work, reload)


def updates(made, base):
    """How far each weight of the backbone has moved from its value in bfloat16."""
    before = load_model(base, "prm", 0, dtype=HALF).state_dict()
    return torch.cat([(w.float() - before[n].float()).flatten() for n, w in made.items() if not n.startswith("score")])


def stepped(weights, gradients, optimizer):
    parameter = torch.nn.Parameter(weights.clone())
    made = optimizer([parameter])
    for gradient in gradients:
        parameter.grad = gradient.to(weights.dtype)
        made.step()
    return parameter.detach().float() - weights.float(), made.state[parameter]


def test_updates_below_the_last_place_arrive_in_expectation():
    """Weights of 1 to 2 lie 1/128 apart in bfloat16: 60 updates of up to 1/10,000 are less than one place together."""
    torch.manual_seed(0)
    weights = (1 + torch.rand(20_000)).to(HALF)
    gradients = [torch.randn(20_000) + 1 for _ in range(60)]
    options = {"lr": 1e-4, "weight_decay": 0.01}
    exact, state = stepped(weights.float(), gradients, lambda p: torch.optim.AdamW(p, **options))
    nearest, _ = stepped(weights, gradients, lambda p: torch.optim.AdamW(p, **options))
    ours, our_state = stepped(weights, gradients, lambda p: StochasticAdamW(p, **options))
    assert float(exact.mean()) < -1e-3
    assert float(nearest.abs().max()) == 0
    # a sum of 60 draws of one place with probability 1e-4 * 128: deviation 0.0068, over 20,000 weights 4.8e-5
    assert float(ours.mean()) == pytest.approx(float(exact.mean()), abs=2e-4)
    for name in ("exp_avg", "exp_avg_sq"):
        assert our_state[name].dtype == HALF
        assert float(our_state[name].float().mean()) == pytest.approx(float(state[name].mean()), rel=0.02)


def test_what_is_no_number_stays_none():
    """The bits of some NaN are those of the largest number: added to, they would be those of 0."""
    nan = torch.full((1000,), 0x7FFFFFFF, dtype=torch.int32).view(torch.float32)
    for given in (nan, -nan, torch.full((1000,), torch.inf)):
        made = round_stochastically(given, torch.Generator().manual_seed(0)).float()
        assert torch.equal(made.isnan(), given.isnan())
        assert torch.equal(made.isinf(), given.isinf())


def test_weights_in_float32_are_updated_as_by_adamw():
    torch.manual_seed(0)
    weights, gradients = torch.randn(7, 300), [torch.randn(7, 300) for _ in range(20)]
    options = {"lr": 1e-3, "weight_decay": 0.1, "betas": (0.8, 0.9)}
    exact, _ = stepped(weights, gradients, lambda p: torch.optim.AdamW(p, **options))
    ours, _ = stepped(weights, gradients, lambda p: StochasticAdamW(p, **options))
    torch.testing.assert_close(ours, exact, atol=1e-7, rtol=1e-4)


def test_training_in_bfloat16_follows_that_in_float32(base_model, tmp_path):
    """From the same weights; the updates of one projected onto those of the other, over 30,000 weights."""
    exact = trained(base_model, tmp_path / "exact")
    half = trained(base_model, tmp_path / "half", HALF)
    assert {name for name, w in half.weights.items() if w.dtype != HALF} == {"score.weight", "score.bias"}
    of_half, of_exact = updates(half.weights, base_model), updates(exact.weights, base_model)
    rounding = updates(load_model(base_model, "prm", 0).state_dict(), base_model)
    of_exact -= rounding
    assert float(of_half @ of_exact / (of_exact @ of_exact)) == pytest.approx(1, abs=0.1)
    assert [row["loss"] for row in half.log if "loss" in row] == pytest.approx(
        [row["loss"] for row in exact.log if "loss" in row], rel=0.01
    )


def broken_off(monkeypatch, step):
    do = RewardTrainer.training_step

    def breaks_off(self, *arguments):
        if self.state.global_step == step:
            raise KeyboardInterrupt
        return do(self, *arguments)

    monkeypatch.setattr(RewardTrainer, "training_step", breaks_off)


@pytest.mark.parametrize("settings", [{}, {"optimizer": "adamw-8bit"}, {"lora_rank": 4}], ids=["adamw", "8bit", "lora"])
@pytest.mark.filterwarnings("ignore")
def test_weights_in_bfloat16_resume_to_the_same_result(base_model, tmp_path, monkeypatch, settings):
    if "optimizer" in settings:
        pytest.importorskip("torchao")
    whole = trained(base_model, tmp_path / "whole", HALF, **settings).weights
    with monkeypatch.context() as patched:
        broken_off(patched, 5)
        with pytest.raises(KeyboardInterrupt):
            trained(base_model, tmp_path / "cut", HALF, save_every=2, **settings)
    assert distance(trained(base_model, tmp_path / "cut", HALF, save_every=2, **settings).weights, whole) == 0
    assert float(updates(whole, base_model).abs().max()) > 0


@pytest.mark.parametrize("kind", ["prm", "orm"])
def test_a_new_head_is_the_same_in_any_precision(base_model, kind):
    heads = [load_model(base_model, kind, 0, 3, dtype).score for dtype in (torch.float32, HALF)]
    assert torch.equal(heads[0].weight, heads[1].weight)
    assert heads[1].weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("dtype", "settings"),
    [
        (HALF, {}),
        (HALF, {"lora_rank": 8, "gradient_checkpointing": True}),
        (torch.float32, {"optimizer": "adafactor"}),
    ],
    ids=["bfloat16", "lora over bfloat16", "adafactor"],
)
def test_it_learns(base_model, tmp_path, dtype, settings):
    made = trained(base_model, tmp_path, dtype, **{"learning_rate": 1e-2, "epochs": 16, **settings})
    losses = [row["loss"] for row in made.log if "loss" in row]
    assert losses[-1] < 0.5 * losses[0]
    assert made.metrics["step_auroc_within_position"].value == 1


def rounded(base):
    """A stand-in for a quantized model: its weights are off, and must not be in what is written."""
    model = load_model(base, "prm", 0)
    with torch.no_grad():
        for parameter in model.base_model.parameters():
            parameter.copy_((parameter * 64).round() / 64)
    return model


def test_adapters_are_merged_into_the_base_as_it_is_stored(base_model, tmp_path):
    settings = replace(QUICK, lora_rank=4, keep_adapter=True, weights="bfloat16")
    base = load_model(base_model, "prm", 0)
    made = fit(rounded(base_model), "prm", STEPS, (), settings, tmp_path, lambda: load_model(base_model, "prm", 0))
    kept = peft.PeftModel.from_pretrained(copy.deepcopy(base), tmp_path / ADAPTER).merge_and_unload().state_dict()
    assert made.weights.keys() == kept.keys()
    for name, weight in made.weights.items():
        assert torch.equal(weight, kept[name] if name.startswith("score.") else kept[name].to(HALF))
    before = base.state_dict()
    assert torch.equal(made.weights["model.embed_tokens.weight"], before["model.embed_tokens.weight"].to(HALF))
    assert float((kept["model.layers.0.mlp.up_proj.weight"] - before["model.layers.0.mlp.up_proj.weight"]).std()) > 1e-3


def test_four_bits_are_those_of_qlora():
    row = four_bits(HALF).to_dict()
    assert row["load_in_4bit"]
    assert (row["bnb_4bit_quant_type"], row["bnb_4bit_use_double_quant"]) == ("nf4", True)
    assert (row["bnb_4bit_compute_dtype"], row["llm_int8_skip_modules"]) == ("bfloat16", ["score", "classifier"])


def dequantized(model):
    """The same weights in float32: what the quantized layers compute with."""
    functional = pytest.importorskip("bitsandbytes.functional")
    other = {}
    for name, parameter in model.named_parameters():
        state = getattr(parameter, "quant_state", None)
        other[name] = parameter if state is None else functional.dequantize_4bit(parameter.data, state)
    return other


@pytest.mark.filterwarnings("ignore")
def test_adapters_over_four_bits_are_trained_as_over_the_weights_that_these_stand_for(base_model, tmp_path):
    pytest.importorskip("bitsandbytes")
    quantized = load_model(base_model, "prm", 0, quantization=four_bits(torch.float32))
    same = load_model(base_model, "prm", 0)
    same.load_state_dict(dequantized(quantized))
    assert distance(same.state_dict(), load_model(base_model, "prm", 0).state_dict()) > 1e-3
    settings = replace(QUICK, lora_rank=4)
    reload = lambda: load_model(base_model, "prm", 0)  # noqa: E731
    made = [
        fit(model, "prm", STEPS, STEPS, settings, tmp_path / str(i), reload)
        for i, model in enumerate((quantized, same))
    ]
    assert distance(made[0].weights, made[1].weights) < 1e-4
    assert distance(made[0].weights, load_model(base_model, "prm", 0).state_dict()) > 1e-2


MODES = {
    "adapters": {"lora_rank": 4},
    "offloaded": {"lora_rank": 4, "weights": "bfloat16", "offload": True},
    "mixed": {"precision": "bfloat16"},
    "copied": {"weights": "bfloat16", "fsdp": False},
    "groups beyond the budget": {"objective": "orm"},
}
SHARDED = f"""
import json, os, sys
import prm, torch
from prm.training import job, trainer

common, data, out = (json.loads(text) for text in sys.argv[1:])
load_for, rank = trainer.load_for, int(os.environ["RANK"])

def watched(settings, load):
    model = load_for(settings, load)
    is_read = any(bool(p.any()) for n, p in model.named_parameters() if "embed" in n)
    assert is_read == (rank == 0 or not settings.fsdp), "only the main process reads the weights of a sharded model"
    return model

def packed(self, model, can_pack=trainer.RewardTrainer._can_pack):
    assert can_pack(self, model), "without padding in all processes"
    return True

trainer.load_for = watched
trainer.RewardTrainer._can_pack = packed
for name, settings in {MODES!r}.items():
    prm.train(prm.TrainSettings(**{{"fsdp": True, **common, **settings}}), **data, out=out + "/" + name)
    assert not any(key.startswith("FSDP_") or key == "ACCELERATE_USE_FSDP" for key in os.environ)
"""


def test_shards_give_what_one_process_gives(base_model, tmp_path):
    """Two processes of 3 chains each, against one of 6: adapters, a frozen backbone in bfloat16, mixed precision.

    And 3 problems each, whose chains are over the budget; the last step has none for one of the processes.
    """
    data = {name: str(tmp_path / f"{name}.jsonl") for name in LISTS}
    for name, path in data.items():
        write_records(path, LISTS[name])
    common = {"base": base_model, "lr": 1e-3, "tokens_per_pass": 20, "held_out": 0.3, "report_to": [], "save_every": 99}
    script = tmp_path / "sharded.py"
    script.write_text(SHARDED)
    arguments = [json.dumps(one) for one in ({**common, "batch_size": 3}, data, str(tmp_path))]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", script]
    done = subprocess.run([*torchrun, *arguments], capture_output=True, text=True, env=ALONE, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    for name, settings in MODES.items():
        alone = {key: value for key, value in settings.items() if key not in ("fsdp", "offload")}
        one = toolkit.train(TrainSettings(**common, batch_size=6, **alone), **data, out=tmp_path / f"{name}-alone")
        kind = settings.get("objective", "prm")
        found = [load_model(str(path), kind).state_dict() for path in (one.path, tmp_path / name)]
        assert distance(found[0], found[1]) < (1e-4 if "lora_rank" in settings else 5e-3), name
        assert distance(found[0], load_model(base_model, kind, 0).state_dict()) > 1e-3
        logs = [json.loads((path / LOG).read_text()) for path in (one.path, tmp_path / name)]
        losses = [[row["loss"] for row in log["log"] if "loss" in row] for log in logs]
        assert losses[0] == pytest.approx(losses[1], rel=1e-2)
        assert logs[0]["held_out"].keys() == logs[1]["held_out"].keys()
        metric = "step_auroc" if kind == "prm" else "pair_accuracy"
        measured = [log["held_out"][metric]["value"] for log in logs]
        assert measured[0] == pytest.approx(measured[1], abs=0.05)


def test_the_manifest_says_how_weights_were_held(base_model, tmp_path):
    pairs = [{"prompt": "what is 4?", "chosen": "It is 4.", "rejected": "It is 5."}]
    settings = TrainSettings(base_model, objective="orm", held_out=0, weights="bfloat16", lora_rank=2)
    toolkit.train(settings, preferences=pairs, out=tmp_path / "out")
    row = json.loads((tmp_path / "out.manifest.json").read_text())["settings"]
    assert (row["weights"], row["precision"]) == ("bfloat16", "bfloat16")
