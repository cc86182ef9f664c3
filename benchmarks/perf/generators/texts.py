# ruff: noqa: RUF001 (the characters that look like others are meant)
"""Words, prose, Chinese, tokens around answers, and answers that are missing."""

from __future__ import annotations

from fractions import Fraction
from random import Random

from .parts import SQUAREFREE, another, integer, other, pick, rational, several, size, tex
from .tables import Made, Texts, equal, kind, wrong

TOKENS = (
    "<|im_end|>",
    "</s>",
    "<|eot_id|>",
    "<|endoftext|>",
    "<eos>",
    "<|end|>",
    "<end_of_turn>",
    "<｜end▁of▁sentence｜>",
)
NOUNS = ("ellipse", "parabola", "hyperbola", "circle", "triangle", "square", "rhombus", "line", "point", "plane")
PEOPLE = ("Evelyn", "Ann", "Bob", "Carol", "David", "Frank", "Grace", "Henry")
OPPOSITES = (
    ("yes", "no"),
    ("true", "false"),
    ("even", "odd"),
    ("increasing", "decreasing"),
    ("convergent", "divergent"),
    ("maximum", "minimum"),
    ("parallel", "perpendicular"),
    ("concave up", "concave down"),
    ("rational", "irrational"),
    ("prime", "composite"),
    ("continuous", "discontinuous"),
    ("possible", "impossible"),
    ("the first one", "the second one"),
    ("linear", "nonlinear"),
    ("是", "否"),
    ("正确", "错误"),
    ("椭圆", "双曲线"),
    ("增函数", "减函数"),
)


@kind("words")
def _words(r: Random) -> Made:
    table = pick(r, NOUNS, PEOPLE, None)
    gold, changed = r.sample(table, 2) if table else r.choice(OPPOSITES)
    if r.random() < 0.5:
        gold, changed = changed, gold

    def write(word: str) -> str:
        return pick(
            r,
            word,
            rf"\text{{{word}}}",
            rf"\textbf{{{word}}}",
            word.capitalize(),
            rf"\mathrm{{{word}}}" if " " not in word else word,
        )

    return pick(r, gold, rf"\text{{{gold}}}"), write(gold), write(changed)


@wrong("negated words")
def _negated_words(r: Random) -> Texts:
    word = pick(r, *NOUNS, "even", "prime", "convergent", "true", "possible", "continuous")
    return word, pick(
        r, f"not {word}", rf"\text{{not }} \text{{{word}}}", f"not a {word}", f"neither {word} nor line", f"non-{word}"
    )


NOTHING = (
    "no solution",
    r"\emptyset",
    r"\text{no solution}",
    r"\varnothing",
    "No solutions",
    r"\text{no real solutions}",
)


@wrong("no solution against a value")
def _nothing(r: Random) -> Texts:
    value = pick(
        r, tex(rational(r)), f"x = {integer(r, 2)}", "0", r"\mathbb{R}", r"\{0\}", f"({integer(r, 1)}, {integer(r, 1)})"
    )
    two = r.choice(NOTHING), value
    return two if r.random() < 0.5 else two[::-1]


@equal("no solution")
def _same_nothing(r: Random) -> Texts:
    forms = ("no solution", r"\emptyset", r"\text{no solution}", r"\varnothing", "No solutions", r"\{\}")
    return r.choice(forms), r.choice(forms)


def _value(r: Random) -> tuple[str, str]:
    """A number and another one."""
    n = size(r, 4) + 1
    m = abs(another(r, n)) + 1
    return str(n), str(m + 1 if m == n else m)


