# ruff: noqa: RUF001 (the characters that look like others are meant)
"""Answers that hold the gold's text but mean something else: a sign, a word, a bracket or an operation more."""

from __future__ import annotations

import math
from fractions import Fraction
from random import Random

from .parts import SQUAREFREE, integer, other, pick, rational, several, size, tex
from .tables import Texts, equal, wrong

MODIFIED = (
    "-{n}",
    "−{n}",
    r"{n}! \cdot 1",  # a final ! could end a sentence
    r"{n}!! \cdot 1",
    "{n}^2",
    "{n}²",
    "{n}^{{-1}}",
    r"\sqrt{{{n}}}",
    "√{n}",
    "1/{n}",
    r"\frac{{1}}{{{n}}}",
    r"\frac{{{n}}}{{2}}",
    "{n}i",
    r"{n}\pi",
    "{n}x",
    "{n}e",
    "{n}_9",
    "{n}½",
    r"{n}\frac{{1}}{{2}}",
    r"{n} \pm 1",
    r"\pm {n}",
    "{n}, {m}",
    "{m}, {n}",
    r"{m} \text{{ or }} {n}",
    "{n}:{m}",
    "{n}/{m}",
    "{n}-{m}",
    r"{n} \cdot {m}",
    "({n}, {m})",
    "[{n}, {m}]",
    r"\{{{n}, {m}\}}",
    "({m}, {n})",
    r"\binom{{{n}}}{{2}}",
    r"\sin {n}",
    r"\ln {n}",
    r"\log_2 {n}",
    r"e^{{{n}}}",
    "10^{{{n}}}",
    r"> {n}",
    r"\ge {n}",
    r"\neq {n}",
    r"\leq {n}",
    "x > {n}",
    r"x \le {n}",
    r"\not= {n}",
    r"{n} \text{{ thousand}}",
    "{n} million",
    "{n} dozen",
    r"{n} \text{{ hundred}}",
    "{n} + {m}",
    "{n} - 1",
    r"{n} \times 10^3",
    "{n}e3",
    "{n}{n}",
    "{n}.{n}",
    "{n},5",
    "0.{n}",
    r"{n}\%\text{{ of }}{m}",
    r"{n} \bmod 2",
    r"f({n})",
    r"f({n}) = {m}",
    "{n} = {m}",
    "x_{n} = {m}",
    "{n}x = {m}",
    r"\lfloor {n}/2 \rfloor",
    r"\sum_{{k=1}}^{{{n}}} k",
    r"\overline{{{n}x}}",
    r"{n}\sqrt{{2}}",
    r"\sqrt[3]{{{n}}}",
    r"|-{n}| + 1",
    r"{n} \to {m}",
    r"{n} \ldots {m}",
    r"\cancel{{{n}}} {m}",
    r"{m} \text{{ (not }} {n} \text{{)}}",
    r"\text{{not }} {n}",
    r"\text{{half of }} {n}",
    r"\text{{twice }} {n}",
    r"\text{{minus }} {n}",
    r"\text{{at least }} {n}",
    r"\text{{at most }} {n}",
    r"\text{{more than }} {n}",
    r"\text{{less than }} {n}",
    r"{n} \text{{ or more}}",
    r"{n} \text{{ or fewer}}",
    r"{n} \text{{ squared}}",
    r"{n} \text{{ factorial}}",
    r"\text{{a multiple of }} {n}",
    r"\text{{the square root of }} {n}",
    r"\text{{between }} {n} \text{{ and }} {m}",
    r"\text{{anything except }} {n}",
    r"\text{{all numbers below }} {n}",
    r"{n} \text{{ less than }} {m}",
    r"{n} \text{{ more than }} {m}",
    r"{n} \text{{ out of }} {m}",
    r"{n} \text{{ times }} {m}",
    r"{n} \text{{ divided by }} {m}",
    r"\text{{negative }} {n}",
    r"\text{{Case }} {n}",
    r"\text{{double }} {n}",
    r"\text{{triple }} {n}",
    r"\text{{one less than }} {n}",
    r"\text{{the reciprocal of }} {n}",
    r"\text{{the opposite of }} {n}",
    r"{n} \text{{ below zero}}",
    r"{n}^\circ \text{{ below zero}}",
    r"\text{{the sum of the first }} {n} \text{{ primes}}",
    r"\text{{exactly when }} {n}",
    r"\text{{a divisor of }} {n}",
    r"\text{{prime to }} {n}",
    r"\text{{every }} {n}",
    r"\text{{up to }} {n}",
    r"\text{{under }} {n}",
    r"\text{{over }} {n}",
    r"\text{{no more than }} {n}",
    r"\text{{fewer than }} {n}",
    r"\text{{exceeds }} {n}",
    r"\text{{undefined for }} {n}",
    r"\text{{wrong: }} {n}",
    "{n} BC",
    "{n}h",
    "{n}m",
    "{n}k",
    "{n}' ",
    "{n}^*",
    "#{n}",
    "{n}#",
    "{n}%{m}",
    "{n}&{m}",
    "{n}|{m}",
    "{n}^{m}",
    "{n};{m}",
    "{n}*{m}",
    "{n}~{m}",
    "{n}\\{m}",
    "{n} vs {m}",
    "not {n}",
    "no {n}",
    "twice {n}",
    "over {n}",
    "under {n}",
    "<{n}",
    ">{n}",
    "!={n}",
    "≠{n}",
    "≥{n}",
    "~{m} ({n})",
    r"\text{{unknown, perhaps }} {n}",
    r"{n} \text{{ is impossible}}",
    r"{n}?",
    "{n}+",
    "{n} and {m}",
    "{n} to {m}",
    "{n}–{m}",
    "{n} in base 9",
    "{n} plus {m}",
    "the {n}th prime",
    "{n} percent of {m}",
    "{n} cubed",
    "half of {n}",
    "{n} and a half",
    "minus {n}",
    "negative {n}",
    "{n} per {m}",
)


