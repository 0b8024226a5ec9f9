"""Who may talk to the server."""

import socket

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ccsr.web.guard import Guard, allowed_names, host_shown, is_loopback


@pytest.fixture(scope="module")
def served(shared):
    return shared


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.1:{port}/api",
        "x@127.0.0.1:{port}",
        "",
        "192.168.0.7:{port}",
    ],
)
def test_a_foreign_host_is_refused(client, served, host):
    answer = client.get("/", headers={"Host": host.format(port=served.port)})
    assert answer.status_code == 403
    assert "not served here" in answer.json()["error"]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_this_machine_is_served(client, served, name):
    assert client.get("/", headers={"Host": f"{name}:{served.port}"}).status_code == 200


@pytest.mark.parametrize("token", ["", "wrong", "token-of-the-test", "token-of-the-tests2", "\xff"])
@pytest.mark.parametrize("path", ["/api/state", "/api/pictures", "/api/nothing"])
def test_without_the_token_nothing_is_told(client, token, path):
    for method in ("GET", "POST", "DELETE", "OPTIONS"):
        answer = client.request(method, path, headers={"X-Token": token.encode("latin-1")})
        assert answer.status_code == 401
        assert "lacks its token" in answer.json()["error"]


@pytest.mark.parametrize("path", ["/", "/main.js", "/nothing", "/api/state"])
def test_every_answer_has_the_strict_headers(client, path):
    answer = client.get(path, headers={"Origin": "http://evil.example"})
    parts = answer.headers["content-security-policy"].split("; ")
    policy = dict(part.split(" ", 1) for part in parts)
    assert policy["default-src"] == "'none'"
    assert set(policy.values()) == {"'none'", "'self'"}
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert "server" not in answer.headers


def test_a_preflight_of_another_site_is_not_allowed(client):
    wanted = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answer = client.options("/api/view", headers=wanted)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(("method", "path"), [("PUT", "/api/pictures"), ("POST", "/")])
def test_a_method_that_is_not_allowed_is_told_which_are(client, method, path):
    answer = client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"]


@pytest.mark.parametrize(
    "content",
    [
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
    ids=["tls", "two hosts", "websocket"],
)
def test_what_any_program_here_can_send_is_not_told_in_the_terminal(served, caplog, content):
    with socket.create_connection(("127.0.0.1", served.port)) as line:
        line.settimeout(10)
        line.sendall(content.replace(b"{host}", f"127.0.0.1:{served.port}".encode()))
        assert line.recv(1000)
    assert caplog.records == []


@pytest.mark.parametrize(
    "path", ["/../shelf.py", "/%2e%2e/shelf.py", "/..%2fapp.py", "/%00", "/page"]
)
def test_only_the_files_of_the_page_are_served(client, path):
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("host", "more", "shown", "loopback"),
    [
        ("127.0.0.1", set(), "127.0.0.1", True),
        ("localhost", set(), "localhost", True),
        ("::1", set(), "[::1]", True),
        ("127.1.2.3", {"127.1.2.3"}, "127.1.2.3", True),
        ("Studio.local", {"studio.local"}, "Studio.local", False),
        ("192.168.0.7", {"192.168.0.7"}, "192.168.0.7", False),
        ("fe80::1", {"[fe80::1]"}, "[fe80::1]", False),
        ("0.0.0.0", {"*"}, "127.0.0.1", False),
        ("::", {"*"}, "[::1]", False),
    ],
)
def test_names_of_a_host(host, more, shown, loopback):
    assert set(allowed_names(host)) == {"127.0.0.1", "localhost", "[::1]"} | more
    assert host_shown(host) == shown
    assert is_loopback(host) is loopback


def test_a_server_that_listens_everywhere_goes_by_any_address():
    client = TestClient(Guard(Starlette(), "token", "0.0.0.0", 80))
    for host, expected in (("192.168.0.7", 404), ("[fe80::1]:80", 404), ("evil.example", 403)):
        assert client.get("/", headers={"Host": host}).status_code == expected