@wrong("denied or doubted numbers", whole=True)
def _denied(r: Random) -> Texts:
    n, m = _value(r)
    return n, pick(
        r,
        f"I first thought of {n} but give no answer.",
        f"I considered {n} at first, but I cannot justify it and give no answer.",
        f"Maybe {n}? I do not know.",
        f"The answer is not {n}.",
        f"The answer cannot be {n}; it is {m}.",
        f"The answer isn't {n}.",
        f"It is definitely not {n}.",
        f"I don't think it is {n}",
        f"{n} is wrong.",
        f"{n} is not the answer.",
        f"I cannot determine the answer. A guess such as {n} would be unfounded.",
        f"It could be {n} or something else; I give up.",
        f"We get {n}, which is impossible. So there is no answer.",
        f"The answer is anything but {n}.",
        f"The answer is not {n}, but {m}.",
        f"The result {n} contradicts the condition, so this problem has no solution.",
        f"Not {n}.",
        f"Unlike {n}, {m} satisfies the equation. The answer is {m}.",
        f"\\boxed{{\\text{{not }} {n}}}",
        f"\\boxed{{\\neq {n}}}",
        f"The answer is less than {n}.",
        f"The answer is more than {n}",
        f"Answer: at least {n}",
        f"答案不是{n}",
        f"答案不是{n}，而是{m}。",
        f"The final answer is never {n}.",
        f"I would not say {n}.",
        f"Is it {n}?",
        f"Is the answer {n}?",
        f"If the answer is {n}, then the sum would be odd, a contradiction.",
        f"The answer is either {n} or {m}, I can't tell.",
        f"The answer is {n} or {m}.",
        f"The answer is between {n} and {int(n) + 7}.",
        f"Suppose the answer is {n}. This fails.",
        f"No answer. ({n} was my first guess.)",
    )


@wrong("numbers merely mentioned", whole=True)
def _mentioned(r: Random) -> Texts:
    n, m = _value(r)
    return n, pick(
        r,
        f"{m} apples left in {n}",
        f"There were {m} apples left in {n}.",
        f"By step {n} of the proof, the answer is {m}.",
        f"The answer is {m}, see equation ({n}).",
        f"The answer is {m} (page {n}).",
        f"\\boxed{{{m}}} as in problem {n}.",
        f"#### {m}\n\nChecked in {n} steps.",
        f"Answer: {m}\n\nConfidence: {n}%",
        f"<answer>{m}</answer> Time: {n} ms",
        f"**Answer:** {m}\n\n(problem {n})",
        f"The answer is {m}. Problem {n} is similar.",
        f"Let me recompute {n}. The answer is {m}",
        f"答案是{m}，见第{n}题。",
        f"Problem {n}\n\n\\boxed{{{m}}}",
        f"\\boxed{{{m}}}\n\nNext problem: {n}",
        f"\\boxed{{{m}}} is larger than {n}",
        f"x = {m} when y = {n}",
        f"{m} (out of {n})",
        f"Final answer: {m} ± {n}",
        f"Step 1: {n}\nStep 2: {m}",
        f"The answer is {m}/{n}" if int(m) != int(n) ** 2 else f"The answer is {m}",
    )


@equal("prose around a number", whole=True)
def _prose(r: Random) -> Texts:
    n, m = _value(r)
    return n, pick(
        r,
        f"Adding {m} gives the total. The answer is {n}.",
        f"The answer is {n}",
        f"**Final Answer**\n\nThe total is {n}.",
        f"### Final Answer\n\n{n}",
        f"### Final Answer: {n}",
        f"**Answer**\n\n{n}\n\nConfidence: 90%",
        f"<answer> The total is {n} apples. </answer>",
        f"Answer: `{n}`",
        f"Answer = {n}",
        f"Ans. {n}",
        f"Result: {n}",
        f"\\boxed{{\\text{{The answer is }} {n}}}",
        f"\\boxed{{\\text{{Answer: }} {n}}}",
        f"First I got {m}, but that is wrong. The answer is {n}.",
        f"\\boxed{{\\textbf{{{n}}}}}",
        f"\\boxed{{\\textcolor{{blue}}{{{n}}}}}",
        f"\\boxed{{\\displaystyle {n}}}",
        f"\\boxed{{\\boxed{{{n}}}}}",
        f"\\(\\boxed{{{n}}}\\)",
        f"So it is \\boxed{{{n}",
        f"\\boxed{{{n} }}.",
        f"<think>Is it {m}? No.</think>The answer is {n}.",
        f"So there are {n} ways.",
        f"Thus $x = {n}$.",
        f"因此，小明有{n}个苹果。",
        f"综上，$x={n}$。",
        f"最终答案：{n}元",
        f"答案是{n}",
        f"答案：{n}",
        f"＃＃＃ 答案\n\n**{n}**",
        f"The final answer is $\\boxed{{{n}}}$. I hope it is correct.",
    )


