"""Send the logs to a server."""

import json
import warnings

import numpy as np

from maas.callbacks.callback import Callback


class RemoteMonitor(Callback):
    """Posts the logs of every epoch to `root + path`.

    Args:
        root: str, address of the server, http or https.
        path: str.
        field: str, the form field that holds the JSON text.
        headers: dict of more HTTP headers, or None.
        send_as_json: bool, whether the body is the JSON text itself.
    """

    def __init__(
        self, root="http://localhost:9000", path="/publish/epoch/end/", field="data", headers=None, send_as_json=False
    ):
        super().__init__()
        if not root.lower().startswith(("http://", "https://")):
            raise ValueError(f"RemoteMonitor: root must be an http or https address, received {root!r}")
        self.root, self.path, self.field = root, path, field
        self.headers, self.send_as_json = headers, send_as_json

    def on_epoch_end(self, epoch, logs=None):
        import urllib.error
        import urllib.parse
        import urllib.request

        values = {k: np.asarray(v).tolist() for k, v in (logs or {}).items()}
        text = json.dumps({"epoch": epoch, **values})
        kind = "json" if self.send_as_json else "x-www-form-urlencoded"
        body = text if self.send_as_json else urllib.parse.urlencode({self.field: text})
        headers = {"Content-Type": f"application/{kind}", **(self.headers or {})}
        request = urllib.request.Request(self.root + self.path, body.encode(), headers)  # http or https, checked above
        try:
            urllib.request.urlopen(request, timeout=10).close()  # noqa: S310
        except (urllib.error.URLError, OSError) as e:
            warnings.warn(f"RemoteMonitor: {self.root} cannot be reached ({e})", stacklevel=2)
