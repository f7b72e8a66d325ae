"""Runs PyHessian and curvlinops on the network that `benchmarks.curvature` measures.

They need torch, and so run in a separate process. Each line of its input is a request, a JSON
object. It answers each request with one line, also a JSON object.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyhessian
import torch
from curvlinops import HessianLinearOperator
from curvlinops.trace.hutchinson import hutchinson_trace
from scipy.sparse.linalg import LinearOperator, eigsh

from benchmarks import resnet

ALL = "(all)"
TOLERANCE = 1e-3


class Peers:
    """The network in torch, and both tools.

    Args:
        path: File with the variables of the Keras model.
        blocks: Number of blocks of each stage.
        width: Channels of the first stage.
        samples: Number of images.
        most_iterations: Largest number of iterations of PyHessian for one eigenvalue.
    """

    def __init__(
        self, path: str, blocks: int, width: int, samples: int, most_iterations: int
    ) -> None:
        with np.load(path) as weights:
            self.model = resnet.torch_model(dict(weights), blocks, width).eval()
        x, y = resnet.data(samples)
        self.data = torch.tensor(x.transpose(0, 3, 1, 2).copy()), torch.tensor(y)
        self.criterion = torch.nn.CrossEntropyLoss()
        trained = [(n, p) for n, p in self.model.named_parameters() if p.requires_grad]
        self.groups: dict[str, list[Any]] = {ALL: [p for _, p in trained]}
        for name, parameter in trained:
            layer = name.removeprefix("own.").split("/")[0]
            self.groups.setdefault(layer, []).append(parameter)
        self.most_iterations = most_iterations

    def loss(self) -> dict[str, Any]:
        """Returns the loss, to check that the networks in Keras and torch are the same."""
        with torch.no_grad():
            return {"loss": float(self.criterion(self.model(self.data[0]), self.data[1]))}

    def pyhessian(self, layers: Sequence[str], seed: int) -> dict[str, Any]:
        """Computes the largest eigenvalues by power iteration.

        The stopping rule of PyHessian compares successive estimates, and stops too early. Here it
        is stopped at the first product whose residual is small enough. PyHessian does not know this
        residual, so this favours it.
        """
        began = _now()
        seen = {name: self._iterations(name, seed) for name in layers}
        seconds = _now() - began
        own_rule = {name: _own_rule([value for value, _ in seen[name]]) for name in layers}
        return {
            "seconds": seconds.tolist(),
            "eigenvalue": {name: seen[name][-1][0] for name in layers},
            "residual": {name: seen[name][-1][1] for name in layers},
            "products": {name: len(seen[name]) for name in layers},
            "own_rule_residual": {name: seen[name][own_rule[name] - 1][1] for name in layers},
        }

    def curvlinops(
        self, layers: Sequence[str], seed: int, look_after: dict[str, int] | None = None
    ) -> dict[str, Any]:
        """Computes the largest eigenvalues with SciPy's `eigsh`.

        `eigsh` checks residuals when its basis is full, by default with 20 vectors. `look_after`
        gives another size of the basis for each layer, so that the search may end earlier.
        """
        values, vectors, counts = {}, {}, {}
        began = _now()
        for name in layers:
            hessian = self._operator(name)
            operator, taken = _counted(hessian.to_scipy())
            start = np.random.default_rng(seed).normal(size=operator.shape[0]).astype("float32")
            found, vector = eigsh(
                operator,
                k=1,
                which="LA",
                tol=TOLERANCE,
                v0=start,
                ncv=max(look_after[name], 3) if look_after else None,
            )
            values[name], vectors[name] = float(found[0]), (hessian, vector[:, 0])
            counts[name] = len(taken)
        seconds = _now() - began
        return {
            "seconds": seconds.tolist(),
            "eigenvalue": values,
            "residual": {name: _residual(*vectors[name], values[name]) for name in layers},
            "products": counts,
        }

    def pyhessian_traces(self, layers: Sequence[str], samples: int, seed: int) -> dict[str, Any]:
        """Estimates traces with Hutchinson's method, with standard errors."""
        forms = {}
        began = _now()
        for name in layers:
            with self._only(name):
                torch.manual_seed(seed)
                forms[name] = self._hessian().trace(maxIter=samples, tol=float("-inf"))
        seconds = _now() - began
        return {
            "seconds": seconds.tolist(),
            "trace": {name: float(np.mean(forms[name])) for name in layers},
            "trace_standard_error": {
                name: float(np.std(forms[name], ddof=1) / samples**0.5) for name in layers
            },
        }

    def curvlinops_traces(self, layers: Sequence[str], samples: int, seed: int) -> dict[str, Any]:
        """Estimates traces with Hutchinson's method."""
        traces = {}
        began = _now()
        for name in layers:
            torch.manual_seed(seed)
            traces[name] = float(hutchinson_trace(self._operator(name), num_matvecs=samples))
        seconds = _now() - began
        return {"seconds": seconds.tolist(), "trace": traces, "trace_standard_error": {}}

    def _operator(self, name: str) -> Any:
        return HessianLinearOperator(
            self.model, self.criterion, self.groups[name], [self.data], check_deterministic=False
        )

    def _hessian(self) -> Any:
        return pyhessian.hessian(self.model, self.criterion, data=self.data, cuda=False)

    @contextlib.contextmanager
    def _only(self, name: str) -> Iterator[None]:
        """Hides all parameters but those of one group from PyHessian for a while.

        The backward pass then ends at the first layer of the group.
        """
        own = {id(parameter) for parameter in self.groups[name]}
        for parameter in self.groups[ALL]:
            parameter.requires_grad_(id(parameter) in own)
        try:
            yield
        finally:
            for parameter in self.groups[ALL]:
                parameter.requires_grad_(True)
                parameter.grad = None

    def _iterations(self, name: str, seed: int) -> list[tuple[float, float]]:
        """Returns eigenvalue and residual after each product of PyHessian's power iteration."""
        seen: list[tuple[float, float]] = []
        multiply = pyhessian.hessian.__init__.__globals__["hessian_vector_product"]

        def watched(gradients: Any, parameters: Any, vector: Any) -> Any:
            product = multiply(gradients, parameters, vector)
            flat, own = (torch.cat([p.flatten() for p in part]) for part in (product, vector))
            value = float(flat @ own)
            seen.append((value, float((flat - value * own).norm()) / abs(value)))
            if seen[-1][1] <= TOLERANCE:
                raise StopIteration
            return product

        with self._only(name), _replaced("hessian_vector_product", watched):
            torch.manual_seed(seed)
            with contextlib.suppress(StopIteration):
                self._hessian().eigenvalues(maxIter=self.most_iterations, tol=0.0)
        return seen