def _two(r: Random) -> tuple[int, int]:
    n, m = r.sample(range(11, 2000), 2)
    return n, m


@wrong("a number with something more")
def _modified(r: Random) -> Texts:
    n, m = _two(r)
    return str(n), r.choice(MODIFIED).format(n=n, m=m)


@wrong("a number with something less")
def _unmodified(r: Random) -> Texts:
    n, m = _two(r)
    text = r.choice([form for form in MODIFIED if "text" not in form and " " not in form and form[-1] not in "?+"])
    return text.format(n=n, m=m), pick(r, str(n), str(n), str(m), f"x = {n}")


SCOPES = (
    (r"\sqrt{{{a}x}}", r"\sqrt{{{a}}}x"),
    (r"\sin^2 x", r"\sin x^2"),
    (r"\sin^2({a}x)", r"\sin({a}x^2)"),
    (r"\sin^{{-1}} x", r"\frac{{1}}{{\sin x}}"),
    (r"\arctan({a}x)", r"\frac{{1}}{{\tan({a}x)}}"),
    (r"\ln(x^{a})", r"(\ln x)^{a}"),
    (r"\ln(x+{a})", r"\ln(x)+{a}"),
    (r"-x^2+{a}", r"(-x)^2+{a}"),
    (r"e^{{x+{a}}}", r"e^x+{a}"),
    (r"{a}^{{x+1}}", r"{a}^x+1"),
    (r"\frac{{x+{a}}}{{y}}", r"x+\frac{{{a}}}{{y}}"),
    (r"\frac{{x}}{{y+{a}}}", r"\frac{{x}}{{y}}+{a}"),
    (r"x/(y+{a})", r"x/y+{a}"),
    (r"{a}(x+y)", r"{a}x+y"),
    (r"(x+{a})(x+{b})", r"(x+{a})+(x+{b})"),
    (r"(x+{a})^2", r"x^2+{a}^2"),
    (r"x+{a}^2", r"(x+{a})^2"),
    (r"\frac{{1}}{{{a}}}x", r"\frac{{1}}{{{a}x}}"),
    (r"\sqrt{{x^2+{a}^2}}", r"x+{a}"),
    (r"\sqrt{{x}}+\sqrt{{{a}}}", r"\sqrt{{x+{a}}}"),
    (r"2^{{{a}x}}", r"2^{{{a}}}x"),
    (r"x^{{{a}{b}}}", r"x^{{{a}}}{b}"),
    (r"\cos(x+y)", r"\cos x+\cos y"),
    (r"|x|+|{a}|", r"|x-{a}|"),
    (r"x^{{-{a}}}", r"-x^{{{a}}}"),
    (r"x^{{1/{a}}}", r"x^{{1}}/{a}"),
    (r"(xy)^{a}", r"xy^{a}"),
    (r"({a}x)^2", r"{a}x^2"),
    (r"\frac{{{a}}}{{x}}\cdot y", r"\frac{{{a}}}{{xy}}"),
    (r"x-(y-{a})", r"x-y-{a}"),
    (r"\log_{{{a}}} x", r"\log {a}x"),
    (r"\tan(x)^{{{b}}}", r"\tan(x^{{{b}}})"),
    (r"\sqrt[{a}]{{x}}", r"{a}\sqrt{{x}}"),
    (r"\frac{{\sqrt{{x}}}}{{{a}}}", r"\sqrt{{\frac{{x}}{{{a}}}}}"),
    (r"x_{a}+1", r"x+{a}"),
    (r"x'+{a}", r"x+{a}"),
    (r"\overline{{x}}+{a}", r"x+{a}"),
    (r"x^*+{a}", r"x+{a}"),
    (r"f'(x)={a}x", r"f(x)={a}x"),
    (r"f^{{-1}}(x)={a}x", r"f(x)={a}x"),
    (r"f(x)={a}x", r"f(x)={a}x, x>{b}"),
    (r"\int {a}x\,dx", r"{a}x"),
    (r"\frac{{d}}{{dx}} x^{a}", r"x^{a}"),
    (r"\frac{{dy}}{{dx}}={a}x", r"y={a}x"),
    (r"\Delta x+{a}", r"x+{a}"),
    (r"R+{a}", r"r+{a}"),
    (r"\alpha+{a}", r"a+{a}"),
    (r"\theta+{a}", r"\phi+{a}"),
    (r"\omega+{a}", r"w+{a}"),
    (r"{a}\%", r"{a}^\circ"),
    (r"10^{{{a}}}", r"10{a}"),
    (r"2^{{{a}}}", r"2{a}"),
    (r"\frac{{{a}}}{{{b}}}", r"{a}{b}"),
    (r"\lfloor x \rfloor+{a}", r"x+{a}"),
    (r"|x|+{a}", r"x+{a}"),
    (r"\max(x,{a})", r"\min(x,{a})"),
    (r"\sec {a}x", r"\csc {a}x"),
    (r"\sinh {a}x", r"\sin {a}x"),
    (r"\arcsin(x)+{a}", r"\sin(x)+{a}"),
    (r"x \cdot y+{a}", r"x \times z+{a}"),
    (r"({a},{b})", r"{a}{b}"),
    (r"{a}.{b}", r"{a}{b}"),
    (r"x^{{2}}y^{{{a}}}", r"x^{{{a}}}y^{{2}}"),
    (r"\det A", r"A"),
    (r"A^T", r"A"),
    (r"A^{{-1}}", r"A"),
    (r"AB-{a}I", r"A+B-{a}I"),
    (r"n!+{a}", r"n+{a}"),
    (r"\Gamma(n)", r"n!"),
    (r"O(n^{{{a}}})", r"n^{{{a}}}"),
    (r"{a}n+{b}", r"{a}n-{b}"),
    (r"\ln {a}", r"\log_{{10}} {a}"),
    (r"\ln x", r"\log_2 x"),
    (r"\lg({a}x)", r"\ln({a}x)"),
    (r"x \mid {a}", r"{a} \mid x"),
    (r"A \cup B", r"A \cap B"),
    (r"A \setminus B", r"B \setminus A"),
    (r"A \subset B", r"B \subset A"),
    (r"p \land q", r"p \lor q"),
    (r"p \to q", r"q \to p"),
    (r"\neg p", r"p"),
    (r"\exists x", r"\forall x"),
    (r"\vec{{a}} \times \vec{{b}}", r"\vec{{b}} \times \vec{{a}}"),
    (r"\overrightarrow{{AB}}", r"\overrightarrow{{BA}}"),
    (r"\overline{{AB}}", r"\overline{{BC}}"),
    (r"AB \parallel CD", r"AB \perp CD"),
    (r"\triangle ABC", r"\triangle ABD"),
    (r"x \propto y", r"x \propto \frac{{1}}{{y}}"),
    (r"\mathbb{{Z}}", r"\mathbb{{R}}"),
    (r"\mathbb{{Q}}", r"\mathbb{{Z}}"),
    (r"\mathbb{{R}}^2", r"\mathbb{{R}}^3"),
    (r"\mathbb{{R}}^{{+}}", r"\mathbb{{R}}^{{-}}"),
    (r"\infty", r"-\infty"),
    (r"y = x", r"y = -x"),
    (r"H_0", r"H_1"),
    (r"\text{{H}}_2\text{{O}}", r"\text{{H}}_2\text{{O}}_2"),
    (r"Na^+", r"Na^-"),
)


