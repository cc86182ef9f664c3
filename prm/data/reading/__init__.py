"""The one place that reads rows from files: suites, scores, problems, chains, labels, preferences, other tools' rows.

    for number, row in read_rows(Path("gsm8k.csv")): ...                        # strict: ends at a row that is none
    for stem, number, row in read_source("Qwen/ProcessBench"): ...              # a RowError in place of such a row

`lines`, `forms`, `containers` and `sources` say what is read: lines of JSON, the other forms of a file, the rows within
one JSON value, and folders and the Hub. Lines of JSON and tables are read piece by piece.
"""

from .containers import rows_by_key, rows_in
from .forms import ending
from .lines import NOT_JSON, NOT_TEXT, numbered_lines
from .sources import files_in, read_each_row, read_rows, read_source, sound, splits_in
from .store import RowStore

__all__ = [
    "NOT_JSON",
    "NOT_TEXT",
    "RowStore",
    "ending",
    "files_in",
    "numbered_lines",
    "read_each_row",
    "read_rows",
    "read_source",
    "rows_by_key",
    "rows_in",
    "sound",
    "splits_in",
]
