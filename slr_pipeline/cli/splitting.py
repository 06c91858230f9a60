"""The split of clips that have none, for `slr init` and `slr add`."""

from collections.abc import Sequence
from typing import Final

from slr_pipeline.config.experiment import Split
from slr_pipeline.io.messages import first_few
from slr_pipeline.samples.clip_folder import OwnClip

SHARES: Final = {"val": 0.15, "test": 0.2}
MIN_SIGNERS: Final = 4
"""Two for train, one for val, one for test."""
SEED: Final = 1


def split_clips(clips: Sequence[OwnClip]) -> tuple[list[Split], str]:
    """The split of each clip (N,), and a warning where signers are not kept apart, else empty."""
    from slr_pipeline.samples import splits

    labels, signers = [clip.label for clip in clips], {clip.signer for clip in clips}
    if "" in signers:
        reason = f"{sum(not clip.signer for clip in clips)} clips have no signer"
    elif len(signers) < MIN_SIGNERS:
        reason = f"there are {len(signers)} signers and a split by signer needs {MIN_SIGNERS}"
    else:
        signer_of = [clip.signer for clip in clips]
        split = splits.stratified_split(labels, signer_of, **SHARES, seed=SEED)
        trained = {label for label, name in zip(labels, split, strict=True) if name == "train"}
        if trained == set(labels):
            return split, ""
        reason = f"train would have no clip of {first_few(sorted(set(labels) - trained))}"
    return splits.clip_split(labels, **SHARES, seed=SEED), (
        f"split by clip and not by signer: {reason}. The accuracy will hold for these signers and "
        "not for new ones"
    )
