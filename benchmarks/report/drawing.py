"""A matplotlib figure as SVG to embed in a page: it uses the page's font and colors, and its ids are unique there.

Colors become CSS variables, so that one drawing suits both light and dark theme. Style attributes, which the page's
content security policy forbids, become presentation attributes.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from prm.plots import new_figure

SERIES = (
    "#0072b2",
    "#d55e00",
    "#00916a",
    "#b8629a",
    "#b57800",
    "#3088c4",
    "#8c8200",
    "#470076",
    "#373413",
    "#610030",
    "#971297",
    "#906a62",
    "#556345",
    "#000d9b",
    "#2e304c",
    "#5f38ca",
    "#7f015d",
    "#603e37",
    "#225052",
    "#9550bb",
    "#529c20",
    "#5f2d79",
    "#798d6f",
    "#424e08",
)
"""Colors of scorers, in order of use: Okabe and Ito 2008, Color Universal Design, shaded; then each as far as may be
from those before. The page has each for a light and a dark theme."""
MUTED, FAINT = "#808080", "#c0c0c0"
_THEME = {
    **{color: f"var(--series-{place})" for place, color in enumerate(SERIES, start=1)},
    MUTED: "var(--muted)",
    FAINT: "var(--faint)",
    "#000000": "currentColor",
}
_RC: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "path.simplify": False,
    "font.size": 12,
    "axes.linewidth": 0.8,
    "axes.edgecolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.major.pad": 5,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}
_COLUMN = 3.35
"""Width of a saved figure in inches: one column of a paper in two."""
_SVG, _LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


@dataclass(frozen=True, slots=True)
class Canvas:
    """Size and margins of a drawing, in CSS pixels at its natural size.

    Fixed margins make neighboring drawings line up; letting matplotlib compute them takes twice as long.
    """

    width: float
    height: float
    left: float = 48
    right: float = 8
    bottom: float = 42
    top: float = 8

    @property
    def margins(self) -> dict[str, float]:
        """Margins in matplotlib's terms: fractions of width and height, from the lower left corner."""
        return {
            "left": self.left / self.width,
            "right": 1 - self.right / self.width,
            "bottom": self.bottom / self.height,
            "top": 1 - self.top / self.height,
        }


def draw(key: str, title: str, canvas: Canvas, paint: Callable[[Any], None]) -> str:
    """Draw an `<svg>` element.

    Args:
        key: unique on the page; prefix of all ids in the drawing.
        title: text for screen readers.
        canvas: size and margins.
        paint: draws on the axes it is given.

    Raises:
        PrmError: matplotlib is not installed.
    """
    figure, image = new_figure(canvas.width / 72, canvas.height / 72), BytesIO()
    with _painted(figure, canvas, paint, {**_RC, "svg.hashsalt": key}):
        figure.savefig(image, format="svg", transparent=True, metadata=_NO_METADATA)
    return _inlined(image.getvalue(), key, title)


def save(stem: Path, title: str, canvas: Canvas, paint: Callable[[Any], None]) -> None:
    """Write `<stem>.svg` and `<stem>.pdf`, as wide as one column of a paper, with text as text.

    An axis without a name gets the title, and named marks a legend.

    Raises:
        PrmError: matplotlib is not installed.
    """
    scale = _COLUMN * 72 / canvas.width
    figure = new_figure(_COLUMN, scale * canvas.height / 72)
    smaller = {"font.size": scale * 12, "axes.linewidth": 0.5, "pdf.fonttype": 42, "svg.hashsalt": stem.name}
    with _painted(figure, canvas, paint, _RC | smaller):
        _explain(figure.axes[0], title)
        figure.savefig(stem.with_name(f"{stem.name}.svg"), metadata=_NO_METADATA, bbox_inches="tight", pad_inches=0.02)
        undated = {"CreationDate": None}
        figure.savefig(stem.with_name(f"{stem.name}.pdf"), metadata=undated, bbox_inches="tight", pad_inches=0.02)


def _explain(axes: Any, title: str) -> None:
    """Say in the figure what the page says around it."""
    axes.set_xlabel(axes.get_xlabel() or legible(title, 60))
    marks, names = axes.get_legend_handles_labels()
    if names:
        place = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 2}
        axes.legend(marks, names, frameon=False, fontsize="small", **place)


@contextmanager
def _painted(figure: Any, canvas: Canvas, paint: Callable[[Any], None], settings: Mapping[str, Any]) -> Iterator[None]:
    """Paint a figure, and hold matplotlib's settings while it is saved."""
    figure.set_layout_engine("none")
    from matplotlib import rc_context

    with rc_context(dict(settings)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the browser has the glyph; only its width is estimated
        paint(figure.subplots(gridspec_kw=canvas.margins))
        yield


def class_of(color: str) -> str:
    """CSS class of a color."""
    return f"series-{SERIES.index(color) + 1}" if color in SERIES else "faint" if color == FAINT else "baseline"


def width_of(texts: Iterable[str], most: int = 26) -> float:
    """Approximate width in pixels of the longest of these names, as `legible` writes it."""
    return 6.4 * max((len(legible(text, most)) for text in texts), default=0)


def legible(text: str, most: int = 26) -> str:
    """A name fit for a drawing: on one line, without control characters, and at most `most` characters long."""
    clean = "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.split()))
    return clean if len(clean) <= most else clean[: most - 1] + "…"


def _inlined(svg: bytes, key: str, title: str) -> str:
    root = ElementTree.fromstring(svg)
    for name in ("metadata", "defs"):  # top level only: the parts of the drawing have their own
        for element in root.findall(_SVG + name):
            if element.find(_SVG + "clipPath") is None:
                root.remove(element)
    referred = set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", svg.decode()))
    for element in root.iter():
        _themed(element, key, referred)
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-labelledby": f"{key}-title"}
    heading = ElementTree.Element("title", {"id": f"{key}-title"})
    heading.text = legible(title, 200)
    root.insert(0, heading)
    return ElementTree.tostring(root, encoding="unicode")


def _themed(element: ElementTree.Element, key: str, referred: set[str]) -> None:
    """Adapt an element to the page: its ids, style and numbers."""
    element.tag = element.tag.removeprefix(_SVG)
    element.tail = None
    if element.tag != "text":
        element.text = None
    old = dict(element.attrib)
    element.attrib.clear()
    for name, value in old.items():
        element.attrib.update(_attributes(name, value, key, referred))


def _attributes(name: str, value: str, key: str, referred: set[str]) -> dict[str, str]:
    if name == "style":
        parts = (part.split(":", 1) for part in value.split(";") if ":" in part)
        return {n.strip(): _THEME.get(v.strip(), v.strip()) for n, v in parts if n.strip() != "font-family"}
    if name == "id":
        return {"id": f"{key}-{value}"} if value in referred else {}
    if name == _LINK:
        return {"href": f"#{key}-{value.removeprefix('#')}"}
    if name == "transform" and value.startswith("rotate(-0 "):
        return {}
    return {name: _short(value).replace("url(#", f"url(#{key}-")}


def _short(value: str) -> str:
    """Round coordinates to a hundredth of a pixel."""
    return " ".join(re.sub(r"-?\d+\.\d+", lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), value).split())
