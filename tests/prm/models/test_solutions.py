"""A problem and its whole solution as one text: byte for byte the user's, ended as the chat template ends a turn."""

import pickle

import pytest
from conftest import byte_level, sentence_piece
from hypothesis import given, settings
from hypothesis import strategies as st

from prm import InputError
from prm.data.records import Message
from prm.data.steps import SPLITTERS, split_steps
from prm.errors import RenderError
from prm.models.checkpoint import Metadata, renderer_of
from prm.models.rendering import Prompt, SolutionRenderer, prompt_of, require_template

ANSWER = "First.\n\n\n  then 4.\n"
TEMPLATES = {
    "chatml": "{% for m in messages %}<s>{{ m.role }}\n{{ m.content }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}",
    "ends with the end of text": "{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% else %}{{ eos_token }}{% endif %}",
    "trims": "{% for m in messages %}<s>{{ m.role }}\n{{ m.content | trim }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}",
    "hides the thought": "{% for m in messages %}{{ m.role }}: {{ m.content.split('</think>')[-1] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}",
}


def chatty(template, make=byte_level):
    tokenizer = make()
    tokenizer.chat_template = TEMPLATES[template]
    return tokenizer


def templated(tokenizer, *turns):
    messages = [{"role": role, "content": content} for role, content in turns]
    return tuple(tokenizer.apply_chat_template(messages)["input_ids"])


@pytest.mark.parametrize("make", [byte_level, sentence_piece])
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_chat_has_the_ids_of_the_template_to_its_end(template, make):
    tokenizer = chatty(template, make)
    answer = f"<think>so</think>{ANSWER}"
    found = SolutionRenderer(tokenizer, chat=True).render(" what?\n", split_steps(answer))
    assert found.ids == templated(tokenizer, ("user", " what?\n"), ("assistant", answer))
    assert found.step_ends == (len(found.ids) - 1,)
    talk = [Message("system", "be short"), Message("user", "what?")]
    found = SolutionRenderer(tokenizer, chat=True).render(talk, (answer,))
    assert found.ids == templated(tokenizer, ("system", "be short"), ("user", "what?"), ("assistant", answer))


@pytest.mark.parametrize("make", [byte_level, sentence_piece])
def test_without_a_chat_it_is_the_tokenizers_own_reading_of_the_text(make):
    tokenizer = make(bos=True)
    renderer = SolutionRenderer(tokenizer)
    for problem, text in (
        (" what?", f" what?\n{ANSWER}"),
        ("what?\n\n", f"what?\n\n{ANSWER}"),
        ("\n\nHuman: what?\n\nAssistant:", f"\n\nHuman: what?\n\nAssistant:{ANSWER}"),
    ):
        assert renderer.render(problem, split_steps(ANSWER)).ids == tuple(tokenizer(text)["input_ids"])


@settings(max_examples=50)
@given(
    answer=st.text("ab.\n\r\t <s>é", min_size=1, max_size=20).filter(str.strip), splitter=st.sampled_from([*SPLITTERS])
)
def test_how_a_text_is_cut_changes_nothing(answer, splitter):
    renderer = SolutionRenderer(byte_level())
    assert renderer.render("q", split_steps(answer, splitter)) == renderer.render("q", (answer,))


def test_steps_without_line_ends_get_them_but_for_the_last():
    renderer = SolutionRenderer(byte_level())
    assert renderer.render("q", ("a", "b ", "c")) == renderer.render("q", ("a\nb c",))


def test_the_prompt_ends_where_the_solution_begins():
    plain, chat = SolutionRenderer(byte_level(bos=True)), SolutionRenderer(chatty("chatml"), chat=True)
    for renderer in (plain, chat):
        found = renderer.render("what?", ("é 4",))
        assert renderer.tokenizer.decode(found.ids[found.prompt_length :]).startswith("é 4")


def test_text_is_never_a_special_token():
    """Without a chat it stays text; in a chat, where the template's own are tokens, it is refused."""
    plain = SolutionRenderer(byte_level(bos=True)).render("is </s> it?", ("so </s>",))
    assert 2 not in plain.ids
    chat = SolutionRenderer(chatty("chatml"), chat=True)
    for problem, solution, where in (("</s>", "a", "the problem"), ("q", "a</s>", "the solution")):
        with pytest.raises(RenderError, match=f"{where} contains '</s>'") as refused:
            chat.render(problem, (solution,))
        assert refused.value.reason == "marker in the text"


