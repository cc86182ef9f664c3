"""Our own requests and the client, against a server in a process of its own."""

import asyncio
import pickle
import random
from contextlib import closing
from itertools import pairwise

import aiohttp
import httpx
import pytest
from fake_scorers import Echo, Whole, number, serving_fakes

import prm
from prm.data.records import Message, Problem
from prm.errors import EngineError, InputError, ModelError
from prm.scoring.loading import load_scorer
from prm.scoring.scorer import CombinedScores, Refusal, UncertainScores
from prm.serving.wire import Result

PROBLEM = "What is 3 + 4?"
TEXT = "3 + 4 = 7\n\nThe answer is 7"


@pytest.fixture(scope="module")
def url():
    with serving_fakes("usual") as (address, _):
        yield address


@pytest.fixture(scope="module")
def scorer(url):
    scorer = prm.RemoteScorer(url)
    yield scorer
    scorer.close()


def post(url, path, status=200, **body):
    reply = httpx.post(url + path, json=body)
    assert reply.status_code == status, reply.text
    return reply.json() if status == 200 else reply.json()["error"]


def test_scores_come_with_the_places_of_the_steps_and_a_verdict(url):
    chains = [{"problem": PROBLEM, "text": TEXT, "gold": 7}, {"problem": "?", "steps": []}]
    first, empty = post(url, "/v1/score", chains=chains)["results"]
    steps = ["3 + 4 = 7\n\n", "The answer is 7"]
    assert [TEXT[start:end] for start, end in first["spans"]] == steps
    assert first["scores"] == [number(PROBLEM + step) for step in steps]
    assert first["outcome"] == min(first["scores"])
    assert (first["verdict"]["outcome"], first["verdict"]["answer"]) == ("correct", "7")
    assert (empty["scores"], empty["outcome"], empty["verdict"]) == ([], None, None)


def test_an_orm_and_another_aggregator(url):
    (row,) = post(url, "/v1/score", chains=[{"problem": "p", "steps": ["a", "b"]}], scorer="orm")["results"]
    assert row["scores"] == [10 * number("pab") - 5] == [row["outcome"]]
    (row,) = post(url, "/v1/score", chains=[{"problem": "p", "steps": ["a", "b"]}], aggregate="last")["results"]
    assert row["outcome"] == number("pb")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"chains": [{"problem": "p"}]}, 400, "not one of steps and text"),
        ({"chains": [{"problem": "p", "text": "t", "steps": []}]}, 400, "not one of steps and text"),
        ({"chains": [{"problem": 3, "text": "t"}]}, 400, "chains[0].problem"),
        ({"chains": [], "tokens": 3}, 400, "unknown field `tokens`"),
        ({"chains": [], "scorer": "nobody"}, 404, "'nobody' is not served"),
        ({"chains": [], "aggregate": "nothing"}, 400, "unknown aggregator 'nothing'"),
        ({"chains": [{"problem": "p", "text": "t"}], "splitter": "regex:(a+)+$"}, 400, "unknown splitter"),
        ({"chains": [], "checker": "command: rm -rf /"}, 400, "unknown checker"),
        ({"chains": [], "checker": "os:system"}, 400, "unknown checker"),
        ({"chains": [{"problem": "p", "text": "t", "gold": True}]}, 400, "gold"),
        ({"chains": [{"problem": "p", "steps": ["x"] * 5_000}]}, 413, "5,000 steps"),
        ({"chains": [{"problem": "p", "text": "x" * 300_000}]}, 413, "300,000 characters"),
        ({"chains": [{"problem": "p", "text": "x"}] * 2_000}, 413, "2,000 chains"),
    ],
)
def test_a_wrong_request_is_refused_with_its_reason(url, body, status, said):
    assert said in post(url, "/v1/score", status, **body)["message"]


