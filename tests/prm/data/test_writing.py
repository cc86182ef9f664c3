"""What is written is whole or not there; what grows loses nothing but what was half written."""

from contextlib import closing

import pytest

from prm.data.writing import GrowingFile, hold, partial_path, whole_directory, write_lines
from prm.errors import OutputError


def test_lines_are_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "file"
    assert write_lines(path, ["a", "ä"]) == 2
    assert path.read_bytes() == "a\nä\n".encode()

    def stops():
        yield "b"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_lines(path, stops())
    assert path.read_bytes() == "a\nä\n".encode()
    assert not partial_path(path).exists()


def test_what_the_system_refuses_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    for write in (lambda p: write_lines(p, ["a"]), GrowingFile, lambda p: hold(p).__enter__()):
        with pytest.raises(OutputError, match="cannot be written: "):
            write(tmp_path / "file" / "below")


@pytest.mark.parametrize("left", range(13))
def test_a_growing_file_keeps_whole_groups(tmp_path, left):
    """Two groups of two lines of three bytes, cut anywhere."""
    path = tmp_path / "file"
    path.write_bytes(b"a1\na2\nb1\nb2\n"[:left])
    with closing(GrowingFile(path, group=2)) as file:
        assert (file.count, file.cut) == (2 * (left // 6), left % 6)
        file.append("c1", "c2")
        assert file.count == 2 * (left // 6) + 2
    assert path.read_bytes() == b"a1\na2\nb1\nb2\n"[: 6 * (left // 6)] + b"c1\nc2\n"


def test_a_growing_file_becomes_the_output(tmp_path):
    with closing(GrowingFile(tmp_path / "file.partial")) as file:
        file.append("a")
        file.become(tmp_path / "file")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_an_output_is_held_by_one(tmp_path):
    with hold(tmp_path / "out"), pytest.raises(OutputError, match="another process"), hold(tmp_path / "out"):
        pass
    with hold(tmp_path / "out"):
        pass


def test_a_directory_takes_the_place_of_the_old_one_at_the_end(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "old").touch()
    with pytest.raises(OutputError), whole_directory(out) as partial:
        (partial / "no" / "such").touch()
    assert (out / "old").exists()
    with whole_directory(out) as partial:
        partial.mkdir()
        (partial / "new").touch()
    assert [p.name for p in out.iterdir()] == ["new"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"], "nothing is left behind"


def test_a_file_is_not_replaced_by_a_directory(tmp_path):
    (tmp_path / "out").write_text("thesis")
    with pytest.raises(OutputError, match="is a file"), whole_directory(tmp_path / "out"):
        pass
    assert (tmp_path / "out").read_text() == "thesis"
