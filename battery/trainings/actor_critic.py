"""An actor and critic that share a layer, trained by a loop of one's own, one episode an update."""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops

from battery.trainings import Training

BACKENDS = ("tensorflow",)
EPISODES, STEPS = 6, 5


def make() -> Training:
    inputs = keras.Input((3,))
    shared = layers.Dense(8, "tanh", name="shared")(inputs)
    heads = [layers.Dense(2, name="actor")(shared), layers.Dense(1, name="critic")(shared)]
    model = keras.Model(inputs, heads)
    optimizer = keras.optimizers.Adam(0.01)
    model.compile(optimizer, ["mse", "mse"])

    def loop(after_update: Callable[[], object]) -> None:
        import tensorflow as tf

        random = np.random.default_rng(0)
        for _ in range(EPISODES):
            state = random.normal(size=3).astype("float32")
            chances, values, rewards = [], [], []
            with tf.GradientTape() as tape:
                for _ in range(STEPS):
                    logits, value = model(state[None])
                    chance = ops.softmax(logits)[0]
                    action = int(random.random() > float(chance[0]))
                    chances.append(ops.log(chance[action]))
                    values.append(value[0, 0])
                    rewards.append(float(state[action]))
                    state = (0.9 * state + 0.1 * random.normal(size=3)).astype("float32")
                returns = np.cumsum(rewards[::-1])[::-1].astype("float32")
                better = ops.convert_to_tensor(returns) - ops.stack(values)
                loss = ops.mean(ops.square(better))
                loss -= ops.mean(ops.stack(chances) * tf.stop_gradient(better))
            variables = model.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)
            after_update()

    return Training(model, loop=loop)