def test_a_chain_that_fails_costs_no_other(url, scorer):
    async def both():
        async with httpx.AsyncClient(base_url=url) as client:
            bodies = [[["RAISE"], ["a"]], [["b"]], [["RAISE"]]]
            bodies = [{"chains": [{"problem": "p", "steps": steps} for steps in chains]} for chains in bodies]
            posts = (client.post("/v1/score", json=body) for body in bodies)
            return [reply.json()["results"] for reply in await asyncio.gather(*posts)]

    found = [result for results in asyncio.run(both()) for result in results]
    assert [result["scores"] for result in found] == [[], [number("pa")], [number("pb")], []]
    assert found[0]["refusal"]["reason"] == found[3]["refusal"]["reason"] == "the scorer failed"
    assert found[0]["refusal"]["detail"] == "ValueError: a fault of the scorer"
    refused, fine = scorer.score_each(["p", "p"], [["RAISE"], ["a"]])
    assert isinstance(refused, prm.Refusal)
    assert fine == (number("pa"),)


def test_rerank_as_in_this_process(url, scorer):
    solutions = ["The answer is 8", TEXT, "", "So 7"]
    ours = prm.rerank(PROBLEM, solutions, Echo(), selection="weighted")
    theirs = prm.rerank(PROBLEM, solutions, scorer, selection="weighted")
    assert ours == theirs
    body = post(url, "/v1/rerank", problem=PROBLEM, solutions=solutions, selection="weighted")
    assert (body["best"], body["index"], body["answer"]) == (ours.best, ours.index, ours.answer)
    assert tuple(body["scores"]) == ours.scores
    assert tuple(body["refusals"]) == ours.refusals


def test_verify(url):
    pairs = [
        {"prediction": "x = 1/2", "gold": 0.5},
        {"prediction": "So 3", "gold": ["4", "3"]},
        {"prediction": "", "gold": "1"},
        {"prediction": "7", "gold": None},
    ]
    assert outcomes(url, pairs=pairs) == ["correct", "correct", "no_answer", "error"]
    assert outcomes(url, pairs=[{"prediction": "9.79", "gold": "9.8"}], checker="minerva") == ["correct"]


def outcomes(url, **body):
    return [verdict["outcome"] for verdict in post(url, "/v1/verify", **body)["verdicts"]]


def test_a_server_without_scorers_checks_answers():
    with serving_fakes("checker") as (address, _):
        assert httpx.get(address + "/ready").status_code == 200
        (verdict,) = post(address, "/v1/verify", pairs=[{"prediction": "7", "gold": "7"}])["verdicts"]
        assert verdict["outcome"] == "correct"
        assert "has no scorer" in post(address, "/v1/score", 404, chains=[])["message"]
        assert post(address, "/slime?reward=verdict", prompt="p", response="It is 7.", label="7") == 1.0


def mixed(count, seed=0):
    draw = random.Random(seed)
    counts = [draw.randrange(1, 9) for _ in range(count)]
    chains = [tuple(f"{i}.{n} " + "x" * draw.randrange(200) for n in range(steps)) for i, steps in enumerate(counts)]
    return [f"problem {place}" for place in range(count)], chains


def test_the_client_gives_what_the_scorer_gives(scorer, url):
    problems, chains = mixed(300)
    assert scorer.score(problems, chains) == Echo().score(problems, chains)
    assert asyncio.run(scorer.score_async(problems, chains)) == Echo().score(problems, chains)
    assert (scorer.kind, scorer.name, scorer.threshold, scorer.aggregator) == ("prm", "echo", 0.5, "min")
    with closing(load_scorer(f"{url}#orm")) as orm, closing(pickle.loads(pickle.dumps(orm))) as again:
        assert orm.score(problems, chains) == Whole().score(problems, chains)
        assert again.score(["p"], [("a",)]) == Whole().score(["p"], [("a",)])
        assert orm.score([], []) == []


