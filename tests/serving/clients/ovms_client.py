"""ovmsclient, a client of TensorFlow Serving's REST protocol: HOST:PORT, and a folder with x.npy and y.npy."""

import sys
from pathlib import Path

import numpy as np
from ovmsclient import make_http_client
from ovmsclient.tfs_compat.base.errors import InvalidInputError, ModelNotFoundError

where, folder = sys.argv[1], Path(sys.argv[2])
x, y = np.load(folder / "x.npy"), np.load(folder / "y.npy")
client = make_http_client(where)
status = client.get_model_status("net")
assert status == {1: {"state": "AVAILABLE", "error_code": 0, "error_message": ""}}, status
# In the names of TensorFlow Serving, which this client hands on as they are.
meta = client.get_model_metadata("net")
signature = meta["metadata"]["signature_def"]["signature_def"]["serving_default"]
assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT" and list(signature["outputs"]) == ["y"], meta
for version in (0, 1):
    assert np.float32(client.predict({"x": x}, "net", version)).tobytes() == y.tobytes()
words = client.predict({"x": np.array([[b"a", b"bc"]])}, "words")
assert np.asarray(words).tolist() in ([["a", "bc"]], [[b"a", b"bc"]]), words
for error, call in {
    ModelNotFoundError: lambda: client.predict({"x": x}, "no"),
    InvalidInputError: lambda: client.predict({"x": x[:, :3]}, "net"),
}.items():
    try:
        call()
    except error:
        pass
    else:
        raise AssertionError(f"{error} did not come")
