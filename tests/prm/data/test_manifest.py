"""Work once done is known again, and never mixed with other work; drops are written down."""

import json
import time
from contextlib import nullcontext

import pytest

from prm.data import manifest
from prm.data.drops import Drops
from prm.data.manifest import Job
from prm.data.writing import whole_directory, write_bytes, write_lines
from prm.errors import OutputError
from prm.models.checkpoint import Metadata


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text("one")
    return path


def finished(tmp_path, source, **settings):
    job = Job(tmp_path / "out.jsonl", "label", {"k": 8, **settings}, {"chains": source})
    assert not job.is_done()
    job.output.write_text("made")
    job.finish({"chains": 3}, time.time() - 2)
    return job


def again(job, **change):
    made = {"command": job.command, "settings": job.settings, "inputs": job.inputs}
    return Job(job.output, **(made | change))


def test_the_same_work_is_known_again(tmp_path, source):
    job = finished(tmp_path, source)
    assert again(job).is_done()
    assert again(job).counts() == {"chains": 3}
    stored = json.loads(job.manifest.read_text())
    assert stored["seconds"] >= 2
    assert stored["versions"]["python"]


def test_settings_that_json_writes_otherwise_are_known_again(tmp_path, source):
    job = finished(tmp_path, source, path=tmp_path, pair=(1, 2))
    assert again(job).is_done()


def test_a_fact_that_became_known_holds_for_every_later_run(tmp_path, source):
    job = Job(tmp_path / "out.jsonl", "label", {}, {"chains": source}, (tmp_path / "out.jsonl.partial",))
    with job.taken_up():
        job.settle("served", {"model": "a"})
        job.settle("endpoints", ["one"], may_change=True)
        job.unfinished[0].write_text("work")
    with job.taken_up():
        job.settle("served", {"model": "a"})
        job.settle("endpoints", ["two"], may_change=True)
        with pytest.raises(OutputError, match=r"out\.jsonl: was begun with served .*'a'.*, not .*'b'"):
            job.settle("served", {"model": "b"})
        job.unfinished[0].replace(job.output)
        job.finish({}, time.time())
    assert job.is_done()
    assert json.loads(job.manifest.read_text())["facts"] == {"served": {"model": "a"}, "endpoints": ["two"]}
    with job.taken_up(overwrite=True):
        job.settle("served", {"model": "b"})


@pytest.mark.parametrize(
    ("change", "word"),
    [({"settings": {"k": 4}}, "settings"), ({"command": "score"}, "command"), ({"inputs": {}}, "inputs")],
)
def test_other_work_is_refused_unless_told(tmp_path, source, change, word):
    other = again(finished(tmp_path, source), **change)
    with pytest.raises(OutputError, match=rf"out\.jsonl: .*{word}") as caught:
        other.is_done()
    assert "--overwrite" in caught.value.hint
    assert not other.is_done(overwrite=True)


def test_a_changed_input_is_noticed_by_its_content(tmp_path, source):
    job = finished(tmp_path, source)
    source.write_text("one")
    assert again(job).is_done()
    source.write_text("two")
    with pytest.raises(OutputError, match="inputs"):
        again(job).is_done()


def test_a_changed_checkpoint_is_noticed(tmp_path):
    directory = tmp_path / "prm"
    directory.mkdir()
    (directory / "model.safetensors").write_bytes(b"1")
    job = finished(tmp_path, directory)
    assert again(job).is_done()
    (directory / "model.safetensors").write_bytes(b"2")
    with pytest.raises(OutputError, match="inputs"):
        again(job).is_done()


@pytest.mark.parametrize("text", [None, "{", "[]"])
def test_an_output_that_nothing_is_known_of_is_refused(tmp_path, source, text):
    job = finished(tmp_path, source)
    job.manifest.unlink() if text is None else job.manifest.write_text(text)
    with pytest.raises(OutputError, match="already exists"):
        again(job).is_done()


def test_drops_are_written_beside_the_output_and_counted(tmp_path):
    drops, out = Drops(), tmp_path / "c.jsonl"
    drops.add("a", "empty chain")
    drops.add("b", "too long", "900 tokens")
    drops.add("c", "empty chain")
    assert len(drops) == 3
    assert drops.by_reason() == {"empty chain": 2, "too long": 1}
    path = drops.write(out)
    assert path == tmp_path / "c.jsonl.dropped.jsonl"
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["a", "b", "c"]


def test_no_drops_no_file_and_no_stale_one(tmp_path):
    out = tmp_path / "c.jsonl"
    stale = tmp_path / "c.jsonl.dropped.jsonl"
    stale.write_text("old")
    assert Drops().write(out) is None
    assert not stale.exists()


