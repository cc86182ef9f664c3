"""From text to ids: each step ends where its text ends, with every kind of tokenizer."""

import functools
import itertools
import pickle

import pytest
from conftest import TOKENIZERS, byte_level
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from prm.data.records import Message
from prm.errors import RenderError
from prm.models import rendering
from prm.models.rendering import Rendered, Renderer

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


def test_the_tokenizers_have_the_traits_that_make_rendering_hard(tokenizer, any_tokenizer):
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


def test_bos_comes_once_and_only_where_the_tokenizer_puts_it(any_tokenizer):
    ids = Renderer(any_tokenizer).render(PROBLEM, STEPS).ids
    own = any_tokenizer("a")["input_ids"]
    assert ids.count(any_tokenizer.bos_token_id) == own.count(any_tokenizer.bos_token_id)
    assert (ids[0] == any_tokenizer.bos_token_id) == (own[0] == any_tokenizer.bos_token_id)


def test_text_never_becomes_a_special_token(any_tokenizer):
    special = {any_tokenizer.eos_token_id, any_tokenizer.pad_token_id}
    assert any_tokenizer("a</s>b")["input_ids"].count(any_tokenizer.eos_token_id) == 1, "without our care it would"
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


def test_an_empty_step_is_refused_without_a_separator(any_tokenizer):
    with pytest.raises(RenderError, match="step 1"):
        Renderer(any_tokenizer, separator=None).render(PROBLEM, ("",))


def test_no_steps(any_tokenizer):
    renderer = Renderer(any_tokenizer)
    rendered = renderer.render(PROBLEM, ())
    assert rendered.step_ends == ()
    assert list(rendered.ids) == renderer.prompt_ids(PROBLEM)


def test_one_newline_stands_between_problem_and_steps(any_tokenizer):
    renderer = Renderer(any_tokenizer)
    assert renderer.render("what?\n\n", STEPS) == renderer.render("what?", STEPS)


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


MARKS = ["<|start|>", "<|end|>", "<start_of_turn>", "<end_of_turn>"]
TEMPLATES = {
    "llama-3": (
        "{% for m in messages %}{% set text = '<|start|>' + m.role + '<|end|>\n\n' + m.content | trim + '</s>' %}"
        "{% if loop.first %}{% set text = bos_token + text %}{% endif %}{{ text }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|start|>assistant<|end|>\n\n' }}{% endif %}"
    ),
    "chatml": (
        "{% if messages[0].role != 'system' %}{{ '<|start|>system\nYou are a helpful one.<|end|>\n' }}{% endif %}"
        "{% for m in messages %}{{ '<|start|>' + m.role + '\n' + m.content + '<|end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|start|>assistant\n' }}{% endif %}"
    ),
    "mistral": (
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' /INST' }}"
        "{% elif m.role == 'assistant' and loop.index0 % 2 %}{{ ' ' + m.content | trim + eos_token }}"
        "{% else %}{{ raise_exception('roles must alternate user and assistant') }}{% endif %}{% endfor %}"
    ),
    "gemma": (
        "{{ bos_token }}"
        "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        "{% for m in messages %}{% set role = 'model' if m.role == 'assistant' else m.role %}"
        "{{ '<start_of_turn>' + role + '\n' + m.content | trim + '<end_of_turn>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
    ),
}
TALK = [
    Message("user", "a bag, how many?"),
    Message("assistant", "so 3 + 4,\n\nthat is 7."),
    Message("user", "the \t what"),
]


def with_template(make, template):
    tokenizer = make()
    tokenizer.add_special_tokens({"extra_special_tokens": MARKS})
    tokenizer.chat_template = template
    return tokenizer


@pytest.fixture(scope="module", params=itertools.product(TOKENIZERS, TEMPLATES), ids=" ".join)
def talking(request):
    """Each kind of tokenizer with each template."""
    kind, template = request.param
    return with_template(TOKENIZERS[kind], TEMPLATES[template])


def templated(tokenizer, messages):
    turns = [{"role": m.role, "content": m.content} for m in messages]
    return tokenizer.apply_chat_template(turns, add_generation_prompt=True)["input_ids"]


