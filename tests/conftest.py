"""Tokenizers and models of a few lines, made in the test: nothing is downloaded. And the command, in this process."""

import functools
import os
import sys

import pytest
import torch
from hypothesis import HealthCheck, settings
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's 15 starves its workers where anything else is busy
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")  # on a busy machine an example may take a second


LONGEST = (
    "test_engine_way.py", "test_verifiers_workers.py", "test_memory.py", "test_job.py", "test_verifiers_pairs.py",
    "test_score_command.py", "test_backbones.py", "test_report_browser.py", "test_parity.py",
)  # fmt: skip
"""Files that take a minute or so."""


def pytest_collection_modifyitems(items):
    """What starts the engine comes first, then the longest files, so that of several workers none waits for another."""

    def place(item):
        long = LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST)
        return item.get_closest_marker("engine") is None, long

    items.sort(key=place)


SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]
CORPUS = ["So 2 + 2 = 4.\n\nThus it is 4.\n", "First.\n\nThen 12 / 3 = 4.\nThe answer is 4.\n\n"] * 8
CHAT = (
    "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def _wrap(tokenizer, *, bos=False, chat=False):
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    names = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)
    wrapped.chat_template = CHAT if chat else None
    return wrapped


def byte_level(**options):
    """Byte-level BPE whose merges run across newlines: ".\\n\\n" is one token, as in Llama 3 or Qwen."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
        max_token_length=4,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return _wrap(tokenizer, **options)


def sentence_piece(*, legacy=False, newline=False, **options):
    """BPE with byte fallback that puts a space before every text, as in Llama 2 (`legacy`: by its normalizer)."""
    characters = "▁abcdefghijklmnopqrstuvwxyzSTF0123456789+-=./,<>" + ("\n" if newline else "")
    merges = [("▁", "a"), ("▁", "b"), ("▁", "1"), ("▁", "t"), ("▁t", "h"), ("i", "s"), ("=", "▁")]
    pieces = SPECIAL + [f"<0x{b:02X}>" for b in range(256)] + list(characters) + [a + b for a, b in merges]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if legacy:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return _wrap(tokenizer, **options)


TOKENIZERS = {
    "byte-level": byte_level,
    "byte-level-bos": functools.partial(byte_level, bos=True),
    "space-always": sentence_piece,
    "space-always-bos": functools.partial(sentence_piece, bos=True),
    "space-always-newline": functools.partial(sentence_piece, newline=True),
    "space-legacy-bos": functools.partial(sentence_piece, legacy=True, bos=True),
}


@pytest.fixture(scope="session", params=TOKENIZERS)
def any_tokenizer(request):
    return TOKENIZERS[request.param]()


@pytest.fixture(scope="session")
def tokenizer():
    return byte_level(bos=True)


@pytest.fixture(scope="session")
def chat_tokenizer():
    return byte_level(chat=True)


def write_prm(directory, base_model, tokenizer):
    """A checkpoint of a PRM with a random head in a directory; its path as text."""
    from prm.models.checkpoint import Metadata, load_model

    load_model(base_model, "prm", seed=1).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    Metadata("prm").save(directory)
    return str(directory)


@pytest.fixture(scope="session")
def base_model(tmp_path_factory, tokenizer):
    """Directory of a random causal model of hidden size 32, with its tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    directory = tmp_path_factory.mktemp("base")
    LlamaForCausalLM(config).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return str(directory)


@pytest.fixture
def prm(monkeypatch, capsys, tmp_path):
    """Run the command in this process, in an empty directory; gives (exit code, stdout, stderr)."""
    from prm import cli

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "1")  # a command would leave its choice behind in this process

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["prm", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        printed = capsys.readouterr()
        return stopped.value.code or 0, printed.out, printed.err

    return run


@pytest.fixture(scope="module")
def one_thread():
    """Torch on one thread: models as small as these are slower on several."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium."""
    from chromium import running

    with running() as started:
        yield started
