"""A convolutional classifier of images, with augmentation, dropout and batch normalization."""

from keras import Input, Model, layers, losses, optimizers

from battery.models import normal, whole
from battery.trainings import Training


def make() -> Training:
    inputs = Input((12, 12, 1))
    x = layers.RandomFlip("horizontal", seed=1)(inputs)
    for width in (4, 8):
        x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        x = layers.MaxPooling2D()(layers.ReLU()(layers.BatchNormalization()(x)))
    x = layers.Dropout(0.3, seed=2)(layers.Flatten()(x))
    model = Model(inputs, layers.Dense(3, name="classes")(x))
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizers.Adam(0.01), loss, metrics=["accuracy"], jit_compile=False)
    return Training(model, {"x": normal(16, 12, 12, 1), "y": whole(3, 16)})
