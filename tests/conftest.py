"""What every test shares: markers, the gate on skips, and real Keras as oracle."""

import os
import re
import signal
import tempfile

import pytest

# Set before anything imports Keras: the oracle runs on JAX, on the CPU.
os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# The oracle's programs are small and run once or twice: XLA's optimizer costs a third more time than it saves.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_backend_optimization_level=0"
# Keras hands equal programs to XLA again and again, from new closures; this run, programs that it starts too, compiles
# each once.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    compiled = tempfile.TemporaryDirectory(prefix="jax-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = compiled.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

# A shell starts what it puts in the background with Ctrl-C ignored: then tests of interrupts would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A skip hides a missing oracle or client, so only these reasons pass; every other skip fails.
ALLOWED_SKIPS = re.compile(r"^(Skipped: )?(no GPU|missing ISA|-m long)\b")


def pytest_collection_modifyitems(config, items):
    """Long tests run only when they are asked for; those with sanitizers are a step of their own."""
    asked = config.option.markexpr
    apart = [item for item in items if item.get_closest_marker("sanitizer") and "sanitizer" not in asked]
    if apart:
        config.hook.pytest_deselected(items=apart)
        items[:] = [item for item in items if item not in apart]
    for item in items:
        marked = item.get_closest_marker("long") and not item.get_closest_marker("sanitizer")
        if marked and "long" not in asked:
            item.add_marker(pytest.mark.skip(reason="-m long runs this test"))


def pytest_xdist_auto_num_workers(config):
    """A process a core, at most four, for the whole suite; one for a part of it, whose start would cost more."""
    whole = not config.args or config.args == list(config.getini("testpaths"))
    return min(len(os.sched_getaffinity(0)), 4) if whole and not config.option.usepdb else 0


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