def test_what_cannot_be_rendered_affects_no_other():
    renderer = SolutionRenderer(byte_level())
    fine, empty, blank, talk = renderer.render_many(
        ["q", "q", "q", [Message("user", "q")]], [("a",), (), ("a", " \n"), ("a",)]
    )
    assert fine == renderer.render("q", ("a",))
    assert [empty.reason, blank.reason, talk.reason] == [
        "empty chain",
        "blank step",
        "messages without a chat template",
    ]
    assert pickle.loads(pickle.dumps(renderer)).render("q", ("a",)) == fine
    with pytest.raises(RenderError, match="no chat template"):
        SolutionRenderer(byte_level(), chat=True)


JUDGE = "Judge \\boxed{4}:\n\n{problem}\n\n\tIs it right?\n"


def test_an_instruction_stands_around_the_problem_byte_for_byte():
    plain = SolutionRenderer(byte_level(bos=True), prompt=prompt_of(JUDGE))
    text = JUDGE.replace("{problem}", " what?\n") + ANSWER
    assert plain.render(" what?\n", (ANSWER,)).ids == tuple(plain.tokenizer(text)["input_ids"])
    ended = SolutionRenderer(byte_level(bos=True), prompt=prompt_of("{problem}{solution}"))
    assert ended.render("q:", ("a",)).ids == tuple(ended.tokenizer("q:a")["input_ids"])
    chat = SolutionRenderer(chatty("chatml"), chat=True, prompt=prompt_of(JUDGE))
    asked = JUDGE.replace("{problem}", "what?")
    expected = templated(chat.tokenizer, ("user", asked), ("assistant", ANSWER))
    assert chat.render("what?", (ANSWER,)).ids == expected


def test_in_a_conversation_the_instruction_stands_around_the_last_question():
    chat = SolutionRenderer(chatty("chatml"), chat=True, prompt=prompt_of("Judge: {problem}"))
    talk = [Message("user", "a?"), Message("assistant", "b"), Message("user", "c?"), Message("tool", "d")]
    expected = (("user", "a?"), ("assistant", "b"), ("user", "Judge: c?"), ("tool", "d"), ("assistant", "e"))
    assert chat.render(talk, ("e",)).ids == templated(chat.tokenizer, *expected)
    with pytest.raises(RenderError, match="no message of the user"):
        chat.render([Message("system", "x")], ("e",))
    assert Prompt().turns(tuple(talk)) == tuple(talk)


@pytest.mark.parametrize(
    ("template", "chat", "said"),
    [
        ("Judge this:", False, "has {problem} 0 times"),
        ("{problem} or {problem}", True, "has {problem} 2 times"),
        ("{problem}{solution}?", False, "does not end with it"),
        ("{solution}{problem}", False, "does not end with it"),
        ("{problem}{solution}", True, "a chat"),
    ],
)
def test_templates_that_cannot_be_are_refused(template, chat, said):
    with pytest.raises(InputError) as refused:
        require_template(template, chat=chat)
    assert said in str(refused.value)
    assert refused.value.hint


@pytest.mark.parametrize("kind", ["prm", "joint"])
def test_a_prm_with_an_instruction(kind, tokenizer, chat_tokenizer):
    steps = ("a\n\n", "b")
    for template in ("Judge {problem}\nSteps:\n", "Judge {problem}\nSteps:\n{solution}"):
        plain = renderer_of(tokenizer, Metadata(kind, template=template)).render("q", steps)
        assert tokenizer.decode(plain.ids, skip_special_tokens=True) == "Judge q\nSteps:\na\nb\n"
    chat = renderer_of(chat_tokenizer, Metadata(kind, chat=True, template="Judge {problem}\n")).render("q", steps)
    assert chat_tokenizer.decode(chat.ids) == "<s>user: Judge q\n</s>\nassistant: a\nb\n"


def test_the_metadata_say_how_a_checkpoint_is_rendered(tokenizer):
    whole = renderer_of(tokenizer, Metadata("orm", form="whole"))
    old = renderer_of(tokenizer, Metadata("orm"))
    assert whole.render("q", ("a",)).ids == tuple(tokenizer("q\na")["input_ids"])
    assert tokenizer.decode(old.render("q", ("a",)).ids, skip_special_tokens=True) == "q\na\n"
    for wrong in ({"kind": "prm", "form": "whole"}, {"kind": "orm", "form": "half"}, {"kind": "orm", "template": "x"}):
        with pytest.raises(ValueError, match=r"form|template"):
            Metadata(**wrong)
