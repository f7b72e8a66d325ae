"""All private names of Keras and TensorFlow that the package uses.

Private names may change with any release. Here, each is behind a function with a plain name, so
that a new release of Keras needs changes in this file only. `missing_names` tells which names a
release has removed. `replaced` is the only way in which the package replaces methods of objects.
"""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
from keras.src.models.functional import Functional as Functional
from keras.src.models.functional import functional_like_constructor
from keras.src.models.functional import operation_fn as operation_fn
from keras.src.trainers.compile_utils import CompileLoss

_NEEDED = {
    "layer": ("_layers", "_trainable_variables", "_non_trainable_variables", "_flatten_layers"),
    "model": ("_build_shapes_dict", "_call_has_training_arg", "_compile_loss", "_compute_loss"),
    "compiled loss": ("_user_loss", "_user_loss_weights", "_flat_losses"),
    "symbolic tensor": ("_keras_history",),
    "operation": ("_inbound_nodes",),
    "optimizer": (
        "_variables",
        "_iterations",
        "_trainable_variables",
        "_backend_update_step",
        "_update_model_variables_moving_average",
    ),
    "loss scaler": (
        "inner_optimizer",
        "_stateful_handle_non_finite_grads",
        "_stateless_handle_non_finite_grads",
    ),
}


def missing_names(kind: str, thing: Any) -> list[str]:
    """Returns the private names that this package needs of an object, but that the object lacks.

    Args:
        kind: "layer", "model", "compiled loss", "symbolic tensor", "operation", "optimizer" or
            "loss scaler".
        thing: The object.
    """
    return [name for name in _NEEDED[kind] if not hasattr(thing, name)]


def check(kind: str, thing: Any) -> None:
    """Checks that an object has all private names that this package needs.

    Raises:
        ValueError: If the object lacks one of them.
    """
    lacking = missing_names(kind, thing)
    if lacking:
        names = ", ".join(f"`{name}`" for name in lacking)
        raise ValueError(
            f"{type(thing).__name__} has no {names} in Keras {keras.__version__}, which keras_lcb "
            f"needs to follow a {kind}. Use the Keras version that keras_lcb asks for, or an "
            "optimizer of keras.optimizers."
        )


@contextlib.contextmanager
def replaced(owner: Any, attributes: dict[str, Any]) -> Iterator[None]:
    """Replaces attributes of one object within this context.

    Keras does not track these attributes. The object's class and its other objects stay as they
    are.

    Args:
        owner: The object, or a class of torch.
        attributes: The new values, by name.
    """
    kind = type if isinstance(owner, type) else object
    kept = {name: vars(owner)[name] for name in attributes if name in vars(owner)}
    for name, value in attributes.items():
        kind.__setattr__(owner, name, value)
    try:
        yield
    finally:
        for name in attributes:
            if name in kept:
                kind.__setattr__(owner, name, kept[name])
            else:
                kind.__delattr__(owner, name)


def remember(owner: Any, name: str, value: Any) -> None:
    """Stores a value on an object, where Keras does not track it, and where it lives as long."""
    object.__setattr__(owner, name, value)


def remembered(owner: Any, name: str) -> Any:
    """Returns what `remember` has stored, or `None`."""
    return vars(owner).get(name)


def without_colours(text: str) -> str:
    """Returns a message of Keras without the codes that colour it in a terminal."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def is_of_keras(function: Callable[..., Any]) -> bool:
    """Returns whether a function belongs to Keras or to this package."""
    return function.__module__.startswith(("keras.", "keras_lcb."))


# Layers.


def sublayers(layer: keras.Layer) -> list[keras.Layer]:
    """Returns the layers directly inside a layer, in the order in which they were attached."""
    return list(layer._layers)


def attributes_of(layer: keras.Layer) -> dict[str, Any]:
    """Returns the attributes that a user's class has set on a layer.

    On torch, layers among them are in `_modules`. TensorFlow's own attributes (`_self_…`) are left
    out.
    """
    own = {**vars(layer).get("_modules", {}), **vars(layer)}
    return {
        name: value
        for name, value in own.items()
        if name not in ("_layers", "_modules") and not name.startswith("_self_")
    }


def flattened(layer: keras.Layer) -> list[keras.Layer]:
    """Returns all layers inside a layer, at any depth, without the layer itself."""
    return list(layer._flatten_layers(include_self=False))


def is_graph(layer: keras.Layer) -> bool:
    """Returns whether a layer is a Functional or Sequential model."""
    return isinstance(layer, (Functional, keras.Sequential))


def is_from_keras(layer: keras.Layer) -> bool:
    """Tells whether a layer is Keras' own, whose `call` is known."""
    return type(layer).__module__.startswith("keras.")