@wrong("scopes, brackets and other letters")
def _scopes(r: Random) -> Texts:
    two = r.choice(SCOPES)
    a, b = r.sample(range(3, 10), 2)
    first, second = (text.format(a=a, b=b) for text in two)
    return (first, second) if r.random() < 0.5 else (second, first)


@wrong("something done to the label")
def _changed_labels(r: Random) -> Texts:
    x, n = r.choice("xyztn"), size(r, 2) + 1
    gold = f"{x} = {n}"
    return gold, pick(
        r,
        f"-{x} = {n}",
        rf"\frac{{1}}{{{x}}} = {n}",
        rf"\frac{{{x}}}{{2}} = {n}",
        f"{x}^2 = {n}",
        rf"\sqrt{{{x}}} = {n}",
        f"{x} + 1 = {n}",
        f"|{x}| = {n}",
        rf"\log_2 {x} = {n}",
        f"2{x} = {n}",
        f"{x} - {n} = 1",
        rf"{x} \approx {n + 1}",
        rf"{x} \in ({n}, {n + 1})",
        rf"{x} \in \{{{n}, {n + 1}\}}",
        rf"{x} = {n} \text{{ or }} {x} = {n + 1}",
        rf"{x} = {n}, {n + 3}",
        rf"{x} = {n}k",
        rf"{x} = {n} + k",
        f"{x}' = {n} + 1",
        rf"{x} \ne {n}",
        rf"{x} = {n}! \cdot 3",
        f"{x} = {n}{x}",
        rf"{x} = \pm {n}",
        f"{n}{x} = 1",
        f"{x} = -{n}",
        rf"{x} \equiv {n + 1} \pmod{{{n + 7}}}",
    )


