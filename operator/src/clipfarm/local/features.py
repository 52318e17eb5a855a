"""The features that a run asks for, by its file."""

from clipfarm.encode import Encode
from clipfarm.weights import source_name
from clipfarm_contract.feature_sets import DTYPES
from clipfarm_contract.features import Wanted


def wanted(encode: Encode) -> tuple[Wanted, ...]:
    """Return what the features of each set of an enabled encoder have to agree in.

    Without the weights' hash, where the run does not name it: the encoder compares that itself when it starts.
    """
    return tuple(
        Wanted(
            each.model,
            DTYPES[each.dtype],
            each.crop,
            sha256=each.weights.sha256,
            source=source_name(each.weights.source),
            name=each.name,
            extraction=each.extraction,
        )
        for each in encode.sets
    )
