"""What a trained model reads is the user's text, in training and in scoring, as plain transformers reads it."""

import json
import shutil

import pytest
import torch
from conftest import byte_level
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import prm as toolkit
from prm import TrainSettings
from prm.data.steps import split_steps

pytestmark = pytest.mark.usefixtures("one_thread")
CHATML = (
    "{% for m in messages %}<s>{{ m.role }}\n{{ m.content }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)
ENDS_IN_EOS = "{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}{{ eos_token }}"
PAIRS = [
    {"prompt": f" what is {i}?\n", "chosen": f"First.\n\n\n\tIt is {i}.\n\n", "rejected": f"It is\n\n{i + 1}. \n"}
    for i in range(6)
]


def base_with(base_model, folder, template, pad="<pad>"):
    """The base model with a chat template, and perhaps without a token that pads."""
    shutil.copytree(base_model, folder)
    tokenizer = byte_level()
    tokenizer.chat_template, tokenizer.pad_token = template, pad
    tokenizer.save_pretrained(folder)
    return str(folder)


@torch.no_grad()
def rewards_of(directory, conversations):
    """An independent reading: the whole conversation through the template, the logit at the last token."""
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForSequenceClassification.from_pretrained(directory)
    found = []
    for messages in conversations:
        ids = tokenizer.apply_chat_template(messages, return_tensors="pt")["input_ids"]
        hidden = model.base_model(ids).last_hidden_state
        found.append(float(model.score(hidden)[0, -1, 0]))
        assert float(model(ids).logits[0, 0]) == pytest.approx(found[-1], abs=1e-6), "it pads with what ends a chain"
    return found


def talks(rows):
    return [
        [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row[side]}]
        for row in rows
        for side in ("chosen", "rejected")
    ]


@pytest.mark.parametrize(
    ("template", "pad"), [(CHATML, "<pad>"), (CHATML, None), (ENDS_IN_EOS, None), (ENDS_IN_EOS, "</s>")]
)
def test_a_reward_is_the_logit_where_the_template_ends_the_turn(base_model, tmp_path, template, pad):
    base = base_with(base_model, tmp_path / "base", template, pad)
    settings = TrainSettings(base, objective="orm", chat=True, held_out=0.5, lr=1e-3, batch_size=2)
    made = toolkit.train(settings, preferences=PAIRS, out=tmp_path / "o")
    assert json.loads((made.path / "prm.json").read_text())["form"] == "whole"
    expected = rewards_of(made.path, talks(PAIRS))
    assert max(expected) - min(expected) > 1e-3, "all rewards are alike: nothing would be shown"
    prompts = [row["prompt"] for row in PAIRS for _ in range(2)]
    answers = [row[side] for row in PAIRS for side in ("chosen", "rejected")]
    scorer = toolkit.load_scorer(str(made.path))
    for chains in ([(answer,) for answer in answers], [split_steps(answer) for answer in answers]):
        assert [score for (score,) in scorer.score(prompts, chains)] == pytest.approx(expected, abs=1e-6)
    held_out = made.counts["reward min"], made.counts["reward max"]
    assert all(any(abs(a - b) < 1e-5 for b in expected) for a in held_out), "measured on other texts than it scores"


def test_without_a_chat_a_reward_is_the_logit_at_the_texts_last_token(base_model, tmp_path):
    made = toolkit.train(TrainSettings(base_model, objective="orm", held_out=0), preferences=PAIRS, out=tmp_path / "o")
    tokenizer = AutoTokenizer.from_pretrained(made.path)
    model = AutoModelForSequenceClassification.from_pretrained(made.path)
    (score,) = toolkit.load_scorer(str(made.path)).score([PAIRS[0]["prompt"]], [split_steps(PAIRS[0]["chosen"])])
    ids = tokenizer(PAIRS[0]["prompt"] + PAIRS[0]["chosen"], return_tensors="pt")["input_ids"]
    assert score[0] == pytest.approx(float(model(ids).logits.detach()), abs=1e-6)