@wrong("the same value of another letter")
def _other_names(r: Random) -> Texts:
    (x, y), n = r.sample("xzabmpqt", 2), tex(rational(r))
    return pick(
        r,
        (f"{x} = {n}", f"{y} = {n}"),
        (f"{x} > {n}", f"{y} < {n}"),
        (f"{x} = {n}, {y} = {integer(r, 2) + 3000}", f"{y} = {n}"),
        (f"f({x}) = {n}", f"f'({x}) = {n}"),
        (f"a_1 = {n}", f"a_2 = {n}"),
        (r"\angle ABC = 42^\circ", r"\angle BCA = 42^\circ"),
    )


@wrong("roundings of exact golds")
def _roundings(r: Random) -> Texts:
    root = r.choice(SQUAREFREE)
    k = r.randint(2, 40)
    places = r.randint(1, 4)
    top, bottom = size(r, 2), r.choice((3, 7, 9, 11, 13, 17, 19))
    top += 1 if top % bottom == 0 else 0
    return pick(
        r,
        (rf"{k}\sqrt{{{root}}}", f"{k * root**0.5:.{places}f}"),
        (rf"\frac{{{top}}}{{{bottom}}}", f"{top / bottom:.{places}f}"),
        (rf"{k}\pi", f"{k * 3.141592653589793:.{places}f}"),
        (rf"{k}\pi", rf"\frac{{{22 * k}}}{{7}}"),
        (rf"{k}e", f"{k * 2.718281828459045:.{places}f}"),
        (rf"\frac{{{top}}}{{{bottom}}}", f"{100 * top / bottom:.1f}\\%"),
        (rf"\ln {k}", f"{math.log(k):.{places}f}"),
        (rf"\sqrt{{{root}}}", rf"\frac{{{round(root**0.5 * 1000)}}}{{1000}}"),
        (f"{k}.{root:02d}7", f"{k}.{root:02d}"),
        (f"{k}.{root:02d}7", f"{k}"),
    )