def test_another_model_under_the_same_name_is_noticed(tmp_path, monkeypatch):
    """Weights too large to be read whole are known by their size, beginning and end."""
    monkeypatch.setattr(manifest, "_LARGE", 8)
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    for weights in (b"0123456789abcdef", b"0123", b"0123456789abcdeX", b"X123456789abcdef", b"0123456789abcde"):
        (model / "model.safetensors").write_bytes(weights)
        job = Job(tmp_path / "out.jsonl", "label", {}, {"model": model})
        with pytest.raises(OutputError, match="inputs") if job.output.exists() else nullcontext():
            assert not job.is_done()
        job.output.write_text("made")
        job.finish({}, time.time())
        assert Job(job.output, "label", {}, {"model": model}).is_done()


# What must never be lost.


def resumable(tmp_path, source, **settings):
    return Job(tmp_path / "out.jsonl", "label", settings, {"chains": source}, (tmp_path / "out.jsonl.partial",))


def test_what_is_overwritten_comes_back_if_the_job_fails_before_any_work(tmp_path, source):
    job = resumable(tmp_path, source, k=8)
    job.output.write_text("old")
    job.finish({"chains": 3}, time.time())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(RuntimeError), resumable(tmp_path, source, k=9).taken_up(overwrite=True):
        raise RuntimeError("no such model")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_is_overwritten_is_kept_aside_until_it_is_replaced(tmp_path, source):
    job = resumable(tmp_path, source, k=8)
    job.output.write_text("old")
    job.finish({"chains": 3}, time.time())
    new = resumable(tmp_path, source, k=9)

    def killed_half_way():
        with new.taken_up(overwrite=True):
            new.unfinished[0].write_text("half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        killed_half_way()
    assert (tmp_path / "out.jsonl.replaced").read_text() == "old"
    again = resumable(tmp_path, source, k=9)
    assert not again.is_done()
    with again.taken_up():
        assert new.unfinished[0].read_text() == "half", "the new work goes on, not the old output"
        new.unfinished[0].replace(again.output)
        again.finish({}, time.time())
    assert again.output.read_text() == "half"


def write_file(path, text):
    write_lines(path, [text])


def write_picture(path, text):
    write_bytes(path, text.encode())


def write_folder(path, text):
    with whole_directory(path) as partial:
        partial.mkdir()
        (partial / "rows.jsonl").write_text(text)


@pytest.mark.parametrize("write", [write_file, write_picture, write_folder])
def test_a_job_that_dies_right_after_it_replaced_an_output_leaves_no_manifest_of_another_job(tmp_path, source, write):
    def made(job, overwrite, dies):
        with pytest.raises(SystemExit) if dies else nullcontext(), job.taken_up(overwrite=overwrite):
            write(job.output, f"by {job.settings}")
            if dies:
                raise SystemExit
            job.finish({}, time.time())

    old, new = (Job(tmp_path / "out", "rerank", {"aggregate": name}, {"chains": source}) for name in ("min", "last"))
    made(old, overwrite=False, dies=True)
    assert not old.is_done(), "it is done again, without being told to overwrite"
    made(old, overwrite=False, dies=False)
    assert old.is_done()
    made(new, overwrite=True, dies=True)
    with pytest.raises(OutputError, match=r"made with other settings \(aggregate\)"):
        old.is_done()
    assert not new.is_done()
    made(new, overwrite=False, dies=False)
    assert new.is_done()


@pytest.mark.parametrize("write", [write_file, write_picture, write_folder])
def test_a_job_that_fails_before_it_replaces_an_output_leaves_it_as_it_was(tmp_path, source, write):
    old, new = (Job(tmp_path / "out", "rerank", {"aggregate": name}, {"chains": source}) for name in ("min", "last"))
    write(old.output, "old")
    old.finish({}, time.time())
    with pytest.raises(RuntimeError), new.taken_up(overwrite=True):
        raise RuntimeError("no such model")
    assert old.is_done()


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_output_that_is_an_input_is_refused(tmp_path, source, overwrite):
    for output, unfinished in ((source, ()), (tmp_path, ()), (tmp_path / "o", (source,))):
        job = Job(output, "score", {}, {"chains": source}, unfinished)
        with pytest.raises(OutputError, match="holds the input 'chains'"):
            job.is_done(overwrite=overwrite)
    assert source.read_text() == "one"


def test_a_stored_calibration_makes_no_other_model(tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    Metadata("prm").save(model)
    before = manifest.content_digest(model)
    stored = {"method": "temperature", "scale": "probability", "parameters": {"temperature": 2.0}, "aggregator": None}
    Metadata("prm", calibration={"step": stored}).save(model)
    assert manifest.content_digest(model) == before
    Metadata("prm", separator="\n\n").save(model)
    assert manifest.content_digest(model) != before
