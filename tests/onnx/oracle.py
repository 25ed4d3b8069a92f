"""ONNX Runtime in a process of its own: what it answers, or that it refuses."""

import pickle
import subprocess
import sys

_CODE = """
import pickle, sys
import onnxruntime
from tests.onnx.graphs import filled

def answers(model, calls):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    data = filled(model).SerializeToString() if isinstance(model, str) else model
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    return [session.run(None, dict(zip(names, xs))) for xs in calls]

results = {}
for name, (model, calls) in pickle.load(sys.stdin.buffer).items():
    try:
        results[name] = answers(model, calls)
    except Exception as e:
        results[name] = f"{type(e).__name__}: {e}"
sys.stdout.buffer.write(pickle.dumps(results))
"""


def answers(cases, may_refuse=False):
    """What ONNX Runtime answers.

    Args:
        cases: dict of name to `(model, calls)`: bytes, or a name for `graphs.filled`; lists of arrays.
        may_refuse: bool, whether a model may fail; then the text of the error stands for its answers.

    Returns:
        dict of name to a list of outputs for each call.
    """
    done = subprocess.run(
        [sys.executable, "-c", _CODE], input=pickle.dumps(cases), capture_output=True, timeout=300, check=True
    )
    results = pickle.loads(done.stdout)
    failed = {k: v for k, v in results.items() if isinstance(v, str)}
    assert may_refuse or not failed, failed
    return results