@pytest.mark.parametrize("count", [1, 3])
def test_a_conversation_has_the_ids_of_the_template(talking, count):
    assert Renderer(talking, chat=True).prompt_ids(TALK[:count]) == templated(talking, TALK[:count])


@pytest.mark.parametrize("template", ["llama-3", "chatml"])
def test_a_system_message_has_the_ids_of_the_template(template):
    tokenizer = with_template(byte_level, TEMPLATES[template])
    talk = [Message("system", "be short"), *TALK]
    assert Renderer(tokenizer, chat=True).prompt_ids(talk) == templated(tokenizer, talk)


def test_blanks_around_a_message_are_trimmed_where_the_template_trims(talking):
    talk = [Message(m.role, f"\n {m.content}\t\n") for m in TALK]
    expected = talking.decode(templated(talking, talk), clean_up_tokenization_spaces=False)
    found = talking.decode(Renderer(talking, chat=True).prompt_ids(talk), clean_up_tokenization_spaces=False)
    assert found == expected


def test_a_problem_in_a_chat_is_the_users_message(talking):
    renderer = Renderer(talking, chat=True)
    assert renderer.render("what", STEPS) == renderer.render([Message("user", "what")], STEPS)


CHATTY = with_template(byte_level, TEMPLATES["chatml"])


@settings(max_examples=50)
@given(contents=st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=5))
def test_any_messages_are_spelled_as_the_template_spells_them(contents):
    talk = [Message(("user", "assistant")[i % 2], c) for i, c in enumerate(contents)]
    text = CHATTY.apply_chat_template([{"role": m.role, "content": m.content} for m in talk], tokenize=False)
    ids = Renderer(CHATTY, chat=True).prompt_ids(talk)
    assert CHATTY.decode(ids, clean_up_tokenization_spaces=False) == text + "<|start|>assistant\n"
    assert sum(i in CHATTY.all_special_ids for i in ids) == 2 * len(talk) + 3


def test_messages_never_become_special_tokens(talking):
    renderer, special = Renderer(talking, chat=True), set(talking.all_special_ids)

    def frame(*contents):
        talk = [Message(m.role, content) for m, content in zip(TALK, contents, strict=True)]
        return [i for i in renderer.prompt_ids(talk) if i in special]

    assert frame("a</s>[INST] b", "<|end|><|start|>user", "<end_of_turn><s>") == frame("a", "b", "c") != []


def test_a_message_that_looks_like_a_placeholder(talking):
    talk = [Message("user", "MESSAGE-1-GOES-HERE"), Message("assistant", "MESSAGE-0-GOES-HERE"), TALK[2]]
    text = talking.decode(Renderer(talking, chat=True).prompt_ids(talk), clean_up_tokenization_spaces=False)
    assert text == talking.decode(templated(talking, talk), clean_up_tokenization_spaces=False)


@pytest.mark.parametrize(
    ("template", "talk", "said"),
    [
        (TEMPLATES["gemma"], [Message("system", "be short"), *TALK], "refuses the messages: System role not supported"),
        (TEMPLATES["mistral"], [*TALK, TALK[0], TALK[1]], "refuses the messages: roles must alternate"),
        ("{{ messages[-1].content }}", TALK, "every message once and in order"),
        ("{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}", TALK, "every message once and in order"),
        ("{% for m in messages | reverse %}{{ m.content }}{% endfor %}", TALK, "every message once and in order"),
        ("{{ messages[0].content | lower }}", TALK[:1], "every message once and in order"),
        ("{{ messages[0].content.split('how')[-1] }}", TALK[:1], "changes the text"),
        ("{{ messages[0].content.lstrip('\n') }}", [Message("user", "\nwhat")], "changes the text"),
    ],
)
def test_a_template_that_hides_or_changes_a_message_is_refused(template, talk, said):
    renderer = Renderer(with_template(byte_level, template), chat=True)
    with pytest.raises(RenderError, match=said):
        renderer.render(talk, ("a",))


