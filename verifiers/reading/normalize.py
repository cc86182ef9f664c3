r"""One spelling for the many ways to typeset an answer.

`tidy` turns LaTeX, unicode and Markdown decoration into a small plain dialect: `\frac`, `\text{…}`, `°`, `%`, no
dollar signs, single spaces. It changes how an answer is written, never what it means. All patterns take linear time.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n", strict=True))
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_FRACTIONS = {
    "½": "1/2",
    "⅓": "1/3",
    "⅔": "2/3",
    "¼": "1/4",
    "¾": "3/4",
    "⅕": "1/5",
    "⅙": "1/6",
    "⅛": "1/8",
    "⅜": "3/8",
}
_FULLWIDTH = {chr(code + 0xFEE0): chr(code) for code in range(0x21, 0x7F)}
_GREEK_NAMES = """
    alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu xi pi rho sigma tau phi chi psi omega Gamma Delta
    Theta Lambda Sigma Phi Psi Omega
"""
_GREEK = dict(zip("αβγδεζηθκλμνξπρστφχψωΓΔΘΛΣΦΨΩ", _GREEK_NAMES.split(), strict=True))

_CHARACTERS = str.maketrans(
    {
        **_FULLWIDTH,
        **{letter: f"\\{name} " for letter, name in _GREEK.items()},
        **{mark: f" {value}" for mark, value in _FRACTIONS.items()},
        "\N{HYPHEN}": "-",
        "\N{NON-BREAKING HYPHEN}": "-",
        "\N{FIGURE DASH}": "-",
        "\N{LESS-THAN OR EQUAL TO}": r"\leq ",
        "\N{GREATER-THAN OR EQUAL TO}": r"\geq ",
        "\N{LESS-THAN OR SLANTED EQUAL TO}": r"\leq ",
        "\N{GREATER-THAN OR SLANTED EQUAL TO}": r"\geq ",
        "\N{NOT EQUAL TO}": r"\neq ",
        "\N{ALMOST EQUAL TO}": r"\approx ",
        "\N{FRACTION SLASH}": "/",
        "\N{PLUS-MINUS SIGN}": r"\pm ",
        "\N{EMPTY SET}": r"\emptyset ",
        "\N{DOUBLE-STRUCK CAPITAL R}": r"\mathbb{R}",
        "\N{DOUBLE-STRUCK CAPITAL Z}": r"\mathbb{Z}",
        "\N{CUBE ROOT}": r"\sqrt[3] ",
        "\N{ASTERISK OPERATOR}": r"\cdot ",
        "\N{BULLET OPERATOR}": r"\cdot ",
        "\N{ZERO WIDTH SPACE}": "",
        "\N{ZERO WIDTH NO-BREAK SPACE}": "",
        "\N{LEFT-TO-RIGHT MARK}": "",
        "\N{MINUS SIGN}": "-",
        "\N{EN DASH}": "-",
        "\N{MULTIPLICATION SIGN}": r"\times ",
        "\N{DIVISION SIGN}": r"\div ",
        "\N{MIDDLE DOT}": r"\cdot ",
        "\N{DOT OPERATOR}": r"\cdot ",
        "\N{INFINITY}": r"\infty ",
        "\N{UNION}": r"\cup ",
        "\N{ELEMENT OF}": r"\in ",
        "\N{SQUARE ROOT}": r"\sqrt ",
        "\N{MASCULINE ORDINAL INDICATOR}": "°",
        "\N{RING OPERATOR}": "°",
        "\N{DEGREE CELSIUS}": "°C",
        "\N{PRIME}": "'",
        "\N{DIVIDES}": "|",
        "\N{RATIO}": " : ",
        "\N{IDENTICAL TO}": r"\equiv ",
        "\N{ANGLE}": r"\angle ",
        "\N{WHITE UP-POINTING TRIANGLE}": r"\triangle ",
        "\N{INCREMENT}": r"\triangle ",
        "\N{SET MINUS}": r"\setminus ",
        "\N{INTERSECTION}": r"\cap ",
        "\N{N-ARY SUMMATION}": r"\sum ",
        "\N{N-ARY PRODUCT}": r"\prod ",
        "\N{LEFT FLOOR}": r"\lfloor ",
        "\N{RIGHT FLOOR}": r"\rfloor ",
        "\N{LEFT CEILING}": r"\lceil ",
        "\N{RIGHT CEILING}": r"\rceil ",
        "\N{MATHEMATICAL LEFT ANGLE BRACKET}": r"\langle ",
        "\N{MATHEMATICAL RIGHT ANGLE BRACKET}": r"\rangle ",
        "\N{PLANCK CONSTANT OVER TWO PI}": r"\hbar ",
        "\N{GREEK PHI SYMBOL}": r"\phi ",
        "\N{GREEK THETA SYMBOL}": r"\theta ",
        "\N{GREEK LUNATE EPSILON SYMBOL}": r"\epsilon ",
        "\N{MICRO SIGN}": "µ",
        "\N{OHM SIGN}": "Ω",
        "\N{MINUS-OR-PLUS SIGN}": r"\mp ",
        "\N{LOGICAL OR}": r"\lor ",
        "\N{LOGICAL AND}": r"\land ",
        "\N{DOUBLE-STRUCK CAPITAL N}": r"\mathbb{N}",
        "\N{DOUBLE-STRUCK CAPITAL Q}": r"\mathbb{Q}",
        "\N{IDEOGRAPHIC COMMA}": ", ",
        "\N{IDEOGRAPHIC FULL STOP}": ".",
        "\N{IDEOGRAPHIC SPACE}": " ",
        "\N{LEFT CORNER BRACKET}": " ",
        "\N{RIGHT CORNER BRACKET}": " ",
        "$": " ",
        "\u00a0": " ",
        "\u202f": " ",
        "\u2009": " ",
        "~": " ",
    }
)
_CIRCLED = "①②③④⑤⑥⑦⑧⑨"
_CHINESE = str.maketrans({"或": r" \text{ or } ", **dict.fromkeys("和且与", r" \text{ and } ")})
_Rewriting = tuple[tuple[str, re.Pattern[str], str | Callable[[re.Match[str]], str]], ...]
"""What is written in its place for each pattern, in order; a pattern is looked for only in a text with its mark."""


def _raised(run: re.Match[str]) -> str:
    inner = "".join(map(_SUPERSCRIPTS.__getitem__, run[0]))
    return f"^{inner}" if len(inner) == 1 else f"^{{{inner}}}"


def _rows(*rows: tuple[str, str, str | Callable[[re.Match[str]], str]]) -> _Rewriting:
    return tuple((mark, re.compile(pattern), written) for mark, pattern, written in rows)


_DOUBLED_COMMANDS = (
    "d?t?frac|sqrt|left|right|boxed|pi|text|cdot|times|infty|le|ge|leq|geq|neq|pm|cup|cap|in|mathbb|mathrm|circ|begin|end"
    "|angle|theta|alpha|beta|sin|cos|tan|ln|log|binom|overline|vec|quad|equiv|pmod|sum|prod|max|min"
)
_DOUBLED = re.compile(rf"(?<!\\)\\\\(?=(?:{_DOUBLED_COMMANDS})(?![a-z]))")
"""A backslash that was escaped twice."""
_FUNCTIONS = "mod|arcsin|arccos|arctan|arccot|sin|cos|tan|cot|sec|csc|sinh|cosh|tanh|ln|log|lg|exp"
_PLAIN = _rows(
    ("$", r"\b(?:US|CA|AU|HK)(?=\\?\$)", ""),
    # A backslash and letter that were read as an escape: the form feed of "\\frac".
    ("\x0c", "\x0c(?=rac|box)", r"\\f"),
    ("\t", "\t(?=ext|imes|heta|frac|an[ (^{\\\\])", r"\\t"),
    ("\x08", "\x08(?=oxed|inom|eta|ar|ig|egin|mod)", r"\\b"),
    ("\r", "\r(?=ight|ho)", r"\\r"),
    ("\\\\", _DOUBLED.pattern, r"\\"),
    ("10", r"(?<=\d) ?[xX] ?(?=10 ?(?:\^|\*\*))", r"\\times "),
    ("$", r"\$\s+\$(?=\\?[A-Za-z]\w*(?:_\{?\w+\}?)? ?=)", ", "),
    ("+", r"(?:^|(?<=[=,(])) ?\+ ?-(?= ?[\d\\(A-Za-z])|\+/-", r"\\pm "),
    ("cbrt", r"(?<![\\A-Za-z])cbrt ?(?=[({])", r"\\sqrt[3]"),
    ("choose", r"^(\w+) choose (\w+)$", r"\\binom{\1}{\2}"),
    ("log", r"(?<![\\A-Za-z])log_?(2|10)\(", r"\\log_{\1}("),
    ("U", r"(?<=[)\]}]) ?U ?(?=\\?[(\[{]|\\left)", r"\\cup "),
    ("$", r"\\\$", " "),
    ("{", r" ?\{ ?, ?\} ?(?=\d{3})|\{,\}", ","),
    ("**", r"(?<=[\w)])\*\*(?=[\w(+-])", "^"),
    ("_", r"(?<=[A-Za-z])(\^(?:\w|\{[^{}]*\}))(_(?:\w|\{[^{}]*\}))", r"\2\1"),
)
_UNICODE = _rows(
    (
        "",
        f"[{_CIRCLED}](?:[、,和及与 ]*[{_CIRCLED}])*",
        lambda run: ", ".join(f"({_CIRCLED.index(mark) + 1})" for mark in run[0] if mark in _CIRCLED),
    ),
    ("", r"[或和且与](?=[-\d\\$(√A-Za-z ])|(?<=[\d})$A-Za-z ])[或和且与]", lambda word: word[0].translate(_CHINESE)),
    ("√", r"√(\d+)", r"\\sqrt{\1}"),
    ("", f"[{''.join(_SUPERSCRIPTS)}]+", _raised),
    (
        "",
        f"[{''.join(_SUBSCRIPTS)}]+",
        lambda run: "_{" + "".join(map(_SUBSCRIPTS.__getitem__, run[0])) + "}",
    ),
)
_COMMANDS = _rows(
    ("times", r"\\times ?(?=\\(?:mathbf|boldsymbol|bm|vec|overrightarrow|hat)(?![A-Za-z]))", r"\\crossproduct "),
    ("all real", r"\\(?:text|mathrm) ?\{ ?(all real numbers[^{}]*?) ?\}", r"\1 "),
    (
        "}",
        r"\\(?:operatorname\*?|text|mathrm|rm) ?\{ ?(gcd|lcm|(?:max|min)(?= ?\} ?(?:[({_]|\\\{))"
        rf"|{_FUNCTIONS})\.? ?\}}",
        r"\\\1 ",
    ),
    ("}", r"\\(?:mathrm|text|rm) ?\{([CAP])\}(?= ?[_^])", r"\1"),
    (
        "prime",
        r"\^ ?\{ ?((?:\\prime ?)+)\}|\^ ?\\prime(?![A-Za-z])",
        lambda marks: "'" * max(1, marks[0].count("prime")),
    ),
    ("over", r"\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\\over(?![A-Za-z])([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}", r"\\frac{\1}{\2}"),
    (
        "}",
        r"\\(?:mathrm|text|rm) ?\{([ei])\}|\\(?:mathbf|boldsymbol|bm|mathcal|mathit|mathsf|mathscr) ?\{([A-Za-z])\}",
        lambda letter: letter[1] or letter[2],
    ),
    ("equiv", r"\\equiv(?![A-Za-z])(?!.*mod)", "="),
    (
        "quad",
        r"(?<!or\})(?<!and\})(?<!or \})(?<!and \})[,;]? ?\\q?quad ?(?=\\?[A-Za-z](?:_\{?\w+\}?)?(?:\([a-z]\))?"
        r" ?(?:=|<|>|\\[lg]eq?(?![a-z])|\\in ))",
        ", ",
    ),
    ("tag", r"\\tag\*? ?\{[^{}]*\}", ""),
    ("choose", r"(\w+) ?\\text ?\{ ?choose ?\} ?(\w+)", r"\\binom{\1}{\2}"),
    ("choose", r"\{([^{}\\]{1,40})\\choose(?![A-Za-z])([^{}\\]{1,40})\}", r"\\binom{\1}{\2}"),
    # Commands with the same meaning.
    ("\\le", r"\\(?:leqslant|leqq|le)(?![A-Za-z])", r"\\leq"),
    ("\\ge", r"\\(?:geqslant|geqq|ge)(?![A-Za-z])", r"\\geq"),
    ("\\n", r"\\(?:neq|ne|not ?=)(?![A-Za-z])", r"\\neq"),
    ("simeq", r"\\simeq(?![A-Za-z])", r"\\approx"),
    ("", r"^\\underline|\\(?:textcolor ?\{\w+\}|color ?\{\w+\}|Large|large|huge|Huge|small|tiny)(?![A-Za-z])", ""),
    ("\\lt", r"\\lt(?![A-Za-z])", "<"),
    ("\\gt", r"\\gt(?![A-Za-z])", ">"),
    ("", r"\\(?:mid|vert|lvert|rvert)(?![A-Za-z])", "|"),
    ("brace", r"\\lbrace(?![A-Za-z])", r"\\{"),
    ("brace", r"\\rbrace(?![A-Za-z])", r"\\}"),
    ("colon", r"\\colon(?![A-Za-z])", " : "),
    (
        "array",
        r"(?<=[(\[]) ?\\begin\{array\}\{[lcr|]*\}([\s\S]*?)\\end\{array\}(?= ?(?:\\right ?)?[)\]])",
        r"\\begin{pmatrix}\1\\end{pmatrix}",
    ),
    ("", r"\\(?:varnothing|empty)(?![A-Za-z])", r"\\emptyset"),
    ("R", r"\\(?:Reals?|R|mathds ?\{R\}|mathbf ?\{R\})(?![A-Za-z])", r"\\mathbb{R}"),
    ("mathbb", r"\\mathbb ?([A-Z])(?![A-Za-z])", r"\\mathbb{\1}"),
    ("", r"\\h?space\*? ?\{[^{}]*\}|\\h?phantom ?\{[^{}]*\}|\\(?:rm|bf|it)(?![A-Za-z])", " "),
    ("", r"\\[dtc](?=(?:frac|binom)(?![A-Za-z]))", r"\\"),
    ("", r"\\(?:left|right|[bB]igg?[lrm]?|displaystyle|limits)(?![A-Za-z])\.?|\\! *", ""),
    ("", r"(?<!\\)\\(?:[,;:> ()\[\]]|q?quad(?![A-Za-z]))", " "),  # not the row break of a matrix (two backslashes)
    ("{", r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf|tt)|mbox|operatorname\*?)\s*(?=\{)", r"\\text"),
    ("\\text", r"\\frac ?\{ ?\\text\{ ?([A-Za-z]+) ?\} ?\}\{ ?\\text\{ ?([A-Za-z]+) ?\} ?\}", r"\\text{\1/\2}"),
    ("", r"\^\s?(?:\\circ(?![A-Za-z])|\{\s?\\circ\s?\})|\\degrees?(?![A-Za-z])", "°"),
)
_RATIO_WORD = re.compile(r"^(\d+(?:\.\d+)?) ?(?:\\text ?\{ ?to ?\}|to) ?(\d+(?:\.\d+)?)$")
_THOUSANDS_SPACE = re.compile(r"(?<=\d)\\,(?=\d{3}(?!\d))")
_NEEDLESS_SPACE = re.compile(r" (?![A-Za-z0-9])|(?<![A-Za-z0-9]) ")
_ARTICLE = re.compile(r"^(?:[Tt]he|[Aa]n|a) (?=[A-Za-z]{2})")
_HYPHEN = re.compile(r"-(?<=[^\W\d_]{2}-)(?=[^\W\d_]{2})")
_SHOWN = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_]+|[-+<>=/\u00b1]")
_WORDS_IN_TEXT = re.compile(r"\\text\{([^{}]*)\}")
_NOT_WORD = re.compile(r"[\W_]+")
_BUILDER = re.compile(r"\{ ?\\?[A-Za-z]\w? ?(?:[|:]|\\in)")
_LOOSE_ENDS = ' \t\r\n.,;:*"`'


def tidy(text: str) -> str:
    r"""Write `text` in the plain dialect that this package reads.

    >>> tidy(r" $\dfrac{1}{2}\,\mathrm{cm}.$ ")
    '\\frac{1}{2} \\text{cm}'
    """
    text = _rewritten(text, _PLAIN)
    text = text if text.isascii() else _rewritten(text, _UNICODE)
    text = text.translate(_CHARACTERS)
    if "\\" in text:
        text = _rewritten(_THOUSANDS_SPACE.sub("", text).replace(r"\%", "%"), _COMMANDS)
    return _RATIO_WORD.sub(r"\1 : \2", _unwrap(" ".join(text.split())))


def _rewritten(text: str, rows: _Rewriting) -> str:
    for mark, pattern, written in rows:
        if mark in text:
            text = pattern.sub(written, text)
    return text


def undoubled(text: str) -> str:
    r"""The text with the backslashes of commands that were escaped twice made single: `\\\\frac` is `\\frac`."""
    return _DOUBLED.sub(r"\\", text) if "\\\\" in text else text


def _unwrap(text: str) -> str:
    """Remove loose punctuation, boxes and outer braces."""
    for _ in range(4):  # real text nests no deeper than a box in braces in a box
        text, before = _unwrap_once(text), text
        if text == before:
            break
    return text


def _unwrap_once(text: str) -> str:
    # A leading full stop is a decimal point (".5"); a trailing one ends the sentence.
    is_open = text.rstrip(" $").endswith(("...", "\u2026"))  # the answer goes on
    text = (text if is_open else text.rstrip(_LOOSE_ENDS + ("\\" if text.count("\\") == 1 else ""))).lstrip(
        _LOOSE_ENDS.replace(".", "")
    )
    if text[:1] == "'" or (text[-1:] == "'" and text[-2:-1].isalpha() and " " in text):
        text = text.strip("'")
    for opening in (r"\boxed{", r"\fbox{", r"\framebox{", "{"):
        if opening == "{" and _BUILDER.match(text):
            break
        if text.startswith(opening) and _closes_at_end(text, len(opening)):
            return text[len(opening) : -1]
    return text


def _closes_at_end(text: str, start: int) -> bool:
    depth = 1
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return position == len(text) - 1
    return False


def compact(tidied: str) -> str:
    """Drop the spaces that carry no meaning; `1 1/2` keeps its space.

    >>> compact("( 1, 2 ) + 1 1/2")
    '(1,2)+1 1/2'
    """
    return _NEEDLESS_SPACE.sub("", tidied)


def plain_words(tidied: str) -> str:
    r"""The words alone, in lower case, for answers that are text.

    >>> plain_words(r"\text{The Ellipse}")
    'the ellipse'
    """
    return " ".join(_NOT_WORD.sub(" ", _shown(tidied).casefold()).split())


def shown_words(tidied: str) -> str:
    r"""Words, numbers and signs, in lower case, without a leading article, for comparing answers that are text.

    >>> shown_words(r"\text{The Ellipse}"), shown_words(r"\text{x+1}"), shown_words("A-")
    ('ellipse', 'x + 1', 'a -')
    """
    text = _ARTICLE.sub("", _shown(tidied).strip(), count=1)
    return " ".join(_SHOWN.findall(_HYPHEN.sub(" ", text.casefold())))


def _shown(tidied: str) -> str:
    r"""The text with the words of `\text{…}` in place of the command."""
    return _WORDS_IN_TEXT.sub(r"\1", tidied) if "\\text" in tidied else tidied
