"""Who is let in: keys, hosts, origins; and what every answer says to browsers."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

import httpx
from starlette.datastructures import Headers

from samuel_runtime.errors import UserError
from samuel_runtime.serve.security import Access, is_loopback, read_keys
from tests.support.runtime.serving import ask

KEY, OTHER = "k" * 32, "o" * 32


def refused(access: Access, method: str = "GET", path: str = "/v1/bundle", **headers: str) -> int | None:
    given = {"host": "127.0.0.1:8000", **{name.replace("_", "-"): value for name, value in headers.items()}}
    refusal = access.refusal(method, path, Headers(given))
    return None if refusal is None else refusal[0].value


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.3.2.1", "::1"])
def test_this_machines_programs_need_no_key(host: str) -> None:
    assert is_loopback(host) and refused(Access(host)) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "samuel.example", ""])
def test_other_hosts_take_a_key(host: str) -> None:
    with pytest.raises(UserError, match="takes a key; give --api-key-file"):
        Access(host)
    access = Access(host, (OTHER, KEY))
    assert refused(access, host="samuel.example") == 401
    assert refused(access, host="samuel.example", authorization=f"Bearer {KEY}") is None
    assert refused(access, host="samuel.example", x_api_key=OTHER) is None
    assert refused(access, host="samuel.example", authorization=f"Bearer {KEY[:-1]}") == 401
    assert refused(access, host="samuel.example", authorization=f"Basic {KEY}") == 401
    assert refused(access, path="/metrics", host="samuel.example") == 401
    for path in ("/", "/page/app.js", "/docs", "/openapi.json", "/health/ready"):
        assert refused(access, path=path, host="samuel.example") is None


def test_other_machines_are_refused_without_keys_whatever_listens() -> None:
    """A proxy of Ray Serve's may listen to all machines though the server was told of one."""
    headers = Headers({"host": "localhost:8000"})
    for address, status in (("192.168.1.2", 403), ("127.0.0.1", None), ("::1", None), (None, None)):
        refusal = Access("127.0.0.1").refusal("GET", "/v1/bundle", headers, address)
        assert (None if refusal is None else refusal[0].value) == status, address
    assert Access("127.0.0.1", (KEY,)).refusal("GET", "/", headers, "192.168.1.2") is None


def test_names_that_were_pointed_at_this_machine_are_refused() -> None:
    access = Access("127.0.0.1")
    for host in ("evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example:8000", ""):
        assert refused(access, host=host) == 403, host
    for host in ("localhost", "LOCALHOST:8000", "[::1]:8000", "127.0.0.1"):
        assert refused(access, host=host) is None, host


def test_forms_of_other_sites_are_refused() -> None:
    access = Access("127.0.0.1")
    for origin in ("http://evil.example", "null", "http://127.0.0.1:9000", "http://127.0.0.1:8000.evil.example"):
        assert refused(access, "POST", origin=origin) == 403, origin
    assert refused(access, "POST", origin="http://127.0.0.1:8000") is None
    assert refused(access, "POST") is None  # not a browser


def test_keys_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# of the band\n{KEY}\n\n  {OTHER}\n")
    assert read_keys(file) == [KEY, OTHER]
    for content in ("", "# none\n", f"{KEY}\nshort\n"):
        file.write_text(content)
        with pytest.raises(UserError, match="must hold keys of at least 16 characters"):
            read_keys(file)
    with pytest.raises(UserError, match="cannot be read as a file of keys"):
        read_keys(tmp_path / "none")


def test_clients_are_told_apart_by_key_else_by_address() -> None:
    def client(access: Access, key: str | None, address: str) -> str:
        headers = [] if key is None else [(b"x-api-key", key.encode())]
        return access.client({"type": "http", "headers": headers, "client": (address, 1)})

    with_keys, without = Access("0.0.0.0", (KEY,)), Access("127.0.0.1")
    assert client(with_keys, KEY, "1.1.1.1") == client(with_keys, KEY, "2.2.2.2") != client(with_keys, OTHER, "1.1.1.1")
    assert KEY not in client(with_keys, KEY, "1.1.1.1")
    assert client(without, KEY, "127.0.0.1") == client(without, OTHER, "127.0.0.1") == "127.0.0.1"


def test_every_answer_keeps_browsers_in_bounds(client: httpx.Client, voice: Path) -> None:
    answers = [
        client.get(path) for path in ("/", "/docs", "/openapi.json", "/v1/bundle", "/v1/nothing", "/page/nothing.js")
    ]
    answers += [client.get("/", headers={"Host": "evil.example"}), ask(client, b"")]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not any(name.startswith("access-control-") for name in answer.headers)
    assert client.get("/v1/bundle").headers["cache-control"] == "no-store"
    assert client.post("/v1/accompaniments", headers={"Origin": "http://evil.example"}).status_code == 403
    assert client.get("/page/../app.py").status_code == client.get("/page/%2e%2e/app.py").status_code == 404