def is_plain_graph(model: keras.Layer) -> bool:
    """Tells whether a model's `call` does what its graph says, and nothing else."""
    return type(model).call in (Functional.call, keras.Sequential.call)


def names_are_kept(layer: keras.Layer) -> bool:
    """Returns whether a layer's configuration holds the names of the layers in it.

    If not, its constructor creates them anew when a model is loaded or cloned, and layers without
    a given name then get new automatic names.
    """
    if isinstance(layer, Functional):
        return functional_like_constructor(type(layer))
    return isinstance(layer, keras.Sequential) or type(layer).__module__.startswith("keras.")


def has_automatic_name(layer: keras.Layer) -> bool:
    """Returns whether Keras may have named a layer automatically, after its class."""
    name = re.sub(r"^(forward|backward)_", "", layer.name)  # as Bidirectional does
    stem = re.sub(r"_\d+$", "", name)
    return stem == automatic_stem(layer)


def automatic_stem(layer: keras.Layer) -> str:
    """Returns the beginning of Keras' automatic names of such a layer."""
    return keras.src.utils.naming.to_snake_case(type(layer).__name__)


def own_variables(layer: keras.Layer) -> list[keras.Variable]:
    """Returns the variables that a layer owns itself and that are trained unless frozen."""
    return list(layer._trainable_variables)


def own_weights(layer: keras.Layer) -> list[keras.Variable]:
    """Returns all weights that a layer owns itself, moving statistics included."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def is_overwritten_by_gradient(variable: Any) -> bool:
    """Returns whether a step replaces a variable by its gradient.

    The scales of float8 layers are such variables.
    """
    return bool(getattr(variable, "overwrite_with_gradient", False))


def base_of_lora(layer: keras.Layer) -> keras.Variable | None:
    """Returns the variable that `enable_lora` has frozen; `None` for layers without LoRA."""
    if not getattr(layer, "lora_enabled", False):
        return None
    return vars(layer).get("_kernel", vars(layer).get("_embeddings"))


# Models.


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


def loss_function_of(model: keras.Model) -> Callable[..., Any]:
    """Returns a function that computes the loss of a batch with the model's `compute_loss`.

    It takes the arguments of `keras.Model.compute_loss`, also if the method of a subclass lacks the
    argument `training`.
    """
    return model._compute_loss


def has_mask(tensor: Any) -> bool:
    """Whether a layer has marked some time steps of a tensor as masked."""
    return getattr(tensor, "_keras_mask", None) is not None


def operation_behind(
    tensor: keras.KerasTensor,
) -> tuple[keras.Operation, tuple[keras.KerasTensor, ...]]:
    """Returns the layer or operation that made a symbolic tensor, and the tensors it was given."""
    history = tensor._keras_history
    node = history.operation._inbound_nodes[history.node_index]
    return history.operation, tuple(node.input_tensors)


def has_own_call(model: keras.Layer) -> bool:
    """Returns whether the model defines `call`. A class with its own `train_step` may lack it."""
    return type(model).call is not keras.Model.call


def graph_of(model: keras.Model) -> Functional | None:
    """Returns the model itself if it is Functional, or the one that a Sequential model holds."""
    graph = getattr(model, "_functional", None) if isinstance(model, keras.Sequential) else model
    return graph if isinstance(graph, Functional) else None


def inputs_of(graph: Functional) -> Any:
    """Returns the symbolic inputs of a Functional model, in the structure that `call` expects."""
    return graph._inputs_struct


def steps_of_graph(graph: Functional) -> list[tuple[Any, list[Any], list[Any]]]:
    """Returns the operations of a Functional model in the order in which its `call` runs them.

    Returns:
        For each, the operation, the symbolic tensors that it takes, and those that it returns.
    """
    by_depth = graph._nodes_by_depth
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    return [
        (node.operation, list(node.input_tensors), list(node.outputs))
        for node in nodes
        if node.operation and not node.is_input
    ]


def outputs_of(graph: Functional) -> Any:
    """Returns the symbolic outputs of a Functional model, nested as its `call` returns them."""
    outputs = graph._outputs_struct
    single = isinstance(outputs, (list, tuple)) and len(outputs) == 1
    return outputs[0] if single else outputs


def nodes_of(graph: Functional) -> list[Any]:
    """Returns the calls of operations that a Functional model is made of, each after its inputs."""
    by_depth = graph._nodes_by_depth
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    return [node for node in nodes if not node.is_input]


def compute(nodes: Sequence[Any], known: dict[int, Any], training: bool | None) -> None:
    """Computes what calls of operations put out, as a Functional model does.

    Args:
        nodes: The calls, each after its inputs.
        known: Values by the `id` of the symbolic tensor; added to.
        training: Whether layers behave as in training.
    """
    for node in nodes:
        args, kwargs = node.arguments.fill_in(known)
        outputs = operation_fn(node.operation, training=training)(*args, **kwargs)
        for tensor, value in zip(node.outputs, keras.tree.flatten(outputs), strict=True):
            known[id(tensor)] = value


def calling(model: keras.Model, call: Callable[..., Any]) -> dict[str, Any]:
    """Returns attributes with which a model computes something else, of other inputs."""
    return {"call": call, "_manual_input_spec": None}


def is_random(layer: keras.Layer) -> bool:
    """Whether a layer, or one in it, draws random numbers."""
    return any(each._seed_generators for each in (layer, *flattened(layer)))


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


def output_spec(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Calls a function with symbolic tensors, and returns its symbolic result."""
    return keras.src.backend.compute_output_spec(function, *args, **kwargs)


