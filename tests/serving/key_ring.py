"""Files of keys, and requests that try them."""

from maas.serving import keys

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"]


def bearer(text):
    return {"Authorization": f"Bearer {text}"}


class Ring:
    """A file of keys and the keys themselves."""

    def __init__(self, folder):
        self.path = folder / "keys.json"
        self.text = {}

    def add(self, name, **options):
        text, row = keys.make(name, **options)
        keys.add(self.path, row)
        self.text[name] = text
        return text
