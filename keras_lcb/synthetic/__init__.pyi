from .decomposition import decompose as decompose
from .experiment import Config as Config
from .experiment import run as run
from .features import layer_features as layer_features
from .functions import Expression as Expression
from .functions import Function as Function
from .networks import build_network as build_network
from .probes import effective_target as effective_target
from .probes import probe as probe
from .sinusoids import (
    SineSum as SineSum,
)
from .sinusoids import (
    default_target as default_target,
)
from .sinusoids import (
    spectral_bias_target as spectral_bias_target,
)
from .spectra import (
    frequency_centroid as frequency_centroid,
)
from .spectra import (
    frequency_error as frequency_error,
)
from .spectra import (
    frequency_share as frequency_share,
)
from .spectra import (
    leakage as leakage,
)
from .spectra import (
    share_centroid as share_centroid,
)
from .spectra import (
    spectrum as spectrum,
)
from .spectra import (
    time_to_learn as time_to_learn,
)
from .target import Target as Target
from .targets import target_from_dict as target_from_dict
from .waves import Chirp as Chirp
from .waves import Sawtooth as Sawtooth
from .waves import Square as Square
from .waves import Step as Step
