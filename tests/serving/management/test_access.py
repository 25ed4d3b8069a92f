"""Who may do what on the management port."""

import pytest

from maas import _core
from maas.serving import keys
from maas.serving import management as module

from ..key_ring import METHODS
from .port import ask, key_line, routes_of_the_router, state


def test_the_router_has_the_routes_of_the_table_and_no_others(locked):
    app = module.make_app(locked._core, None)
    table = {(name, pattern) for name, pattern, _, _ in _core.routes(management=True)}
    assert {(r.name, r.path) for r in app.router.routes} == table and len(app.router.routes) == len(table)
    assert {type(r).__name__ for r in app.router.routes} == {"Guarded"} and app.router.default.__name__ == "missing"


def test_s03_no_route_and_no_method_without_a_key(locked, ring):
    before = state(ring, locked)
    for name, path, _ in routes_of_the_router(locked):
        for method in METHODS:
            for lines in ([], ["Authorization: Bearer maas_000000000000_x"], ["Authorization: Basic YTpi"]):
                status, answer = ask(locked, method, path, *lines)
                if name in ("live", "ready"):
                    assert status == (200 if method in ("GET", "HEAD") else 405), (method, answer)
                else:
                    assert status == 401 and b"www-authenticate: Bearer" in answer, (method, path, answer)
    assert state(ring, locked) == before


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/openapi.json", "/v2/", "/v2/models/toy/infer", "/manage", "/v1/models"]
)
def test_s03_what_is_not_a_route_is_told_to_keys_alone(locked, ring, path):
    for method in METHODS:
        assert ask(locked, method, path)[0] == 401
        assert ask(locked, method, path, key_line(ring, "infer"))[0] == 404


EXPECTED = {
    **dict.fromkeys(["live", "ready"], {"infer", "read", "manage", "admin", ""}),
    **dict.fromkeys(["server", "models", "model", "model_ready", "model_config", "repository_index"], set(keys.SCOPES)),
    **dict.fromkeys(["all_stats", "model_stats", "metrics"], {"read", "manage", "admin"}),
    **dict.fromkeys(["repository_load", "repository_unload"], {"manage", "admin"}),
    **dict.fromkeys(["keys_list", "keys_add", "keys_revoke"], {"admin"}),
}


@pytest.mark.parametrize("scope", keys.SCOPES)
def test_s08_scopes(locked, ring, scope):
    for name, path, methods in routes_of_the_router(locked):
        method = sorted(methods - {"HEAD"})[0]
        status, answer = ask(locked, method, path, key_line(ring, scope), data=b"{")
        allowed = scope in EXPECTED[name]
        assert (status != 403) == allowed, (name, answer)
        # What may be asked may still be asked in the wrong way: the body is no JSON, the key is not there.
        assert not allowed or status in (200, 400, 404), (name, answer)
    table = {name: set(scopes) for name, _, _, scopes in _core.routes(management=True)}
    assert table == {
        name: scopes & set(keys.SCOPES) if "" not in scopes else set() for name, scopes in EXPECTED.items()
    }


def test_a_key_sees_its_models_only(locked, ring):
    own = key_line(ring, "other")
    assert ask(locked, "GET", "/v2/models/other-1/config", own)[0] == 200
    for path in ("/v2/models/toy/config", "/v2/models/nothing/config", "/metrics"):
        assert ask(locked, "GET", path, own)[0] == 403
    for act in ("load", "unload"):
        assert ask(locked, "POST", f"/v2/repository/models/toy/{act}", own)[0] == 403
    index = ask(locked, "POST", "/v2/repository/index", own)[1]
    assert b"other-1" in index and b"toy" not in index
    assert locked.models == ["other-1", "toy"]


def test_rates_count_here_too(locked, ring):
    assert ask(locked, "GET", "/v2", key_line(ring, "slow"))[0] == 200
    status, answer = ask(locked, "GET", "/v2", key_line(ring, "slow"))
    assert status == 429 and b"retry-after: 100" in answer


SPELLINGS = ["/v2//models", "/./v2", "/v2/%2e", "/%76%32", "/V2", "/v2/models;x=1", "/v2/models/..%2fmodels", "/v2/"]
SPELLINGS += [
    "/manage/../v2",
    "/manage/keys/",
    "/MANAGE/keys",
    "/manage%2fkeys",
    "/v2/health/live/../../models",
    "//v2",
]


@pytest.mark.parametrize("path", SPELLINGS)
def test_s04_other_spellings_are_not_open(locked, ring, path):
    assert ask(locked, "GET", path)[0] == 401
    assert ask(locked, "GET", path, key_line(ring, "infer"))[0] in (403, 404)
    assert ask(locked, "GET", f"http://localhost{path}")[0] in (400, 401)


def test_names_are_checked_before_anything_is_opened(locked, ring):
    for name in ("..", ".hidden", "-rf", "CON", "con.txt", "lpt1", "a%2e%2e", "a;b", "a\\b", "x" * 129):
        status, answer = ask(locked, "POST", f"/v2/repository/models/{name}/load", key_line(ring, "admin"), data=b"{}")
        assert status == 404, (name, answer)


def test_two_keys_are_none(locked, ring):
    assert ask(locked, "GET", "/v2", key_line(ring, "admin"), key_line(ring, "admin"))[0] == 401
