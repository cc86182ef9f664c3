"""Files as people have them: each kind is read, or refused with one line that says what it is and what helps."""

import gzip
import io
import json
import lzma
import zipfile

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from prm.data.drops import Drops
from prm.data.files import ProblemFile, read_chains, read_problems, read_records
from prm.data.formats import read_public, tell_format
from prm.data.preferences import read_preferences
from prm.data.reading import RowStore, read_each_row, read_rows, read_source, splits_in
from prm.data.records import Problem, StepLabels
from prm.errors import InputError

ROWS = [{"question": "1 + 1?", "answer": "2"}, {"question": "2 + 2?\nSay it.", "answer": "4"}]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
MARK = b"\xef\xbb\xbf"


def zipped(members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def of_arrow(new):
    file, table = io.BytesIO(), pa.Table.from_pylist(ROWS)
    with new(file, table.schema) as writer:
        writer.write_table(table)
    return file.getvalue()


def of_parquet(rows=ROWS):
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


def of_csv(rows=ROWS, **how):
    return pd.DataFrame(rows).to_csv(index=False, **how).encode()


COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}
READ = {
    "lines": ("r.jsonl", LINES),
    "lines after a byte order mark": ("r.jsonl", MARK + LINES),
    "lines that end as in Windows": ("r.jsonl", LINES.replace(b"\n", b"\r\n")),
    "a list": ("r.json", json.dumps(ROWS).encode()),
    "a list after a byte order mark": ("r.json", MARK + json.dumps(ROWS, indent=1).encode()),
    "a list called lines": ("r.jsonl", json.dumps(ROWS, indent=1).encode()),
    "lines called a list": ("r.json", LINES),
    "another ending": ("r.ndjson", LINES),
    "capital letters": ("R.JSONL", LINES),
    "no ending": ("rows", LINES),
    "gzip": ("r.jsonl.gz", gzip.compress(LINES)),
    "gzip by its content": ("r.jsonl", gzip.compress(LINES)),
    "a list in gzip": ("r.json.gz", gzip.compress(json.dumps(ROWS).encode())),
    "an object around a list": ("r.json", json.dumps({"version": 1, "data": ROWS}).encode()),
    "pages of the Hub's server": (
        "r.json", json.dumps({"features": [], "rows": [{"row_idx": i, "row": r} for i, r in enumerate(ROWS)]}).encode()
    ),
    "columns": ("r.json", json.dumps(COLUMNS).encode()),
    "columns of pandas": ("r.json", pd.DataFrame(ROWS).to_json().encode()),
    "csv": ("r.csv", of_csv()),
    "csv after a byte order mark": ("r.csv", MARK + of_csv()),
    "csv with semicolons": ("r.csv", of_csv(sep=";")),
    "tab-separated": ("r.tsv", of_csv(sep="\t")),
    "csv in gzip": ("r.csv.gz", gzip.compress(of_csv())),
    "parquet": ("r.parquet", of_parquet()),
    "parquet in gzip": ("r.parquet.gz", gzip.compress(of_parquet())),
    "arrow, a stream": ("r.arrow", of_arrow(pa.ipc.new_stream)),
    "arrow, a file": ("r.arrow", of_arrow(pa.ipc.new_file)),
    "zip": ("r.zip", zipped({"r.jsonl": LINES})),
    "zip with parquet": ("r.zip", zipped({"r.parquet": of_parquet()})),
    "zip with what a Mac adds": (
        "r.zip", zipped({"data/r.jsonl": LINES, "data/README.md": "no rows", "__MACOSX/r.jsonl": "x"})
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "content"), READ.values(), ids=READ)
def test_each_kind_is_read_by_all(tmp_path, name, content):
    """By the strict reader, the one of suites, and the one that looks rows up; numbered from 1."""
    path = tmp_path / name
    path.write_bytes(content)
    assert list(read_rows(path)) == [(1, ROWS[0]), (2, ROWS[1])]
    assert [(number, row) for _, number, row in read_source(path)] == [(1, ROWS[0]), (2, ROWS[1])]
    store = RowStore(path)
    assert [store.at(number, start) for number, start, _ in store] == ROWS
    problems = ProblemFile(path)
    assert [problem.answer for problem in problems.values()] == ["2", "4"]
    assert [problem.text for problem in read_problems(path)] == [row["question"] for row in ROWS]


