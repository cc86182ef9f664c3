"""Finds an answer in plain prose, where no marker says which part of the text it is."""

from __future__ import annotations

import re

from .reading.answers import read_answer
from .reading.units import FRACTION_WORDS, NOT_UNITS, measure

_LITERAL = r"(?:\d{1,3}(?:(?:,|\{,\})\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][+-]?\d{1,3}(?![\w.]))?(?![eE]?\d)"
NUMBER = re.compile(
    rf"(?:(?<![\w)\]}}])[-\u2212])?\\?\$?(?:(?<![A-Za-z0-9]){_LITERAL}|(?<![\w.])\.\d+)(?:/\d+(?:\.\d+)?)?(?:\s?\\?%)?"
)
_PROSE = re.compile(r"(?!(?:sqrt|pi|ln|log|exp|sin|cos|tan|[A-Z]{3})\b)[A-Za-z]{2,}[ ,'\u2019]")
_NUMBER_THEN_PROSE = re.compile(rf"(-?\\?\$?{_LITERAL}(?:\s?\\?%)?)(?=/[A-Za-z]{{3,}}| (?:an? )?[A-Za-z]{{2,}})")
_OPERATION_WORDS = (
    "plus minus multiplied divided raised sin cos tan log ln exp root roots factorial squared cubed bc bce ad"
)
_OPERATIONS = frozenset(_OPERATION_WORDS.split())
_JOINED = NOT_UNITS - {"for", "through", "is", "are", "if", "by", "but", "not", "to", "out"}
"""Words after a number that continue it."""
_MATHEMATICAL = re.compile(r"[\d\\^*+=<>()\[\]{}_|]|(?<!['\u2019])\b(?!a\b|I\b)[A-Za-z]\b")
_CIRCUMSTANCE = re.compile(r"(?<=[a-z]) (?:in|for|after|with|on|at|during|from|when|while|by) |^ (?:for|after) ")
"""Where prose goes on to say when, where or what for: in "50 miles in 7 hours" the answer is the miles."""
_DENIAL_WORDS = """
    not never cannot doubt neither nor guess suppose assume nobody false exclude excludes reject rejects rejected
    rejecting maybe perhaps unlikely hardly undefined unknown wrong incorrect impossible fail fails
    contradict contradicts mistaken mistakenly
"""
_DENIALS = frozenset(_DENIAL_WORDS.split())
_DENIAL_PHRASES = (
    "n't",
    "n\u2019t",
    "no one",
    "rule out",
    "rules out",
    "such as",
    "may be",
    "\u53ef\u80fd",
    "\u4e0d\u786e",
)
"""What a sentence has that does not give its number as the answer."""
_CHANGE_WORDS = """
    double half twice thrice triple times square squared cube cubed root reciprocal inverse opposite multiple
    multiples divisor divisors divisible factor factors power powers prime primes bigger smaller larger greater lower
    higher fewer less more most least different differ differs far near nowhere off section page equation chapter than
    between every each any other but except above below over under within modulo mod minus negative anything nothing
    no would could might possibly first last
"""
_CHANGES = frozenset(_CHANGE_WORDS.split())
_CHANGE_PHRASES = re.compile(r"close to|up to|\bbetween \S+ and $|\bwhen[ }]*$")
"""Words right before a number that make another number of it, or a bound."""
_LETTERS = re.compile(r"[a-z]+")
_CONDITIONAL = re.compile(r"\W*(?:let|if|suppose|assum\w+|unless|were)\b[^,]*$", re.IGNORECASE)
_WORD = re.compile(r"(?<![\\A-Za-z])(?!(?:sqrt|sin|cos|tan|log|exp|infinity)\b)[a-z]{3,}")
_NO_ANSWER = re.compile(
    r"\bno (?:final )?answer\b|\bgive up\b|\b(?:cannot|can['\u2019]?t|could not|couldn['\u2019]t|unable to) (?:be )?"
    r"(?:determined?|justify|prove|solved?|say|find|answer|conclude|verify|tell|compute|provide|give)\b"
    r"|\b(?:do|does|did) ?n(?:o|['\u2019])t (?:know|have)\b|\bnot (?:sure|certain|enough)\b|\bunsure\b|无法|不知道",
    re.IGNORECASE,
)
_COUNTED = re.compile(
    r"\b(?:step|case|part|eq|equation|theorem|lemma|no|base|problem|question|figure|exercise|line|page|confidence|score|rating)s?\.?:?\s*\(?$",
    re.IGNORECASE,
)
_YEAR = re.compile(r"\b(?:in|since|by|during|until|from|year|of)\s+$", re.IGNORECASE)
_WHEN = re.compile(
    r"\b(?:in|since|during|until|within|after|before|when|if|where|out of)\s+(?:\w+ ?= ?)?$", re.IGNORECASE
)
_FOUR_DIGITS = re.compile(r"(?:1[6-9]|20)\d\d")
_DIGIT = re.compile(r"\d")
_NEXT_WORD = re.compile(r"(?: | ?\\text ?\{ ?)([A-Za-z]+)")
_TWO_LETTERS = "am an as at be by cu do go he if in is it me my no of oh on or pm so sq to up us vs we"
_SHORT_WORDS = frozenset(_TWO_LETTERS.split())
_ORDINAL = re.compile(r"(?:st|nd|rd|th)\b")
_LISTED = re.compile(r"\d,$")
_UNFINISHED = frozenset("=+*/({[\\^_,")
"""Signs in which no text ends that is whole."""
_OPERATORS = ("{", "^", "_", "\u221a", "+", "*", "\u00d7", "\u00b7", "/")
_OPERATION = re.compile(r"[\w)}$] [-+*/\u00d7\u00b7] $|\b(?:at|for|when|if|where) \$?\w+ ?= ?$|\d\S* (?:and|to) $")
_COMPARED = re.compile(r"(?:\\(?:neq?|geq?|leq?|gt|lt)|[<>\u2260\u2264\u2265])\s*$")
_DOUBTS = (
    "no ",
    "n't",
    "n\u2019t",
    "can",
    "could",
    "unable",
    "not",
    "unsure",
    "give up",
    "\u65e0\u6cd5",
    "\u4e0d\u77e5",
)
"""One of them is in every text that gives no answer."""
_SENTENCE_CHARACTERS = 300
_SENTENCE_ENDS = (". ", "! ", "? ", "\n", "。")
_SENTENCE = re.compile(r"[.!?。]\s|[\n。]")
_NEGATION = re.compile(r"\b(?:not|minus|negative|between)\b", re.IGNORECASE)
_REJECTED = re.compile(
    r"^[)\]*_$]{0,3} ?(?:(?:is|are|was|were|does|do|did|would|will|can|could|has|have|seems?) ?(?:\w+ )?"
    r"(?:wrong|incorrect|false|impossible|not|mistaken|no|too|invalid|extraneous|rejected|excluded|discarded)\b"
    r"|(?:contradicts?|fails?|cannot|would|could|might|may|(?:\\text\{ ?)?(?:degrees )?below)\b|\w+n['\u2019]t\b"
    r"|(?:less|more|fewer) than\b|(?:\\text\{)? ?or (?:more|less|fewer|greater|higher|lower|so)\b)",
    re.IGNORECASE,
)
"""Words after a number that deny it."""
_CONTINUED = re.compile(
    r"\s?(?:[\^\u221a\u03c0(!]|\\(?![\])%,;: ]|text|mathrm|mbox|quad|\$))|[A-Za-z]\b|\s?[*+\u00d7\u00b7] ?[\d(\\]"
)
"""What follows a number that is the beginning of an expression."""
_COPULA = re.compile(
    r"(?:\b(?:is|are|equals|be|becomes|gives|get|was)\b(?: equal to| approximately| exactly)?|=)\s*(?=[^=]*$)"
)
BOX = r"\\(?:boxed|fbox|framebox)"
_EMPTY_BOX = re.compile(BOX + r"\s*\{\s*\}[^{}]*$")
"""A box for an answer that was not given."""
_LAST_WORDS, LAST_LINES = 40, 600
_LONGEST_START = 16
"""Characters at the start of a tail in which a number may have been cut."""


