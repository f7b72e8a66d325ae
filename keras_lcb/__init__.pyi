from . import analysis as analysis
from . import exercises as exercises
from . import experiments as experiments
from . import lab as lab
from . import landscape as landscape
from . import plotting as plotting
from . import quantities as quantities
from . import synthetic as synthetic
from . import vision as vision
from .analysis import (
    convergence_bias as convergence_bias,
)
from .analysis import (
    convergence_rate as convergence_rate,
)
from .analysis import (
    summary as summary,
)
from .analysis import (
    time_to_fraction as time_to_fraction,
)
from .callbacks import (
    Filters as Filters,
)
from .callbacks import (
    GradientNorms as GradientNorms,
)
from .callbacks import (
    LayerConvergence as LayerConvergence,
)
from .callbacks import (
    Recorder as Recorder,
)
from .callbacks import (
    StepQuantities as StepQuantities,
)
from .callbacks import (
    TrainingBackup as TrainingBackup,
)
from .callbacks import (
    track as track,
)
from .diagnosis.diagnosing import diagnose as diagnose
from .diagnosis.diagnosis_callback import Diagnosis as Diagnosis
from .freezing import FreezeConverged as FreezeConverged
from .freezing import fit_in_stages as fit_in_stages
from .landscape.callbacks.gradient_predictiveness import (
    GradientPredictiveness as GradientPredictiveness,
)
from .landscape.callbacks.layer_sharpness import LayerSharpness as LayerSharpness
from .quantities import StepQuantity as StepQuantity
from .report import write_report as write_report
from .response.response_frequency import ResponseFrequency as ResponseFrequency
from .runs.merging import collect as collect
from .runs.storage import load_run as load_run
from .runs.storage import save_run as save_run
from .similarity.representation_similarity import (
    RepresentationSimilarity as RepresentationSimilarity,
)
from .synthetic.frequency_response import FrequencyResponse as FrequencyResponse
from .training.layerwise_model import LayerwiseModel as LayerwiseModel
from .viewer.widget import Viewer as Viewer

__version__: str
