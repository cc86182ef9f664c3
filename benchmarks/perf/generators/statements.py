# ruff: noqa: RUF001 (the characters that look like others are meant)
"""Conditions, sentences and decorations that change what an answer says."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from random import Random

from .amounts import MONTHS
from .parts import LETTERS, integer, other, pick, rational, several, size, tex
from .tables import Made, Texts, equal, kind, wrong

CLAUSES = (
    "The answer is nowhere near {n}.",
    "The answer is hardly {n}.",
    "The answer is unlikely to be {n}.",
    "The answer is possibly {n}, or {m}.",
    "The answer is double {n}.",
    "The answer is one more than {n}.",
    "The answer is bigger than {n}.",
    "The answer is greater than {n}",
    "The answer is smaller than {n}.",
    "The answer is the square of {n}.",
    "The answer is the reciprocal of {n}.",
    "The answer is not known, but {n} was suggested.",
    "The answer is {n} less than {m}.",
    "The answer is {m} divided by {n}.",
    "The answer is {m} plus {n}.",
    "The answer is {n}% of {m}.",
    "The answer is a number below {n}.",
    "The answer is undefined at {n}.",
    "The answer is still unknown after {n} steps.",
    "The answer is in section {n}.",
    "The answer is given by equation ({n}).",
    "The answer is found on page {n}.",
    "The answer is unclear; I tried {n}.",
    "The answer is a multiple of {n}.",
    "The answer is no longer {n}.",
    "The answer is far from {n}.",
    "The answer is off by {n}.",
    "The answer is divisible by {n}.",
    "The answer is within {n} of {m}.",
    "The answer is neither {n} nor {m}.",
    "The answer is negative {n}.",
    "The answer is minus {n}.",
    "The answer is half of {n}.",
    "The answer is three times {n}.",
    "The answer is {n} squared.",
    "The answer is {n} times {m}.",
    "The answer is {n} cubed.",
    "The answer is {n} factorial.",
    "The answer is {n} in base 16.",
    "The answer is {n} or so many that I lose count.",
    "The answer is any number except {n}.",
    "The answer is at most {n}.",
    "The answer is at least {n}.",
    "The answer is the {n}th prime.",
    "The answer is wrong if you get {n}.",
    "The answer is never going to be {n}.",
    "The answer is impossible to be {n}.",
    "The answer is certainly different from {n}.",
    "The answer is commonly mistaken for {n}.",
    "The answer is what remains of {n} after {m} are removed.",
    "<answer>not {n}</answer>",
    "<answer>I am not sure, {n}?</answer>",
    "<answer>{n} is wrong</answer>",
    "<answer>between {n} and {m}</answer>",
    "<answer>anything but {n}</answer>",
    "<answer>{n} or {m}</answer>",
    "Answer: not {n}",
    "Answer: twice {n}",
    "Answer: unknown ({n}?)",
    "Answer: {n} does not work",
    "**Answer:** more than {n}",
    "**Answer:** impossible; {n} fails",
    "#### not {n}",
    "#### {n} or {m}",
    "#### less than {n}",
    "#### {m} (not {n})",
    "Final answer: none, since {n} is excluded",
    "So {n} doesn't work.",
    "We must rule out {n}.",
    "So it can't be {n}.",
    "This excludes {n}.",
    "Hence we reject {n}.",
    "{n} is too small.",
    "{n} would be wrong.",
    "{n} fails the second condition.",
    "Nobody would say {n}",
    "My guess of {n} was refuted.",
    "It should be larger than {n}",
    "Thus it differs from {n}.",
    "This is false for {n}.",
    "The claim that it equals {n} is false.",
    "It is false that x = {n}.",
    "Therefore x is not equal to {n}.",
    r"Hence $x \neq {n}$.",
    r"Therefore, $x > {n}$.",
    "The value lies strictly between {m} and {n}.",
    "I would need more information than {n}.",
    "答案大于{n}。",
    "答案小于{n}",
    "答案不等于{n}。",
    "答案不可能是{n}",
    "答案至少是{n}。",
    "不是{n}。",
    "我不确定，可能是{n}？",
)


@wrong("sentences that do not give the number", whole=True)
def _clauses(r: Random) -> Texts:
    n, m = r.sample(range(11, 3000), 2)
    return str(n), r.choice(CLAUSES).format(n=n, m=m)


CONDITIONS = (
    (r"{a} < x < {b}, x \in \mathbb{{Z}}", "({a}, {b})"),
    (r"{a} < x < {b} \text{{ and }} x \in \mathbb{{Z}}", "{a} < x < {b}"),
    (r"\{{x \in \mathbb{{Z}} \mid {a} < x < {b}\}}", "({a}, {b})"),
    (r"\{{n \in \mathbb{{N}} : n > {a}\}}", "n > {a}"),
    (r"n \ge {a}, n \text{{ odd}}", r"n \ge {a}"),
    (r"n \ge {a} \text{{ and }} n \text{{ is even}}", r"n \ge {a} \text{{ and }} n \text{{ is odd}}"),
    (r"x > {a} \text{{ and }} y > {b}", "x > {a}"),
    (r"x > {a}, y > {b}", r"x > {b}, y > {a}"),
    (r"x > {a} \text{{ or }} x < {b}", r"x > {a} \text{{ and }} x < {b}"),
    (r"x < {a} \text{{ or }} x > {b}", r"x < {a} \text{{ and }} x > {b}"),
    (r"x \notin ({a}, {b})", r"x \in ({a}, {b})"),
    (r"\mathbb{{R}} \setminus ({a}, {b})", "({a}, {b})"),
    (r"({a}, {b})^c", "({a}, {b})"),
    (r"[{a}, {b}] \cap [{a}, {c}]", r"[{a}, {b}] \cup [{a}, {c}]"),
    (r"(0, {c}) \setminus [{a}, {b}]", r"(0, {a}) \cup [{b}, {c})"),
    (r"\{{{a},{b},{c}\}} \setminus \{{{b}\}}", r"\{{{a},{b},{c}\}}"),
    (r"\{{{a},{b}\}} \cap \{{{b}\}}", r"\{{{a},{b}\}} \cup \{{{b}\}}"),
    (r"(k, {a}k), k \neq 0", "(k, {a}k)"),
    (r"k\pi, k \in \mathbb{{Z}}, k \neq 0", r"k\pi, k \in \mathbb{{Z}}"),
    (r"\frac{{\pi}}{{{a}}}+k\pi, k \in \mathbb{{N}}", r"\frac{{\pi}}{{{a}}}+k\pi, k \in \mathbb{{Z}}"),
    (r"2k\pi, k \in \mathbb{{Z}}", r"2k\pi, k \in \mathbb{{R}}"),
    (r"k\pi, k \text{{ even}}", r"k\pi, k \text{{ odd}}"),
    (r"{a}n+1, n \in \mathbb{{N}}", r"{a}n+1, n \in \mathbb{{R}}"),
    (r"{a}^n, n \ge 1", "{a}^n, n \\ge 2"),
    (r"a_n = {a}n, n \geq 2", r"a_n = {a}n, n \geq 3"),
    (r"f(x) = {a}x, x \in [0,1]", r"f(x) = {a}x, x \in [0,2]"),
    (r"\frac{{{a}}}{{x}}, x > 0", r"\frac{{{a}}}{{x}}, x < 0"),
    (r"x^2 \text{{ for }} x > {a}", r"x^2 \text{{ for }} x < {a}"),
    (r"{a} \text{{ if }} n \text{{ is even}}", r"{a} \text{{ if }} n \text{{ is odd}}"),
    (
        r"{a} \text{{ if }} n \text{{ is even}}, {b} \text{{ if odd}}",
        r"{b} \text{{ if }} n \text{{ is even}}, {a} \text{{ if odd}}",
    ),
    (r"x = {a} \text{{ when }} k = {b}", r"x = {b} \text{{ when }} k = {a}"),
    (r"\min = {a}, \max = {b}", r"\min = {b}, \max = {a}"),
    (r"a = {a} \text{{ or }} b = {b}", r"a = {b} \text{{ or }} b = {a}"),
    (r"(x, y) = ({a}, {b})", r"(y, x) = ({a}, {b})"),
    (r"x \text{{ is at most }} {a}", r"x \ge {a}"),
    (r"x \text{{ is at least }} {a}", r"x \le {a}"),
    (r"x \ge {a}", r"x \text{{ is more than }} {a}"),
    (r"\text{{all integers greater than }} {a}", "({a}, \\infty)"),
    (r"\text{{all real numbers except }} {a}", r"\text{{all real numbers except }} {b}"),
    (r"\text{{all positive integers}}", r"(0, \infty)"),
    (r"x \ge 0", r"x > 0"),
    (r"|x| \le {a}", "x \\le {a}"),
    (r"x^2 > {a}", "x > {a}"),
    (r"-x > {a}", "x > {a}"),
    (r"-x < {a}", "x < -{a}"),
    (r"\frac{{1}}{{x}} > {a}", "x > {a}"),
    (r"x + {a} > 0", "x > {a}"),
    (r"{a} - x > 0", "x > {a}"),
    (r"x > y", "y > x"),
    (r"a \le b < c", r"a < b \le c"),
    (r"[{a}, {b}]", "{a} \\le x, y \\le {b}"),
    (r"{a} < x, y < {b}", "{a} < x < {b}"),
    (r"({a}, {b}) \times ({b}, {c})", r"({a}, {b}) \cup ({b}, {c})"),
    (r"x \ll {a}", "x < {a}"),
    (r"\{{({a}, {b})\}}", r"({b}, {a})"),
)


@wrong("conditions")
def _conditions(r: Random) -> Texts:
    a, b, c = sorted(r.sample(range(3, 60), 3))
    first, second = (text.format(a=a, b=b, c=c) for text in r.choice(CONDITIONS))
    return (first, second) if r.random() < 0.5 else (second, first)


APPLIED = (
    ("f(x+{a})", "f(x)+{a}"),
    ("f(x+y)", "f(x)+f(y)"),
    ("f({a}x)", "{a}f(x)"),
    ("f(x+{a})", "f(x)+f({a})"),
    ("f(g(x))", "g(f(x))"),
    ("f(x)g(x)", "f(g(x))"),
    ("f(x)+{a}", "g(x)+{a}"),
    ("f(x)", "f(y)"),
    ("f(x,y)", "f(y,x)"),
    (r"P(A \mid B)", r"P(B \mid A)"),
    (r"P(A|B)", "P(B|A)"),
    (r"P(A \cap B)", r"P(A \cup B)"),
    ("E[X^2]", "E[X]^2"),
    ("E[XY]", "E[X]E[Y]"),
    (r"\operatorname{{Var}}({a}X)", r"{a}\operatorname{{Var}}(X)"),
    ("f(x)/x", "f"),
    ("T(n-1)+T(1)", "T(n)"),
    ("f(x)g(y)", "f(y)g(x)"),
    ("f^2(x)", "f(x^2)"),
    ("f(x)^{{2}}", "f(x^2)"),
    (r"f^{{-1}}(x)", r"\frac{{1}}{{f(x)}}"),
    ("f'(x)", "f(x)"),
    ("f''(x)", "f'(x)"),
    (r"\frac{{dy}}{{dx}}", r"\frac{{y}}{{x}}"),
    (r"\frac{{dy}}{{dx}}", r"\frac{{dx}}{{dy}}"),
    (r"\frac{{\partial f}}{{\partial x}}", r"\frac{{\partial f}}{{\partial y}}"),
    (r"\int f(x)\,dx", "f(x)"),
    (r"\int_0^{a} f(x)\,dx", r"\int_0^{b} f(x)\,dx"),
    (r"\hat{{p}}+{a}", "p+{a}"),
    (r"\bar{{A}}", "A"),
    (r"A^c", "A"),
    (r"\dot{{x}}+{a}", "x+{a}"),
    (r"\ddot{{x}}+{a}", r"\dot{{x}}+{a}"),
    (r"\tilde{{x}}+{a}", "x+{a}"),
    (r"x_{{\max}}+{a}", r"x_{{\min}}+{a}"),
    (r"x''+{a}", "x'+{a}"),
    (r"z^*+{a}", "z+{a}"),
    (r"\bar{{z}}+{a}i", "z+{a}i"),
    (r"\operatorname{{Re}}(z)", r"\operatorname{{Im}}(z)"),
    (r"\|v\|+{a}", "v+{a}"),
    (r"\nabla f", "f"),
    (r"\nabla \times F", r"\nabla \cdot F"),
    (r"\vec{{a}} \cdot \vec{{b}}", r"\vec{{a}} \times \vec{{b}}"),
    (r"\mathbf{{u}} \times \mathbf{{v}}", r"\mathbf{{v}} \times \mathbf{{u}}"),
    (r"\overrightarrow{{AB}}+\overrightarrow{{CD}}", r"\overrightarrow{{BA}}+\overrightarrow{{CD}}"),
    (r"\angle ABC", r"\angle BAC"),
    (r"\triangle ABC \sim \triangle DEF", r"\triangle ABC \sim \triangle EDF"),
    (r"\operatorname{{tr}} A", r"\det A"),
    (r"x_1 x_2+{a}", "x_1 x_3+{a}"),
    (r"a_{{n+1}}", "a_n+1"),
    (r"a_{{n}}+{a}", "a n+{a}"),
    (r"2^{{n+1}}-{a}", "2^n+1-{a}"),
    (r"\phi(n)", r"\varphi(m)"),
    (r"\sigma_x", r"\sigma_y"),
    (r"\frac{{f(x+h)-f(x)}}{{h}}", "f"),
    (r"\Delta x", "x"),
    (r"\log x \log y", r"\log xy"),
    (r"\lim_{{x \to {a}}} f(x)", r"\lim_{{x \to {b}}} f(x)"),
    (r"\sum_{{i=1}}^{{n}} x_i", "x_i"),
    (r"\sum_{{i=1}}^{{n}} a_i b_i", r"\sum_{{i=1}}^{{n}} a_i \sum_{{i=1}}^{{n}} b_i"),
    (r"\sum_{{i=1}}^{{n}} i^{a}", r"\sum_{{i=1}}^{{n}} i^{b}"),
    (r"\sum_{{k=0}}^{{n}} x^k", r"\sum_{{k=1}}^{{n}} x^k"),
    (r"\prod_{{i=1}}^{{n}} i", r"\sum_{{i=1}}^{{n}} i"),
    (r"\binom{{n}}{{{a}}}", r"\frac{{n}}{{{a}}}"),
    (r"n^{{\underline{{{a}}}}}", "n^{{{a}}}"),
)


@wrong("functions applied, and letters with marks")
def _applied(r: Random) -> Texts:
    a, b = r.sample(range(2, 10), 2)
    first, second = (text.format(a=a, b=b) for text in r.choice(APPLIED))
    return (first, second) if r.random() < 0.5 else (second, first)


Square = list[list[int]]


def _square(r: Random) -> Square:
    return [[r.randint(-5, 9) for _ in range(2)] for _ in range(2)]


def _product(a: Square, b: Square) -> Square:
    return [[sum(a[i][k] * b[k][j] for k in range(2)) for j in range(2)] for i in range(2)]


def _show(rows: Square, name: str = "pmatrix") -> str:
    body = r" \\ ".join(" & ".join(map(str, row)) for row in rows)
    return rf"\begin{{{name}}} {body} \end{{{name}}}"


@wrong("products of matrices")
def _matrix_products(r: Random) -> Texts:
    while True:
        a, b = _square(r), _square(r)
        right, reverse = _product(a, b), _product(b, a)
        if right != reverse and right not in (a, b):
            break
    entrywise = [[p * q for p, q in zip(u, v, strict=True)] for u, v in zip(a, b, strict=True)]
    changed = [_show(b) + _show(a), _show(a), _show(reverse)] + ([_show(entrywise)] if entrywise != right else [])
    gold = pick(r, _show(right), _show(a) + _show(b))
    return gold, r.choice(changed)


@kind("determinants")
def _determinants(r: Random) -> Made:
    rows = _square(r)
    value = rows[0][0] * rows[1][1] - rows[0][1] * rows[1][0]
    changed = pick(r, value + pick(r, 1, -1), value + 2 * rows[0][1] * rows[1][0] or value + 3, -value or 5)
    changed = value + 1 if changed == value else changed
    return str(value), pick(r, str(value), _show(rows, "vmatrix")), pick(r, str(changed), _show(rows), str(changed))


@kind("definite integrals and limits")
def _integrals(r: Random) -> Made:
    a, b, low, high = size(r, 1), r.randint(1, 3), r.randint(0, 2), r.randint(3, 6)
    value = Fraction(a, b + 1) * (high ** (b + 1) - low ** (b + 1))
    gold, right = pick(
        r,
        (rf"\int_{{{low}}}^{{{high}}} {a}x^{{{b}}} \, dx", value),
        (rf"\lim_{{x \to {high}}} ({a}x + {b})", Fraction(a * high + b)),
        (rf"\lim_{{x \to \infty}} \frac{{{a}x + {b}}}{{{high}x - 1}}", Fraction(a, high)),
        (rf"\sum_{{k=0}}^{{\infty}} \frac{{{a}}}{{{high}^k}}", Fraction(a * high, high - 1)),
    )
    changed = tex(right + pick(r, 1, -1, Fraction(1, 2)))
    return (tex(right), gold, changed) if r.random() < 0.5 else (gold, tex(right), changed)


DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


@kind("days and months")
def _days(r: Random) -> Made:
    table = pick(r, DAYS, MONTHS)
    gold, changed = r.sample(table, 2)
    return gold, pick(r, gold, rf"\text{{{gold}}}", gold.lower()), pick(r, changed, rf"\text{{{changed}}}")


@wrong("noon, midnight and eras")
def _noon(r: Random) -> Texts:
    hour, year, day = r.randint(1, 12), r.randint(100, 2000), date(2000, r.randint(1, 12), r.randint(1, 28))
    return pick(
        r,
        (f"{hour} AM", f"{hour} PM"),
        (f"{hour}:00 AM", f"{hour} PM"),
        (f"{hour} p.m.", f"{hour % 12 + 1} p.m."),
        ("noon", "midnight"),
        ("12:00 AM", "noon"),
        ("12:00 PM", "midnight"),
        (f"{year} BC", f"{year} AD"),
        (f"{hour}:30", f"{hour}:30:10"),
        (day.strftime("%B ") + str(day.day), day.strftime("%B ") + str(day.day + 1)),
        (f"{hour}:15", f"{hour}:45"),
        (f"{hour} hours", f"{hour} o'clock AM"),
    )


ROMAN = ("I", "II", "III", "IV", "V")


@wrong("numbered statements")
def _roman(r: Random) -> Texts:
    first, second = several(r, lambda r: tuple(sorted(r.sample(range(4), r.randint(1, 3)))), 2, 2)

    def write(chosen: tuple[int, ...]) -> str:
        names = [ROMAN[i] for i in chosen]
        return f"{names[0]} only" if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]

    small = {0: "(i)", 1: "(ii)", 2: "(iii)", 3: "(iv)"}
    a, b = r.sample(range(4), 2)
    return pick(
        r,
        (write(first), write(second)),
        (ROMAN[a], ROMAN[b]),
        (small[a], small[b]),
        (f"Option {a + 1}", f"Option {b + 1}"),
    )


@wrong("letters denied or doubted", whole=True)
def _denied_letters(r: Random) -> Texts:
    letter, far = r.sample("ABCDE", 2)
    return letter, pick(
        r,
        f"The answer is not {letter}.",
        f"{letter} is wrong, so {far}. The answer is {far}.",
        f"The answer is {letter} or {far}.",
        f"\\boxed{{{letter} \\text{{ or }} {far}}}",
        f"\\boxed{{\\text{{not }} {letter}}}",
        f"\\boxed{{\\text{{neither }} {letter} \\text{{ nor }} {far}}}",
        f"All options except {letter}.",
        f"Answer: all except {letter}",
        f"Answer: not {letter}",
        f"Answer: {far}, not {letter}",
        f"The answer is {far}, because {letter} is too small.",
        f"The answer is {far} rather than {letter}.",
        f"I would rule out option {letter}.",
        f"Is it {letter}?",
        f"Maybe ({letter})? I do not know.",
        f"The answer cannot be ({letter}); it is ({far}).",
        f"The answer isn't ({letter}).",
        f"<answer>not {letter}</answer>",
        f"<answer>{far} (not {letter})</answer>",
        f"**{far}.** The liver, unlike ({letter}).",
        f"故不选{letter}，选{far}。",
        f"答案不是{letter}",
        f"\\boxed{{{letter}, {far}}}",
        f"\\boxed{{{far}: \\text{{ same as option }} {letter}}}",
        f"({far}) Point {letter}",
        f"Option {far}: {letter} and its complement",
        f"\\boxed{{\\text{{({far}) {letter}}}}}",
        f"I choose between {letter} and {far}.",
        f"({letter}) is incorrect.",
        f"Not {letter}",
    )


@wrong("numbers in several words")
def _long_words(r: Random) -> Texts:
    tens = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
    ones = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    a, b = r.randrange(8), r.randrange(9)
    value = 10 * (a + 2) + b + 1
    near = f"{tens[(a + 1) % 8]}-{ones[b]}", f"{tens[a]}-{ones[(b + 1) % 9]}"
    return pick(r, (str(value), pick(r, tens[a], ones[b], *near)), (str(b + 1), f"{ones[b]} hundred"))


@wrong("fractions in words")
def _fraction_words(r: Random) -> Texts:
    names = {Fraction(1, 2): "one half", Fraction(2, 3): "two thirds", Fraction(3, 4): "three quarters"}
    names |= {Fraction(1, 3): "one third", Fraction(1, 4): "one quarter", Fraction(2, 5): "two fifths"}
    first, second = r.sample(list(names), 2)
    top = str(first.numerator)
    return pick(r, (tex(first), names[second]), (names[first], tex(second)), (top, names[first]), (names[first], top))


@wrong("layout in LaTeX", whole=True)
def _layout(r: Random) -> Texts:
    n, m = r.sample(range(11, 2000), 2)
    return str(n), pick(
        r,
        rf"\boxed{{{m} \tag{{{n}}}}}",
        rf"\boxed{{{m}}} \tag{{{n}}}",
        rf"\boxed{{{n} \quad {m}}}",
        rf"\boxed{{{n} \\ {m}}}",
        rf"\boxed{{\begin{{array}}{{c}} {n} \\ {m} \end{{array}}}}",
        rf"\boxed{{\underbrace{{{m}}}_{{{n}}}}}",
        rf"\boxed{{\overset{{{n}}}{{{m}}}}}",
        rf"\boxed{{{m}^{{{n}}}}}",
        rf"\boxed{{{m}_{{{n}}}}}",
        rf"\boxed{{\begin{{aligned}} x &= {n} \\ y &= {m} \end{{aligned}}}}",
        rf"\boxed{{\begin{{aligned}} x &= {n} \\ &= {m} \end{{aligned}}}}",
        rf"\boxed{{\text{{{m}}}}} % {n}",
        rf"\boxed{{{m}}}\footnote{{{n}}}",
        rf"\boxed{{\xrightarrow{{{n}}} {m}}}",
        rf"\boxed{{\hspace{{{n}pt}}{m}}}",
        rf"\boxed{{\fontsize{{{n}}}{{12}} {m}}}",
        rf"\boxed{{{n} \text{{ and }} {m}}}",
        rf"\boxed{{{n} \ldots}}",
        rf"\boxed{{{n} \to \infty}}",
        rf"\boxed{{\sqrt{{{n}}}}}",
        rf"\boxed{{\sqrt[{n}]{{{m}}}}}",
        rf"\boxed{{\stackrel{{?}}{{=}} {n}}}",
        rf"\boxed{{\not\equiv {n}}}",
        rf"\boxed{{\sim\!{m} \; ({n})}}",
        rf"\boxed{{{n} \,|\, {m}}}",
        rf"\boxed{{{n} \nmid {m}}}",
    )


@equal("layout in LaTeX", whole=True)
def _same_layout(r: Random) -> Texts:
    n = size(r, 4)
    return str(n), pick(
        r,
        rf"\boxed{{{n} \tag{{1}}}}",
        rf"\boxed{{\quad {n} \quad}}",
        rf"\boxed{{{n}}} \blacksquare",
        rf"\boxed{{\,{n}\,}}",
        rf"\boxed{{\large {n}}}",
        rf"\boxed{{\mathbf{{{n}}}}}",
        rf"\boxed{{\color{{red}}{{{n}}}}}",
        rf"\boxed{{{{{n}}}}}",
        rf"\boxed{{\mathrm{{{n}}}}}",
        rf"\boxed{{\mbox{{{n}}}}}",
        rf"\[ \boxed{{ {n} }} \]",
        rf"\begin{{equation}} \boxed{{{n}}} \end{{equation}}",
        rf"\boxed{{x = {n}}}",
        rf"\boxed{{\left({n}\right)}}",
        rf"\boxed{{+{n}}}",
        rf"\boxed{{\underline{{{n}}}}}",
        rf"$\displaystyle\boxed{{\displaystyle {n}}}$",
        rf"\boxed{{\Large\textbf{{{n}}}}}",
    )


@wrong("letters that could be units")
def _letters_as_units(r: Random) -> Texts:
    n, letter = size(r, 3) + 1, r.choice("mgshNJKLVWACT")
    far = other(r, letter, lambda: r.choice(LETTERS))
    two = pick(r, (f"{n}", f"{n}{letter}"), (f"{n}{letter}", f"{n}{far}"), (f"{n}{letter}", f"{n + 1}{letter}"))
    return two if r.random() < 0.5 else two[::-1]


@equal("conditions in words")
def _same_conditions(r: Random) -> Texts:
    a, b = sorted(r.sample(range(2, 60), 2))
    return pick(
        r,
        (rf"x \le {a}", rf"{a} \ge x"),
        (rf"(0, {b}) \setminus \{{{a}\}}", rf"(0, {a}) \cup ({a}, {b})"),
        (rf"[0, {a}] \cup [{a}, {b}]", f"[0, {b}]"),
        (rf"\{{{a}, {b}\}}", rf"\{{{a}\}} \cup \{{{b}\}}"),
        (rf"x > {a} \text{{ and }} x < {b}", f"({a}, {b})"),
        (f"x > {a}, x < {b}", f"({a}, {b})"),
        (rf"x \in [{a}, {b}]", rf"{a} \leqslant x \leqslant {b}"),
    )


@equal("integer powers of letters")
def _letter_powers(r: Random) -> Texts:
    x, n, k = r.choice(LETTERS), r.randint(2, 12), integer(r, 1)
    forms = [
        f"{k}{x}^{{{n}}}",
        rf"{k} \cdot {x}^{{{n - 1}}} \cdot {x}",
        rf"{k}({x})^{{{n}}}",
        f"{k}*{x}^({n})",
        f"{k}{x}**{n}",
    ]
    return r.choice(forms), r.choice(forms)


@wrong("rational exponents and signs")
def _exponents(r: Random) -> Texts:
    x, (a, b) = r.choice("xyab"), r.sample(range(2, 10), 2)
    value = tex(rational(r))
    return pick(
        r,
        (f"{x}^{{{a}/{b}}}", f"{x}^{{{b}/{a}}}"),
        (rf"{x}^{{\frac{{{a}}}{{{b}}}}}", rf"\sqrt[{a}]{{{x}^{{{b}}}}}"),
        (f"{x}^{{-{a}}}", f"{x}^{{{a}}}"),
        (rf"\frac{{1}}{{{x}^{{{a}}}}}", rf"\frac{{1}}{{{x}^{{{b}}}}}"),
        (f"(-{x})^{{{2 * a}}}", f"-{x}^{{{2 * a}}}"),
        (f"(-{a})^{{{x}}}", f"-{a}^{{{x}}}"),
        (f"{value} + {x}", f"{value}{x}" if "-" not in value else f"{value} - {x}"),
        (f"{x}^{{{a}}} + {x}^{{{b}}}", f"{x}^{{{a + b}}}"),
        (f"{x}^{{{a}}}{x}^{{{b}}}", f"{x}^{{{a * b}}}" if a * b != a + b else f"{x}^{{{a}}}"),
        (f"({x}^{{{a}}})^{{{b}}}", f"{x}^{{{a + b}}}" if a * b != a + b else f"{x}^{{{a}}}"),
    )