def last_number(text: str) -> str | None:
    """The last number of a text, as written, or None (5 of the precedence)."""
    if text.rstrip()[-1:] in _UNFINISHED or ("box" in text[-40:] and _EMPTY_BOX.search(text[-40:])):
        return None
    for size in (_LAST_WORDS, LAST_LINES, len(text)):
        first, found = max(0, len(text) - size), None
        for found in NUMBER.finditer(text, first):  # noqa: B007  (only the last one matters)
            pass
        if found is not None and (found.start() >= first + _LONGEST_START or first == 0):
            return None if _is_part(text, found.start(), found.end()) else found[0]
    return None


def is_rejected(text: str) -> bool:
    """Whether a text denies what stands before it: " is wrong"."""
    return _REJECTED.match(text) is not None


def gives_none(text: str, position: int) -> bool:
    """Whether the sentence at a position, or what follows it, says that there is no answer."""
    sentence = _sentence_start(text, position)
    return _is_declined(text[sentence:]) or _is_declined_before(text, sentence)


def _is_declined(text: str) -> bool:
    lowered = text.lower()
    return any(mark in lowered for mark in _DOUBTS) and _NO_ANSWER.search(text) is not None


def _is_declined_before(text: str, position: int) -> bool:
    said = text[max(0, position - _SENTENCE_CHARACTERS) : position].lower()
    return "no answer" in said and "no answer" in text[_sentence_start(text, position - 2) : position].lower()


def _sentence_start(text: str, position: int) -> int:
    """Where the sentence begins that a position is in, at most 300 characters before it."""
    start = max(0, position - _SENTENCE_CHARACTERS)
    places = ((text.rfind(mark, start, position), len(mark)) for mark in _SENTENCE_ENDS)
    return max((place + length for place, length in places if place >= 0), default=start)