def seed_in_force() -> int | None:
    """Returns the last seed of `keras.utils.set_random_seed`; `None` if there is none."""
    return keras.src.backend.common.global_state.get_global_attribute("global_random_seed")


# Optimizers.


def parts_of(optimizer: Any) -> list[Any]:
    """Returns the optimizers that update variables: the parts of a composite one, or itself."""
    if hasattr(optimizer, "inner_optimizer"):
        return parts_of(optimizer.inner_optimizer)
    if hasattr(optimizer, "optimizers"):
        return [part for inner in optimizer.optimizers for part in parts_of(inner)]
    return [optimizer]


def variables_trained_by(optimizer: Any) -> list[keras.Variable]:
    """Returns the variables for which an optimizer was built; none before it is built."""
    return list(optimizer._trainable_variables)


def state_of(optimizer: Any) -> list[keras.Variable]:
    """Returns the optimizer's list of its variables itself, not a copy."""
    return optimizer._variables


def steps_of(optimizer: Any) -> keras.Variable:
    """Returns the variable that counts the calls of `apply`, accumulated batches included."""
    return optimizer._iterations


def accumulated_gradient(optimizer: Any, variable: keras.Variable) -> keras.Variable:
    """Returns the variable in which an optimizer adds up a variable's gradients."""
    return optimizer._accumulated_gradients[optimizer._get_variable_index(variable)]


def moving_averages(optimizer: Any) -> list[keras.Variable | None]:
    """Returns the averages that `use_ema` keeps, one for each variable that an optimizer trains."""
    return optimizer._model_variables_moving_average


def narrowed(optimizer: Any, trains: Callable[[keras.Variable], bool]) -> dict[str, Any]:
    """Returns attributes with which an optimizer trains only some of its variables.

    Its state stays where it is: slots are found by a variable's place among all of them.

    Args:
        optimizer: A built optimizer, or a loss scaler around one.
        trains: Tells for a variable whether it goes on training.
    """
    variables = optimizer._trainable_variables
    kept = [at for at, variable in enumerate(variables) if trains(variable)]
    attributes: dict[str, Any] = {
        "_trainable_variables": [variables[at] for at in kept],
        "_trainable_variables_indices": {
            optimizer._var_key(variables[at]): optimizer._get_variable_index(variables[at])
            for at in kept
        },
    }
    averages = getattr(optimizer, "_model_variables_moving_average", None)
    if averages:
        attributes["_model_variables_moving_average"] = [averages[at] for at in kept]
    return attributes


def layout_of(variable: keras.Variable) -> Any:
    """Returns a variable's layout over devices (JAX); `None` if the distribution decides."""
    return getattr(variable, "_layout", None)


# TensorFlow: replicas and traced steps.


def strategy_of(optimizer: Any) -> Any:
    """Returns the `tf.distribute` strategy under which an optimizer was created."""
    return optimizer._distribution_strategy