@wrong("nesting of brackets")
def _nesting(r: Random) -> Texts:
    a, b, c, d = r.sample(range(2, 60), 4)
    two = pick(
        r,
        (f"({a},{b}),({c},{d})", f"({a},{b},{c},{d})"),
        (f"({a},{b}),({c},{d})", f"({a},{c}),({b},{d})"),
        (f"(({a},{b}),{c})", f"({a},({b},{c}))"),
        (rf"\{{({a},{b})\}}", rf"\{{{a},{b}\}}"),
        (rf"\{{\{{{a},{b}\}},\{{{c}\}}\}}", rf"\{{{a},{b},{c}\}}"),
        (rf"\begin{{pmatrix}} {a} & {b} \\ {c} & {d} \end{{pmatrix}}", f"({a},{b},{c},{d})"),
        (
            rf"\begin{{pmatrix}} {a} & {b} \\ {c} & {d} \end{{pmatrix}}",
            rf"\begin{{vmatrix}} {a} & {b} \\ {c} & {d} \end{{vmatrix}}",
        ),
        (
            rf"\begin{{pmatrix}} {a} & {b} \\ {c} & {d} \end{{pmatrix}}",
            rf"\begin{{pmatrix}} {a} & {b} \\ {c} & {d} \end{{pmatrix}}^{{-1}}",
        ),
        (
            rf"\begin{{pmatrix}} {a} & {b} \\ {c} & {d} \end{{pmatrix}}",
            rf"\begin{{pmatrix}} {a} & {b} \\ {c} & {d} \end{{pmatrix}}^T",
        ),
        (f"({a},{b}) \\cup ({b},{c + 70})", f"({a},{b}),({b},{c + 70})") if a < b else (f"({a},{b})", f"{a}"),
        (f"{a}, {b}, \\ldots, {c + 70}", f"{a}, {b}, {c + 70}"),
        (f"({a}, {b}, {c})", f"({a}, {b})"),
        (f"{a} ({b})", f"{a}"),
        (f"[{a}, [{b}, {c}]]", f"[[{a}, {b}], {c}]"),
        (f"({a}; {b})", f"({b}; {a})"),
    )
    return two if r.random() < 0.5 else two[::-1]