REFUSED = {
    "bzip2": ("r.jsonl.bz2", b"BZh91AY&SY", "is compressed with bzip2"),
    "xz": ("r.jsonl.xz", lzma.compress(LINES), "is compressed with xz"),
    "Zstandard": ("r.jsonl.zst", b"\x28\xb5\x2f\xfd\x24\x00", "is compressed with Zstandard"),
    "UTF-16": ("r.jsonl", LINES.decode().encode("utf-16"), "is UTF-16 text"),
    "UTF-16 without a mark": ("r.csv", of_csv().decode().encode("utf-16-le"), "is not UTF-8 text"),
    "a pickle": ("r.pkl", b"\x80\x04\x95", "may be a pickle"),
    "a pointer": ("r.parquet", b"version https://git-lfs.github.com/spec/v1\n", "is only a pointer of Git LFS"),
    "text": ("r.txt", b"no rows", "is not a file of rows"),
    "a table by name only": ("r.parquet", LINES, "is not a parquet file"),
    "half a table": ("r.parquet", of_parquet()[:100], "cannot be read"),
    "half an archive": ("r.zip", zipped({"r.jsonl": LINES})[:40], "cannot be read"),
    "half of gzip": ("r.jsonl.gz", gzip.compress(LINES * 99)[:30], "cannot be read"),
    "half a list": ("r.json", json.dumps(ROWS, indent=1).encode()[:-20], "cannot be read: not a JSON object"),
    "Latin letters": ("r.json", b'[\n{"question": "caf\xe9"}\n]', "cannot be read: text that is not UTF-8"),
    "an empty archive": ("r.zip", zipped({}), "holds no file, and no file of rows"),
    "an archive without rows": ("r.zip", zipped({"README.md": "x"}), "holds README.md, and no file of rows"),
    "an archive in one": ("r.zip", zipped({"r.zip": zipped({"r.jsonl": LINES})}), "is an archive in an archive"),
    "columns of one name": ("r.csv", b"question,question\na,b\n", "two columns called 'question'"),
}