@equal("end tokens", whole=True)
def _end_tokens(r: Random) -> Texts:
    value = pick(r, str(size(r, 5)), tex(rational(r)), rf"{r.randint(2, 50)}\sqrt{{{r.choice(SQUAREFREE)}}}")
    return value, pick(r, value, f"\\boxed{{{value}}}", f"#### {value}", f"The answer is {value}.") + r.choice(TOKENS)


@wrong("end tokens", whole=True)
def _other_end_tokens(r: Random) -> Texts:
    n, m = _value(r)
    return n, pick(r, m, f"\\boxed{{{m}}}", f"#### {m}", f"The answer is {m}.") + r.choice(TOKENS) * pick(r, 1, 1, 2)


@wrong("empty or missing boxes", whole=True)
def _missing(r: Random) -> Texts:
    n, m = _value(r)
    return n, pick(
        r,
        r"\boxed{}",
        r"\boxed{ }",
        f"We computed {n}. \\boxed{{}}",
        f"The total is {n}, so \\boxed{{?}}",
        f"\\boxed{{\\text{{unknown}}}} although {n} was near",
        "",
        "I do not know.",
        f"<answer></answer> {n}",
        f"#### \n\nsome note about {n} things and {m} others",
        r"\boxed{\text{no answer}}",
        r"\boxed{\ldots}",
        r"\boxed",
        r"\boxed{x}",
        r"\boxed{n}",
        f"<think>{n}</think>",
        f"<think>\\boxed{{{n}}}</think>\\boxed{{{m}}}",
        f"<think>The answer is {n}.",
        f"\\boxed{{{m}}}\\boxed{{}}",
        "{" + "}" + r"\boxed{\{\}}",
    )


@equal("double-escaped backslashes")
def _double_escaped(r: Random) -> Texts:
    value, root = rational(r), r.choice(SQUAREFREE)
    body = pick(r, tex(value), rf"{size(r, 1)}\sqrt{{{root}}}", rf"\frac{{{size(r, 1)}\pi}}{{{r.randint(10, 19)}}}")
    text = pick(r, body, rf"\left({body}, {size(r, 1)}\right)", rf"{body} + {size(r, 1)}")
    return text, text.replace("\\", "\\\\")


@wrong("double-escaped backslashes")
def _other_double_escaped(r: Random) -> Texts:
    a, b = several(r, rational, 2, 2)
    root = r.choice(SQUAREFREE)
    return rf"{tex(a)} + \sqrt{{{root}}}", rf"{tex(b)} + \sqrt{{{root}}}".replace("\\", "\\\\")


CHINESE = (
    "答案是{}",
    "答案：{}",
    "所以答案是 \\boxed{{{}}}。",
    "综上，答案为{}。",
    "最终答案：{}",
    "\\boxed{{{}}}",
    "故答案为：{}",
)


