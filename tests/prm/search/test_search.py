import math
from contextlib import closing, suppress
from dataclasses import replace
from random import Random

import pytest
from places import ROOT
from trees import TreeEngine, TreeScorer, is_last, line, score

from prm import Problem, aggregate
from prm.data.drops import Drops
from prm.data.records import Drop
from prm.generation.engine import Sampling
from prm.generation.sampling import sample_chains
from prm.models.rendering import Renderer
from prm.search.ending import Solved
from prm.search.journal import Journal
from prm.search.methods import METHODS, softmax, systematic
from prm.search.plan import Plan
from prm.search.searcher import Drawn, Searcher
from prm.search.tree import Branch

SAMPLING = Sampling(max_tokens=400)
PROBLEMS = [Problem(f"p{i}", f"How many are {i}?", str(i % 4)) for i in range(4)]


@pytest.fixture(scope="module")
def renderer(tokenizer):
    return Renderer(tokenizer, separator=None)


def searched(renderer, method, problems=PROBLEMS, *, engine=None, scorer=None, sampling=SAMPLING, earlier=None, **plan):
    """Search; return what came of each problem by its id, and all events."""
    chosen = METHODS[method]
    settings = {"n": 8, "width": 2, "selection": chosen.selection, **plan}
    given = Plan(max_tokens=sampling.max_tokens, **settings)
    engine = engine or TreeEngine(renderer.tokenizer)
    searcher = Searcher(engine, renderer, scorer or TreeScorer(), chosen, given, sampling)
    events = list(searcher.run(problems, earlier))
    return {event.problem_id: event for event in events if isinstance(event, Solved)}, events


def texts(solved):
    return [chain.text for chain in solved.chains]


def whole(problem, draw):
    """The chain whose first line is this draw, and each later one the first."""
    text = line(problem, "", draw)
    while not is_last(text):
        text += line(problem, text, 0)
    return text


@pytest.mark.parametrize("method", METHODS)
def test_every_leaf_is_a_chain_of_the_tree_with_the_scores_of_its_steps(renderer, method):
    found, _ = searched(renderer, method)
    assert set(found) == {problem.id for problem in PROBLEMS}
    for problem in PROBLEMS:
        solved = found[problem.id]
        scores = {row.chain_id: row.scores for row in solved.scores}
        for chain in solved.chains:
            before = ""
            for step in chain.steps:
                assert step == line(problem.text, before, int(step[:2]))
                before += step
            assert chain.finish == ("stop" if is_last(chain.text) else "unknown")
            if METHODS[method].is_scored:
                expected = [score(chain.steps[: i + 1]) for i in range(len(chain.steps))]
                assert scores[chain.id] == pytest.approx(expected)
        assert is_last(solved.choice.best)
        assert solved.chains[solved.choice.index].text == solved.choice.best


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("budget", [1, 17, 150, 400])
def test_a_budget_is_never_passed_and_tokens_are_counted(renderer, method, budget):
    found, events = searched(renderer, method, budget=budget)
    for problem in PROBLEMS:
        drawn = [event for event in events if isinstance(event, Drawn) and event.problem_id == problem.id]
        spent = sum(completion.tokens for event in drawn for completion in event.completions)
        assert spent <= budget
        assert found[problem.id].choice.generated == spent


def test_a_larger_budget_than_needed_changes_nothing(renderer):
    assert searched(renderer, "beam", budget=10**6)[0] == searched(renderer, "beam")[0]


@pytest.mark.parametrize("method", METHODS)
def test_one_chain_is_plain_sampling(renderer, method):
    engine = TreeEngine(renderer.tokenizer)
    plain = sample_chains(PROBLEMS, engine, renderer, Drops(), n=1, sampling=SAMPLING)
    expected = {chain.problem_id: chain.text for (chain,) in plain}
    found, _ = searched(renderer, method, n=1, width=1, threshold=0)
    assert {name: solved.choice.best for name, solved in found.items()} == expected


def test_whole_chains_are_the_requests_of_sampling(renderer):
    sampling, searching = TreeEngine(renderer.tokenizer), TreeEngine(renderer.tokenizer)
    list(sample_chains(PROBLEMS, sampling, renderer, Drops(), n=8, sampling=SAMPLING))
    searched(renderer, "weighted", engine=searching)
    assert [r.id for r in searching.asked] == [r.id for r in sampling.asked]
    assert [r.prompt_ids for r in searching.asked] == [r.prompt_ids for r in sampling.asked]