UNLIKE_UNITS = (
    ("mph", "km/h"),
    ("°C", "°F"),
    ("°C", "K"),
    (r"^\circ\text{C}", r"^\circ\text{F}"),
    (r"\text{ mW}", r"\text{ MW}"),
    (r"\text{ m}", r"\text{ min}"),
    (r"\text{ m/s}", r"\text{ s/m}"),
    (r"\text{ kg m/s}", r"\text{ kg m/s}^2"),
    (r"\text{ cm}", r"\text{ cm}^{-1}"),
    (r"\text{ N}", r"\text{ N/m}"),
    (r"\text{ J}", r"\text{ J/s}"),
    (r"^\circ", r"\text{ rad}"),
    (r"\text{ square meters}", r"\text{ m}"),
    (r"\text{ cubic feet}", r"\text{ square feet}"),
    (r"\text{ sq ft}", r"\text{ ft}"),
    (r"\text{ dozen}", ""),
    (r"\text{ pairs}", r"\text{ dozen}"),
    (r"\text{ days}", r"\text{ weeks}"),
    (r"\text{ years}", r"\text{ months}"),
    (r"\text{ lb}", r"\text{ oz}"),
    (r"\text{ inches}", r"\text{ feet}"),
    (r"\text{ miles}", r"\text{ km}"),
    (r"\text{ gallons}", r"\text{ liters}"),
    (r"\text{ cents}", r"\text{ dollars}"),
    (r"\text{ per hour}", r"\text{ per day}"),
    (r"\text{ million}", r"\text{ billion}"),
    (r"\text{ mol}", r"\text{ mmol}"),
    (r"\text{ eV}", r"\text{ keV}"),
    (r"\text{ V}", r"\text{ A}"),
    (r"\,\Omega", r"\text{ k}\Omega"),
    (r"\,\mu\text{m}", r"\text{ mm}"),
    (r"\text{ nm}", r"\text{ pm}"),
    (r"\text{ kWh}", r"\text{ kW}"),
    (r"\text{ Hz}", r"\text{ s}"),
    (r"\text{ atm}", r"\text{ Pa}"),
    (r"\text{ T}", r"\text{ N}"),
    (r"\text{ hours}", r"\text{ minutes}"),
    (r"\text{ kcal}", r"\text{ cal}"),
    (r"\text{ mL}", r"\text{ L}"),
    (r"\text{ km/s}", r"\text{ km/h}"),
    (r"\text{ rpm}", r"\text{ Hz}"),
)


@wrong("other units of the same number")
def _unlike_units(r: Random) -> Texts:
    n, two = size(r, 3), r.choice(UNLIKE_UNITS)
    first, second = (f"{n}{unit if unit.startswith(('°', '^', chr(92))) else ' ' + unit}" for unit in two)
    return (first, second) if r.random() < 0.5 else (second, first)


@wrong("regions with roots as ends")
def _root_ends(r: Random) -> Texts:
    a, b, c = r.randint(-9, 9), *r.sample(SQUAREFREE, 2)
    low, high = rf"{a}-\sqrt{{{b}}}", rf"{a}+\sqrt{{{b}}}"
    gold = pick(r, f"({low}, {high})", f"{low} < x < {high}")
    return gold, pick(
        r,
        rf"({low}, {a}+\sqrt{{{c}}})",
        f"[{low}, {high}]",
        f"({low}, {high}]",
        f"{low} < x",
        rf"(-\infty, {low}) \cup ({high}, \infty)",
        rf"{low} \le x < {high}",
        rf"\{{{low}, {high}\}}",
        f"({a}-{b}, {a}+{b})",
        rf"({a - 1}-\sqrt{{{b}}}, {high})",
    )


@equal("regions with roots as ends")
def _same_root_ends(r: Random) -> Texts:
    a, b = r.randint(1, 9), r.choice(SQUAREFREE)
    low, high = rf"{a}-\sqrt{{{b}}}", rf"{a}+\sqrt{{{b}}}"
    forms = [f"({low}, {high})", f"{low} < x < {high}", f"{high} > x > {low}", rf"x \in \left({low},{high}\right)"]
    forms += [
        rf"(-\sqrt{{{b}}}+{a}, \sqrt{{{b}}}+{a})",
        rf"\{{x \mid {low} < x < {high}\}}",
        rf"|x-{a}| < \sqrt{{{b}}}",
    ]
    return r.choice(forms), r.choice(forms)