def test_a_model_trained_before_is_read_as_it_was_trained(base_model, tmp_path):
    """The reward stood at the separator after the last step."""
    made = toolkit.train(TrainSettings(base_model, objective="orm", held_out=0), preferences=PAIRS, out=tmp_path / "o")
    row = json.loads((made.path / "prm.json").read_text())
    (made.path / "prm.json").write_text(json.dumps({k: v for k, v in row.items() if k not in ("form", "template")}))
    tokenizer = AutoTokenizer.from_pretrained(made.path)
    model = AutoModelForSequenceClassification.from_pretrained(made.path)
    (score,) = toolkit.load_scorer(str(made.path)).score(["q"], [("a\n\n", "b")])
    ids = tokenizer("q\n")["input_ids"]
    ids += [i for piece in "a\nb\n" for i in tokenizer(piece, add_special_tokens=False)["input_ids"]]
    assert score[0] == pytest.approx(float(model(torch.tensor([ids])).logits.detach()), abs=1e-6)


def test_a_loss_that_reads_every_step_keeps_the_separator(base_model, tmp_path):
    settings = TrainSettings(base_model, objective="orm", losses={"every-step": 1.0}, separator="==\\n", held_out=0)
    made = toolkit.train(settings, preferences=PAIRS, out=tmp_path / "o")
    row = json.loads((made.path / "prm.json").read_text())
    assert (row["form"], row["separator"]) == ("steps", "==\n")


@pytest.mark.parametrize("objective", ["prm", "orm", "joint"])
@pytest.mark.parametrize("chat", [False, True])
def test_an_instruction_is_trained_on_stored_and_scored_with(prm, base_model, tmp_path, objective, chat):
    base = base_with(base_model, tmp_path / "base", CHATML)
    (tmp_path / "judge.txt").write_text("Is \\n a step of {problem} right?\n")
    (tmp_path / "p.jsonl").write_text("".join(f'{{"id": "p{i}", "question": "what is {i}?"}}\n' for i in range(4)))
    chains = [{"problem_id": f"p{i}", "completions": ["It is\n\n4", "It is 5\n"]} for i in range(4)]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chains))
    labels = [
        {"schema": "step-labels/1", "chain_id": f"p{i}/{k}", "problem_id": f"p{i}", "right": [1 - k] * (2 - k),
         "wrong": [k] * (2 - k), "undecided": [0] * (2 - k), "known": ["drawn"] * (2 - k),
         "outcome": ["correct", "incorrect"][k]}
        for i in range(4) for k in (0, 1)
    ]  # fmt: skip
    (tmp_path / "l.jsonl").write_text("".join(json.dumps(row) + "\n" for row in labels))
    data = ["--problems=p.jsonl", "--chains=c.jsonl", "--labels=l.jsonl", "--held-out=0", "--lr=1e-2"]
    line = ["train", f"--base={base}", f"--objective={objective}", *data, *(["--chat"] if chat else [])]
    assert prm(*line, "--template=judge.txt", "--out=o")[0] == 0
    assert json.loads((tmp_path / "o" / "prm.json").read_text())["template"] == "Is \\n a step of {problem} right?\n"
    assert json.loads((tmp_path / "o.manifest.json").read_text())["settings"]["template"].startswith("Is \\n")
    metadata, found = tmp_path / "o" / "prm.json", []
    for word in ("right?", "wrong?"):
        metadata.write_text(metadata.read_text().replace("right?", word))
        found.append(toolkit.load_scorer(str(tmp_path / "o")).score(["what is 1?"], [("It is", "4")]))
    assert found[0] != found[1], "the instruction is not read in scoring"


def test_a_template_on_the_command_line(prm, base_model, tmp_path):
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in PAIRS))
    line = ["train", f"--base={base_model}", "--objective=orm", "--preferences=pairs.jsonl", "--held-out=0"]
    assert prm(*line, r"--template=Put it in \boxed{}:\n{problem}\\n{solution}", "--out=o")[0] == 0
    stored = json.loads((tmp_path / "o" / "prm.json").read_text())["template"]
    assert stored == "Put it in \\boxed{}:\n{problem}\\n{solution}"
    for given, said in (("Judge:", "is neither a file"), ("{problem}{problem}", "has {problem} 2 times")):
        code, _, err = prm(*line, f"--template={given}", "--out=p")
        assert (code, said in err) == (1, True), err