def _is_part(text: str, start: int, end: int) -> bool:
    """Whether a number is part of something else, denied, an ordinal, a label, a year or in a question."""
    close, after = text[max(0, start - 24) : start], text[end : end + 24]
    if _is_in_formula(close, after):
        return True
    sentence = _sentence_start(text, start)
    said, following = text[sentence:start], _SENTENCE.split(text[end:] + "\n", maxsplit=1)[0]
    return (
        _is_circumstance(close, said, text[start:end])
        or _is_denied(close, said, after)
        or _REJECTED.match(following) is not None
        or text[end + len(following) :].startswith("?")
        or " contradict" in text[end : end + 60].lower()
        or _is_declined(text[sentence:])
        or _is_declined_before(text, sentence)
    )


def _is_in_formula(close: str, after: str) -> bool:
    is_range = close.endswith("-") and close[-2:-1].isdigit()
    is_index = close.endswith("[") and after.startswith("]")
    is_cell = close.endswith("| ") and after.startswith(" |")
    is_aside = close.endswith(("(", "# ")) and after[:1] == " "
    is_listed = close.endswith("\n") and after.startswith(". ")
    if is_cell or is_aside or is_listed or _OPERATION.search(close):
        return True
    return (
        close.endswith(_OPERATORS)
        or _COMPARED.search(close) is not None
        or is_range
        or is_index
        or _CONTINUED.match(after) is not None
    )


def _is_circumstance(close: str, said: str, number: str) -> bool:
    """A number that says when or where, after another one, or that is a year: "12 apples left in 2024"."""
    if _WHEN.search(close) and _DIGIT.search(said):
        return True
    return _FOUR_DIGITS.fullmatch(number) is not None and _YEAR.search(close) is not None


def _is_denied(close: str, said: str, after: str) -> bool:
    word = _NEXT_WORD.match(after)
    return bool(
        _NEGATION.fullmatch(close[-12:].split(" ")[-2:][0])
        or _CONDITIONAL.match(said)
        or _is_doubted(said)
        or _is_changed(said)
        or _COUNTED.search(close)
        or _ORDINAL.match(after)
        or (word and word[1].casefold() in FRACTION_WORDS)
        or _LISTED.search(close[-2:])
    )


def last_statement(text: str) -> str | None:
    """What stands after the last "is" of the last sentence, if it can be read as mathematics; else None.

    >>> last_statement("The length is 2√3."), last_statement("The answer is near.")
    ('2√3', None)
    """
    tail = text[-LAST_LINES:].strip()
    sentence = [part for part in _SENTENCE.split(tail.rstrip(".")) if part and part.strip()][-1:]
    copula = _COPULA.search(sentence[0]) if sentence else None
    if copula is None or not sentence or _is_doubted(sentence[0]) or _NO_ANSWER.search(tail):
        return None
    content = without_prose(sentence[0][copula.end() :].strip())
    if _WORD.search(content) or read_answer(content).kind in ("words", "unread", "unusable"):
        return None
    return content


def without_prose(content: str) -> str:
    """Reduce "that she has 18 apples" to "18", and "18 apples for 3 children" to "18"."""
    if content.isdigit():
        return content
    if _PROSE.match(content):
        numbers = list(NUMBER.finditer(content))
        return numbers[0][0] if len(numbers) == 1 and _is_told(content, *numbers[0].span()) else content
    leading = _NUMBER_THEN_PROSE.match(content)
    if leading is None or read_answer(content).kind == "number":
        return content
    rest = _CIRCUMSTANCE.split(content[leading.end() :], maxsplit=1)[0]
    is_in_formula = content[0] == "$" in rest
    if is_in_formula or _starts_with_letters(rest) or _REJECTED.match(rest):
        return content
    words = rest.casefold().split() or [""]
    is_joined = words[0] in _JOINED and not (words[0] == "more" and "than" not in words)
    return content if _MATHEMATICAL.search(rest) or _OPERATIONS & set(words) or is_joined else leading[1]


def _starts_with_letters(rest: str) -> bool:
    """Whether what follows a number goes on with a product of letters, such as `xy` or `BC`: no word and no unit."""
    word = _NEXT_WORD.match(rest)
    if word is None or not (len(word[1]) == 2 or word[1].isupper()):
        return False
    return word[1] not in _SHORT_WORDS and measure(word[1]) is None


def _is_told(sentence: str, start: int, end: int) -> bool:
    """Whether a sentence gives the number at this place as it is, not as a bound, a part or a place in the text."""
    before, after = sentence[:start], sentence[end:]
    is_other = _is_doubted(before) or _is_changed(before) or _COUNTED.search(before[-30:])
    return not (is_other or _ORDINAL.match(after) or _REJECTED.match(after))


def _is_doubted(before: str) -> bool:
    lowered = before.lower()
    return not _DENIALS.isdisjoint(_LETTERS.findall(lowered)) or any(part in lowered for part in _DENIAL_PHRASES)


def _is_changed(before: str) -> bool:
    close = before[-40:].lower()
    words = _LETTERS.findall(_SENTENCE.split(close)[-1])[-4:]
    return not _CHANGES.isdisjoint(words) or _CHANGE_PHRASES.search(close) is not None
