"""What a run may hold: names, with their meanings, units and dimensions.

A quantity that is measured in the training step brings its own description
(`keras_lcb.StepQuantity`), and so does a user's `Recorder`. Everything else is a line in
`VARIABLES`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """The meaning of a name in a run.

    Attributes:
        long_name: A description that serves as an axis label.
        units: The units; "1" for a pure number.
        dims: The alternative dimensions, each as names that are separated by spaces.
        whole: Whether values are whole numbers. Defaults to `False`.
        title: A shorter description, for headings. Defaults to "": `long_name`.
    """

    long_name: str
    units: str
    dims: tuple[str, ...]
    whole: bool = False
    title: str = ""


COORDINATES: dict[str, Quantity] = {
    "step": Quantity("optimizer updates applied", "updates", ("step",), whole=True),
    "epoch": Quantity("epochs completed", "epochs", ("step",)),
    "wall_time": Quantity("time since training began", "s", ("step",)),
    "update": Quantity("number of the optimizer update", "updates", ("update",), whole=True),
    "layer": Quantity("layer path relative to the model", "1", ("layer",)),
    "depth": Quantity("position in the order of calls", "1", ("layer",), whole=True),
    "parameters": Quantity("number of trainable parameters", "1", ("layer",), whole=True),
    "shape": Quantity("shapes of the layer's kernels", "1", ("layer",)),
    "kind": Quantity("class of the layer", "1", ("layer",)),
    "role": Quantity("part the layer plays in the network", "1", ("layer",)),
    "frequency": Quantity("wave number", "1", ("frequency",), whole=True),
    "cutoff": Quantity("cut-off frequency", "waves per typical distance", ("cutoff",)),
    "x": Quantity("position", "1", ("x",)),
    "rank": Quantity("place among the largest eigenvalues", "1", ("rank",), whole=True),
    "step_size": Quantity("step size along the gradient", "1", ("step_size",)),
    "direction": Quantity("number of the random direction", "1", ("direction",), whole=True),
    "alpha": Quantity("position along the first direction", "1", ("alpha",)),
    "beta": Quantity("position along the second direction", "1", ("beta",)),
    "filter": Quantity("number of the filter", "1", ("filter",), whole=True),
    "row": Quantity("row of the filter", "1", ("row",), whole=True),
    "column": Quantity("column of the filter", "1", ("column",), whole=True),
    "seed": Quantity("seed of the run", "1", ("seed",), whole=True),
}

_STEP_LAYER = ("step layer",)
_UPDATE_LAYER = ("update layer",)
_LAYER = ("layer", "step layer")
_LAYER_RANK = ("layer rank", "step layer rank")
_LAYER_STEP_SIZE = ("layer step_size", "step layer step_size")

VARIABLES: dict[str, Quantity] = {
    # How far each layer is from where it ends.
    "distance": Quantity("distance to the converged parameters", "1", _STEP_LAYER),
    "distance_standard_error": Quantity("standard error of a sketched distance", "1", _STEP_LAYER),
    "normalized_distance": Quantity("distance relative to its initial value", "1", _STEP_LAYER),
    "effective_distance": Quantity(
        "distance between the kernels that LoRA layers use", "1", _STEP_LAYER
    ),
    "angle": Quantity("1 - cosine between kernels now and at the start", "1", _STEP_LAYER),
    "angle_to_end": Quantity("1 - cosine between kernels now and at the end", "1", _STEP_LAYER),
    "way_from_start": Quantity(
        "distance from the initial parameters relative to that of the converged ones",
        "1",
        _STEP_LAYER,
    ),
    "parameter_norm": Quantity("norm of the parameters", "1", _STEP_LAYER),
    "filters": Quantity(
        "weights of some of the layer's filters", "1", ("step layer filter row column",)
    ),
    # How similar its activations are to those at another moment.
    "similarity": Quantity("similarity of activations to the final ones", "1", _STEP_LAYER),
    "similarity_to_start": Quantity(
        "similarity of activations to the initial ones", "1", _STEP_LAYER
    ),
    # How large each layer's gradients are, and how far it moves.
    "gradient_norm": Quantity("RMS gradient norm since the last record", "1", _STEP_LAYER),
    "update_norm": Quantity("RMS update norm since the last record", "1", _STEP_LAYER),
    "gradient_norm_per_update": Quantity("gradient norm of each update", "1", _UPDATE_LAYER),
    "update_norm_per_update": Quantity("norm of each update", "1", _UPDATE_LAYER),
    # How training goes.
    "loss": Quantity("training loss", "1", ("step", "direction alpha", "alpha beta")),
    "validation_loss": Quantity("validation loss", "1", ("step",)),
    "learning_rate": Quantity("learning rate", "1", ("step", "layer", "step layer")),
    # Which frequencies each layer carries.
    "frequency_share": Quantity(
        "share of the target's frequency carried by the layer",
        "1",
        ("step layer frequency",),
        title="share of each frequency carried",
    ),
    "frequency_centroid": Quantity(
        "energy centroid of the layer's spectrum, leakage included", "1", _STEP_LAYER
    ),
    "frequency_error": Quantity(
        "error at a frequency relative to the target", "1", ("step frequency",)
    ),
    "r2": Quantity(
        "R² of a linear read-out for a frequency",
        "1",
        ("layer frequency", "step layer frequency"),
        title="R² of a linear read-out",
    ),
    # How much of what varies fast with the image, by a Gaussian filter.
    "response_frequency": Quantity(
        "share of the layer's response above the cut-off frequency",
        "1",
        ("step layer cutoff",),
        title="how fast the response varies",
    ),
    "target_frequency": Quantity(
        "share of the target above the cut-off frequency, as a function of the layer's output",
        "1",
        ("step layer cutoff",),
    ),
    "input_target_frequency": Quantity(
        "share of the target above the cut-off frequency, as a function of the input",
        "1",
        ("cutoff",),
    ),
    # The output of a network of one variable.
    "target": Quantity("what is to be learned", "1", ("x",)),
    "prediction": Quantity("output of the network", "1", ("step x",)),
    "contribution": Quantity("what the layer adds to the output", "1", ("step layer x",)),
    # What the loss looks like around a layer.
    "eigenvalue": Quantity("largest eigenvalues of the Hessian block", "1", _LAYER_RANK),
    "smallest_eigenvalue": Quantity("smallest eigenvalue of the Hessian block", "1", _LAYER),
    "smallest_residual": Quantity(
        "residual of the smallest eigenvalue relative to the largest magnitude", "1", _LAYER
    ),
    "residual": Quantity("relative residual of the eigenpair", "1", _LAYER_RANK),
    "scaled_eigenvalue": Quantity(
        "largest eigenvalues times the squared norm of the parameters", "1", _LAYER_RANK
    ),
    "eigenvalue_per_parameter": Quantity(
        "largest eigenvalues times the mean square of the parameters",
        "1",
        _LAYER_RANK,
    ),
    "filter_curvature": Quantity("curvature along filter-normalized directions", "1", _LAYER),
    "filter_curvature_standard_error": Quantity(
        "standard error of the curvature along filter-normalized directions", "1", _LAYER
    ),
    "products": Quantity("Hessian-vector products taken", "1", _LAYER),
    "trace": Quantity("trace of the Hessian block", "1", _LAYER),
    "trace_standard_error": Quantity("standard error of the trace", "1", _LAYER),
    "gradient_change": Quantity("change of the gradient after a step", "1", _LAYER_STEP_SIZE),
    "relative_gradient_change": Quantity(
        "change of the gradient relative to its norm",
        "1",
        _LAYER_STEP_SIZE,
        title="relative gradient change",
    ),
    "gradient_cosine": Quantity(
        "cosine between the gradients before and after a step", "1", _LAYER_STEP_SIZE
    ),
    "smoothness": Quantity("effective smoothness", "1", _LAYER),
    "lower": Quantity("largest learning rate seen to be stable", "1", ("layer",)),
    "upper": Quantity("smallest learning rate seen to be unstable", "1", ("layer",)),
    "theory": Quantity("2 / largest eigenvalue", "1", _LAYER),
    "stable_learning_rate": Quantity("largest stable learning rate", "1", _LAYER),
    "layer_slice": Quantity("loss along a random direction", "1", ("step layer alpha",)),
    "slice_rise": Quantity("rise of the loss half a filter norm away", "1", _LAYER),
}
