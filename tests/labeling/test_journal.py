"""The journal survives a kill, a torn line, a full disk and a second process."""

import errno
import os
from contextlib import contextmanager
from pathlib import Path

import pytest

from prm.data.drops import drops_path
from prm.data.files import read_records
from prm.data.manifest import Job
from prm.data.records import Drop, Rollout, StepLabels
from prm.errors import InputError, OutputError
from prm.labeling.journal import Journal, rollouts_path, unfinished


def rollout(chain="c", step=0, draw=0, outcome="correct"):
    return Rollout(chain, step, draw, "The answer is 4\n", 5, "stop", outcome)


def labels(chain="c"):
    return StepLabels(chain, "p", (1, 0), (0, 0), (0, 0), ("drawn", "answer"), "incorrect")


EVENTS = [
    rollout("a"),
    rollout("b", outcome="no_answer"),
    labels("a"),
    Drop("x", "empty chain"),
    rollout("b", 0, 1),
    labels("b"),
    rollout("c"),
]


@pytest.fixture
def out(tmp_path):
    return tmp_path / "new" / "labels.jsonl"


def job(out, seed=0):
    return Job(out, "label", {"seed": seed}, {}, unfinished(out))


@contextmanager
def open_journal(out, seed=0, **options):
    with job(out, seed).taken_up(**options), Journal(out) as journal:
        yield journal


def write(out, events):
    with open_journal(out) as journal:
        for event in events:
            journal.append(event)


def read(out, done=("a", "x", "b"), following=("c",)):
    with open_journal(out) as journal:
        return journal, journal.earlier(done, following)


def test_events_are_read_back(out):
    write(out, EVENTS)
    journal, earlier = read(out)
    assert journal.finished == 3
    assert earlier == {"c": [rollout("c")]}
    tally = journal.tally
    assert (tally.rollouts, tally.tokens, tally.undecided.total(), tally.labeled, tally.dropped) == (4, 20, 1, 2, 1)
    assert tally.reasons == {"empty chain": 1}
    assert tally.saved_share == pytest.approx(1 - 2 / 16)
    assert journal.cut == 0


def test_rows_that_are_no_chain_are_written_once_and_count_as_none(out):
    strange = [Drop("chains.jsonl:3", "row that cannot be used")]
    for events in (EVENTS, []):
        with job(out).taken_up(), Journal(out, strange=strange) as journal:
            for event in events:
                journal.append(event)
            assert journal.finished == 3
    with job(out).taken_up(), Journal(out, strange=strange) as journal:
        journal.earlier(("a", "x", "b"), ("c",))
        assert journal.tally.reasons == {"empty chain": 1}
    assert [drop.id for drop in read_records(drops_path(out), Drop)] == ["chains.jsonl:3", "x"]


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_half_written_line_is_removed_and_the_rest_kept(out, cut):
    write(out, EVENTS)
    path = rollouts_path(out)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    journal, earlier = read(out)
    assert journal.cut > 0
    assert earlier == {}
    assert journal.tally.rollouts == 3
    write(out, [rollout("c")])
    assert path.read_bytes() == whole


def test_a_line_broken_in_the_middle_is_named(out):
    write(out, EVENTS)
    path = rollouts_path(out)
    path.write_bytes(b"{" + path.read_bytes())
    with pytest.raises(InputError, match=r"rollouts\.jsonl:1"):
        read(out)


def test_the_labels_become_the_output_and_empty_drops_leave_no_file(out):
    with open_journal(out) as journal:
        journal.append(labels("a"))
        with pytest.raises(OutputError, match="1 of 2 chains"):
            journal.finish(2)
        assert not out.exists()
        journal.finish(1)
    assert out.exists()
    assert not drops_path(out).exists()
    assert rollouts_path(out).exists()


def test_overwrite_discards_everything(out):
    write(out, EVENTS)
    with open_journal(out, overwrite=True) as journal:
        assert journal.finished == 0
        assert journal.earlier((), {"c"}) == {}