@contextlib.contextmanager
def _replaced(name: str, function: Callable[..., Any]) -> Iterator[None]:
    used = pyhessian.hessian.__init__.__globals__
    kept = used[name]
    used[name] = function
    try:
        yield
    finally:
        used[name] = kept


def _own_rule(values: Sequence[float]) -> int:
    """Returns the number of products after which PyHessian stops with its default settings."""
    for count in range(2, min(len(values), 100) + 1):
        before, now = values[count - 2], values[count - 1]
        if abs(before - now) / (abs(before) + 1e-6) < 1e-3:
            return count
    return min(len(values), 100)


def _counted(operator: Any) -> tuple[LinearOperator, list[int]]:
    taken: list[int] = []

    def multiply(vector: np.ndarray) -> np.ndarray:
        taken.append(1)
        return operator @ vector

    return LinearOperator(operator.shape, multiply, dtype=operator.dtype), taken


def _residual(hessian: Any, vector: np.ndarray, value: float) -> float:
    product = hessian.to_scipy() @ vector
    return float(np.linalg.norm(product - value * vector) / abs(value))


def _now() -> np.ndarray:
    return np.array([time.perf_counter(), time.process_time()])


def main() -> None:
    peers = Peers(*json.loads(sys.stdin.readline()))
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # the output of the tools is not an answer
        for line in sys.stdin:
            request = json.loads(line)
            answer = getattr(peers, request.pop("task"))(**request)
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
