"""The page in a real headless Chromium: what it shows, how its keys and filters work, and how many rows it holds.

Needs playwright, and a Chromium on the system: the one that CHROMIUM names, or one in the PATH. Every wait is for a
condition and has no limit of its own, so a busy machine breaks no test; pytest's timeout ends a wait in vain. Speed is
measured but not tested:

    pytest tests/benchmarks/test_report_browser.py -k thousand -s
"""

import functools
import re
from dataclasses import replace
from itertools import pairwise

import made_results
import pytest
from chromium import NO_LIMIT, WITH_CHROMIUM, opened, playwright
from test_report import hostile_page

from prm.benchmarks.report.page import make_page

COUNT = 400
"""Chains in most tests."""
POOLED = COUNT // 3 // 16 * 16
"""Those of them in pools of solutions to choose from."""
pytestmark = WITH_CHROMIUM


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """All three suites with a few of their charts, and some chains."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(make_page(few_charts(), made_results.make_chains(COUNT)).html, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def large_report(tmp_path_factory):
    """The same with 5,000 chains."""
    path = tmp_path_factory.mktemp("report") / "large.html"
    path.write_text(make_page(few_charts(), made_results.make_chains(5000)).html, encoding="utf-8")
    return path


@functools.cache
def few_charts():
    kept = {"fixed 0.5", "min", "", "gold", "proxy", "pass@1", "oracle", "steps"}
    return {
        file: replace(
            result,
            metrics=tuple(m for m in result.metrics if m.variant in kept),
            curves=tuple(c for c in result.curves if c.variant in kept and "product" not in c.name),
            pictures=tuple(p for p in result.pictures if p.variant in kept and p.scorer == "PRM-soft"),
        )
        for file, result in made_results.make_results().items()
    }


@pytest.fixture
def page(browser, report):
    with opened(browser, report) as own:
        own.wait_for_selector("#row-0")
        yield own


_DATA = "JSON.parse(document.getElementById('data').textContent)"


def status(page):
    return page.inner_text("#status")


def active(page):
    """Id of the chain selected in the list, and of the chain shown beside it."""
    return page.inner_text("[aria-selected=true] .id"), page.inner_text("#detail h3")


def wait_for_text(page, selector, expected):
    """Wait until the element shows this text, or a text that matches this pattern."""
    playwright.expect(page.locator(selector)).to_have_text(expected, timeout=NO_LIMIT)


def after(page, change, expected):
    """Make a change, and wait until the status line shows the expected text."""
    change()
    wait_for_text(page, "#status", expected)


# ---- what is there


def test_the_page_opens_from_a_file_with_all_its_sections(page, tmp_path):
    headings = page.locator("main h2").all_inner_texts()
    assert headings == ["At a glance", "processbench", "math-500", "rm-bench", "Chains"]
    parts = page.locator("#result-2 h3").all_inner_texts()
    assert [text.rstrip(" 0123456789,") for text in parts] == [
        "Best of k",
        "Reliability",
        "Over-optimization",
        "Score against length",
        "All variants",
        "All differences",
        "All numbers",
        "Settings and data",
    ]
    assert page.locator("figure svg[role=img]").count() > 15
    page.screenshot(path=tmp_path / "report.png")
    assert (tmp_path / "report.png").stat().st_size > 20_000


def test_landmarks_headings_and_labels(page):
    for role in ("banner", "navigation", "main", "contentinfo", "search", "listbox", "status"):
        assert page.get_by_role(role).count() == 1, role
    assert page.locator("h1").count() == 1
    unlabeled = "[...document.querySelectorAll('input, select')].filter((e) => !e.labels.length).map((e) => e.id)"
    assert page.evaluate(unlabeled) == []
    unnamed = "[...document.querySelectorAll('figure svg')].filter((e) => !e.querySelector('title').textContent).length"
    assert page.evaluate(unnamed) == 0
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map((e) => Number(e.tagName[1]))")
    assert all(b - a <= 1 for a, b in pairwise(levels))


def test_a_part_opens_with_its_charts_and_tables(page):
    split = page.locator("#result-1-splits")
    assert not split.locator("figure").first.is_visible()
    split.locator("summary").first.click()
    figure = split.locator("figure").first
    assert figure.locator("svg").is_visible()
    assert figure.locator("table").count() == 0, "a table is built when it is opened"
    figure.locator("summary").click()
    figure.locator("tbody tr").first.wait_for()
    assert figure.locator("tbody th").all_inner_texts() == [*made_results.PROCESSBENCH, "macro", "weighted"]


def test_all_numbers_and_differences_are_within_reach(page):
    result = few_charts()["math.json"]
    for name, count in (("numbers", len(result.metrics)), ("differences", len(result.differences))):
        page.click(f"#result-2-{name} summary")
        page.wait_for_selector(f"#result-2-{name} tbody tr")
        assert page.locator(f"#result-2-{name} tbody tr").count() == count


def test_a_link_to_a_part_opens_it_and_a_button_opens_all(page):
    page.evaluate("location.hash = 'result-3-numbers'")
    page.wait_for_selector("#result-3-numbers tbody tr")
    page.click("#unfold")
    wait_for_text(page, "#unfold", "Close all")
    assert page.locator("details.part:not([open])").count() == 0
    page.click("#unfold")
    wait_for_text(page, "#unfold", "Open all")
    assert page.locator("details.part[open]").count() == 0


@functools.cache
def eleven_results():
    """Eleven suites, without what is drawn on demand."""
    made = list(few_charts().values())
    own = [replace(r, curves=(), pictures=(), metrics=r.headline) for r in made]
    return {f"{i}.json": replace(own[i % 3], suite=f"suite-{i}") for i in range(11)}


@pytest.mark.parametrize(("width", "most"), [(1400, 12_000), (390, 16_000)])
def test_eleven_results_are_a_short_page(browser, tmp_path, width, most):
    path = tmp_path / "eleven.html"
    path.write_text(
        make_page(eleven_results(), {"0.json": made_results.make_chains(60)["pb.json"]}).html, encoding="utf-8"
    )
    with opened(browser, path, viewport={"width": width, "height": 900}) as page:
        page.wait_for_selector("#row-0")
        assert page.evaluate("document.documentElement.scrollHeight") < most
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_chain_shows_scores_truth_and_the_first_error(page):
    first = page.evaluate(f"{_DATA}.chains[0]")
    error = first["truth"].index("0")
    steps = page.locator("#detail .step")
    assert steps.count() == len(first["steps"])
    assert page.locator("#detail .step:has-text('first error')").count() == 1
    wrong = steps.nth(error).inner_text()
    assert f"{first['scores'][0][error]:.2f}" in wrong
    assert "✗ wrong" in wrong
    assert page.inner_text("#detail .gold").startswith("Gold answer")


def test_the_candidates_of_a_problem_show_which_selectors_chose_them(page):
    after(page, lambda: page.select_option("#suite", label="math-500"), f"{POOLED} of {COUNT} chains")
    candidates = page.locator(".candidates li")
    assert candidates.count() == 16
    scores = [float(text.replace("\u2212", "-")) for text in page.locator(".candidates .score").all_inner_texts()]
    assert scores == sorted(scores, reverse=True)
    assert 1 <= page.locator(".candidates .chosen").count() <= 4
    name = candidates.nth(3).locator(".id").inner_text()
    candidates.nth(3).locator("button").click()
    assert active(page) == (name, name)


def test_an_outcome_scorer_has_one_score_for_the_chain_and_none_for_steps(page):
    after(page, lambda: page.select_option("#suite", label="math-500"), f"{POOLED} of {COUNT} chains")
    page.select_option("#scorer", label="ORM")
    page.wait_for_selector(".current dt:has-text('ORM, reward')")
    assert page.locator("#detail .step .score").count() == 0
    assert page.is_disabled("#threshold")


# ---- formulas


def formulas(*steps):
    """A report with one chain of these steps."""
    (chain,) = made_results.make_chains(2)["pb.json"]
    shown = replace(chain, steps=steps, truth=None, scores={}, problem="What is $1 + 1$? It costs $5 or $6 here.")
    return make_page(few_charts(), {"pb.json": [shown]}).html


STEPS = (
    "So $\\frac{3}{4} \\le x^2$ and \\(\\sqrt{2}\\).",
    "\\[\\begin{aligned} a &= b \\\\ c &= d \\end{aligned}\\]",
    "An unknown $\\nosuchcommand{1}$ and an open $\\frac{1.",
    "$\\text{<img src=x onerror=alert(1)>} \\href{javascript:alert(1)}{x} \\includegraphics{http://a.test/x.png}$",
    "\\[\\begin{aligned} <script>alert(1)</script> \\end{aligned}\\]",
    "\\[",
    "x = \\frac{1}{2}",
    "\\]",
    "The answer is \\boxed{4\\text{ m}}.",
)


def test_latex_is_drawn_as_formulas_and_what_is_none_stays_as_it_is(browser, tmp_path):
    path = tmp_path / "formulas.html"
    path.write_text(formulas(*STEPS), encoding="utf-8")
    with opened(browser, path) as page:
        page.wait_for_selector("#row-0")
        steps = page.locator("#detail .step .text")
        assert steps.nth(0).locator("math mfrac").count() == 1
        assert steps.nth(0).locator("math msqrt").count() == 1
        assert steps.nth(1).locator("math mtr").count() == 2
        assert page.locator("#detail p.text").first.locator("math").count() == 1, "dollars of money are no formula"
        assert "It costs $5 or $6 here." in page.locator("#detail p.text").first.inner_text()
        assert steps.nth(2).inner_text() == STEPS[2]
        assert page.locator("#detail :is(img, script, a)").count() == 0
        widths = page.evaluate("[...document.querySelectorAll('math')].map((e) => e.getBoundingClientRect().width)")
        assert min(widths) > 5
        assert steps.nth(6).locator("math mfrac").count() == 1, "a formula's inside is a step of its own"
        assert steps.nth(5).inner_text() == STEPS[5]
        assert steps.nth(8).locator("math").count() == 1, "an answer in its box"
        page.fill("#search", "frac")
        page.wait_for_selector("#detail mark")
        assert "\\frac{3}{4}" in steps.nth(0).inner_text(), "a formula that holds a search term is shown as text"
        page.fill("#search", "")
        page.wait_for_selector("#detail mfrac")
        page.uncheck("#math")
        assert page.locator("#detail math").count() == 0
        assert steps.nth(0).inner_text() == STEPS[0]


# ---- finding chains


def test_search_filters_and_marks(page):
    page.fill("#search", "law COSINES")
    page.wait_for_selector("#detail mark")
    assert set(page.locator("#detail mark").all_inner_texts()) == {"law", "cosines"}
    shown = int(status(page).split()[0].replace(",", ""))
    assert 0 < shown < COUNT
    after(page, lambda: page.fill("#search", "no such words"), f"0 of {COUNT} chains")
    assert "No chain matches" in page.inner_text("#detail")
    after(page, lambda: page.click("#reset"), f"{COUNT} of {COUNT} chains")


def test_each_filter_keeps_the_right_chains(page):
    chains, selectors = page.evaluate(f"{_DATA}.chains"), page.evaluate(f"{_DATA}.selectors")
    expected = {
        ("split", "gsm8k"): lambda c: c["split"] == 0,
        ("verdict", "right or better"): lambda c: c["right"],
        ("error", "with a wrong step"): lambda c: "0" in (c["truth"] or ""),
        ("located", "missed by the scorer"): lambda c: "0" in (c["truth"] or "") and called(c) != c["truth"].index("0"),
        ("located", "found by the scorer"): lambda c: "0" in (c["truth"] or "") and called(c) == c["truth"].index("0"),
        ("located", "false alarm"): lambda c: set(c["truth"] or "") == {"1"} and called(c) >= 0,
        ("chosen", "majority"): lambda c: selectors.index("majority") in c["chosen"],
    }
    for (control, label), keeps in expected.items():
        count = sum(1 for c in chains if keeps(c))
        assert 0 < count < COUNT
        after(page, lambda c=control, t=label: page.select_option(f"#{c}", label=t), f"{count} of {COUNT} chains")
        after(page, lambda: page.click("#reset"), f"{COUNT} of {COUNT} chains")


def called(chain):
    """The first step that the first scorer puts below 0.5."""
    return next((i for i, score in enumerate(chain["scores"][0]) if score < 0.5), -1)


def test_order_by_score_and_length(page):
    page.select_option("#order", "low")
    scores = page.evaluate(f"({_DATA}).chains.map((c) => c.scores[0] && Math.min(...c.scores[0]))")
    wait_for_text(page, "#row-0 .score", f"{min(scores):.2f}")
    page.select_option("#order", "long")
    longest = page.evaluate(f"Math.max(...({_DATA}).chains.map((c) => c.steps.join('').length))")
    wait_for_text(page, "#detail > .quiet", re.compile(f"{longest:,} characters"))


# ---- keys


def test_keys_move_open_and_search(page):
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.type("k")  # just a letter in a text field
    assert page.input_value("#search") == "k"
    page.fill("#search", "")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "list"
    for key, expected in (("j", "math-1"), ("ArrowDown", "olympiadbench-2"), ("k", "math-1"), ("ArrowUp", "gsm8k-0")):
        page.keyboard.press(key)
        assert active(page) == (expected, expected)
    page.keyboard.press("End")
    assert page.get_attribute("#list", "aria-activedescendant") == f"row-{COUNT - 1}"
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "detail"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "list"
    page.uncheck("#shortcuts")
    page.keyboard.press("j")
    assert active(page)[0] == "gsm8k-0"


def test_focus_is_visible(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.focus("#list")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


# ---- look


_CONTRASTS = """(selectors) => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const rgb = (css) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = css;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (css) => {
    const [r, g, b] = rgb(css).map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const css = getComputedStyle(e).backgroundColor;
      if (rgb(css)[3] === 255) return css;
    }
    return 'white';
  };
  const contrast = (e) => {
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  return Object.fromEntries(selectors.map((s) => [s, Math.min(...[...document.querySelectorAll(s)].map(contrast))]));
}"""
_TEXTS = (
    "p",
    "h2",
    "td",
    "th",
    "dt",
    "dd",
    "summary",
    "label",
    ".toc a",
    ".step .text",
    ".number",
    ".score",
    ".verdict",
)
_MORE = (".verdict.right", ".verdict.wrong", ".flag", ".snippet", ".chosen", "select", "input", "kbd", "#theme")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_in_both_themes(browser, report, theme):
    with opened(browser, report, color_scheme=theme) as page:
        after(page, lambda: page.select_option("#located", "miss"), status_of_misses(page))
        found = page.evaluate(_CONTRASTS, [*_TEXTS, *_MORE])
        assert {name: ratio for name, ratio in found.items() if ratio < 4.5} == {}
        ink = page.evaluate("getComputedStyle(document.body).color")
        assert ink == {"light": "rgb(28, 32, 37)", "dark": "rgb(231, 229, 225)"}[theme]
        stroke = page.evaluate("getComputedStyle(document.querySelector('path[stroke=\"var(--series-1)\"]')).stroke")
        assert stroke == {"light": "rgb(0, 114, 178)", "dark": "rgb(75, 163, 227)"}[theme]


def status_of_misses(page):
    chains = page.evaluate(f"{_DATA}.chains")
    missed = [c for c in chains if "0" in (c["truth"] or "") and called(c) != c["truth"].index("0")]
    return f"{len(missed)} of {COUNT} chains"


def test_the_theme_can_be_chosen_and_is_remembered(browser, report):
    """From a server: a reloaded `file:` page in Chromium now and then starts with an empty localStorage (3 in 129)."""
    with opened(browser, report, url="http://report.test/") as page:
        wait_for_text(page, "#theme", "Theme: system")
        page.click("#theme")
        page.click("#theme")
        wait_for_text(page, "#theme", "Theme: dark")
        page.reload()
        wait_for_text(page, "#theme", "Theme: dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 21, 23)"


def test_on_a_phone_nothing_is_wider_than_the_screen(browser, report, tmp_path):
    with opened(browser, report, viewport={"width": 360, "height": 740}, has_touch=True) as page:
        page.wait_for_selector("#row-0")
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        assert not page.is_visible("#detail")
        page.click("#row-0")
        assert page.is_visible("#detail .step")
        assert not page.is_visible("#list")
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        page.screenshot(path=tmp_path / "phone.png")
        page.click(".back")
        assert page.is_visible("#list")


def test_motion_and_print(page):
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    page.emulate_media(media="print")
    page.wait_for_selector(".toc", state="hidden")
    page.wait_for_selector("#list", state="hidden")
    page.wait_for_selector("#detail .step")


def test_without_scripts_the_numbers_are_there(browser, report):
    with opened(browser, report, java_script_enabled=False) as page:
        assert page.is_visible("table.plot >> nth=0")
        page.click("#result-1-splits > summary")
        assert page.is_visible("#result-1-splits figure svg >> nth=0")
        assert page.is_visible("#chains noscript p")
        assert not page.is_visible("#browser")


# ---- safety


def test_hostile_texts_of_chains_and_results_do_nothing(browser, tmp_path):
    path = tmp_path / "hostile.html"
    path.write_text(hostile_page().html, encoding="utf-8")
    with opened(browser, path) as page:
        page.fill("#search", "<img")
        page.wait_for_selector("#detail mark")
        page.keyboard.press("Enter")
        assert page.title().startswith("Evaluation: <img")
        assert page.locator("img").count() == 0
        assert "</script><img src=x onerror=" in page.inner_text("#detail .step >> nth=0")


def test_the_policy_is_in_force(browser, report):
    """Not even a script that runs in the page can make HTML from text, apply a style, or fetch anything."""
    with opened(browser, report, expects_complaints=True) as page:
        with page.expect_console_message(timeout=NO_LIMIT):
            assert page.evaluate("() => { try { document.body.innerHTML = 'x'; return false } catch { return true } }")
        assert page.evaluate("fetch('https://example.org').then(() => false, () => true)")
        page.evaluate("document.body.append(Object.assign(document.createElement('p'), {id: 'added'}))")
        page.evaluate("document.getElementById('added').setAttribute('style', 'color: red')")
        assert page.evaluate("getComputedStyle(document.getElementById('added')).color") != "rgb(255, 0, 0)"


# ---- size and speed

_SCROLL = """async () => {
  const list = document.getElementById('list');
  const frames = [], long = [];
  const keep = (entries) => long.push(...entries.map((e) => e.duration));
  const observer = new PerformanceObserver((all) => keep(all.getEntries()));
  observer.observe({type: 'longtask'});
  const most = {rows: 0};
  await new Promise((done) => {
    let before = performance.now();
    const step = (now) => {
      frames.push(now - before);
      before = now;
      list.scrollTop += 120;
      most.rows = Math.max(most.rows, document.querySelectorAll('.row').length);
      if (frames.length < 150) requestAnimationFrame(step);
      else done();
    };
    requestAnimationFrame(step);
  });
  for (let i = 1; i <= 20; i++) {
    list.scrollTop = list.scrollHeight * i / 20;
    await new Promise(requestAnimationFrame);
    most.rows = Math.max(most.rows, document.querySelectorAll('.row').length);
  }
  keep(observer.takeRecords());
  frames.sort((a, b) => a - b);
  return {rows: most.rows, median: frames[75], slow: frames[142], long: long.length, worst: Math.max(0, ...long)};
}"""
_OPENING = """() => ({
  paint: performance.getEntriesByName('first-contentful-paint')[0].startTime,
  listed: performance.getEntriesByName('chains listed')[0].startTime,
  nodes: document.getElementsByTagName('*').length,
})"""


def test_of_five_thousand_chains_few_are_in_the_page_at_a_time(browser, large_report):
    with opened(browser, large_report) as page:
        page.wait_for_selector("#row-0")
        page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
        opening, scrolling = page.evaluate(_OPENING), page.evaluate(_SCROLL)
    size = large_report.stat().st_size / 1e6
    print(f"\n{size:.1f} MB, first paint {opening['paint']:.0f} ms, chains listed {opening['listed']:.0f} ms")
    print(f"{opening['nodes']:,} elements, at most {scrolling['rows']} of 5,000 rows at a time")
    print(f"scrolling: median frame {scrolling['median']:.1f} ms, 95th percentile {scrolling['slow']:.1f} ms")
    print(f"tasks over 50 ms: {scrolling['long']}, the longest {scrolling['worst']:.0f} ms")
    assert scrolling["rows"] <= 40
    assert opening["nodes"] < 20_000