def test_two_processes_on_one_output_refuse_each_other(out):
    with open_journal(out), pytest.raises(OutputError, match="another process is"), open_journal(out):
        pass
    with open_journal(out) as journal:
        journal.finish(0)
        job(out).finish({}, 0.0)
    with pytest.raises(OutputError, match="just made it"), open_journal(out):
        pass


def test_a_job_killed_between_the_output_and_its_manifest_can_be_resumed(out):
    with open_journal(out) as journal:
        journal.append(labels("a"))
        journal.finish(1)
    assert out.exists()
    assert not job(out).is_done()
    with open_journal(out) as journal:
        assert journal.finished == 1
        assert not out.exists()


def test_a_killed_overwrite_does_not_pass_the_old_output_off_as_the_new_one(out):
    with open_journal(out) as journal:
        journal.finish(0)
        job(out).finish({}, 0.0)
    with open_journal(out, seed=1, overwrite=True):
        assert not out.exists()
    assert not job(out, seed=1).is_done()


def test_rollouts_of_unknown_chains_are_noticed(out):
    """Otherwise they would be drawn again and counted twice."""
    write(out, EVENTS)
    with open_journal(out) as journal, pytest.raises(OutputError, match="do not belong to the first"):
        journal.earlier(("a", "x", "b"), {"d"})


def test_a_file_that_cannot_be_opened_is_one_message(out, monkeypatch):
    write(out, EVENTS)
    rollouts_path(out).unlink()
    rollouts_path(out).mkdir()
    with pytest.raises(OutputError, match="Is a directory"), open_journal(out):
        pass


def test_other_settings_under_the_same_output_are_refused(out):
    write(out, EVENTS)
    with pytest.raises(OutputError, match="other settings"), open_journal(out, seed=1):
        pass
    with open_journal(out, seed=1, overwrite=True) as journal:
        assert journal.finished == 0


def test_a_job_that_wrote_nothing_does_not_block_another(out):
    """A mistyped model must not stand in the way of the right one."""
    write(out, [])
    with open_journal(out, seed=1) as journal:
        assert journal.finished == 0


@pytest.mark.parametrize("lost", [0, 2], ids=["labels", "drops"])
def test_a_missing_file_is_noticed(out, lost):
    """Otherwise the first chains would be taken for done, whatever they are."""
    write(out, EVENTS)
    unfinished(out)[lost].unlink()
    with pytest.raises(OutputError, match="do not belong to the first"):
        read(out, done=("a", "x") if lost == 2 else ("a",))


def test_an_error_in_the_work_is_not_hidden_and_the_lock_is_freed(out, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def work(patched):
        with open_journal(out):
            patched.setattr(os, "fsync", full)
            raise KeyError

    with monkeypatch.context() as patched, pytest.raises(KeyError):
        work(patched)
    with open_journal(out):
        pass


def test_a_full_disk_never_costs_the_manifest(out, monkeypatch):
    write(out, EVENTS)
    before = job(out).manifest.read_bytes()
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(OutputError):
        job(out).finish({}, 0.0)
    assert job(out).manifest.read_bytes() == before


def test_a_full_disk_is_one_message_and_earlier_events_are_kept(out, monkeypatch):
    """Half of the last line still fits on the disk."""
    write(out, EVENTS[:2])
    before = rollouts_path(out).read_bytes()
    with open_journal(out) as journal:
        file = journal._rollouts._file

        class Full:
            def write(self, data):
                if len(data) < 20:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return file.write(data[: len(data) // 2])

            def __getattr__(self, name):
                return getattr(file, name)

        journal._rollouts._file = Full()
        with pytest.raises(OutputError, match="No space left"):
            journal.append(rollout("z"))
    assert rollouts_path(out).read_bytes().startswith(before)
    journal, _ = read(out, done=(), following=("a", "b"))
    assert journal.cut > 0
    assert rollouts_path(out).read_bytes() == before
