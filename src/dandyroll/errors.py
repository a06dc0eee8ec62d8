"""Every error Dandyroll tells a caller about, as one flat tree.

    DandyrollError
    ├─ EmptyBody BadParameter                                         400
    ├─ Forbidden Scope StorageQuotaExceeded                           403
    ├─ NotFound                                                       404
    ├─ BodyTimeout                                                    408
    ├─ NotReady ImageFailed Conflict UploadInFlight                   409
    ├─ BodyTooLarge                                                   413
    ├─ Multipart UnsupportedFormat                                    415
    ├─ CorruptImage TruncatedImage TooManyPixels UnsupportedAnimation 422
    ├─ TooComplex UnsafeDrawing IdempotencyMismatch TooMuchMemory     422
    ├─ TooManyRequests QuotaExceeded                                  429
    ├─ Internal WorkerCrashed StageTimeout OriginalMissing UnknownPolicy  500
    ├─ Unfinished                                                     500
    └─ StoreUnavailable Busy                                          503

Names are conditions, without a suffix: a class's name is what Step Functions matches in a
retry list and what stands in the logs; its `code` is what clients match. The message is
public: it says what was expected and what came, and nothing about the inside. What only an
operator should read goes to the log as the exception's `__cause__`.
"""

from typing import ClassVar


class DandyrollError(Exception):
    """The root: never raised itself."""

    code: ClassVar[str]
    status: ClassVar[int]
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_s = retry_after_s


class EmptyBody(DandyrollError):
    """An upload without a byte in its body."""

    code, status = "empty_body", 400


class BadParameter(DandyrollError):
    """A query parameter or header whose value cannot be used."""

    code, status = "bad_parameter", 400


class Forbidden(DandyrollError):
    """No API key, or one that is unknown, expired or revoked."""

    code, status = "forbidden", 403


class Scope(DandyrollError):
    """A good API key, but not for this route."""

    code, status = "scope", 403


class StorageQuotaExceeded(DandyrollError):
    """With this upload the owner would keep more bytes than they may (local home only)."""

    code, status = "storage_quota_exceeded", 403


class NotFound(DandyrollError):
    """No such route, or no such image among the caller's own."""

    code, status = "not_found", 404


class BodyTimeout(DandyrollError):
    """The body did not arrive in time, or nothing of it for 10 s (local home only)."""

    code, status = "body_timeout", 408


class NotReady(DandyrollError):
    """The image is on its way; ask again after `Retry-After` seconds, or with `?wait=20`."""

    code, status = "not_ready", 409


class ImageFailed(DandyrollError):
    """The image was accepted but could not be processed; its row's `error` says why."""

    code, status = "image_failed", 409


class Conflict(DandyrollError):
    """Another writer was first: the id or object exists already."""

    code, status = "conflict", 409


class UploadInFlight(DandyrollError):
    """An upload with the same `Idempotency-Key` has not been answered yet."""

    code, status = "upload_in_flight", 409


class BodyTooLarge(DandyrollError):
    """More bytes than one direct upload may have."""

    code, status = "body_too_large", 413


class Multipart(DandyrollError):
    """A form upload; the body must be the image's bytes alone."""

    code, status = "multipart", 415


class UnsupportedFormat(DandyrollError):
    """Bytes that are not in a format this service takes, whatever they were declared to be."""

    code, status = "unsupported_format", 415


class CorruptImage(DandyrollError):
    """The format is right but the content cannot be decoded."""

    code, status = "corrupt_image", 422


class TruncatedImage(DandyrollError):
    """The file ends before the picture does."""

    code, status = "truncated_image", 422


class TooManyPixels(DandyrollError):
    """More pixels than the budget, by the header's own words."""

    code, status = "too_many_pixels", 422


class UnsupportedAnimation(DandyrollError):
    """Moving pictures in a format whose animation cannot be kept: APNG, AVIF, HEIC."""

    code, status = "unsupported_animation", 422


class TooMuchMemory(DandyrollError):
    """The image would take more memory than one worker may use (local home only)."""

    code, status = "too_much_memory", 422


class TooComplex(DandyrollError):
    """A drawing of more elements, depth, bytes or time than one may have."""

    code, status = "too_complex", 422


class UnsafeDrawing(DandyrollError):
    """A drawing that refers to something outside itself, or defines entities."""

    code, status = "unsafe_drawing", 422


class IdempotencyMismatch(DandyrollError):
    """The `Idempotency-Key` was used before, with another body."""

    code, status = "idempotency_mismatch", 422


class TooManyRequests(DandyrollError):
    """Over the rate of the key or of the whole API."""

    code, status = "too_many_requests", 429


class QuotaExceeded(DandyrollError):
    """The owner's uploads of the day, in UTC, are used up (local home only)."""

    code, status = "quota_exceeded", 429


class Internal(DandyrollError):
    """A fault of ours; the log holds it under the answer's `trace_id`."""

    code, status = "internal", 500


class WorkerCrashed(DandyrollError):
    """The process working on the image died: a decoder crash, or too little memory."""

    code, status, retryable = "worker_crashed", 500, True


class StageTimeout(DandyrollError):
    """The image took longer than one job may."""

    code, status, retryable = "stage_timeout", 500, True


class OriginalMissing(DandyrollError):
    """The row is there but the object it names is not."""

    code, status = "original_missing", 500


class UnknownPolicy(DandyrollError):
    """A job names a policy that this version does not know."""

    code, status = "unknown_policy", 500


class Unfinished(DandyrollError):
    """Started again and again for a day, the image was never done (AWS home only)."""

    code, status = "unfinished", 500


class StoreUnavailable(DandyrollError):
    """The object store or the catalogue did not answer; nothing was accepted."""

    code, status, retryable = "store_unavailable", 503, True


class Busy(DandyrollError):
    """No worker is free to look at the image; nothing was accepted."""

    code, status, retryable = "busy", 503, True


ALL: tuple[type[DandyrollError], ...] = tuple(DandyrollError.__subclasses__())


def named(class_name: str) -> type[DandyrollError] | None:
    """The error class of that name, for what comes back from a state machine as text."""
    return next((error for error in ALL if error.__name__ == class_name), None)


def with_code(code: str) -> type[DandyrollError] | None:
    """The error class of that code, for what comes back from a row."""
    return next((error for error in ALL if error.code == code), None)