@pytest.mark.parametrize("method", METHODS)
def test_a_problem_may_be_called_as_a_branch_of_another(renderer, method):
    """Ids of files and data sets, such as "gsm8k" and "gsm8k/0", look like it."""
    names = ["a", "a/0", "a/0.1", "a/0/", "a/", "a/0~3"]
    problems = [Problem(name, f"How many are {i}?") for i, name in enumerate(names)]
    engine = TreeEngine(renderer.tokenizer, room=50, backwards=True)
    together, _ = searched(renderer, method, problems, engine=engine)
    assert len({request.id for request in engine.asked}) == len(engine.asked)
    assert together == {p.id: searched(renderer, method, [p])[0][p.id] for p in problems}


def test_a_temperature_near_0_gives_all_to_the_best_branch():
    assert softmax([0.2, 0.9, 0.9], 5e-324) == [0.0, 0.5, 0.5]
    assert softmax([-2.0, -math.inf], 1e-310) == [1.0, 0.0]


@pytest.mark.parametrize("aggregator", ["min", "product", "last"])
def test_beam_without_expansion_is_best_of_n(renderer, aggregator):
    beam, _ = searched(renderer, "beam", width=1, aggregate=aggregator, selection="best-of-n")
    best, _ = searched(renderer, "best-of-n", aggregate=aggregator)
    for name, solved in beam.items():
        assert set(texts(solved)) == set(texts(best[name]))
        assert solved.choice.best == best[name].choice.best
        assert solved.choice.generated == best[name].choice.generated


@pytest.mark.parametrize("method", METHODS)
def test_order_of_problems_and_of_answers_changes_nothing(renderer, method):
    found, _ = searched(renderer, method, budget=300)
    again, _ = searched(
        renderer, method, PROBLEMS[::-1], engine=TreeEngine(renderer.tokenizer, room=2, backwards=True), budget=300
    )
    assert again == found


def test_a_refused_branch_ends_alone(renderer):
    found, _ = searched(renderer, "rebase")
    problem = PROBLEMS[0]
    victim = line(problem.text, "", 3)
    with_refusal, _ = searched(renderer, "rebase", scorer=TreeScorer(refuses=victim))
    solved = with_refusal[problem.id]
    refused = [c for c, why in zip(solved.chains, solved.choice.refusals, strict=True) if why]
    assert [chain.text for chain in refused] == [victim]
    assert refused[0].id not in {row.chain_id for row in solved.scores}
    assert {name: with_refusal[name] for name in found if name != problem.id} == {
        name: found[name] for name in found if name != problem.id
    }