@pytest.mark.parametrize(("name", "content", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_read_is_said_in_one_line(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    for read in (read_rows, read_source, RowStore):
        with pytest.raises(InputError, match=message) as caught:
            list(read(path))
        assert str(caught.value).startswith(str(path))
        assert caught.value.hint
        assert "\n" not in str(caught.value)


def test_an_empty_file_has_no_rows(tmp_path):
    for name in ("r.jsonl", "r.json", "r.csv", "r.parquet", "r"):
        (tmp_path / name).write_bytes(b"")
        assert list(read_rows(tmp_path / name)) == []


def test_a_row_that_cannot_be_read_costs_no_other(tmp_path):
    """Lines are numbered with the blank ones; a lone surrogate and a broken row are named, wherever they stand."""
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"id": 1}\n\n{"id": "\\ud800"}\n{"id": \n{"id": "\xff"}\n7\n{"id": NaN}\n')
    found = [(number, getattr(row, "reason", row)) for number, row in read_each_row(path)]
    assert found[:5] == [
        (1, {"id": 1}),
        (3, "text that is not UTF-8"),
        (4, "not a JSON object"),
        (5, "text that is not UTF-8"),
        (6, "not a JSON object"),
    ]
    assert found[5][0] == 7
    with pytest.raises(InputError, match=r"r\.jsonl:3: cannot be read: text that is not UTF-8"):
        list(read_rows(path))
    path.write_text('[{"id": 1}, {"id": "\\ud800"}, {"id": 3}]')
    assert [getattr(row, "reason", row) for _, row in read_each_row(path)] == [
        {"id": 1}, "text that is not UTF-8", {"id": 3},
    ]  # fmt: skip
    path.write_text('{broken\n{"id": 2}\n')
    assert [getattr(row, "reason", row) for _, row in read_each_row(path)] == ["not a JSON object", {"id": 2}]


def test_cells_of_a_table(tmp_path):
    """Texts but for lists as JSON writes them; an interval stays one; empty is null; a short row is named."""
    path = tmp_path / "r.csv"
    path.write_text('id,steps,answer\n1,"[""a"", ""b""]","[1, 2]"\n2,,"x\n\ny"\n3,a\n', encoding="utf-8")
    rows = [row for _, row in read_each_row(path)]
    assert rows[:2] == [
        {"id": "1", "steps": ["a", "b"], "answer": "[1, 2]"},
        {"id": "2", "steps": None, "answer": "x\n\ny"},
    ]
    assert str(rows[2]) == "more or fewer cells than the header: 2, 3"


def test_one_row_is_not_taken_for_many(tmp_path):
    """Objects of lists that are rows: messages, lists of steps, PRM800K's objects."""
    turn = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    for row in (
        {"chosen": turn, "rejected": turn},
        {"conversations": turn},
        {"prompt": turn[:1], "chosen": turn, "rejected": turn},
        {"prompt": "q", "completions": ["a", "b"], "labels": [True, False]},
        {"question": {"problem": "q"}, "label": {"steps": []}},
        {"question": "q", "results": [{"x": 1}]},
    ):
        path = tmp_path / "r.json"
        path.write_text(json.dumps(row))
        assert list(read_rows(path)) == [(1, row)]


def test_tables_hold_lists_and_objects(tmp_path):
    row = {"id": "a", "steps": [{"text": "x", "scores": [0.5]}], "meta": {"k": None}}
    (tmp_path / "r.parquet").write_bytes(of_parquet([row]))
    assert list(read_rows(tmp_path / "r.parquet")) == [(1, row)]


def test_rows_by_their_ids(tmp_path):
    (tmp_path / "r.json").write_text(json.dumps({"a": ROWS[0], "b": ROWS[1]}))
    assert [problem.id for problem in read_problems(tmp_path / "r.json")] == ["a", "b"]


def test_several_files_in_an_archive_are_read_as_in_a_folder(tmp_path):
    path = tmp_path / "r.zip"
    path.write_bytes(zipped({"b.csv": of_csv(), "a.jsonl": LINES}))
    assert [(stem, number) for stem, number, _ in read_source(path)] == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]


def test_a_folder_of_mixed_files(tmp_path):
    """All of its rows, numbered on; not what only describes them, nor tables as text beside them."""
    (tmp_path / "a-00000-of-00002.jsonl").write_bytes(LINES)
    (tmp_path / "a-00001-of-00002.parquet").write_bytes(of_parquet())
    for name in ("README.md", ".hidden.jsonl", "dataset_info.json", "a.jsonl.dropped.jsonl", "a.jsonl.manifest.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "summary.csv").write_text("x,y\n1,2\n")
    assert [number for number, _ in read_rows(tmp_path)] == [1, 2, 3, 4]
    assert [(stem, number) for stem, number, _ in read_source(tmp_path)] == [("a", 1), ("a", 2), ("a", 3), ("a", 4)]
    assert len(ProblemFile(tmp_path)) == 4


def test_rows_below_a_folder(tmp_path):
    (tmp_path / "main").mkdir()
    (tmp_path / "main" / "test.jsonl").write_bytes(LINES)
    assert len(list(read_rows(tmp_path))) == 2
    (tmp_path / "socratic").mkdir()
    (tmp_path / "socratic" / "test.jsonl").write_bytes(LINES)
    with pytest.raises(InputError, match="holds rows in several folders: main, socratic"):
        list(read_rows(tmp_path))


def test_several_splits_are_not_mixed_in_silence(tmp_path):
    (tmp_path / "data").mkdir()
    for split in ("test", "train"):
        (tmp_path / "data" / f"{split}-00000-of-00001.parquet").write_bytes(of_parquet())
    assert splits_in(tmp_path) == ["test", "train"]
    with pytest.raises(InputError, match="holds the splits test, train"):
        list(read_problems(tmp_path))
    assert {stem for stem, _, _ in read_source(tmp_path)} == {"test", "train"}


def test_what_we_export_is_read_back(tmp_path):
    datasets = pytest.importorskip("datasets")
    row = {"prompt": "1 + 1?", "completions": ["2\n"], "labels": [True]}
    datasets.Dataset.from_list([row]).save_to_disk(tmp_path / "rows")
    assert tell_format(tmp_path / "rows") == "trl"
    ((problem, chain, labels),) = read_public(tmp_path / "rows", "trl")
    assert (problem.text, chain.steps, labels.given) == ("1 + 1?", ("2\n",), (True,))
    (arrow,) = (tmp_path / "rows").glob("*.arrow")
    assert len(list(read_public(arrow, "trl"))) == 1


def test_an_unreadable_row_of_another_tool_is_dropped(tmp_path):
    path, drops = tmp_path / "r.jsonl", Drops()
    path.write_text('{"prompt": "q", "completions": ["a"], "labels": [true]}\n{"prompt": "\\ud800"}\n')
    assert len(list(read_public(path, "trl", drops=drops))) == 1
    assert [(drop.id, drop.reason) for drop in drops] == [("r:2", "text that is not UTF-8")]


def test_preferences_as_a_list_and_as_columns(tmp_path):
    rows = [{"prompt": "q", "chosen": "a", "rejected": "b"}, {"prompt": "r", "chosen": "a", "rejected": "b"}]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    for value in (rows, columns, {"data": rows}):
        (tmp_path / "r.json").write_text(json.dumps(value))
        assert [p.context for p in read_preferences(tmp_path / "r.json", Drops())] == ["q", "r"]


def test_records_of_ours_in_any_form(tmp_path):
    labels = StepLabels("c", "p", (1,), (0,), (0,), ("human",), "correct")
    row = {name: getattr(labels, name) for name in StepLabels.__slots__ if getattr(labels, name) is not None}
    (tmp_path / "l.json").write_text(json.dumps([row]))
    (tmp_path / "l.parquet").write_bytes(of_parquet([{k: v for k, v in row.items() if v != ()}]))
    for name in ("l.json", "l.parquet"):
        assert list(read_records(tmp_path / name, StepLabels)) == [labels]


def test_ids_that_are_numbers_here_and_texts_there(tmp_path):
    (tmp_path / "p.jsonl").write_text('{"id": 7, "question": "q", "answer": "1"}\n')
    (tmp_path / "c.csv").write_text("problem_id,solution\n7,one\n")
    assert list(read_problems(tmp_path / "p.jsonl")) == [Problem("7", "q", "1")]
    assert [chain.problem_id for chain in read_chains(tmp_path / "c.csv")] == ["7"]
