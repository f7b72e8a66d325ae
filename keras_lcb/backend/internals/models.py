"""Private names of models, their losses and their training functions."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras.src.trainers.compile_utils import CompileLoss

from keras_lcb.backend.internals.objects import replaced


def compilation(model: keras.Model) -> Any:
    """Returns an object that each call of `compile` makes anew; `None` before the first call."""
    return getattr(model, "_compile_config", None)


def takes_training(model: keras.Model) -> bool:
    """Returns whether the model's `call` has the argument `training`."""
    return bool(model._call_has_training_arg)


def compiled_loss(model: keras.Model) -> CompileLoss | None:
    """Returns the object that `compile(loss=...)` has made; `None` if there is none."""
    return getattr(model, "_compile_loss", None)


def copy_of_compiled_loss(loss: CompileLoss) -> CompileLoss:
    """Returns a new object for the same loss, which has not been called yet."""
    return type(loss)(loss._user_loss, loss._user_loss_weights, output_names=loss.output_names)


def new_compiled_loss(loss: Any, output_names: Sequence[str] | None) -> CompileLoss:
    """Returns the object that `compile(loss=...)` would make.

    Args:
        loss: What `compile(loss=...)` takes.
        output_names: The names of the model's outputs, if they have names.
    """
    return CompileLoss(loss, output_names=output_names)


def with_compiled_loss(
    model: keras.Model, loss: CompileLoss | None
) -> contextlib.AbstractContextManager[None]:
    """Has a model compute its loss with another object for a while."""
    return replaced(model, {"_compile_loss": loss})


def reductions_of(loss: CompileLoss) -> set[Any]:
    """Returns how the parts of a compiled loss that has been called average over samples."""
    return {getattr(part.loss, "reduction", None) for part in loss._flat_losses}


def ignores_a_class(loss: CompileLoss) -> bool:
    """Returns whether a part of a compiled loss that has been called has an `ignore_class`."""
    return any(_ignored_class(part.loss) is not None for part in loss._flat_losses)


def _ignored_class(loss: Any) -> Any:
    # `functools.partial` may have given the argument to a function.
    given = getattr(getattr(loss, "fn", None), "keywords", {})
    return getattr(loss, "ignore_class", given.get("ignore_class"))


def loss_function_of(model: keras.Model) -> Callable[..., Any]:
    """Returns a function that computes the loss of a batch with the model's `compute_loss`.

    It takes the arguments of `keras.Model.compute_loss`, also if the method of a subclass lacks the
    argument `training`.
    """
    return model._compute_loss


def has_mask(tensor: Any) -> bool:
    """Whether a layer has marked some time steps of a tensor as masked."""
    return getattr(tensor, "_keras_mask", None) is not None


def has_own_call(model: keras.Layer) -> bool:
    """Returns whether the model defines `call`. A class with its own `train_step` may lack it."""
    return type(model).call is not keras.Model.call


def shapes_built_with(model: keras.Layer) -> dict[str, Any]:
    """Returns the shapes for which a layer was built, by argument name."""
    return dict(model._build_shapes_dict or {})


def build_layers(model: keras.Model, batch: Any) -> None:
    """Builds the layers of a model for a batch, as its first call would."""
    x, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
    symbolic = keras.tree.map_structure(
        lambda v: keras.KerasTensor(v.shape, keras.backend.standardize_dtype(v.dtype)), x
    )
    output_spec(model, symbolic, **({"training": False} if takes_training(model) else {}))


def is_within_fit(model: keras.Model) -> bool:
    """Returns whether a callback calls `train_on_batch` on the model during `fit`.

    Keras does not record this, so the call stack tells. Call this function where Keras asks for a
    training function; `fit` itself does so only before it begins.
    """
    frame, names = inspect.currentframe(), []
    while frame is not None:
        if (
            frame.f_code.co_name in ("fit", "train_on_batch")
            and frame.f_locals.get("self") is model
        ):
            names.append(frame.f_code.co_name)
        frame = frame.f_back
    return names[:1] == ["train_on_batch"] and "fit" in names


def steps_are_given(model: keras.Model) -> bool:
    """Returns whether `fit`, which is running, has the argument `steps_per_epoch`.

    Keras tells callbacks the number of steps, but not whether the data have so many.
    """
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == "fit" and frame.f_locals.get("self") is model:
            if frame.f_locals.get("steps_per_epoch") is not None:
                return True
        frame = frame.f_back
    return False


def output_spec(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Calls a function with symbolic tensors, and returns its symbolic result."""
    return keras.src.backend.compute_output_spec(function, *args, **kwargs)


def seed_in_force() -> int | None:
    """Returns the last seed of `keras.utils.set_random_seed`; `None` if there is none."""
    return keras.src.backend.common.global_state.get_global_attribute("global_random_seed")


def traced_functions(train_function: Any) -> list[Any]:
    """Returns the graphs that TensorFlow has traced for a training function of Keras."""
    cells = getattr(train_function, "__closure__", None) or ()
    held = [cell.cell_contents for cell in cells]
    steps = [getattr(each, "__wrapped__", each) for each in held]
    known = [step for step in steps if hasattr(step, "_list_all_concrete_functions")]
    return [concrete for step in known for concrete in step._list_all_concrete_functions()]


def forget_compiled(model: keras.Model) -> None:
    """Has Keras make a model's functions anew, since another part of the model trains now."""
    model.make_train_function(force=True)
    if keras.backend.backend() == "jax":  # there they take what trains apart from the rest
        model.test_function = model.predict_function = None
