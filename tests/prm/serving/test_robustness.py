"""Hostile bodies, full queues, clients that leave, a scorer that dies, and stopping: nobody else notices."""

import os
import re
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import httpx
import psutil
import pytest
from fake_scorers import Echo, serving_fakes

import prm
from prm.errors import EngineError

AUTHORIZED = {"Authorization": "Bearer secret"}


@pytest.fixture(scope="module")
def url():
    with serving_fakes("tight") as (address, _):
        yield address


@pytest.fixture(scope="module")
def usual():
    with serving_fakes("usual") as (address, _):
        yield address


def chain(*steps, problem="p"):
    return {"chains": [{"problem": problem, "steps": steps}]}


def ask(url, body, **options):
    way = {"content": body} if isinstance(body, bytes) else {"json": body}
    return httpx.post(url + "/v1/score", headers=AUTHORIZED, timeout=30, **way, **options)


def metric(url, name):
    text = httpx.get(url + "/metrics", headers=AUTHORIZED).text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def until(holds, seconds=30.0):
    """Wait for something that is to come; how long it takes is not tested."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_only_a_client_with_the_token_is_served(url):
    assert httpx.get(url + "/health").status_code == httpx.get(url + "/ready").status_code == 200
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic !"}, {"Authorization": "secret"}):
        assert httpx.get(url + "/metrics", headers=headers).status_code == 401
        assert httpx.post(url + "/v1/score", json=chain("a"), headers=headers).status_code == 401
    assert ask(url, chain("a")).status_code == 200
    assert httpx.post(url.replace("//", "//user:secret@") + "/v1/score", json=chain("a")).status_code == 200
    with pytest.raises(EngineError, match="401"):
        prm.RemoteScorer(url)


def test_the_client_takes_the_token_from_the_environment(url, monkeypatch):
    monkeypatch.setenv("PRM_SERVE_TOKEN", "secret")
    scorer = prm.RemoteScorer(url)
    assert scorer.score(["p"], [("a",)]) == Echo().score(["p"], [("a",)])
    scorer.close()


def endless():
    for _ in range(500):
        yield b" " * 100_000


HOSTILE = {
    "nothing": (b"", 400),
    "no JSON": (b"\xff\xfe", 400),
    "not a number": (b'{"chains": [{"problem": "p", "steps": ["a"], "gold": NaN}]}', 400),
    "a lone surrogate": (b'{"chains": [{"problem": "\\ud800", "steps": []}]}', 400),
    "deep": (b'{"chains": ' + b"[" * 100_000 + b"]" * 100_000, 400),
    "deep where nothing is read": (b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
    "a number without end": (b'{"chains": [{"problem": "p", "steps": [], "gold": 1' + b"0" * 5_000 + b"}]}", 400),
    "a million steps": (b'{"chains": [{"problem": "p", "steps": [' + b'"",' * 10**6 + b'""]}]}', 413),
    "50 MB": (b" " * 50 * 2**20, 413),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_body_is_refused_while_others_are_served(usual, name):
    body, status = HOSTILE[name]
    with ThreadPoolExecutor(2) as pool:
        hostile = pool.submit(ask, usual, body)
        others = [ask(usual, chain("a")).status_code for _ in range(3)]
    assert others == [200] * 3
    assert hostile.result().status_code == status, hostile.result().text
    assert hostile.result().json()["error"]["message"]


def test_deep_bodies_of_other_tools(usual):
    deep = b'{"responses_create_params": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}"
    assert httpx.post(usual + "/verify", content=deep).status_code == 400


def test_an_unannounced_body_is_cut_at_the_limit(url):
    assert httpx.post(url + "/v1/score", content=endless(), headers=AUTHORIZED).status_code == 413
    assert ask(url, chain("a")).status_code == 200


def test_small_limits_hold(url):
    assert ask(url, {"chains": chain("a")["chains"] * 9}).status_code == 413
    assert ask(url, chain(*"abcdef")).status_code == 413
    assert ask(url, chain("a" * 2_001)).status_code == 413
    scorer = prm.RemoteScorer(url, token="secret")
    found = scorer.score_each(["p"] * 12, [("a",)] * 10 + [tuple("abcdef"), ("a" * 2_001,)])
    scorer.close()
    assert [str(item).partition(":")[0] for item in found[10:]] == ["over a limit of the server"] * 2
    assert found[:10] == Echo().score(["p"] * 10, [("a",)] * 10)


def test_a_full_queue_says_so_and_the_client_comes_again(url, tmp_path):
    with ThreadPoolExecutor(3) as pool:
        slow = [pool.submit(ask, url, {"chains": chain(f"UNTIL {tmp_path}/go {n}")["chains"] * 4}) for n in range(2)]
        until(lambda: metric(url, "prm_waiting") == 8)
        refused = ask(url, chain("a"))
        scorer = prm.RemoteScorer(url, token="secret")
        patient = pool.submit(scorer.score, ["p"], [("b",)])
        (tmp_path / "go").touch()
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert [reply.result().status_code for reply in slow] == [200, 200]
    assert patient.result() == Echo().score(["p"], [("b",)])
    scorer.close()
    assert metric(url, "prm_waiting") == 0


def test_a_request_that_takes_too_long_is_given_up(url):
    reply = ask(url, chain("SLEEP 3.5"))
    assert (reply.status_code, reply.json()["error"]["message"]) == (503, "the request took too long")
    until(lambda: ask(url, chain("a")).status_code == 200)


def scored_beside_a_client_that_leaves(url, go):
    """Chains scored for a client that waits until the file `go` is there, and for one that leaves meanwhile."""
    scored = 'prm_chains_total{result="scored",scorer="prm"}'
    before = metric(url, scored)
    host, port = url.removeprefix("http://").split(":")
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(ask, url, chain(f"UNTIL {go}"))
        until(lambda: metric(url, "prm_waiting") == 1)
        body = b'{"chains": [' + b'{"problem": "p", "steps": ["never"]},' * 4 + b'{"problem": "p", "steps": []}]}'
        with socket.create_connection((host, int(port))) as leaving:
            leaving.sendall(b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            until(lambda: metric(url, "prm_waiting") == 6)
        until(lambda: metric(url, "prm_waiting") == 1)
        go.touch()
    assert slow.result().status_code == 200
    assert ask(url, chain("a")).status_code == 200
    return metric(url, scored) - before


def test_what_a_client_asked_that_has_left_is_not_done(usual, tmp_path):
    # The other process may hear too late, when its next pass has begun, that the client has left: then once more.
    tries = count()
    until(lambda: scored_beside_a_client_that_leaves(usual, tmp_path / f"go-{next(tries)}") == 2, seconds=60)
    assert metric(usual, 'prm_requests_total{path="/v1/score",status="499"}') >= 1


def workers_of(process):
    return [child for child in psutil.Process(process.pid).children() if "prm.serving.worker" in child.cmdline()]


def test_a_scorer_that_dies_is_started_again_and_a_stop_is_graceful(tmp_path):
    with serving_fakes("usual") as (url, process), ThreadPoolExecutor(3) as pool:
        scorer = prm.RemoteScorer(url)
        (worker,) = workers_of(process)
        waiting = pool.submit(ask, url, chain("SLEEP 20"))
        until(lambda: metric(url, "prm_waiting") == 1)
        worker.kill()
        lost = waiting.result()
        assert (lost.status_code, lost.headers["retry-after"]) == (503, "1")
        assert "was killed by signal 9" in lost.json()["error"]["message"]
        assert httpx.get(url + "/ready").status_code == ask(url, chain("a")).status_code == 503
        assert scorer.score(["p"], [("a",)]) == Echo().score(["p"], [("a",)]), "the client waits for it"
        assert metric(url, "prm_scorer_restarts_total") == 1
        dying = ask(url, chain("DIE"))
        assert dying.status_code == 503
        until(lambda: ask(url, chain("a")).status_code == 200)
        scorer.close()

        (worker,) = workers_of(process)
        last = pool.submit(ask, url, chain(f"UNTIL {tmp_path}/go"))
        until(lambda: metric(url, "prm_waiting") == 1)
        process.terminate()
        (tmp_path / "go").touch()
        assert last.result().status_code == 200, "a request under way is finished"
        process.wait(30)
        psutil.wait_procs([worker], timeout=30)
        assert not worker.is_running()


def test_nothing_outlives_a_killed_server():
    with serving_fakes("usual") as (_, process):
        (worker,) = workers_of(process)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
        psutil.wait_procs([worker], timeout=30)
        assert not worker.is_running()