def noting_reduced_gradients(
    optimizer: Any, note: Callable[[list[Any]], None]
) -> dict[str, Callable[..., Any]]:
    """Returns a replacement for the method that adds up gradients over replicas.

    Args:
        optimizer: A Keras optimizer on TensorFlow.
        note: A function that receives the sums.
    """
    reduce = optimizer._all_reduce_sum_gradients

    def reduce_and_note(grads_and_vars: Any) -> Any:
        reduced = reduce(grads_and_vars)
        note([gradient for gradient, _ in reduced])
        return reduced

    return {"_all_reduce_sum_gradients": reduce_and_note}


def traced_functions(train_function: Any) -> list[Any]:
    """Returns the graphs that TensorFlow has traced for a training function of Keras."""
    cells = getattr(train_function, "__closure__", None) or ()
    held = [cell.cell_contents for cell in cells]
    steps = [getattr(each, "__wrapped__", each) for each in held]
    known = [step for step in steps if hasattr(step, "_list_all_concrete_functions")]
    return [concrete for step in known for concrete in step._list_all_concrete_functions()]


# The flags `trainable`.


@contextlib.contextmanager
def trained_as(
    layers: Iterable[keras.Layer], trains: Callable[[keras.Variable], bool]
) -> Iterator[None]:
    """Sets the flags `trainable` of layers and variables within this context.

    The setters of Keras, which have side effects, are avoided.

    Args:
        layers: The model and all its layers.
        trains: A function that returns whether a variable is trainable within the context.
    """
    layers = list(layers)
    kept = [
        (thing, thing._trainable) for layer in layers for thing in (layer, *own_variables(layer))
    ]
    try:
        for layer in layers:
            for variable in own_variables(layer):
                variable._trainable = trains(variable)
        for layer in layers:  # a layer that contains a trainable one must be trainable, too
            below = [layer, *flattened(layer)]
            own = [variable for each in below for variable in own_variables(each)]
            if own:
                layer._trainable = any(variable._trainable for variable in own)
        yield
    finally:
        for thing, flag in kept:
            thing._trainable = flag


def freeze(
    model: keras.Model, variables: Iterable[keras.Variable], layers: Iterable[keras.Layer]
) -> Callable[[], None]:
    """Sets the flags `trainable` of variables, and of the layers that hold nothing else, to False.

    Args:
        model: The model.
        variables: What is to be frozen.
        layers: Layers to be frozen besides, such as those that own moving statistics only.

    Returns:
        What sets all flags as they were.
    """
    variables = list(variables)
    everything = flattened(model)
    kept = [(v, v.trainable) for v in variables]
    kept_of_layers = [(layer, layer._trainable) for layer in everything]
    _set_flags(variables, [False] * len(variables))
    for layer in everything:  # not by the setter, which sets the flags of all layers below
        own = [v for each in (layer, *flattened(layer)) for v in own_variables(each)]
        if own and not any(v.trainable for v in own):
            layer._trainable = False
    for layer in layers:
        layer._trainable = False

    def thaw() -> None:
        _set_flags([v for v, _ in kept], [flag for _, flag in kept])
        for layer, flag in kept_of_layers:
            layer._trainable = flag

    return thaw


def _set_flags(variables: Sequence[keras.Variable], flags: Sequence[bool]) -> None:
    for variable, flag in zip(variables, flags, strict=True):
        variable.trainable = flag
        if keras.backend.backend() == "tensorflow":
            # TensorFlow's gradient tape reads TensorFlow's own flag, not that of Keras.
            for value in getattr(variable.value, "values", (variable.value,)):
                value._trainable = flag


def forget_compiled(model: keras.Model) -> None:
    """Has Keras make a model's functions anew, since another part of the model trains now."""
    model.make_train_function(force=True)
    if keras.backend.backend() == "jax":  # there they take what trains apart from the rest
        model.test_function = model.predict_function = None


# JAX: while `fit` trains a model, the values of its variables are kept outside of the variables.

State = tuple[Sequence[Any], Sequence[Any], Sequence[Any], Sequence[Any]]


def offer_state(model: keras.Model, state: State) -> None:
    """Makes `sync_state` use this state, as Keras does before it calls callbacks."""
    names = ("trainable", "non_trainable", "optimizer", "metrics")
    values = {f"{name}_variables": values for name, values in zip(names, state, strict=True)}
    # Not `setattr`: Keras would inspect each value for tracking, which takes long.
    vars(model).update(_jax_state=values, _jax_state_synced=False)


def sync_state(model: keras.Model) -> None:
    """Assigns the state that `fit` holds on JAX to the model's variables; else does nothing."""
    if keras.backend.backend() == "jax":
        model.jax_state_sync()
