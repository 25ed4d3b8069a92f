"""scikit-learn's own threads stay out of the way: small cases gain nothing by them, idle ones spin on the cores."""

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(scope="package", autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield
