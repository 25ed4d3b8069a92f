"""The table of conversions: ONNX op -> function that builds it of `maas.ops`."""

_TABLE = {}

# The newest version of each domain whose ops are known.
DOMAINS = {"": 28, "ai.onnx.ml": 5, "ai.onnx.preview": 1, "com.microsoft": 1}


def converts(*names, since=1, domain=""):
    """Decorator: the function converts these ops from opset `since` on, up to the next function for the same op.

    The function gets a `Call` and the values of the inputs (None for one that is left out) and returns one value or a
    tuple of them.
    """

    def note(function):
        for name in names:
            _TABLE.setdefault((domain, name), []).append((since, function))
        return function

    return note


def find(domain, op_type, opset):
    """The conversion of an op for a version of its domain, or None."""
    import maas.onnx.convert  # noqa: F401, fills the table

    best = None
    for since, function in _TABLE.get((domain, op_type), ()):
        if since <= opset and (best is None or since > best[0]):
            best = (since, function)
    return best[1] if best else None


def known_ops(domain):
    """Names of the ops of a domain that have a conversion."""
    import maas.onnx.convert  # noqa: F401, fills the table

    return sorted(op for d, op in _TABLE if d == domain)