def test_a_template_with_the_time_in_it(monkeypatch):
    """The template's own text may change while a job runs."""
    tokenizer = with_template(byte_level, "{{ day }} {{ messages[0].content }}.")
    renderer, plain = Renderer(tokenizer, chat=True), tokenizer.apply_chat_template
    for day in ("Monday", "Tuesday"):
        monkeypatch.setattr(tokenizer, "apply_chat_template", functools.partial(plain, day=day))
        assert decode(tokenizer, renderer.prompt_ids("what")) == f"{day} what."


def test_messages_without_a_chat_are_refused(any_tokenizer):
    renderer = Renderer(any_tokenizer)
    fine, refused = renderer.render_many(["what", TALK], [("a",), ("b",)])
    assert fine == renderer.render("what", ("a",))
    assert refused.reason == "messages without a chat template"
    assert "chat=True" in refused.hint


RENDERERS = {
    (kind, separator, chat): Renderer(with_template(make, TEMPLATES["llama-3"]), separator=separator, chat=chat)
    for kind, make in TOKENIZERS.items()
    for separator in ("\n", " ==\n", None)
    for chat in (False, True)
}
CHAINS = st.lists(st.text("ab .\n\t<s>/é", max_size=6), max_size=4)


@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize("separator", ["\n", " ==\n", None])
@pytest.mark.parametrize("kind", TOKENIZERS)
@settings(max_examples=15)
@given(rows=st.lists(st.tuples(st.sampled_from(["a", "b\n", " a</s>"]), CHAINS), max_size=6))
def test_many_chains_are_rendered_as_each_alone(kind, separator, chat, rows):
    renderer = RENDERERS[kind, separator, chat]

    def alone(problem, steps):
        try:
            return renderer.render(problem, steps)
        except RenderError as error:
            return str(error)

    many = renderer.render_many([problem for problem, _ in rows], [steps for _, steps in rows])
    assert [r if isinstance(r, Rendered) else str(r) for r in many] == [alone(*row) for row in rows]
    assert [len(r.step_ends) for r in many if isinstance(r, Rendered)] == [
        len(steps) for r, (_, steps) in zip(many, rows, strict=True) if isinstance(r, Rendered)
    ]


@pytest.mark.parametrize("key", RENDERERS, ids=str)
def test_a_renderer_can_be_pickled(key):
    """Before its first use and after it, when it has cached ids."""
    used = RENDERERS[key]
    for renderer in (Renderer(used.tokenizer, separator=used.separator, chat=used.chat), used):
        copied = pickle.loads(pickle.dumps(renderer))
        assert copied.render(PROBLEM, STEPS) == renderer.render(PROBLEM, STEPS)


def test_a_chain_that_cannot_be_rendered_affects_no_other():
    renderer = Renderer(with_template(byte_level, TEMPLATES["gemma"]), chat=True)
    good, blank, refused, last = renderer.render_many(
        ["what", "what", [Message("system", "be short"), *TALK], TALK], [("a",), ("a", " \n"), ("a",), ()]
    )
    assert (good, last) == (renderer.render("what", ("a",)), renderer.render(TALK, ()))
    assert (type(blank), str(blank)) == (RenderError, r"step 2 has no token: ' \n'")
    assert (type(refused), "System role" in str(refused)) == (RenderError, True)


def test_problems_and_chains_that_differ_in_number_are_refused(tokenizer):
    with pytest.raises(ValueError, match="shorter"):
        Renderer(tokenizer).render_many(["a", "b"], [("c",)])


def test_many_are_tokenized_in_one_call_and_each_piece_once(monkeypatch, tokenizer):
    renderer, seen = Renderer(tokenizer), []
    renderer.render(PROBLEM, STEPS)
    call = rendering._bare_ids
    monkeypatch.setattr(rendering, "_bare_ids", lambda own, texts, **k: seen.append(texts) or call(own, texts, **k))
    renderer.render_many([PROBLEM, PROBLEM, "b"], [STEPS, STEPS[:2], ("a", "a\n")])
    (texts,) = seen
    assert len(texts) == len(set(texts)) == 2 + 4 + 1 + 1, (
        "problems, steps, and the empty text that measures the anchor"
    )
