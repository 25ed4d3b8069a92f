"""Cases, models and the rest on a GPU, or on the CPU where the CUDA library was built for the emulator."""

import os

import pytest

import maas
from benchmarks.gpu_check import items
from tests.cuda.checks import Check, Skipped

# Rows that never ran on hardware run here too; read once, when the first of them may be chosen.
os.environ.setdefault("MAAS_UNVERIFIED", "1")
EMULATED_STEPS = 120_000  # numbers that a case may hold where threads of a GPU run one after the other


@pytest.fixture(scope="module")
def device():
    try:
        with maas.device("gpu:0"):
            return "gpu:0"
    except RuntimeError as error:
        pytest.skip(f"no GPU: {error}")


def run(item, device):
    failed = []
    for name, function in items.checks(item):
        check = Check(name)
        try:
            function(check, device)
        except Skipped:
            continue
        except Exception as error:  # noqa: BLE001, all checks of the item are shown
            failed.append(f"{name} {sorted(check.rows)}: {type(error).__name__}: {error}")
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize("op", sorted({item.split(":")[1] for item in items.all_cases()}))
def test_cases(op, device):
    for item, (_, case) in items.all_cases().items():
        if item.split(":")[1] == op and sum(a.size for a in case.operands()) <= EMULATED_STEPS:
            try:
                run(item, device)
            except AssertionError as error:
                raise AssertionError(f"{items.label(item)}\n{error}") from None


@pytest.mark.parametrize("item", [i for i in items.all_items() if not i.startswith("case:")])
def test_models_and_the_rest(item, device):
    run(item, device)


@pytest.mark.parametrize("item", items.alone())
def test_memory(item, device):
    run(item, device)
