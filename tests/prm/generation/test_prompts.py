"""What stands around a problem: presets, files, messages; and the ids that come of them."""

import json

import pytest

from prm import Problem
from prm.data.records import Message
from prm.errors import InputError, RenderError
from prm.generation.prompts import PROMPTS, asking
from prm.models.rendering import Prompt, Renderer


@pytest.mark.parametrize("name", PROMPTS)
def test_every_preset_has_one_place_for_the_problem(name):
    found = asking(name)
    text = "".join(turn.content for turn in found.prompt.messages) if found.chat else found.prompt.text
    assert text.count("{problem}") == 1


def test_worked_examples_come_before_the_problem_and_end_a_solution(tokenizer):
    few = asking("gsm8k-8shot")
    renderer = Renderer(tokenizer, separator=None, prompt=few.prompt)
    text = tokenizer.decode(renderer.prompt_ids("How many?"), skip_special_tokens=True)
    assert text.startswith("Q: There are 15 trees")
    assert text.endswith("The answer is 8.\n\nQ: How many?\nA:")
    assert text.count("\nA: ") == 8
    assert few.stop == ("\nQ:",)


def test_the_default_is_the_problem_and_a_newline(tokenizer):
    assert Renderer(tokenizer, prompt=asking("plain").prompt).prompt_ids("a?") == Renderer(tokenizer).prompt_ids("a?")
    assert asking().recorded() == {"chat": False}


def test_a_text_in_a_file(tmp_path, tokenizer):
    (tmp_path / "few.txt").write_text("Ex: 1\n\nP: {problem}\nS:\n")
    prompt = asking(tmp_path / "few.txt").prompt
    text = tokenizer.decode(Renderer(tokenizer, prompt=prompt).prompt_ids("2?"), skip_special_tokens=True)
    assert text == "Ex: 1\n\nP: 2?\nS:"


def test_a_mark_of_byte_order_is_no_part_of_a_prompt(tmp_path):
    (tmp_path / "few.txt").write_bytes("P: {problem}".encode("utf-8-sig"))
    assert asking(tmp_path / "few.txt").prompt.text == "P: {problem}"


@pytest.mark.parametrize("options", [{"tokenize": True}, {"continue_final_message": True}])
def test_an_option_that_the_template_does_not_take_drops_the_problem(chat_tokenizer, options):
    prompt = asking({"template_options": options}, chat=True).prompt
    with pytest.raises(RenderError, match="chat template"):
        Renderer(chat_tokenizer, chat=True, prompt=prompt).prompt_ids("a")


def test_messages_in_a_file_are_the_turns_of_a_chat(tmp_path, chat_tokenizer):
    turns = [("system", "Be brief."), ("user", "1 + 1?"), ("assistant", "2"), ("user", "Now {problem}")]
    rows = [{"role": role, "content": content} for role, content in turns]
    (tmp_path / "few.json").write_text(json.dumps({"messages": rows, "prefix": "So", "stop": "\n\n"}))
    found = asking(str(tmp_path / "few.json"))
    assert (found.chat, found.stop) == (True, ("\n\n",))
    rows[-1]["content"] = "Now 2 + 2?"
    expected = chat_tokenizer.apply_chat_template(rows, add_generation_prompt=True, tokenize=False)
    ids = Renderer(chat_tokenizer, separator=None, chat=True, prompt=found.prompt).prompt_ids("2 + 2?")
    assert chat_tokenizer.decode(ids) == expected + "So"
    (tmp_path / "few.json").write_text(json.dumps([*rows[:1], {"role": "user", "content": "{problem}"}]))
    assert len(asking(str(tmp_path / "few.json")).prompt.messages) == 2


def test_a_problem_given_as_messages_takes_the_place_of_its_turn():
    prompt = asking({"system": "Be brief."}, chat=True).prompt
    talk = (Message("user", "1?"), Message("assistant", "2"), Message("user", "3?"))
    assert prompt.turns(talk) == (Message("system", "Be brief."), *talk)


def test_options_of_the_template_reach_it(chat_tokenizer, monkeypatch):
    template = (
        "{% for m in messages %}{{ m.content }}{% endfor %}{% if thinks is defined and not thinks %}<no>{% endif %}"
    )
    monkeypatch.setattr(chat_tokenizer, "chat_template", template)
    prompt = asking({"template_options": {"thinks": False}}, chat=True).prompt
    ids = Renderer(chat_tokenizer, chat=True, prompt=prompt).prompt_ids("a")
    assert chat_tokenizer.decode(ids) == "a<no>"


@pytest.mark.parametrize(
    ("prompt", "chat", "message"),
    [
        ("gsm8k-8shots", False, "no preset, and cannot be read as a file"),
        ("none.txt", False, "No such file"),
        ("no-place.txt", False, "has {problem} 0 times"),
        ("twice.txt", False, "has {problem} 2 times"),
        ("broken.json", False, "is not JSON"),
        ("odd.json", False, "messages"),
        ("unknown.json", False, "has no field temperature"),
        ({"messages": [{"role": "user", "content": "?"}]}, False, "need {problem} once"),
        ({"template_options": {"a": 1}}, False, "needs a chat"),
        ("own.json", False, "is a base, and has a base itself"),
        ("null.json", False, "is neither a list of messages nor an object"),
        ("a\0b", False, "no preset"),
        ({"stop": ""}, True, "an empty text cannot end a solution"),
        ({"system": "Solve {problem} now"}, True, "need {problem} once"),
        (
            {
                "system": "Brief",
                "messages": [{"role": "system", "content": "{problem}"}, {"role": "user", "content": "go"}],
            },
            True,
            "need {problem} once",
        ),
        ("gsm8k-8shot", True, "is a text, not messages"),
    ],
)
def test_a_prompt_that_cannot_be_used_is_refused(tmp_path, monkeypatch, prompt, chat, message):
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "no-place.txt": "Q:", "twice.txt": "{problem} {problem}", "broken.json": "{", "odd.json": '{"messages": 5}',
        "unknown.json": '{"temperature": 1}', "own.json": '{"base": "own.json"}', "null.json": "null",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as caught:
        asking(prompt, chat=chat)
    assert message in str(caught.value)
    assert caught.value.hint


def test_the_prompt_is_in_the_manifest_and_what_ends_a_solution_is_sent(tmp_path, base_model):
    import prm as toolkit
    from prm.benchmarks.perf.waiting_server import serve

    (tmp_path / "few.json").write_text(json.dumps({"base": "plain", "stop": ["\nQ:"]}))
    with serve() as server:
        given = {"model": base_model, "endpoints": server.url, "prompt": tmp_path / "few.json", "stop": "END"}
        problems = [Problem("p", "2 + 2?", "4")]
        toolkit.sample(problems, tmp_path / "c.jsonl", n=1, **given)
        assert server.asked[0]["stop"] == ["END", "\nQ:"]
        (tmp_path / "other.txt").write_text("P: {problem}")
        with pytest.raises(toolkit.OutputError, match="made with other settings"):
            toolkit.sample(problems, tmp_path / "c.jsonl", n=1, **{**given, "prompt": tmp_path / "other.txt"})
        toolkit.sample(problems, tmp_path / "d.jsonl", n=1, **{**given, "prompt": tmp_path / "other.txt"})
    stored = json.loads((tmp_path / "d.jsonl.manifest.json").read_text())["settings"]
    assert stored["prompt"]["text"] == "P: {problem}"
    assert Prompt(**stored["prompt"] | {"messages": Prompt().messages}).plain("5?") == "P: 5?"
