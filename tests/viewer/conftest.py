import numpy as np
import pytest


@pytest.fixture
def hostile(run_factory):
    """A run whose names would be markup, were they taken so."""
    return run_factory(layers=["<script>alert(1)</script>", "<img src=x onerror=alert(2)>", "c"])


@pytest.fixture
def diverged(run_factory):
    """A run that was finite for its first five records."""
    distance = 3 * np.exp(-np.arange(8.0))[:, None] * [1.0, 2.0, 3.0]
    distance[5:] = np.nan
    return run_factory(distance, attrs={"first_nonfinite_update": 55, "nonfinite_updates": 45})
