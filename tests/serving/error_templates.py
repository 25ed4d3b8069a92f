"""S-24: everything that an error of these tests may say to a client. Nothing else, so nothing of the inside."""

import json
import re

NAME = r"[A-Za-z0-9_.-]{1,128}"
WHY = "|".join(
    [
        "there is no such model",
        "it has no model file",
        "it has more than one model file",
        "it did not come from a file",
        "the name of a model is not valid",
        "its files could not be read",
        "its file could not be loaded",
        "the config of a model must be a JSON object of [a-z_, ]+",
    ]
)
TEMPLATES = [
    r"an API key is needed: Authorization: Bearer <key>",
    r"the API key is not valid",
    r"the API key has not the scope for this",
    r"the API key is not for this model",
    r"the API key is over its rate",
    r"there is no such route",
    r"the method is not allowed here",
    r"Request for a model or version name that is not valid",
    rf"Request for unknown model: '{NAME}' is not found",
    rf"model '{NAME}' could not be loaded: ({WHY})",
    rf"model '{NAME}' is not loaded",
    rf"model '{NAME}' failed",
    rf"not enough memory for model '{NAME}'",
    r"loading a model takes the parameter 'config' alone, a JSON text",
    r"the config of a model must be a JSON object of [a-z_, ]+",
    r"clients load and unload models only where the server has a model store that may change",
    r"parameters must be strings, numbers or booleans",
    r"'(parameters|ready)' must be (an object|true or false)",
    r"the request must be a JSON object",
    r"JSON: [A-Za-z0-9 ,.'\"{}\[\]:-]+, received byte \d+",
    r"the body must be a JSON object",
    r"the body must not be encoded",
    r"the body is too large",
    r"the body did not end",
    r"the request body took too long",
    r"the body of a request to the repository is too large",
    r"the URL is too long",
    r"the header is too large",
    r"a request needs one Host",
    r"this host is not served here",
    r"requests from other origins are not answered",
    r"the request is not valid HTTP",
    r"the server was started without a file of keys",
    r"a key is made of [a-z_, ]+",
    r"a key has a name of 128 characters, scopes, models and numbers above 0",
    r"there is no key of this id",
    r"the last key of an admin is revoked by `maas keys revoke` alone",
    r"the file of keys could not be written",
]


def check_error(body):
    """The text of an error body, which is one of the templates."""
    answer = json.loads(body)
    assert set(answer) == {"error"}, answer
    assert any(re.fullmatch(t, answer["error"]) for t in TEMPLATES), answer["error"]
    return answer["error"]
