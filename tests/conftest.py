"""What every test shares: markers, the gate on skips, and real Keras as oracle."""

import os
import re

import pytest

# Set before anything imports Keras: the oracle runs on JAX, on the CPU.
os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

# A skip hides a missing oracle or client, so only these reasons pass; every other skip fails.
ALLOWED_SKIPS = re.compile(r"^(Skipped: )?(no GPU|missing ISA|-m long)\b")


def pytest_collection_modifyitems(config, items):
    if "long" in config.option.markexpr:
        return
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="-m long runs this test"))


def fail_other_skips(report):
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not ALLOWED_SKIPS.match(reason):
        report.outcome = "failed"
        report.longrepr = f"a test may skip only for 'no GPU', 'missing ISA' or '-m long', received {reason!r}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    fail_other_skips((yield).get_result())


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector):
    fail_other_skips((yield).get_result())


@pytest.fixture(scope="session")
def keras():
    """Real Keras with the JAX backend, the oracle for layers, losses, optimizers and files."""
    import keras

    assert keras.backend.backend() == "jax"
    return keras
