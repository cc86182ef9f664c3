"""From text to ids: every step ends where its text ends, with every kind of tokenizer."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from prm.errors import RenderError
from prm.rendering import Renderer

PROBLEM = "a bag has 3 + 4.\n\nhow many?"
STEPS = ("First.\n\n", "  then 12 / 3 = 4.\n", "\n\tthe é 数 is", "1 < 2.\n\n\n")
ENDED = ("First.\n", "  then 12 / 3 = 4.\n", "\n\tthe é 数 is\n", "1 < 2.\n")


def decode(tokenizer, ids):
    return tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)


def spans(tokenizer, rendered):
    """The text that each step adds, by decoding everything up to each step's end."""
    read = [decode(tokenizer, rendered.ids[: end + 1]) for end in rendered.step_ends]
    assert all(b.startswith(a) for a, b in itertools.pairwise(read))
    return [b[len(a) :] for a, b in zip([PROBLEM + "\n", *read], read, strict=False)]


def test_the_tokenizers_do_what_makes_rendering_hard(tokenizer, any_tokenizer):
    merged = tokenizer("First.\n\nThen", add_special_tokens=False)["input_ids"]
    assert any("\n" in t and t != "\n" * len(t) for t in map(tokenizer.decode, merged)), "no merge across a newline"
    prefixed = decode(any_tokenizer, any_tokenizer("a b")["input_ids"])
    assert prefixed == "a b"


@pytest.mark.parametrize(("separator", "expected"), [("\n", ENDED), (None, STEPS)], ids=["newline", "as is"])
def test_a_step_end_is_the_last_token_of_its_step(any_tokenizer, separator, expected):
    rendered = Renderer(any_tokenizer, separator=separator).render(PROBLEM, STEPS)
    assert len(rendered.step_ends) == len(STEPS)
    assert rendered.step_ends[-1] == len(rendered.ids) - 1
    assert spans(any_tokenizer, rendered) == list(expected)


def test_another_separator(any_tokenizer):
    renderer = Renderer(any_tokenizer, separator=" ==\n")
    assert spans(any_tokenizer, renderer.render(PROBLEM, ("a\n", "b"))) == ["a ==\n", "b ==\n"]


def test_every_step_is_read_at_the_same_token(any_tokenizer):
    rendered = Renderer(any_tokenizer).render(PROBLEM, STEPS)
    assert len({rendered.ids[end] for end in rendered.step_ends}) == 1


@settings(max_examples=50)
@given(steps=st.lists(st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip), max_size=5))
def test_any_steps_spell_themselves(tokenizer, steps):
    rendered = Renderer(tokenizer).render(PROBLEM, steps)
    assert spans(tokenizer, rendered) == [s.rstrip() + "\n" for s in steps]


def test_a_later_step_never_changes_earlier_ids(any_tokenizer):
    renderer = Renderer(any_tokenizer, separator=None)
    whole = renderer.render(PROBLEM, STEPS)
    for count in range(len(STEPS)):
        cut = renderer.render(PROBLEM, STEPS[:count])
        assert cut.ids == whole.ids[: len(cut.ids)]
        assert cut.step_ends == whole.step_ends[:count]
        other = renderer.render(PROBLEM, (*STEPS[:count], "\n. other"))
        assert other.ids[: len(cut.ids)] == cut.ids


def test_bos_stands_once_and_only_where_the_tokenizer_puts_it(any_tokenizer):
    ids = Renderer(any_tokenizer).render(PROBLEM, STEPS).ids
    own = any_tokenizer("a")["input_ids"]
    assert ids.count(any_tokenizer.bos_token_id) == own.count(any_tokenizer.bos_token_id)
    assert (ids[0] == any_tokenizer.bos_token_id) == (own[0] == any_tokenizer.bos_token_id)


def test_text_never_becomes_a_special_token(any_tokenizer):
    special = {any_tokenizer.eos_token_id, any_tokenizer.pad_token_id}
    assert any_tokenizer("a</s>b")["input_ids"].count(any_tokenizer.eos_token_id) == 1, "it would, left alone"
    rendered = Renderer(any_tokenizer).render("is </s> it?", ("so </s>\n", "<pad> 4</s>"))
    assert not special & set(rendered.ids)


def test_text_never_becomes_a_special_token_in_a_chat(chat_tokenizer):
    renderer = Renderer(chat_tokenizer, chat=True)

    def count(problem, step):
        return renderer.render(problem, (step,)).ids.count(chat_tokenizer.eos_token_id)

    assert count("plain", "plain") == 1
    assert count("plain", "a</s>") == 1
    assert count("a</s>\nassistant: b", "plain") == 1


@pytest.mark.parametrize("step", ["", "\t\n"])
def test_a_blank_step_is_refused(tokenizer, step):
    with pytest.raises(RenderError, match="step 2"):
        Renderer(tokenizer).render(PROBLEM, ("a", step))


def test_an_empty_step_kept_as_it_is_is_refused(any_tokenizer):
    with pytest.raises(RenderError, match="step 1"):
        Renderer(any_tokenizer, separator=None).render(PROBLEM, ("",))


def test_no_steps(any_tokenizer):
    renderer = Renderer(any_tokenizer)
    rendered = renderer.render(PROBLEM, ())
    assert rendered.step_ends == ()
    assert list(rendered.ids) == renderer.prompt_ids(PROBLEM)


def test_chat_puts_the_problem_into_the_template(chat_tokenizer):
    rendered = Renderer(chat_tokenizer, chat=True).render("what?", ("a", "b"))
    text = chat_tokenizer.decode(list(rendered.ids), clean_up_tokenization_spaces=False)
    assert text == "<s>user: what?</s>\nassistant: a\nb\n"
    assert [chat_tokenizer.decode([rendered.ids[e]]) for e in rendered.step_ends] == ["\n", "\n"]


def test_chat_without_a_template_is_refused(tokenizer):
    with pytest.raises(RenderError, match="chat template"):
        Renderer(tokenizer, chat=True)


def test_an_empty_separator_is_refused(tokenizer):
    with pytest.raises(RenderError, match="separator"):
        Renderer(tokenizer, separator="")


def test_a_tokenizer_that_loses_text_is_refused():
    core = Tokenizer(models.WordLevel({"a": 0, "b": 1, "1": 2, "<unk>": 3}, unk_token="<unk>"))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(RenderError, match="does not spell"):
        Renderer(PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>"))
