"""The trees of a search in a real headless Chromium."""

import pytest
from chromium import NO_LIMIT, WITH_CHROMIUM, opened, playwright
from solved_runs import with_a_tree

from prm.benchmarks.report.page import make_page

pytestmark = WITH_CHROMIUM


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trees")
    found = with_a_tree(folder)
    path = folder / "report.html"
    path.write_text(make_page({"search.json": found.result}, {"search.json": found.shown}).html, encoding="utf-8")
    return path


def wait(locator, text):
    playwright.expect(locator).to_have_text(text, timeout=NO_LIMIT)


@pytest.mark.parametrize("width", [1400, 390])
def test_a_tree_is_read_from_its_chosen_chain(browser, report, width):
    with opened(browser, report, viewport={"width": width, "height": 900}) as page:
        page.wait_for_selector("#row-0")
        assert page.inner_text("#status") == "8 of 8 trees"
        assert page.text_content("#split-label") == "Run"
        page.locator("#row-0").click()
        wait(page.locator("#detail h3"), "p0 · rebase")
        assert "5 chains · 2 right · 2 given up" in page.inner_text("#detail .quiet >> nth=0")
        spine = page.locator("#detail .tree > ol > .step")
        assert spine.locator(".text").all_inner_texts() == ["Two and two.", "So four.", "The answer is 4"]
        assert spine.locator(".score").all_inner_texts() == ["0.90", "0.80", "0.95"]
        wait(spine.locator(".marks"), "★ chosen✓ right answer")
        folds = page.locator("#detail .tree > ol > .instead > details > summary")
        assert [text.strip("\n ") for text in folds.all_inner_texts()] == [
            "1 alternative", "2 alternatives", "1 alternative",
        ]  # fmt: skip
        assert page.locator("#detail .branch .step").count() == 0, "built when it is opened"
        branches = page.locator("#detail .tree > ol > .instead").nth(1).locator(".branch")
        wait(branches.locator(".snippet"), ["So five.", "Hm."])
        wait(branches.locator(".number"), ["1 chain", "given up"])
        branches.nth(0).locator("summary").click()
        wait(branches.nth(0).locator(".marks"), "✗ wrong answer")
        wait(branches.nth(0).locator(".number"), ["1 chain", "Step 2", "Step 3"])
        page.locator("#detail .unfold").click()
        wait(page.locator("#detail .step.left .text"), ["No idea <b>at all</b>.", "Hm."])
        assert page.locator("#detail details:not([open])").count() == 0
        assert page.locator("#detail .tree math").count() == 1
        sideways = "e => e.scrollWidth - e.clientWidth"
        assert [page.locator(at).evaluate(sideways) for at in ("html", "#detail")] == [0, 0]


def test_filters_and_the_other_runs_of_a_problem(browser, report):
    with opened(browser, report, viewport={"width": 1400, "height": 900}) as page:
        page.wait_for_selector("#row-0")
        page.select_option("#split", label="weighted")
        wait(page.locator("#status"), "4 of 8 trees")
        page.select_option("#verdict", "wrong")
        wait(page.locator("#status"), "2 of 8 trees")
        page.fill("#search", "no idea")
        wait(page.locator("#status"), "0 of 8 trees")
        page.select_option("#split", "")
        page.select_option("#verdict", "")
        wait(page.locator("#status"), "1 of 8 trees")
        page.locator("#detail .candidates button", has_text="p0 · weighted").click()
        wait(page.locator("#detail h3"), "p0 · weighted")
        wait(page.locator("#status"), "8 of 8 trees")
