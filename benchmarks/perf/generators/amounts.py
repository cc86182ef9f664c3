# ruff: noqa: RUF001 (the characters that look like others are meant)
"""Amounts: units, currency, angles, dates, times, durations, ratios, ordinals."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction
from random import Random

from .parts import another, decimal, finite, integer, other, other_fraction, pick, rational, size, tex, write_number
from .tables import Made, Texts, equal, kind, wrong

UNITS: dict[str, dict[str, Fraction]] = {
    "length": {"mm": Fraction(1, 1000), "cm": Fraction(1, 100), "m": Fraction(1), "km": Fraction(1000)},
    "mass": {"mg": Fraction(1, 1000), "g": Fraction(1), "kg": Fraction(1000)},
    "time": {"s": Fraction(1), "min": Fraction(60), "h": Fraction(3600)},
    "energy": {"J": Fraction(1), "kJ": Fraction(1000)},
    "power": {"W": Fraction(1), "kW": Fraction(1000)},
    "pressure": {"Pa": Fraction(1), "kPa": Fraction(1000)},
    "voltage": {"V": Fraction(1), "mV": Fraction(1, 1000), "kV": Fraction(1000)},
    "current": {"A": Fraction(1), "mA": Fraction(1, 1000)},
    "force": {"N": Fraction(1), "kN": Fraction(1000)},
    "frequency": {"Hz": Fraction(1), "kHz": Fraction(1000), "MHz": Fraction(10**6)},
    "volume": {"mL": Fraction(1, 1000), "L": Fraction(1)},
}
NAMES = {
    "mm": "millimeters",
    "cm": "centimeters",
    "m": "meters",
    "km": "kilometers",
    "g": "grams",
    "kg": "kilograms",
    "s": "seconds",
    "min": "minutes",
    "h": "hours",
    "J": "joules",
    "W": "watts",
    "V": "volts",
    "N": "newtons",
    "L": "liters",
    "A": "amperes",
}
COMPOUND: dict[str, dict[str, Fraction]] = {
    "speed": {"m/s": Fraction(1), "km/h": Fraction(5, 18), "cm/s": Fraction(1, 100)},
    "acceleration": {"m/s^2": Fraction(1), "cm/s^2": Fraction(1, 100)},
    "molar energy": {"J/mol": Fraction(1), "kJ/mol": Fraction(1000)},
    "density": {"g/cm^3": Fraction(1000), "kg/m^3": Fraction(1)},
    "stiffness": {"N/m": Fraction(1), "kN/m": Fraction(1000)},
    "area": {"mm^2": Fraction(1, 10**6), "cm^2": Fraction(1, 10**4), "m^2": Fraction(1), "km^2": Fraction(10**6)},
    "solid": {"mm^3": Fraction(1, 10**9), "cm^3": Fraction(1, 10**6), "m^3": Fraction(1)},
    "concentration": {"mol/L": Fraction(1)},
}


def _unit(r: Random, unit: str) -> str:
    plain = [rf"\text{{ {unit}}}", rf" \text{{{unit}}}", rf"\mathrm{{~{unit}}}", rf"\,\mathrm{{{unit}}}"]
    if unit in NAMES:
        plain += [f" {NAMES[unit]}", rf" \text{{ {NAMES[unit]}}}"]
    if len(unit) > 1:
        plain += [f" {unit}", rf"\ \text{{{unit}}}"]
    return r.choice(plain)


def _compound_unit(r: Random, unit: str) -> str:
    forms = [rf"\text{{ {unit}}}", f" {unit}", rf"\mathrm{{~{unit}}}"]
    if "/" in unit:
        top, bottom = unit.split("/")
        forms += [rf"\mathrm{{~{top}}}/\mathrm{{{bottom}}}"]
        base, _, up = bottom.partition("^")
        forms += [
            rf"\,\mathrm{{{top}\,{base}^{{-{up or 1}}}}}",
            rf" \text{{ {top}}} \cdot \text{{{base}}}^{{-{up or 1}}}",
        ]
        if up:
            forms += [rf"\text{{ {top}/{base}}}^{up}"]
    else:
        base, _, up = unit.partition("^")
        forms += [rf"\text{{ {base}}}^{up}", rf"\text{{ {base}}}^{{{up}}}", rf"\mathrm{{~{base}}}^{up}"]
        forms += [f" {base}" + {"2": "²", "3": "³"}[up]]
    return r.choice(forms)


def _value(r: Random, value: Fraction) -> str:
    return decimal(value) if finite(value) else tex(value)


def _amount(r: Random) -> Fraction:
    return Fraction(size(r, 3)) if r.random() < 0.6 else Fraction(10 * size(r, 3) + r.randint(1, 9), 10)


def _changed_amount(r: Random, value: Fraction) -> Fraction:
    return value + pick(r, 1, 2, 10) if r.random() < 0.6 else value + pick(r, -1, 10) * Fraction(1, 10) + 1


@kind("units")
def _units(r: Random) -> Made:
    sort = r.choice(list(UNITS))
    table = UNITS[sort]
    unit, value = r.choice(list(table)), _amount(r)
    to = r.choice([u for u in table if finite(value * table[unit] / table[u])])
    same = pick(r, _value(r, value * table[unit] / table[to]) + _unit(r, to), _value(r, value) + _unit(r, unit))
    elsewhere = r.choice([u for s, t in UNITS.items() if s != sort for u in t])
    others = [u for u in table if u != unit]
    changed = pick(
        r,
        _value(r, _changed_amount(r, value)) + _unit(r, unit),
        _value(r, value) + _unit(r, elsewhere),
        _value(r, value) + _unit(r, r.choice(others)),
        _value(r, _changed_amount(r, value) * table[unit] / table[to]) + _unit(r, to),
        _value(r, _changed_amount(r, value)),
    )
    return _value(r, value) + _unit(r, unit), same, changed


@kind("compound units")
def _compound_units(r: Random) -> Made:
    sort = r.choice(list(COMPOUND))
    table = COMPOUND[sort]
    unit, value = r.choice(list(table)), _amount(r)
    to = r.choice([u for u in table if finite(value * table[unit] / table[u])])
    same = pick(
        r,
        _value(r, value * table[unit] / table[to]) + _compound_unit(r, to),
        _value(r, value) + _compound_unit(r, unit),
    )
    elsewhere = r.choice([u for s, t in COMPOUND.items() if s != sort for u in t])
    others = [u for u in table if u != unit] or [elsewhere]
    changed = pick(
        r,
        _value(r, _changed_amount(r, value)) + _compound_unit(r, unit),
        _value(r, value) + _compound_unit(r, elsewhere),
        _value(r, value) + _compound_unit(r, r.choice(others)),
        _value(r, _changed_amount(r, value) * table[unit] / table[to]) + _compound_unit(r, to),
    )
    return _value(r, value) + _compound_unit(r, unit), same, changed


@wrong("powers of units")
def _powers_of_units(r: Random) -> Texts:
    unit, value = pick(r, "mm", "cm", "km", "m", "ft", "in"), size(r, 3)
    ups = r.sample(("1", "2", "3"), 2)
    first, second = (rf"\text{{ {unit}}}" + (f"^{up}" if up != "1" else "") for up in ups)
    if unit in ("mm", "cm", "km", "ft") and r.random() < 0.5:
        first = f" {unit}" + (f"^{ups[0]}" if ups[0] != "1" else "")
    return f"{value}{first}", f"{value}{second}"


@equal("units left out")
def _units_left_out(r: Random) -> Texts:
    value, unit = _value(r, _amount(r)), r.choice([u for t in UNITS.values() for u in t])
    two = value + _unit(r, unit), value
    people = f"{value} {pick(r, 'students', 'apples', 'sq. units', 'units', 'ways', 'people', 'cubic feet')}"
    return r.choice((two, two[::-1], (value, people)))


CURRENCIES = {"USD": (r"\${}", "{} dollars", "USD {}", r"{} \text{{ dollars}}"), "EUR": ("€{}", "{} euros", "EUR {}")}
MORE_CURRENCIES = {"GBP": ("£{}", "GBP {}"), "CNY": ("{}元", "{} yuan", "CNY {}"), "INR": ("₹{}", "{} rupees")}
MONEY = CURRENCIES | MORE_CURRENCIES


@kind("currency")
def _currency(r: Random) -> Made:
    coin = r.choice(list(MONEY))
    cents = size(r, 5)
    value = Fraction(cents, 100)

    def write(value: Fraction, coin: str) -> str:
        text = f"{int(value)}" if value.denominator == 1 else f"{int(value * 100) // 100}.{int(value * 100) % 100:02d}"
        return r.choice(MONEY[coin]).format(text)

    changed = Fraction(abs(another(r, cents)), 100)
    if changed == value:
        changed += 1
    far = r.choice([c for c in MONEY if c != coin])
    different = pick(r, write(changed, coin), write(changed, coin), write(value, far), write(value * 100, coin))
    same = pick(r, write(value, coin), write(value, coin), decimal(value))
    if coin == "USD" and r.random() < 0.2:
        same, different = f"{cents} cents", f"{cents + 1} cents"
    return write(value, coin), same, different


@kind("degrees and radians")
def _angles(r: Random) -> Made:
    bottom = pick(r, 2, 3, 4, 5, 6, 9, 10, 12, 18, 36, 180)
    top = r.randint(1, 2 * bottom)
    value = Fraction(top, bottom)  # of a half turn
    changed = other(r, value, lambda: value + Fraction(1, bottom), lambda: value * 2, lambda: -value, lambda: 1 - value)

    def degrees(value: Fraction) -> str:
        return _value(r, value * 180) + pick(r, r"^\circ", r"^{\circ}", "°", " degrees", r"\text{ degrees}", "^\\circ")

    def radians(value: Fraction) -> str:
        if value.denominator == 1:
            return {0: "0", 1: r"\pi", -1: r"-\pi"}.get(value.numerator, rf"{value.numerator}\pi")
        sign, a, b = "-" if value < 0 else "", abs(value.numerator), value.denominator
        top = (str(a) if a > 1 else "") + r"\pi"
        return pick(r, rf"{sign}\frac{{{top}}}{{{b}}}", f"{sign}{top}/{b}", rf"{sign}\frac{{{a}}}{{{b}}}\pi")

    first, second = pick(r, (degrees, degrees), (degrees, radians), (radians, degrees), (radians, radians))
    if changed == 0:
        changed = value + 2
    return first(value), second(value), second(changed)


@kind("degrees and minutes")
def _arc_minutes(r: Random) -> Made:
    whole, minutes = r.randint(1, 179), pick(r, 6, 12, 15, 18, 24, 30, 36, 45, 48, 54)
    value = whole + Fraction(minutes, 60)

    def write(whole: int, minutes: int) -> str:
        return pick(r, rf"{whole}^\circ {minutes}'", f"{whole}°{minutes}'", rf"{whole}^{{\circ}}{minutes}'")

    number = decimal(value)
    changed = pick(
        r,
        write(whole + 1, minutes),
        write(whole, minutes + 1),
        rf"{whole}.{minutes + 1:02d}^\circ" if minutes < 99 and minutes + 1 != 100 * (value - whole) else f"{whole}",
        rf"{whole}^\circ",
        rf"{decimal(value + 1)}^\circ",
    )
    return write(whole, minutes), pick(r, write(whole, minutes), rf"{number}^\circ", f"{number}°"), changed


MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


def _write_date(r: Random, day: date) -> str:
    month = MONTHS[day.month - 1]
    forms = [f"{month} {day.day}, {day.year}", f"{day.day} {month} {day.year}", day.isoformat()]
    forms += [rf"\text{{{month} {day.day}, {day.year}}}", f"{month[:3]} {day.day}, {day.year}"]
    return r.choice(forms)


@kind("dates")
def _dates(r: Random) -> Made:
    day = date(1900, 1, 1) + timedelta(days=r.randint(0, 60000))
    changed = other(
        r,
        day,
        lambda: day + timedelta(days=pick(r, 1, -1, 10, 30, 365)),
        lambda: day.replace(year=day.year + pick(r, 1, 10, 100), day=min(day.day, 28)),
        lambda: date(day.year, day.day, day.month) if day.day <= 12 else day + timedelta(days=31),
    )
    return _write_date(r, day), _write_date(r, day), _write_date(r, changed)


def _write_time(r: Random, minutes: int, long_day: bool = False) -> str:
    hour, minute = divmod(minutes % 1440, 60)
    half = "AM" if hour < 12 else "PM"
    short = (hour - 1) % 12 + 1
    forms = [f"{short}:{minute:02d} {half}", f"{short}:{minute:02d} {half.lower()[0]}.m."]
    forms += [f"{short}:{minute:02d}{half.lower()}", rf"{short}:{minute:02d} \text{{ {half.lower()[0]}.m.}}"]
    return f"{hour}:{minute:02d}" if long_day else r.choice(forms)


@kind("times of day")
def _times_of_day(r: Random) -> Made:
    minutes = r.randint(0, 1439)
    changed = other(
        r, minutes, lambda: (minutes + 720) % 1440, lambda: (minutes + pick(r, 1, -1, 10, 60, -60, 5)) % 1440
    )
    same = _write_time(r, minutes, minutes >= 780 and r.random() < 0.2)
    return _write_time(r, minutes), same, _write_time(r, changed)


@kind("durations")
def _durations(r: Random) -> Made:
    hours, minutes = r.randint(1, 12), pick(r, 3, 6, 12, 15, 18, 24, 30, 36, 45, 48, 54)
    total = hours * 60 + minutes

    def write(total: int, exact: bool = False) -> str:
        hours, minutes = divmod(total, 60)
        forms = [f"{total} minutes", rf"{total} \text{{ min}}"]
        if hours and minutes:
            forms += [f"{hours} hours {minutes} minutes", rf"{hours} \text{{ hours and }} {minutes} \text{{ minutes}}"]
        if total % 3 == 0 and not exact:  # a decimal gold would take in what rounds to it
            forms.append(f"{decimal(Fraction(total, 60))} hours")
        return r.choice(forms)

    changed = pick(r, total + pick(r, 1, 3, 60), total * 60, minutes * 60 + hours)
    return write(total, True), write(total), write(changed if changed != total else total + 2)


@kind("ratios")
def _ratios(r: Random) -> Made:
    parts = tuple(r.sample(range(1, 40), r.randint(2, 3)))
    turned = parts[::-1]
    place = r.randrange(len(parts))
    longer = tuple(p + (i == place) for i, p in enumerate(parts))

    def write(parts: tuple[int, ...]) -> str:
        k = pick(r, 1, 1, 1, 2, 3, 10)
        texts = [str(part * k) for part in parts]
        return pick(r, ":", ":", " : ", "∶", r" \colon ", r" \text{ to } " if len(parts) == 2 else ":").join(texts)

    changed = other(r, parts, lambda: turned, lambda: longer)
    return write(parts), write(parts), write(changed)


@kind("ratios as fractions")
def _ratio_fractions(r: Random) -> Made:
    value = Fraction(r.randint(1, 60), r.randint(2, 60))
    while value == 1 or value.denominator == 1:
        value = Fraction(r.randint(1, 60), r.randint(2, 60))
    changed = other_fraction(r, value)
    gold = f"{value.numerator}:{value.denominator}"
    return gold, rf"\frac{{{value.numerator}}}{{{value.denominator}}}", tex(changed)


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return "th" if number % 100 in (11, 12, 13) else ending


@kind("ordinals")
def _ordinals(r: Random) -> Made:
    n = size(r, 3)
    m = abs(another(r, n)) + 1
    m = m + 1 if m == n else m

    def write(n: int) -> str:
        ending = _ordinal(n)
        return pick(r, f"{n}{ending}", rf"{n}^{{\text{{{ending}}}}}", rf"{n}\text{{{ending}}}", f"{n}^{{{ending}}}")

    return pick(r, str(n), write(n)), pick(r, write(n), write(n)), write(m)


WORDS = ["thousand", "million", "billion", "trillion"]


@kind("numbers with words for powers of ten")
def _large_words(r: Random) -> Made:
    place = r.randrange(4)
    value = Fraction(size(r, 2)) if r.random() < 0.6 else Fraction(size(r, 2) * 10 + 5, 10)
    number = value * 1000 ** (place + 1)
    text = f"{decimal(value)} {WORDS[place]}"
    far = WORDS[(place + pick(r, 1, 2, 3)) % 4]
    changed = pick(r, f"{decimal(value + 1)} {WORDS[place]}", f"{decimal(value)} {far}", decimal(value * 10) + "00")
    if changed == decimal(number):
        changed = decimal(value)
    gold, same = (decimal(number), text) if r.random() < 0.7 else (text, decimal(number))
    return gold, same, changed


@kind("numbers in words")
def _small_words(r: Random) -> Made:
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    n = r.randrange(len(words))
    m = other(r, n, lambda: r.randrange(len(words)))
    return (str(n), words[n], words[m]) if r.random() < 0.5 else (words[n], str(n), str(m))


@wrong("amounts without their number")
def _bare_units(r: Random) -> Texts:
    value, unit = size(r, 3), r.choice([u for t in UNITS.values() for u in t])
    return f"{value}{_unit(r, unit)}", pick(r, _unit(r, unit).strip(), f"{integer(r, 2) + 2000}{_unit(r, unit)}")


@kind("sums of units")
def _sums_of_units(r: Random) -> Made:
    feet, inches = r.randint(1, 9), r.randint(1, 11)

    def write(total: int) -> str:
        return pick(r, f"{total // 12} feet {total % 12} inches", f"{total} inches", rf"{total} \text{{ inches}}")

    total = feet * 12 + inches
    return write(total), write(total), write(total + pick(r, 1, -1, 12, 2))


@kind("fractions of units")
def _fractions_of_units(r: Random) -> Made:
    value = rational(r)
    value = abs(value)
    unit = pick(r, "hours", "miles", "feet", "cups", "meters", "inches")
    changed = abs(other_fraction(r, value))
    changed = changed + 1 if changed == value else changed
    text = write_number(r, value)
    return f"{text} {unit}", pick(r, text, rf"{text} \text{{ {unit}}}"), rf"{write_number(r, changed)} \text{{ {unit}}}"
