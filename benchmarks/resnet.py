"""A residual network for 32x32 images, the same in Keras and in torch."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

EPSILON = 1e-3
CLASSES = 10


class Layers(Protocol):
    """The layers of the network, in Keras or torch, each with its own name."""

    def conv(self, name: str, x: Any, channels: int, size: int, stride: int) -> Any: ...

    def norm(self, name: str, x: Any) -> Any: ...

    def relu(self, x: Any) -> Any: ...

    def dense(self, name: str, x: Any, units: int) -> Any: ...

    def average(self, x: Any) -> Any: ...


def resnet(x: Any, layers: Layers, blocks: int, width: int) -> Any:
    """Applies three stages of residual blocks (He et al. 2016).

    With `blocks=3` and `width=16`, this is ResNet-20.
    """
    x = layers.relu(layers.norm("stem_norm", layers.conv("stem", x, width, 3, 1)))
    for stage in range(3):
        for block in range(blocks):
            stride, channels, name = 1, width * 2**stage, f"stage{stage}_block{block}"
            if stage and not block:
                stride = 2
            y = layers.conv(f"{name}_first", x, channels, 3, stride)
            y = layers.relu(layers.norm(f"{name}_first_norm", y))
            y = layers.conv(f"{name}_second", y, channels, 3, 1)
            y = layers.norm(f"{name}_second_norm", y)
            if stride == 2:
                x = layers.conv(f"{name}_shortcut", x, channels, 1, 2)
            x = layers.relu(x + y)
    return layers.dense("head", layers.average(x), CLASSES)


def data(samples: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns random images and labels, which take a network as long as photographs."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(samples, 32, 32, 3)).astype("float32")
    return x, random.integers(0, CLASSES, samples)


def keras_model(blocks: int, width: int, normalized: bool) -> Any:
    """Returns the compiled network in Keras; its moving statistics are those of `data(256)`."""
    import keras

    class KerasLayers:
        def conv(self, name: str, x: Any, channels: int, size: int, stride: int) -> Any:
            # torch pads both sides; Keras' "same" would pad only one side here.
            if stride == 2 and size == 3:
                x = keras.layers.ZeroPadding2D(1)(x)
            # Without normalization, the activations would grow from block to block. The softmax
            # would saturate, and every layer's block of the Hessian would be zero.
            shrunk = not normalized and name.endswith("_second")
            scale = 2.0 / (3 * blocks) if shrunk else 2.0
            return keras.layers.Conv2D(
                channels,
                size,
                stride,
                padding="same" if stride == 1 else "valid",
                kernel_initializer=keras.initializers.VarianceScaling(scale),
                use_bias=not normalized,
                name=name,
            )(x)

        def norm(self, name: str, x: Any) -> Any:
            if not normalized:
                return x
            # With a momentum of 0, a single pass in training mode sets the moving statistics.
            return keras.layers.BatchNormalization(epsilon=EPSILON, momentum=0.0, name=name)(x)

        def relu(self, x: Any) -> Any:
            return keras.layers.ReLU()(x)

        def dense(self, name: str, x: Any, units: int) -> Any:
            return keras.layers.Dense(units, name=name)(x)

        def average(self, x: Any) -> Any:
            return keras.layers.GlobalAveragePooling2D()(x)

    keras.utils.set_random_seed(0)
    inputs = keras.Input((32, 32, 3))
    model = keras.Model(inputs, resnet(inputs, KerasLayers(), blocks, width))
    if normalized:
        model(data(256)[0], training=True)
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def arrays(model: Any) -> dict[str, np.ndarray]:
    """Returns the variables of a Keras model, by `layer/variable`."""
    return {variable.path: np.array(variable) for variable in model.variables}


def torch_model(weights: dict[str, np.ndarray], blocks: int, width: int) -> Any:
    """Returns the network in torch, with the variables of the network in Keras."""
    import torch
    from torch.nn import functional

    class TorchModel(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.own = torch.nn.ParameterDict()
            for path, array in weights.items():
                if array.ndim == 4:
                    array = array.transpose(3, 2, 0, 1)
                self.own[path] = torch.nn.Parameter(
                    torch.tensor(np.ascontiguousarray(array)), requires_grad="moving" not in path
                )

        def forward(self, x: Any) -> Any:
            return resnet(x, self, blocks, width)

        def conv(self, name: str, x: Any, channels: int, size: int, stride: int) -> Any:
            bias = self.own[f"{name}/bias"] if f"{name}/bias" in self.own else None
            return functional.conv2d(
                x, self.own[f"{name}/kernel"], bias, stride=stride, padding=size // 2
            )

        def norm(self, name: str, x: Any) -> Any:
            if f"{name}/gamma" not in self.own:
                return x
            mean, variance = (self.own[f"{name}/moving_{which}"] for which in ("mean", "variance"))
            scale, shift = self.own[f"{name}/gamma"], self.own[f"{name}/beta"]
            return functional.batch_norm(x, mean, variance, scale, shift, eps=EPSILON)

        def relu(self, x: Any) -> Any:
            return functional.relu(x)

        def dense(self, name: str, x: Any, units: int) -> Any:
            return x @ self.own[f"{name}/kernel"] + self.own[f"{name}/bias"]

        def average(self, x: Any) -> Any:
            return x.mean((2, 3))

    return TorchModel()
