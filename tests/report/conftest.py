import numpy as np
import pytest
import xarray as xr


@pytest.fixture
def stacked(run_factory):
    """Five runs that differ, stacked along `seed`."""
    runs = [run_factory(rates=(5.0 + shift, 4.0, 2.0, 1.0)) for shift in range(5)]
    return xr.concat(runs, xr.DataArray(np.arange(5), dims="seed", name="seed"), data_vars="all")


@pytest.fixture
def hostile(run_factory):
    """A run whose names would be markup, mathematics or format fields, were they taken so."""
    layers = ["<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', r"$\frac$ ${style}"]
    attrs = {"optimizer": "<b>SGD</b>", "settings": {"command": "</code><script>alert(3)</script>"}}
    return run_factory(layers=layers, attrs=attrs)


@pytest.fixture
def diverged(run_factory):
    """A run that was finite for its first five records."""
    distance = 3 * np.exp(-np.arange(8.0))[:, None] * [1.0, 2.0, 3.0]
    distance[5:] = np.nan
    return run_factory(distance, attrs={"first_nonfinite_update": 55, "nonfinite_updates": 45})


@pytest.fixture
def untrained(run_factory):
    """Something measured once for each layer, without training: nothing to draw, so quick."""
    return run_factory()[["gradient_norm"]].isel(step=-1, drop=True).rename(gradient_norm="trace")