def test_the_client_refuses_what_no_scorer_takes(scorer):
    problems = ["p", "p", None, "p", "p", "lone \ud800"]
    chains = [("ok",), "a text", ("ok",), ("TOO LONG",), ("x",) * 5_000, ("ok",)]
    found = scorer.score_each(problems, chains)
    assert found[0] == (number("pok"),)
    reasons = ["not a list of texts", "not a problem", "longer than the model's context", "over a limit of the server"]
    assert [item.reason for item in found[1:]] == [*reasons, "text that is not valid Unicode"] or found
    assert found[3] == Refusal("longer than the model's context", "9 tokens", "drop the chain")


def test_messages_and_records_are_sent(scorer):
    messages = [Message("user", "3 + 4?")]
    expected = Echo().score([messages, "q"], [("a",), ("b",)])
    assert scorer.score([messages, Problem("id", "q")], [("a",), ("b",)]) == expected
    assert scorer.score([[{"role": "user", "content": "3 + 4?"}]], [("a",)]) == expected[:1]


def test_members_and_deviations_survive():
    for scores in (CombinedScores((0.5, 1.0), {"a": (0.25, 1.0)}), UncertainScores((0.5,), (0.1,))):
        found = Result.of(0, scores).found()
        assert (type(found), found, vars(found)) == (type(scores), scores, vars(scores))
    assert Result.of(0, (0.5,)).found() == (0.5,)


def test_200_clients_at_once_get_their_own_answers(url):
    problems, chains = mixed(200, seed=1)

    async def one(session, place):
        replies = []
        for _ in range(3):
            body = {"chains": [{"problem": problems[place], "steps": chains[place]}]}
            async with session.post(url + "/v1/score", json=body) as reply:
                replies.append((await reply.json())["results"][0])
        return replies

    async def all_of_them():
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            return await asyncio.gather(*(one(session, place) for place in range(200)))

    expected = Echo().score(problems, chains)
    found = asyncio.run(all_of_them())
    assert all(tuple(row["scores"]) == own for rows, own in zip(found, expected, strict=True) for row in rows)
    for rows, steps in zip(found, chains, strict=True):
        assert [end - start for start, end in rows[0]["spans"]] == list(map(len, steps))
        assert all(before[1] == after[0] for before, after in pairwise(rows[0]["spans"]))


def test_metrics_count_what_happened(url):
    post(url, "/v1/score", chains=[{"problem": "p", "steps": ["TOO LONG"]}])
    text = httpx.get(url + "/metrics").text
    rows = dict(line.rsplit(" ", 1) for line in text.splitlines() if line and line[0] != "#")
    assert float(rows['prm_chains_total{result="refused",scorer="prm"}']) >= 1
    assert float(rows['prm_chains_total{result="scored",scorer="prm"}']) > float(
        rows['prm_pass_chains_count{scorer="prm"}']
    ), "no pass had several chains"
    assert float(rows['prm_tokens_total{scorer="prm"}']) > 0
    assert (rows["prm_ready"], rows["prm_waiting"]) == ("1.0", "0.0")
    assert float(rows['prm_requests_total{path="/v1/score",status="200"}']) >= 1
    assert httpx.get(url + "/health").json() == {"status": "ok"}


def test_a_client_says_what_is_wrong(url):
    with pytest.raises(InputError, match="does not serve 'nobody'"):
        prm.RemoteScorer(url, "nobody")
    with pytest.raises(ModelError, match="dialect has no effect"):
        load_scorer(url, dialect="qwen")
    with pytest.raises(EngineError, match="no answer within"):
        prm.RemoteScorer("http://127.0.0.1:9", patience=0.2)
    for address in ("localhost:8400", "http://", "http://[::1", ""):
        with pytest.raises(InputError, match="is not the URL"):
            prm.RemoteScorer(address)
    with pytest.raises(InputError, match="404: GET /slime/v1/scorers: Not Found"):
        prm.RemoteScorer(f"{url}/slime")