def test_a_problem_that_cannot_be_put_is_dropped(renderer):
    engine = TreeEngine(renderer.tokenizer)
    engine.max_length = 40
    _, events = searched(renderer, "beam", [Problem("long", "word " * 100), PROBLEMS[0]], engine=engine, n=2)
    assert [event.reason for event in events if isinstance(event, Drop)] == ["problem longer than the model's context"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dies_after", [1, 9])
def test_killed_and_resumed_is_the_same_as_uninterrupted(renderer, tmp_path, method, dies_after):
    expected, whole_run = searched(renderer, method, budget=500)
    chosen = METHODS[method]
    plan = Plan(n=8, width=2, selection=chosen.selection, budget=500, max_tokens=SAMPLING.max_tokens)
    path, asked = tmp_path / "journal.jsonl", []
    for deadline in (dies_after, 10**6):
        engine = TreeEngine(renderer.tokenizer, dies_after=deadline)
        with closing(Journal(path)) as journal, suppress(KeyboardInterrupt):
            left = [problem for problem in PROBLEMS if problem.id not in journal.places]
            for event in Searcher(engine, renderer, TreeScorer(), chosen, plan, SAMPLING).run(left, journal.earlier):
                journal.append(event)
        asked += [request.id for request in engine.asked]
    with path.open("ab") as file:
        file.write(b'{"drawn": ["p0"')  # a line that was half written
    with closing(Journal(path)) as journal:
        assert {end.problem_id: end for end in journal.ends(p.id for p in PROBLEMS)} == expected
    assert sorted(asked) == sorted(e.request_id for e in whole_run if isinstance(e, Drawn)), "nothing is drawn twice"


def test_the_continuations_of_a_step_are_scored_in_one_batch(renderer):
    scorer = TreeScorer()
    searched(renderer, "rebase", scorer=scorer, engine=TreeEngine(renderer.tokenizer, room=64))
    assert max(scorer.batches) >= 8


def test_steps_go_on_from_the_same_tokens(renderer):
    engine = TreeEngine(renderer.tokenizer)
    _, events = searched(renderer, "beam", engine=engine)
    spelled = {request.prompt_ids for request in engine.asked}
    drawn = {}
    for event in events:
        if isinstance(event, Drawn):
            request = next(r for r in engine.asked if r.id == event.request_id)
            drawn |= {request.prompt_ids + completion.ids: event for completion in event.completions}
    roots = {tuple(renderer.prompt_ids(problem.text)) for problem in PROBLEMS}
    assert spelled - roots <= set(drawn)


def next_lines(problem, before, width):
    return [before + line(problem, before, draw) for draw in range(width)]


def steps_of(text):
    return text.splitlines(keepends=True)


def agg(text, aggregator):
    steps = steps_of(text)
    return aggregate([score(steps[: i + 1]) for i in range(len(steps))], aggregator)


def search_and_learn_beam(problem, n, width, aggregator):
    """`beam_search.py` of search-and-learn, on texts: the beams are repeated up to n, the best n/width stay."""
    active, completed, first = [""] * n, [], True
    while True:
        if not first and len(active) != n:
            active = (active * (n // len(active) + 1))[:n]
        counts, grown = {}, []
        for beam in active:  # a copy of a beam draws another continuation
            grown.append(beam + line(problem, beam, counts.setdefault(beam, 0)))
            counts[beam] += 1
        first = False
        completed += [beam for beam in grown if is_last(beam)]
        active = [beam for beam in grown if not is_last(beam)]
        if not active or len(completed) >= n:
            return completed[:n]
        values = [agg(beam, aggregator) for beam in active]
        top = sorted(range(len(active)), key=lambda i: (values[i], -i))[-(n // width) :]  # it leaves ties to numpy
        active = [beam for i, beam in enumerate(active) if i in top]


def search_and_learn_dvts(problem, n, width, aggregator):
    """`diverse_verifier_tree_search.py`: n/width beams; each goes on with the best of its continuations until it ends.

    All continuations of the last round of each beam are candidates.
    """
    roots = [line(problem, "", draw) for draw in range(n)]
    found = []
    for i in range(n // width):
        texts = roots[i * width : (i + 1) * width]
        while True:
            best = max(texts, key=lambda text: agg(text, aggregator))
            if is_last(best):
                break
            texts = next_lines(problem, best, width)
        found += texts
    return found


@pytest.mark.parametrize("rules", [("beam", search_and_learn_beam), ("dvts", search_and_learn_dvts)])
@pytest.mark.parametrize("aggregator", ["last", "min", "product"])
@pytest.mark.parametrize(("n", "width"), [(8, 2), (8, 4), (16, 4), (9, 2)])
def test_the_same_trees_give_the_choices_of_search_and_learn(renderer, rules, aggregator, n, width):
    name, rule = rules
    if name == "dvts":
        n -= n % width  # as it demands
    settings = {"n": n, "width": width, "aggregate": aggregator, "selection": "best-of-n"}
    found, _ = searched(renderer, name, **settings)
    for problem in PROBLEMS:
        candidates = rule(problem.text, n, width, aggregator)
        ended = [text for text in candidates if is_last(text)]
        choice = found[problem.id].choice
        scored = [
            text for text, value in zip(texts(found[problem.id]), choice.scores, strict=True) if value is not None
        ]
        assert sorted(set(scored)) == sorted(set(candidates))
        assert choice.best == max(ended, key=lambda text: agg(text, aggregator))


@pytest.mark.parametrize(("n", "width", "trees"), [(10, 4, 2), (3, 4, 1), (7, 2, 3)])
def test_trees_share_branches_that_no_multiple_of_the_width_gives(renderer, n, width, trees):
    engine = TreeEngine(renderer.tokenizer)
    found, _ = searched(renderer, "dvts", PROBLEMS[:1], engine=engine, n=n, width=width)
    asks = [request.n for request in engine.asked]
    assert asks[0] == n
    assert set(asks[1:]) <= {n // trees, -(-n // trees)}
    assert len(found["p0"].chains) >= n


def test_a_chain_that_shares_steps_names_the_chain_it_shares_them_with(renderer):
    found, _ = searched(renderer, "rebase", n=16)
    for solved in found.values():
        chains = {chain.id: chain for chain in solved.chains}
        for chain in solved.chains:
            if chain.origin:
                other, step, _ = chain.origin
                assert chains[other].steps[: step + 1] == chain.steps[: step + 1]
        assert any(chain.origin for chain in solved.chains)


def test_particles_follow_the_odds():
    """A method alone: with one branch at odds of 9 to 1 against the others, most of the next ones are its own."""
    root = Branch("p")
    plan = Plan(n=1000, aggregate="last")
    search = METHODS["particles"].search(root, plan, Random(0))
    next(search)
    first = [Branch(f"p/{i}", steps=("a",), scores=(0.9 if i < 100 else 0.5,), parent=root) for i in range(1000)]
    asks = search.send([first])
    assert sum(ask.n for ask in asks) == 1000
    assert sum(ask.n for ask in asks if ask.branch.scores == (0.9,)) == pytest.approx(500, abs=60)
    exact = METHODS["entropic-particles"].search(root, plan, Random(0))
    next(exact)
    even = [replace(b, scores=(0.5,)) for b in first]
    assert [ask.n for ask in exact.send([even])] == [1] * 1000, "at even distances: as often as the odds say"
    tempered = METHODS["entropic-particles"].search(root, plan, Random(0))
    next(tempered)
    few = [replace(b, scores=(0.9999 if i < 10 else 0.5,)) for i, b in enumerate(first)]
    asks = tempered.send([few])
    share = sum(ask.n for ask in asks if ask.branch.scores == (0.9999,)) / 1000
    assert share < 0.1, "odds of 9,999 to 1 would take nearly all"


def test_a_branch_keeps_what_it_adds_and_shares_the_rest():
    first = Branch("p/0", (1, 2), 0, ("a\n",), "b", parent=Branch("p"))
    steps = first.shared(("".join(["a", "\n"]), "bc\n"))
    second = replace(first, id="p/0.0", new=(3,), start=first.length, steps=steps, rest="", parent=first)
    assert (second.length, second.ids, second.text) == (3, (1, 2, 3), "a\nbc\n")
    assert second.steps[0] is first.steps[0]
    assert first.shared(("a",)) == ("a",), "a text that is cut before the end of the last step"


def test_the_best_goes_on_alone_where_others_are_refused_or_given_up():
    root = Branch("p")
    search = METHODS["prune"].search(root, Plan(n=2, threshold=0.5), Random(0))
    next(search)
    refused = Branch("p/0", steps=("a",), end="stop", refusal="too long", parent=root)
    given_up = Branch("p/1", steps=("a",), scores=(0.4,), parent=root)
    (ask,) = search.send([[refused, given_up]])
    assert (ask.branch, ask.is_whole) == (given_up, True)


@pytest.mark.parametrize("n", [1, 7, 100])
def test_systematic_draws_are_as_many_as_the_weights_say(n):
    chance = Random(n)
    counts = [0.0] * 6
    for _ in range(300):
        weights = softmax([chance.gauss(0, 3) for _ in range(6)])
        drawn = systematic(chance, weights, n)
        assert sum(drawn.values()) == n
        assert all(abs(drawn[i] - n * weight) < 1 for i, weight in enumerate(weights))
        counts = [count + drawn[i] - n * weights[i] for i, count in enumerate(counts)]
    assert all(abs(count) < 60 for count in counts), "none is favored"


def test_the_page_says_of_each_method_what_the_code_says():
    page = (ROOT / "docs" / "search.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| `")
    ]
    found = {cells[0].split("`")[1]: cells[2:] for cells in rows if len(cells) == 5 and "--" not in cells[0]}
    assert found == {name: [entry.cost, entry.selection, entry.source] for name, entry in METHODS.items()}