@equal("Chinese", whole=True)
def _chinese(r: Random) -> Texts:
    n, _ = _value(r)
    a, b = sorted(r.sample(range(1, 100), 2))
    letter, letters = r.choice("ABCD"), sorted(r.sample("①②③④", 2))
    unit = pick(r, "平方厘米", "元", "米", "厘米", "个", "人", "千克", "平方米")
    gold, same = pick(
        r,
        (n, n),
        (n, f"{n}{unit}"),
        (f"{n}{unit}", n),
        (f"{a}, {b}", f"{a}或{b}"),
        (f"{a}或{b}", f"{a}, {b}"),
        (f"{a}, {b}", f"{a}、{b}"),
        (f"{a},{b}", f"{a}，{b}"),
        (f"({a},{b})", f"（{a}，{b}）"),
        ("".join(letters), "".join(letters)),
        (f"{a}:{b}", f"{a}∶{b}"),
    )
    if r.random() < 0.2:
        return letter, r.choice(("故选：{}", "故选{}.", "答案：{}", "答案是{}", "因此选{}。", "故选：{}。")).format(
            letter
        )
    return gold, r.choice(CHINESE).format(same)


@wrong("Chinese", whole=True)
def _other_chinese(r: Random) -> Texts:
    n, m = _value(r)
    a, b, c = r.sample(range(1, 100), 3)
    letter, far = r.sample("ABCD", 2)
    one, two = (
        ("".join(sorted(marks))) for marks in several(r, lambda r: set(r.sample("①②③④", r.randint(1, 3))), 2, 2)
    )
    unit, lesser = pick(
        r, ("平方厘米", "立方厘米"), ("米", "厘米"), ("千克", "克"), ("平方米", "平方厘米"), ("小时", "分钟")
    )
    gold, changed = pick(
        r,
        (n, m),
        (n, f"{m}{unit}"),
        (f"{n}{unit}", m),
        (f"{n}{unit}", f"{n}{lesser}"),
        (f"{a}, {b}", f"{a}或{c}"),
        (f"{a}或{b}", f"{a}"),
        (f"{a}", f"{a}或{b}"),
        (f"{a}、{b}", f"{a}、{b}、{c}"),
        (f"({a},{b})", f"（{b}，{a}）"),
        (one, two),
        (f"{a}:{b}", f"{b}∶{a}"),
    )
    if r.random() < 0.2:
        return letter, r.choice(("故选：{}", "故选{}.", "答案：{}", "答案是{}", "不选{1}，故选{0}。")).format(
            far, letter
        )
    return gold, r.choice(CHINESE).format(changed)


@kind("statements in circles")
def _circled(r: Random) -> Made:
    marks = sorted(r.sample("①②③④⑤", r.randint(1, 3)))
    changed = other(r, marks, lambda: sorted(r.sample("①②③④⑤", r.randint(1, 4))))
    return "".join(marks), pick(r, "", "", ",", "、").join(marks), pick(r, "", ",").join(changed)


@kind("names of complexity")
def _complexity(r: Random) -> Made:
    forms = ["n", "n^2", r"n\log n", r"\log n", "n^3", "2^n", "n!", "1", r"\sqrt{n}"]
    first, second = r.sample(forms, 2)
    name = pick(r, "O", r"\Theta", r"\Omega")
    calligraphic = r"\mathcal{O}" if name == "O" else name
    return f"{name}({first})", f"{calligraphic}({first})", f"{pick(r, name, calligraphic)}({second})"


@wrong("numbers in a text")
def _text_numbers(r: Random) -> Texts:
    n, m = _value(r)
    noun = pick(r, "apples", "ways", "students", "red balls", "people")
    return r.choice(
        (
            (f"{n} {noun}", f"{m} {noun}"),
            (rf"\text{{{n} {noun}}}", rf"\text{{{m} {noun}}}"),
            (n, rf"{m} \text{{ {noun}}}"),
            (rf"\text{{{n}}}", rf"\text{{{m}}}"),
            (f"{n} {noun} and {m} cats", f"{m} {noun} and {n} cats"),
            (rf"\text{{x+{n}}}", rf"\text{{x-{n}}}"),
            (f"Room {n}", f"Room {m}"),
            (f"{Fraction(int(n))} {noun}", f"-{n} {noun}"),
        )
    )


