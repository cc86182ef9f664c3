"""A checkpoint goes to the Hub: the real client against a server that speaks as much of its interface as it needs."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from prm.errors import ModelError
from prm.training.hub import push


@pytest.fixture
def hub(monkeypatch):
    """Files by name, and what the repository was asked to be."""
    seen = {"files": {}, "repository": None}

    def answer(path, host, body):
        if path == "/api/repos/create":
            seen["repository"] = json.loads(body)
            return {"url": f"http://{host}/me/my-prm", "name": "me/my-prm"}
        if path.endswith("/preupload/main"):
            files = json.loads(body)["files"]
            return {"files": [{**file, "uploadMode": "regular", "shouldIgnore": False} for file in files]}
        if path.endswith("/commit/main"):
            values = [row["value"] for row in map(json.loads, body.splitlines()) if row["key"] == "file"]
            seen["files"] |= {value["path"]: base64.b64decode(value["content"]) for value in values}
            return {"commitUrl": f"http://{host}/me/my-prm/commit/1", "commitOid": "1"}
        return {"errors": [], "warnings": []}  # of the card

    class Hub(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_known = self.headers["Authorization"] == "Bearer a-token"
            self.send(200 if is_known else 401, answer(self.path, self.headers["Host"], body) if is_known else {})

        def do_GET(self):
            self.send(404, {})

        def send(self, status, row):
            body = json.dumps(row).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_TOKEN", "a-token")
    yield seen
    server.shutdown()
    server.server_close()


@pytest.fixture
def checkpoint(tmp_path):
    for name in ("README.md", "config.json", "model.safetensors"):
        (tmp_path / name).write_text(f"this is {name}")
    return tmp_path


def test_a_checkpoint_is_pushed_whole(hub, checkpoint, capsys):
    push(checkpoint, "me/my-prm", private=True)
    assert hub["files"] == {path.name: path.read_bytes() for path in checkpoint.iterdir()}
    assert hub["repository"]["visibility"] == "private"
    assert "pushed: " in capsys.readouterr().err


def test_what_the_hub_refuses_is_one_line(hub, checkpoint, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "another")
    with pytest.raises(ModelError, match=r"is finished, but cannot be pushed to me/my-prm: .*401") as refused:
        push(checkpoint, "me/my-prm")
    assert "it only pushes" in refused.value.hint
    with pytest.raises(ModelError, match="cannot be pushed to a name: "):
        push(checkpoint, "a name")


def test_a_hub_that_is_not_there_is_one_line(checkpoint, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="cannot be pushed to me/my-prm"):
        push(checkpoint, "me/my-prm")
