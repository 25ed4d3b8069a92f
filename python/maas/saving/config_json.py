"""JSON text of a file to Python values, with limits, and back."""

import json

from maas.saving import limits


def _no_duplicates(pairs):
    out = dict(pairs)
    if len(out) != len(pairs):
        names = [k for k, _ in pairs]
        raise ValueError(f"a key appears twice, received {next(k for k in names if names.count(k) > 1)[:80]!r}")
    return out


def _check_depth(value):
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > limits.MAX_JSON_DEPTH:
            raise ValueError(f"nested more than {limits.MAX_JSON_DEPTH} deep")
        inner = []
        for v in level:
            if isinstance(v, dict):
                inner.extend(v.values())
            elif isinstance(v, list):
                inner.extend(v)
        level = inner


def parse_json(text, what):
    """A JSON object as dict.

    Args:
        text: bytes-like or str.
        what: str, the place it came from, for messages.

    Raises:
        ValueError: if it is too large, too deep, not UTF-8, not JSON, not an object, or names a key twice.
    """
    if len(text) > limits.MAX_JSON_BYTES:
        raise ValueError(f"{what}: JSON of more than {limits.MAX_JSON_BYTES} bytes, received {len(text)}")
    try:
        value = json.loads(
            text if isinstance(text, str) else bytes(text).decode("utf-8"), object_pairs_hook=_no_duplicates
        )
        _check_depth(value)
    except RecursionError:
        raise ValueError(f"{what}: damaged JSON: nested too deeply") from None
    except ValueError as e:
        raise ValueError(f"{what}: damaged JSON: {e}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{what}: expected a JSON object, received {type(value).__name__}")
    return value