OPTIONS = "ABCDE"
PHRASES = (
    "The mitochondria",
    "12 cm",
    "A random sample",
    "None of the above",
    "x = 4",
    "It increases",
    r"$\frac{1}{2}$",
)
WHOLE = (
    "The answer is ({}).",
    "The answer is **({})**.",
    "Answer: {}",
    "**Answer: {}**",
    "Therefore, the correct option is {}.",
    r"\boxed{{{}}}",
    r"\boxed{{\text{{({})}}}}",
    r"\boxed{{\text{{{}}}}}",
    r"\boxed{{\textbf{{({})}}}}",
    "故选：{}",
    "故选{}.",
    "答案：{}",
    "<answer>{}</answer>",
    "<answer>({})</answer>",
    "#### {}",
    "Option {}",
    r"\boxed{{\text{{Option {}}}}}",
    "The correct answer is {}.",
    "Antwort: {}",
    "**{}**",
    "({})",
)


def _with_text(r: Random, letter: str) -> str:
    text = r.choice(PHRASES)
    bare = text.replace("$", "")
    return pick(
        r,
        f"**{letter}.** {text}",
        f"({letter}) {text}",
        f"Answer: {letter}) {text}",
        f"<answer>{letter}. {text}</answer>",
        rf"\boxed{{{letter}. \text{{{bare}}}}}" if "\\" not in bare else rf"\boxed{{{letter}}}",
        rf"\boxed{{{letter}: \text{{{bare}}}}}" if "\\" not in bare else rf"\boxed{{{letter}}}",
        rf"\boxed{{\text{{({letter}) }} {size(r, 2)}}}",
        f"Thus the answer is option ({letter}), i.e. {size(r, 2)}.",
    )


def _one(r: Random, letter: str) -> str:
    return r.choice(WHOLE).format(letter) if r.random() < 0.6 else _with_text(r, letter)


@equal("multiple choice", whole=True)
def _same_letter(r: Random) -> Texts:
    letter = r.choice(OPTIONS)
    return letter, _one(r, letter)


@wrong("multiple choice", whole=True)
def _other_letter(r: Random) -> Texts:
    letter = r.choice(OPTIONS)
    far = other(r, letter, lambda: r.choice(OPTIONS))
    before = pick(r, "", "", f"{letter} is wrong, because it is too large. ", f"Option {letter} looks right at first. ")
    gold = pick(r, letter, letter, f"({letter})", rf"\text{{({letter})}}", rf"\boxed{{{letter}}}")
    return gold, before + _one(r, far) if "**" not in before else _one(r, far)


@kind("several letters")
def _several_letters(r: Random) -> Made:
    letters = sorted(r.sample("ABCDE", r.randint(2, 4)))
    changed = other(r, letters, lambda: sorted(r.sample("ABCDE", r.randint(1, 5))))

    def write(letters: list[str]) -> str:
        forms = ["".join(letters), ", ".join(letters), ",".join(letters), rf"\text{{{', '.join(letters)}}}"]
        if len(letters) > 1:
            forms += [", ".join(letters[:-1]) + " and " + letters[-1], "、".join(letters)]
        return r.choice(forms)

    return "".join(letters), write(letters), write(changed)


@wrong("letters and numbers")
def _letters_and_numbers(r: Random) -> Texts:
    letter = r.choice(OPTIONS)
    return r.choice(
        ((letter, str(integer(r, 3))), (str(integer(r, 3)), letter), (letter, f"{letter}x"), (letter, f"2{letter}"))
    )


@wrong("an option's number instead of the answer", whole=True)
def _choice_text(r: Random) -> Texts:
    letter, value = r.choice(OPTIONS), size(r, 3)
    far = other(r, letter, lambda: r.choice(OPTIONS))
    return r.choice(
        (
            (str(value), f"\\boxed{{({letter}) {value + 1}}}"),
            (str(value), f"**{letter}.** {value + 10}"),
            (letter, f"\\boxed{{({far}) {letter}}}"),
            (f"({letter}) {value}", f"\\boxed{{({far}) {value + 1}}}"),
            (f"({letter}) {value}", f"\\boxed{{{far}}}"),
        )
    )
