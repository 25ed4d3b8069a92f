"""Requests to the management port, byte by byte."""

import numpy as np

from maas.serving import management as module

from ..conftest import raw
from ..error_templates import check_error

X = np.ones((1, 16), np.float32)


class Port:
    """The management port of a server, for `raw`."""

    def __init__(self, server):
        self.port = server.management_port


def routes_of_the_router(server):
    """(name, path, methods) of every route of the router itself, so that no new one is forgotten."""
    app = module.make_app(server._core, None)
    return [(r.name, r.path.replace("{m}", "toy").replace("{k}", "0"), r.methods) for r in app.router.routes]


def ask(server, method, path, *lines, data=b""):
    """Status and answer of one request on its own connection."""
    head = "".join(f"{line}\r\n" for line in lines)
    request = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{head}"
    answer = raw(Port(server), f"{request}Content-Length: {len(data)}\r\n\r\n".encode() + data)
    status, text = int(answer[9:12]), answer.partition(b"\r\n\r\n")[2]
    if status >= 400 and method != "HEAD":
        check_error(text)
    return status, answer


def key_line(ring, name):
    return f"Authorization: Bearer {ring.text[name]}"


def state(ring, server):
    index = ask(server, "POST", "/v2/repository/index", key_line(ring, "admin"))[1].partition(b"\r\n\r\n")[2]
    return index, ring.path.read_bytes(), server.models
