"""What can go wrong while learning.

FederationError
├── FederationConfigError   a setting of the run makes no sense
├── PresetError             the preset is unknown or malformed
├── WeightsError            the base weights are missing or not those that the preset pins
├── HeadsError              a heads file does not fit its preset
├── ImageError              picture bytes that cannot be decoded
├── UpdateRejected          a client's update has wrong names, shapes, types or values
├── MaskingRefused          a request of a masked round that would give away a client's update, or makes no sense
├── UnmaskingFailed         the sum of a masked round cannot be had
├── TooFewUpdates           fewer than the strategy needs to withstand the attackers it is set for
├── NothingToLearn          no product to train on, or no query to evaluate
└── ShapeError              a defect of ours: two batches that must match do not
"""

from __future__ import annotations

from core.errors import TejidoError


class FederationError(TejidoError):
    """Root of everything that federation/ raises on purpose."""

    code = "federation.error"


class FederationConfigError(FederationError):
    """A setting of the run makes no sense: which one, what it was, what is allowed."""

    code = "federation.config_invalid"


class PresetError(FederationError):
    """The preset is unknown, or its JSON is malformed."""

    code = "federation.preset_invalid"


class WeightsError(FederationError):
    """The base weights are missing, or are not the ones that the preset pins by SHA-256."""

    code = "federation.weights_mismatch"


class HeadsError(FederationError):
    """A heads file does not hold exactly the tensors that its preset expects."""

    code = "federation.heads_invalid"


class ImageError(FederationError):
    """Picture bytes that cannot be decoded, or that are absurdly large."""

    code = "federation.image_invalid"


class UpdateRejected(FederationError):
    """A client's update has wrong names, shapes, types or values, and does not count."""

    code = "federation.update_rejected"


class MaskingRefused(FederationError):
    """A request of a masked round that would give away a client's update, or that makes no sense; nothing was told."""

    code = "federation.masking_refused"


class UnmaskingFailed(FederationError):
    """The sum of a masked round cannot be had: too few participants are left, or what they told does not fit."""

    code = "federation.unmasking_failed"


class TooFewUpdates(FederationError):
    """Fewer updates than the strategy needs to withstand as many malicious clients as it is set for."""

    code = "federation.too_few_updates"


class NothingToLearn(FederationError):
    """There is no product to train on, or no query to evaluate with."""

    code = "federation.nothing_to_learn"


class ShapeError(FederationError):
    """Two batches that must match do not; a defect of ours, not of the user's data."""

    code = "federation.shape_mismatch"
