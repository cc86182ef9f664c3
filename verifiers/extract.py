r"""Finds the answer in a solution.

In this order of precedence, in the last `TAIL` characters before an end token or another question, so that a megabyte
costs no more than a page:

1. the text of the last `<answer>…</answer>`; else the last complete, non-empty `\boxed{…}` (or `\fbox`, `\framebox`),
   with those that are joined to it by "and", "or", a comma or a line break. A later line "Answer: …" comes before it;
2. the line after the last `####`, unless that line is a Markdown heading (`#### Step 2: …`);
3. the text after the last "answer is" or "answer:", in several languages, to the end of the line or sentence (a decimal
   point ends neither), or the line after a heading "Answer"; else a last box that is cut off;
4. the whole text, if it is itself an answer: one line of at most `MAX_BARE` characters that reads as a number, a
   list or an expression, or that cannot be read but has no words;
5. the last number in the text, unless it is part of something else (the 2 of `\frac{1}{2}`, the 4 of "minus 4", a year)
   or the text says that it gives no answer; for other golds the last math, or what follows the last "is".

A one-line gold answer without a marker (1 to 3) is taken whole, and so is a prediction of one short line if the gold
answer is words. The last number (5) counts only if the gold is a number or percentage.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from .comparison import choice_letters
from .policy import Boxes
from .prose import BOX, gives_none, is_rejected, last_number, without_prose
from .reading.answers import Answer, read_answer
from .reading.literals import fixed_words
from .reading.normalize import tidy, undoubled
from .reading.splitting import LABEL

TAIL = 20_000
"""Number of characters searched, at the end of a text."""
MAX_BARE = 200
"""Length, in characters, of the longest line that can itself be an answer."""
MAX_LINES = 6
"""Most lines of an answer without a marker."""

_END = re.compile(
    r"<\|(?:im_end|im_start|eot_id|eom_id|endoftext|end_of_text|end|return|assistant|user|EOS)\|>"
    r"|</s>|<eos>|<end_of_turn>|<\uff5cend\u2581of\u2581sentence\uff5c>|\[/?INST\]"
)
"""Tokens that end a turn; what follows is another one."""
_QUESTION = re.compile(
    r"(?:(?:^|\n)[ \t>*#\[]{0,6}|(?<=[.!?$]) +)"
    r"(?:(?:Q(?:uestion)?|Problem|Exercise|Instruction|User|Human)(?: ?#?\d{1,4})?[\])*]{0,3} ?:"
    r"|(?:\u95ee\u9898|\u9898\u76ee) ?\d{0,4}[:\uff1a])"
    r"|\n[ \t>*#]{0,6}(?:Question|Problem|Exercise) ?#?\d{1,4}[.)*](?!\d)",
)
_WRAPPED = re.compile(
    r'"(?:final_?)?answer"\s*:\s*("(?:[^"\\]|\\.)*"|-?[\d.]+)\s*,?\s*\}\s*(?:```)?\s*$', re.IGNORECASE
)
"""The last field of a JSON object."""
_EMPTY_TAG = re.compile(r"<answer>\s*</answer>\s*\S{0,20}\s*$")
_BOX_OR_BRACE = re.compile(BOX + r"\s*\{|\\.|[{}]", re.DOTALL)
_OPEN_BOX = re.compile(BOX + r"\s*\{([^\n]{1,100})$")
_JOINER = re.compile(
    r"(?:[\s$,;&]|\\[\[\](),;: \\]|\\q?quad|\\(?:text|mbox|mathrm) ?\{[\s,]*(?:and|or)?[\s,]*\}"
    r"|\\l?or\b|\\land\b|\\vee\b"
    r"|\b(?:and|or|und|oder|et|ou|y|o)\b|[和或及与、])*"
    r"(?:\(?[a-z]\)[.:]?\s*)?(?:\$?\\?[A-Za-z]{1,5}(?:_\{?\w+\}?)?\s*(?:=|\\in\b)\s*)?[\s$]*(?:\\[\[(])?[\s$]*"
)
_SEPARATOR = re.compile(r"[,;\n\u548c\u6216\u53ca\u4e0e\u3001]|\b(?:and|or|und|oder|et|ou|y|o|vee)\b|lor\b|land\b")
_ANSWER_WORDS = (
    r"(?:answers?|ans\.?|antwort|respuesta|r[ée]ponse|risposta|resposta|ответ|svar|cevap|정답|答え"
    r"|(?:correct|right|best|final) (?:option|choice|result)|(?:option|choice)(?= is))"
)
_PHRASE_WORDS = (
    "answer", "ans.", "result", "option", "choice", "solution", "antwort", "respuesta", "ponse", "risposta", "resposta",
    "ответ", "svar", "cevap", "정답", "答", "选",
)  # fmt: skip
"""One of them is in every phrase that announces an answer."""
_PHRASE_START, _HEADING_START = 12, 40
"""Most characters before such a word of a phrase, and of a heading."""
_MARK = r"(?:[\s*_:\uff1a]|\$\$|\\[\[(]){0,12}"
_PHRASE = re.compile(
    rf"(?<![^\W\d_]){_ANSWER_WORDS}[ *_]{{0,6}}(?:is|are|ist|es|est|è|é|:|\uff1a|=)"
    rf"(?: (?:therefore|thus|simply|just|then))?{_MARK}"
    rf"|(?<![^\W\d_])ans\. |(?:^|\n)[*# ]{{0,6}}result[ *_]{{0,4}}:{_MARK}"
    rf"|答案(?:应该|应)?(?:是|为|选)?{_MARK}(?![\s\n])|(?:故|应|所以|因此)?选(?:择|项)?{_MARK}(?=[A-J(\uff08])",
    re.IGNORECASE,
)
_HEADED = re.compile(
    r"(?:^|\n)[ >]{0,4}(?:#{1,6} ?|\*\*|__)[ *_]{0,4}(?:the )?(?:final )?(?:answer|答案|solution)"
    r"[ *_:\uff1a]{0,6}\n+\s*(?P<line>[^\n]+)",
    re.IGNORECASE,
)
_FINAL_LINE = re.compile(
    rf"(?:^|\n)[ >*#_]{{0,8}}(?:the |final |correct )*{_ANSWER_WORDS}[ *_]{{0,4}}[:\uff1a]"
    r"[ *_]{0,4}(?P<line>[^\n]{1,60})$",
    re.IGNORECASE | re.MULTILINE,
)
_FINAL_PHRASE = re.compile(
    r"\bfinal answer (?:is|should be|must be):? *(?P<line>[^\n]{1,60}?)(?=\.(?:\s|$)|\n|$)", re.IGNORECASE
)
_PHRASE_END = re.compile(r"\.(?=\s|$|\*)|\n|[。\uff1b]|\s(?:because|since|which|as we)\s", re.IGNORECASE)
_OPEN_DISPLAY = re.compile(r"(\$\$|\\\[)\s*$")
_DISPLAYS = {"$$": "$$", r"\[": r"\]"}
_GOES_ON = re.compile(
    r"\b(?:wait|actually|hmm|but|however|check|verify|let me|part|answers?|instead|second|also)\b|\([b-e]\)",
    re.IGNORECASE,
)
"""Words after an answer with which a text may take it back, or give another one."""
_EXCLAMATION = re.compile(r"(\d\d)!$")
"""An exclamation mark, not a factorial: nobody writes one of a number this large."""
_HEADING = re.compile(r"(?:step|part|solution|explanation|conclusion|answer|final|case)\b|.*:$", re.IGNORECASE)
_PLAIN_WORD = re.compile(r"(?<![\\A-Za-z])[^\W\d_]{2,}")
_SUPPOSED = re.compile(
    r"\b(?:suppose|assum\w+|if|whether|unless|were|guess\w*|claims?|claimed|says|thinks)\b[^.!?\n]*$", re.IGNORECASE
)
_MATH = re.compile(r"\$\$(.{1,2000}?)\$\$|\$(.{1,2000}?)\$|\\\((.{1,2000}?)\\\)|\\\[(.{1,2000}?)\\\]", re.DOTALL)
"""Of bounded length: thousands of openers that nothing closes would each be followed to the end of the text."""
_QUANTIFIED = re.compile(
    r"\b(?:for (?:all|any|every|some|each)|where|when|if|let|with|of|any|all|integers?)\s*$", re.IGNORECASE
)
_CHOICE_LINE = re.compile(
    r"[*_\s]*(?:(?:option|choice) )?\(?([A-J])\)?(?:[.:)][*_]*(?=\s|$)|[*_]+[.:)]|\)[*_]*(?=\s|$)|[*_]*$)", re.I
)
_CHOICE_AFTER = re.compile(r"\s*(?:option |choice )?[*_(\[{\\text ]{0,10}([A-Ja-j])(?![\w'\u2019])(?!\s*[-+*/^=<>\\])")


_PART_BEFORE = re.compile(
    r"(?:[\w)}]\s*[-+*/^_]|(?:^|[=$(\s])[-\u2212]|\\(?:log|ln|sin|cos|tan)(?:_\{?\w+\}?)?|\\(?:frac|sqrt|cdot|times|neq?|geq?|leq?|gt|lt|pm|cup)(?:\[\d\])?\{?|[<>^_\u2260]|(?<!\\)[({\[])\s*$|\d\.$"
)
_PART_ENDS = "-+*/^_<>({[.\u2212\u2260"
"""Signs in one of which a text ends before a part, unless a command comes before it."""
_PART_AFTER = re.compile(
    r"\s*(?:[*/^_!+<>]|:\s*\d|-\s*[\d\\(A-Za-z]|,\d{3}|\\(?:cdot|times|pi|sqrt|frac|pm|cup|div|in)(?![A-Za-z])|[A-Za-z]\b(?![.:])"
    r"|(?:\\text\{)?\s*(?:thousand|million|billion)\b|\$?,?\s*(?:\\text\{)?\s*(?:and|or)\s*\}?\s*\$?-?\d)"
)
_FORMULA_START = re.compile(r"=|\$|\\[\[(]|\n|\\(?:Rightarrow|implies|therefore)|(?<=[a-z]{3}) ")
_FORMULA_END = re.compile(r"\$(?!\s*,?\s*(?:and|or)\b)|\\[\])]|\n|=|\.(?:\s|$)")
_NOT = re.compile(r"(?:\bnot|n['\u2019]t|(?:less|more|fewer|greater) than)\s*(?:\$|\\\(|\\\[)?\s*$", re.IGNORECASE)
_OPENERS, _NOT_ENDS = " \t\r\n$\\([", ("not", "n't", "n\u2019t", "than")
"""What may come between a denial and a box, and how denials end."""
_RETRACTED = re.compile(
    r"\b(?:wait|actually|oops|hmm|(?:this|that|which) is (?:wrong|incorrect|not right)|should be|a mistake"
    r"|correction)\b[^\n]*\d",
    re.IGNORECASE,
)
"""Words after which another answer is given."""
_MORE_CHOICES = re.compile(r"[)\]}*]*(?:\s*(?:,|or|and|/|&)\s*\(?[A-Ja-j]\b(?![\w'])\)?)+")


class _Span(NamedTuple):
    """A part of a text that may be an answer."""

    start: int
    end: int
    content: str


def extract_answer(text: str, *, boxes: Boxes = "last") -> str | None:
    r"""Find the answer in a text by the precedence above; None if there is none.

    Args:
        text: A whole solution, or a bare answer.
        boxes: Which boxes count if there are several: the last with those joined to it, the first, or all as a list.

    >>> extract_answer(r"So it is $\boxed{\frac{1}{2}}$."), extract_answer("3 + 4 = 7\n#### 7")
    ('\\frac{1}{2}', '7')
    >>> extract_answer("The answer is 3.5. Done."), extract_answer("x+1"), extract_answer("It costs $18 now")
    ('3.5', 'x+1', '$18')
    >>> extract_answer(r"x is \boxed{3}, so y is \boxed{4}", boxes="all"), extract_answer(r"\boxed{3} or \boxed{4}")
    ('3, 4', '3, 4')
    """
    spoken = before_end(text)
    if is_left_empty(spoken):
        return None
    return marked_answer(spoken, boxes) or bare_answer(spoken) or last_number(spoken[-TAIL:])


def before_end(text: str) -> str:
    r"""The text before the first end token that something precedes, and before another question after the answer.

    >>> before_end("42<|im_end|>"), before_end("<|im_start|>assistant: 42</s> 43"), before_end("#### 5\nQ: 6?\n#### 6")
    ('42', 'assistant: 42', '#### 5')
    """
    text = undoubled(text)
    if "<|" in text or "</s>" in text or "<e" in text or "INST]" in text or "<\uff5c" in text:
        text = next((part for part in _END.split(text) if part.strip()), text)
    return text[: end_of_answer(text)]


def end_of_answer(text: str) -> int:
    r"""Where the answer to a question ends: before another question, with which base models go on; else at the end.

    The line before the other question must give an answer after a mark, and the text may not begin with a question: a
    solution that asks itself questions, or repeats its problem, is left whole. So is a thought.

    >>> end_of_answer("The answer is 5. Question: Why?"), end_of_answer("5 are left.\n\nQ: 6?"), end_of_answer("Q: 6?")
    (16, 18, 5)
    """
    has_word = "Q" in text or "Problem" in text or "Exercise" in text or "Instruction" in text
    if not (has_word or "User" in text or "Human" in text or "\u9898" in text):
        return len(text)
    spoken = max(0, text.rfind("</think>"))
    if text.find("<think>", spoken) >= 0 or _QUESTION.match(
        text, spoken + len(text[spoken:]) - len(text[spoken:].lstrip())
    ):
        return len(text)
    for match in _QUESTION.finditer(text, spoken):
        end = match.start()
        while end > spoken and text[end - 1].isspace():
            end -= 1
        line = text[max(spoken, text.rfind("\n", spoken, end) + 1, end - MAX_BARE) : end]
        if line and _is_given(marked_answer(line)):
            return end
    return len(text)


def _is_given(found: str | None) -> bool:
    """Whether what stands after a mark can be an answer."""
    if found is None or (found.isalpha() and len(found) > 2):
        return False
    return read_answer(found).kind not in ("words", "unread", "unusable")


def is_answered(text: str) -> bool:
    r"""Whether a text that was cut off had already given its answer: after a mark, to its end, and not taken back.

    >>> is_answered("The answer is 5. Question: how"), is_answered("The answer is 5"), is_answered("#### 5\nNow")
    (True, False, True)
    """
    said = undoubled(without_thought(text))
    spoken = before_end(said)
    if len(spoken.rstrip()) < len(said.rstrip()):
        return _is_given(marked_answer(spoken))
    tail = spoken[-TAIL:]
    end = _end_of_mark(tail)
    return end is not None and not _GOES_ON.search(tail, end) and _is_given(marked_answer(tail))


def _end_of_mark(text: str) -> int | None:
    """Where the last answer after a mark ends, if something follows it."""
    if "</answer>" in text:
        return text.rfind("</answer>")
    if boxes := _box_spans(text):
        return boxes[-1].end
    if "####" in text:
        start = text.rfind("####")
        end = text.find("\n", start)
        return end if end >= 0 and _after_hashes(text) else None
    phrase = next(_phrases_backwards(text, _places(text.lower())), None)
    found = _PHRASE_END.search(text, phrase.end()) if phrase else None
    is_whole = phrase and found and _is_given(text[phrase.end() : found.start()].strip())
    return found.end() if found and is_whole and text[found.end() :].strip() else None


def is_left_empty(text: str) -> bool:
    """Whether a text ends with tags for its answer and none between them, apart from a stray word."""
    return "<answer>" in text and _EMPTY_TAG.search(text[-TAIL:]) is not None


def marked_answer(text: str, boxes: Boxes = "last") -> str | None:
    """The answer after a marker (1 to 3 of the precedence), or None."""
    if text.isdecimal():
        return None
    tail = text[-TAIL:]
    if '"' in tail and (wrapped := _WRAPPED.search(tail)):
        return _unescaped(wrapped)
    if "</answer>" in tail and (tagged := _last_between(tail, "<answer>", "</answer>")):
        return _boxed(tagged, boxes) or _after_phrase(tagged) or without_prose(tagged)
    return _boxed(tail, boxes) or _after_hashes(tail) or _after_phrase(tail) or _open_box(tail)


def _unescaped(wrapped: re.Match[str]) -> str:
    """The answer in a JSON object, or as it stands if that is not JSON."""
    with contextlib.suppress(ValueError):
        return str(json.loads(wrapped[1]))
    return wrapped[1].strip('"')


def without_thought(text: str) -> str:
    """The text after the last `</think>`, without any unfinished thought.

    >>> without_thought("<think>5? no.</think>It is 6."), without_thought("<think>It is 6")
    ('It is 6.', '')
    """
    spoken = text.rpartition("</think>")[2]
    return spoken.partition("<think>")[0]


def marked_choice(text: str, *, is_lenient: bool = False) -> str | None:
    """The letter or letters of multiple choice that a text gives as its answer, or None.

    Args:
        text: A whole solution, or a bare answer.
        is_lenient: Whether a letter at the start of the last line is enough in a longer text.

    >>> marked_choice("**B.** The mitochondria"), marked_choice("The answer is d."), marked_choice("(A) fits, not C.")
    ('B', 'D', None)
    """
    tail = text[-TAIL:]
    if (found := marked_answer(tail)) and choice_letters(read_answer(found)):
        return found
    for phrase in _phrases_backwards(tail, _places(tail.lower())):
        if letter := _CHOICE_AFTER.match(tail, phrase.end()):
            more = _MORE_CHOICES.match(tail, letter.end())
            return ", ".join([letter[1].upper(), *re.findall(r"\b[A-Ja-j]\b", more[0] if more else "")])
    lines = [line for line in tail.splitlines() if line.strip()]
    for line in lines[-1:] if is_lenient or len(lines) == 1 else []:
        letter = _CHOICE_LINE.match(line)
        others = (
            re.findall(r"\b[A-J]\b", re.sub(r"\bA (?=[a-z])", "", line[letter.end() :]).replace(letter[1], ""))
            if letter
            else []
        )
        if letter and letter[1].isupper() and not others and not is_rejected(line[letter.end() :]):
            return line.strip() if choice_letters(read_answer(line)) else letter[1]
    return None


def last_math(text: str) -> str | None:
    r"""The last inline or displayed math, with what is joined to it by "and", "or" or a comma; None if there is none.

    >>> last_math(r"So the area is $12\pi$ square units."), last_math("Thus $x=1$ or $x=2$, for all $t$.")
    ('12\\pi', 'x=1, x=2')
    """
    tail = text[-TAIL:]
    spans = [_Span(m.start(), m.end(), next(filter(None, m.groups())).strip()) for m in _MATH.finditer(tail)]
    free = (span for span in reversed(spans) if not _QUANTIFIED.search(tail[max(0, span.start - 30) : span.start]))
    last = next(free, None)
    backwards = reversed(spans) if last is None else chain([last], free)
    last = last or next(reversed(spans), None)
    if last is None or gives_none(tail, last.end) or is_rejected(tail[last.end :]):
        return None
    return _joined(tail, backwards) or None


def _last_between(text: str, opening: str, closing: str) -> str:
    """The text between the last pair of marks; "" if there is none."""
    end = text.rfind(closing)
    start = text.rfind(opening, 0, max(end, 0))
    return text[start + len(opening) : end].strip() if start >= 0 else ""


def bare_answer(text: str) -> str | None:
    """The whole text, if it is itself an answer (4 of the precedence), or None."""
    line = single_line(text) or _labeled_lines(text)
    if line is None or _has_prose_before_math(line):
        return None
    answer = read_answer(line)
    if answer.kind in ("unread", "unusable"):
        return None if _PLAIN_WORD.search(line) and " " in line else line
    if answer.kind != "words":
        return line if _is_readable_list(answer) else None
    is_answer = line.isalpha() or line.startswith("\\") or fixed_words(tidy(line)) is not None
    return line if is_answer else None


def _labeled_lines(text: str) -> str | None:
    """Lines that all have the form `x = 3`, as one list; None for any other text."""
    lines = (
        [line.strip() for line in text.strip().split("\n") if line.strip()] if len(text) <= MAX_LINES * MAX_BARE else []
    )
    if not 1 < len(lines) <= MAX_LINES or not all(
        LABEL.fullmatch(line.partition("=")[0].strip(" $")) for line in lines
    ):
        return None
    return ", ".join(lines) if all("=" in line for line in lines) else None


def _has_prose_before_math(line: str) -> bool:
    """Whether a sentence leads to its math: "Thus $x=1$"."""
    math = _MATH.search(line)
    return math is not None and _PLAIN_WORD.search(line[: math.start()]) is not None


def _is_readable_list(answer: Answer) -> bool:
    """False for prose with a comma, which reads as a list of unreadable items."""
    return answer.kind != "list" or all(item.kind not in ("unread", "words") for item in answer.items)


def single_line(text: str) -> str | None:
    """The stripped text if it is one non-empty line, or one environment, short enough to be an answer; else None."""
    if len(text) > 4 * MAX_BARE:
        return None
    line = text.strip()
    is_single = "\n" not in line or (line.startswith(r"\begin") and line.endswith("}"))
    return line if 0 < len(line) <= MAX_BARE and is_single else None


def _boxed(text: str, boxes: Boxes = "last") -> str | None:
    spans = _box_spans(text)
    if not spans or (boxes == "last" and _is_withdrawn(text, spans[-1])):
        return None
    if boxes == "all":
        return ", ".join(span.content for span in spans)
    if boxes == "first":
        return spans[0].content
    return _final_line(text, spans[-1].end) or _whole_formula(text, spans[-1]) or _joined(text, reversed(spans))


def _is_withdrawn(text: str, span: _Span) -> bool:
    r"""Whether a box is denied: "not \boxed{5}", "\boxed{5} is wrong"."""
    close = text[max(0, span.start - 20) : span.start]
    is_denied = close.rstrip(_OPENERS).lower().endswith(_NOT_ENDS) and _NOT.search(close)
    return bool(is_denied) or is_rejected(text[span.end :])


def _whole_formula(text: str, span: _Span) -> str | None:
    r"""The formula that a box is a part of, from its last "=" on: -5 for `x = -\boxed{5}`; None if it is no part."""
    close, after = text[max(0, span.start - 20) : span.start], text[span.end : span.end + 200]
    may_go_on = "\\" in close or close.rstrip()[-1:] in _PART_ENDS
    if not ((may_go_on and _PART_BEFORE.search(close)) or _PART_AFTER.match(after)):
        return None
    before = text[max(0, span.start - 200) : span.start]
    start = max((match.end() for match in _FORMULA_START.finditer(before)), default=0)
    end = _FORMULA_END.search(after)
    return (before[start:] + span.content + after[: end.start() if end else len(after)]).strip()


def _joined(text: str, backwards: Iterable[_Span]) -> str:
    """The last span, after those that are joined to it; the spans come from the last to the first."""
    found: list[_Span] = []
    for span in backwards:
        if found and not _are_joined(text[span.end : found[-1].start]):
            break
        found.append(span)
    return ", ".join(span.content for span in reversed(found))


def _are_joined(between: str) -> bool:
    """Whether what stands between two answers makes them one list."""
    is_joiner = len(between) <= MAX_BARE and _JOINER.fullmatch(between) is not None
    return is_joiner and (not between or _SEPARATOR.search(between) is not None)


def _final_line(text: str, position: int) -> str | None:
    """A short answer on a line "Answer: …" of its own after a position."""
    for match in reversed([*_FINAL_LINE.finditer(text, position), *_FINAL_PHRASE.finditer(text, position)]):
        content = match["line"].strip(" *_.$`")
        if content and (len(content) <= 2 or read_answer(content).kind not in ("words", "unread", "unusable")):
            return content
    return None


def _box_spans(text: str) -> list[_Span]:
    """All complete boxes that lie in no other complete box."""
    first = text.find("box")
    if first < 0:
        return []
    found: list[_Span] = []
    opened: list[tuple[int, int] | None] = []  # for each open brace: start and content's start of a box, or None
    for match in _BOX_OR_BRACE.finditer(text, max(0, first - len(r"\frame"))):
        token = match[0]
        if token == "}":
            start = opened.pop() if opened else None
            if start is not None and (content := text[start[1] : match.start()].strip()):
                while found and found[-1].start > start[0]:
                    found.pop()
                found.append(_Span(start[0], match.end(), content))
        elif token.endswith("{") and token != "\\{":
            opened.append(None if token == "{" else (match.start(), match.end()))
    return found


def _open_box(text: str) -> str | None:
    """The content of a box that is cut off at the end of the text."""
    match = _OPEN_BOX.search(text.rstrip(" .$\n"))
    content = match[1].strip(" .$") if match else ""
    is_open = content.count("}") <= content.count("{") and "\\boxed" not in content
    return content if content and is_open else None


def _after_hashes(text: str) -> str | None:
    start = text.rfind("####")
    if start < 0:
        return None
    line, _, rest = text[start + 4 :].lstrip("#").partition("\n")
    line = line.strip()
    if rest and (later := _final_line(text, start + 4 + len(line))):
        return later
    return None if not line or _HEADING.match(line) else without_prose(line)


def _after_phrase(text: str) -> str | None:
    places = _places(text.lower())
    if not places:
        return None
    headed = list(_HEADED.finditer(text, max(0, places[-1] - _HEADING_START)))
    for match in _phrases_backwards(text, places):
        if headed and match.start() < headed[-1].start():
            break
        if _SUPPOSED.search(text, max(0, match.start() - 100), match.start()):
            continue
        content = _after(text, match)
        if content and not _RETRACTED.search(text, match.end()):
            return without_prose(_EXCLAMATION.sub(r"\1", content))
    return without_prose(headed[-1]["line"].strip()) if headed else None


def _after(text: str, phrase: re.Match[str]) -> str:
    """What follows a phrase: to the end of its sentence or line, display math and lines such as `y_2 = …` included."""
    opened = _OPEN_DISPLAY.search(phrase[0])
    closed = text.find(_DISPLAYS[opened[1]], phrase.end()) if opened else -1
    end = _PHRASE_END.search(text, max(phrase.end(), closed))
    content = text[phrase.end() : end.start() if end else len(text)].strip()
    return (_labeled_lines(content + text[end.start() :].partition("\n\n")[0]) if end else None) or content


def _places(lowered: str) -> list[int]:
    """Where the words that announce an answer are, from the last to the first."""
    found = []
    for word in _PHRASE_WORDS:
        place = lowered.find(word)
        while place >= 0:
            found.append(place)
            place = lowered.find(word, place + 1)
    return sorted(found, reverse=True)


def _phrases_backwards(text: str, places: list[int]) -> Iterator[re.Match[str]]:
    """The phrases that announce an answer, from the last to the first."""
    seen = len(text)
    for place in places:
        for start in range(max(0, place - _PHRASE_START), min(place + 1, seen)):
            match = _PHRASE.match(text, start)
            if match is not None and match.end() > place:
                seen = start
                yield match
                break