@wrong("answers corrected later", whole=True)
def _corrected(r: Random) -> Texts:
    first, last = several(r, lambda r: size(r, 4), 2, 2)
    return str(first), pick(
        r,
        f"<answer>{first}</answer> Wait, I made a mistake. <answer>{last}</answer>",
        f"The answer is {first}. Wait, that is wrong. The answer is {last}.",
        f"Answer: {first}\n\nCorrection.\n\nAnswer: {last}",
        f"#### {first}\nLet me check again.\n#### {last}",
        f"\\boxed{{{first}}}\n\nActually, no.\n\n\\boxed{{{last}}}",
        f"The answer is {first}.\n\n\\boxed{{{last}}}",
        f"\\boxed{{{first}}} <answer>{last}</answer>",
        f"<think>\\boxed{{{first}}}</think>\n\nThe answer is {last}.",
        f"Answer: {first}? No, it is {last}.",
        f"So we would get {first}, but since x > 0, the answer is {last}.",
        f"The answer is $\\cancel{{{first}}}$ ${last}$",
        f"~~{first}~~ **{last}**",
        f"答案是{first}。不对，答案是{last}。",
        f"\\boxed{{{last}}}\n\n(Not \\({first}\\).)",
        f"**Answer: {last}** (a common mistake is {first})",
        f"The answer is {last} rather than {first}.",
        f"The answer is {last}, not {first}.",
    )


@wrong("words with other numbers")
def _word_numbers(r: Random) -> Texts:
    a, b, c = r.sample(range(1, 99), 3)
    return pick(
        r,
        (f"increasing on ({a}, {a + b})", f"increasing on ({a}, {a + b + 1})"),
        (rf"\text{{increasing on }} (0, {a})", rf"\text{{decreasing on }} (0, {a})"),
        (f"a circle with radius {a}", f"a circle with radius {b}"),
        (f"{a} boys and {b} girls", f"{b} boys and {a} girls"),
        (f"Alice: {a}, Bob: {b}", f"Alice: {b}, Bob: {a}"),
        (f"mean {a}, median {b}", f"mean {a}, median {c}"),
        (f"maximum {a}, minimum {-b}", f"maximum {a}, minimum {b}"),
        (f"{a} remainder {b}", f"{a} remainder {c}"),
        (f"{a} \\text{{ R }} {b}", f"{b} \\text{{ R }} {a}"),
        (f"when n = {a}", f"when n = {b}"),
        (f"divisible by {a}", f"divisible by {b}"),
        (f"Yes, {a}", f"No, {a}"),
        (f"(a) {a} (b) {b}", f"(a) {b} (b) {a}"),
        (f"(1) {a}; (2) {b}", f"(1) {a}; (2) {c}"),
        (f"after {a} days", f"before {a} days"),
        (f"{a} and {b}", f"{a} and {c}"),
        (f"m = {a} \\text{{ and }} n = {b}", f"m = {a} \\text{{ and }} n = {c}"),
    )


@equal("several parts")
def _parts(r: Random) -> Texts:
    a, b = several(r, lambda r: integer(r, 2), 2, 2)
    return pick(
        r,
        (f"(a) {a} (b) {b}", f"(a) {a}, (b) {b}"),
        (f"(1) {a}; (2) {b}", f"(1) {a} (2) {b}"),
        (f"m = {a}, n = {b}", rf"m = {a} \text{{ and }} n = {b}"),
        (f"{a} and {b}", f"{a}, {b}"),
        (f"{a}; {b}", f"{a}, {b}"),
    )


@wrong("other fractions of unicode")
def _unicode_fractions(r: Random) -> Texts:
    table = {"½": "1/2", "⅓": "1/3", "¼": "1/4", "¾": "3/4", "⅔": "2/3", "⅕": "1/5", "⅛": "1/8"}
    sign = r.choice(list(table))
    far = other(r, table[sign], lambda: r.choice(list(table.values())))
    n = r.randint(1, 40)
    right = n + Fraction(table[sign])
    changed = n + Fraction(far)
    return pick(
        r,
        (far, sign),
        (tex(changed), f"{n}{sign}"),
        (tex(n * Fraction(table[sign])), f"{n}{sign}") if n * Fraction(table[sign]) != right else (far, sign),
        (str(n), f"{n}{sign}"),
    )


@equal("fractions of unicode")
def _same_unicode_fractions(r: Random) -> Texts:
    table = {"½": "1/2", "⅓": "1/3", "¼": "1/4", "¾": "3/4", "⅔": "2/3"}
    sign = r.choice(list(table))
    n = r.randint(1, 40)
    return pick(r, (table[sign], sign), (tex(n + Fraction(table[sign])), f"{n}{sign}"))
