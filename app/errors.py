"""The error tree: every fault Simpul reports, with its stable code.

Lives here: what went wrong, as plain facts. Does not live here: HTTP status codes, titles and pages (``api/layer/problems.py``).
Each leaf class has a `code` that is stable forever and appears on the wire, in log entries and under `/problems/{slug}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault: a JSON pointer (or `file:line`), a rule code and what to do."""

    pointer: str
    code: str
    detail: str


class SimpulError(Exception):
    """Root of the tree. `detail` says what is wrong and what to do; it never holds a personal or secret value."""

    code: ClassVar[str] = "internal_error"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        retry_after_seconds: int | None = None,
        **facts: object,
    ) -> None:
        super().__init__(detail or self.code)
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after_seconds = retry_after_seconds
        self.facts = facts
        self.legs: Sequence[object] = ()
        """What each source did, where a federated answer was refused; for the log, not for the wire."""


# --- who asks (401, 403) -------------------------------------------------------------------------------------------


class AuthenticationError(SimpulError):
    """The caller is not known."""


class TokenMissing(AuthenticationError):
    code = "token_missing"


class TokenInvalid(AuthenticationError):
    code = "token_invalid"


class ClientCredentialsInvalid(AuthenticationError):
    code = "invalid_client"


class AccessDenied(SimpulError):
    """The caller is known, and may not do this. `rule` in the facts names the rule that denied."""

    code = "access_denied"


class RoleForbidden(AccessDenied):
    code = "role_forbidden"


class AgencyForbidden(AccessDenied):
    code = "agency_forbidden"


class AgreementMissing(AccessDenied):
    code = "agreement_missing"


class AgreementNotActive(AccessDenied):
    code = "agreement_not_active"


class PurposeForbidden(AccessDenied):
    code = "purpose_not_allowed"


class FieldForbidden(AccessDenied):
    code = "field_not_granted"


# --- what is asked (400, 404, 409, 412, 413, 415, 422, 428) --------------------------------------------------------


class RequestError(SimpulError):
    """The request itself is wrong; the same request will never succeed."""

    code = "invalid_request"


class NotFound(RequestError):
    code = "not_found"


class SchemaUnknown(NotFound):
    code = "schema_unknown"


class RecordNotFound(NotFound):
    code = "record_not_found"


class ConnectorUnknown(NotFound):
    code = "connector_unknown"


class AgencyUnknown(NotFound):
    code = "agency_unknown"


class ExchangeUnknown(NotFound):
    code = "exchange_unknown"


class JobUnknown(NotFound):
    code = "job_unknown"


class MethodNotAllowed(RequestError):
    code = "method_not_allowed"


class NotAcceptable(RequestError):
    code = "not_acceptable"


class Conflict(RequestError):
    code = "conflict"


class StateConflict(Conflict):
    code = "state_conflict"


class HeldByLaw(Conflict):
    code = "held_by_law"  # a legal hold keeps what was to be erased


class PreconditionFailed(RequestError):
    code = "precondition_failed"


class UnsupportedMediaType(RequestError):
    code = "unsupported_media_type"


class BodyTooLarge(RequestError):
    code = "body_too_large"


class AnswerTooLarge(RequestError):
    code = "answer_too_large"


class DigestMismatch(RequestError):
    code = "digest_mismatch"


class ValidationFailed(RequestError):
    code = "validation_failed"


class MalformedJson(RequestError):
    code = "malformed_json"


class FieldUnknown(RequestError):
    code = "field_unknown"


class ParameterUnknown(RequestError):
    code = "parameter_unknown"


class FilterMalformed(RequestError):
    code = "filter_malformed"


class FilterTooComplex(RequestError):
    code = "filter_too_complex"


class OperatorUnsupported(RequestError):
    code = "operator_unsupported"


class TypeMismatch(RequestError):
    code = "type_mismatch"


class CursorInvalid(RequestError):
    code = "cursor_invalid"


class LimitOutOfRange(RequestError):
    code = "limit_out_of_range"


class KeyMalformed(RequestError):
    code = "key_malformed"


class LookupOnly(RequestError):
    code = "lookup_only"


class PurposeRequired(RequestError):
    code = "purpose_required"


class PurposeUnknown(RequestError):
    code = "purpose_unknown"


class OfficerRequired(RequestError):
    code = "officer_required"


class CaseRequired(RequestError):
    code = "case_required"  # questions about a person name the case for which they are asked


class AgreementAmbiguous(RequestError):
    code = "agreement_ambiguous"


class ManifestInvalid(RequestError):
    code = "manifest_invalid"


class MappingInvalid(ManifestInvalid):
    code = "mapping_invalid"


class MappingRejects(SimpulError):
    """A check mapped the source, and more of its records are rejected than the manifest accepts, or a path leads nowhere."""

    code = "mapping_rejects"


class ExpressionForbidden(ManifestInvalid):
    code = "expression_forbidden"


class SecretUnknown(ManifestInvalid):
    code = "secret_unknown"


class AggregateTooLarge(RequestError):
    code = "aggregate_too_large"


class MixedLevels(RequestError):
    code = "mixed_levels"  # a sum over regions of which one contains the other


class MixedUnits(RequestError):
    code = "mixed_units"


class OverlapRefused(RequestError):
    code = "overlap_refused"  # a sum over records that several agencies hold


class GatewayLoop(RequestError):
    code = "gateway_loop"  # the question came through this gateway before, or through too many


class GrantTypeUnsupported(RequestError):
    """Only client credentials are served (RFC 6749, section 5.2)."""

    code = "unsupported_grant_type"


class QuotaExceeded(RequestError):
    """A share of space is used up. `limit_bytes` or `limit` in the facts."""

    code = "quota_exceeded"


class RateLimited(RequestError):
    code = "rate_limited"
    retryable = True


# --- the sources (per-source status; 502, 503, 504 only when a whole answer fails) ---------------------------------


class SourceError(SimpulError):
    """A source could not answer. `field` in the facts names the manifest field to look at, `step` the stage of the check."""

    code = "source_error"


class SourceDnsFailed(SourceError):
    code = "source_dns_failed"
    retryable = True


class SourceUnreachable(SourceError):
    code = "source_unreachable"
    retryable = True


class SourceTlsFailed(SourceError):
    code = "source_tls_failed"


class SourceAuthFailed(SourceError):
    code = "source_auth_failed"


class SourcePermissionDenied(SourceError):
    code = "source_permission_denied"


class SourceMissing(SourceError):
    """The file, table, resource or path does not exist at the source."""

    code = "source_missing"


class SourceTimeout(SourceError):
    code = "source_timeout"
    retryable = True


class SourceSchemaMismatch(SourceError):
    """A column or member that the mapping needs is gone, or its type no longer fits."""

    code = "source_schema_mismatch"


class SourceFormatError(SourceError):
    """The bytes are not what the manifest says (encoding, ragged rows, a PNG named CSV, broken JSON)."""

    code = "source_format_error"


class SourceTooLarge(SourceError):
    code = "source_too_large"


class SourceRejected(SourceError):
    """The source answered with a refusal (HTTP 4xx, SQL error that is not ours to retry)."""

    code = "source_rejected"


class SourceFailed(SourceError):
    """The source answered that it failed (HTTP 5xx, server-side error)."""

    code = "source_failed"
    retryable = True


class SourceSuspended(SourceError):
    """The agency (or the walidata) has suspended this dataset: it is not asked, and what it holds is missing."""

    code = "source_suspended"


class SourceBusy(SourceError):
    """All slots at this source are taken by other questions. It was not asked: nothing is said about its health."""

    code = "source_busy"
    retryable = True


class SourceCircuitOpen(SourceError):
    code = "source_circuit_open"
    retryable = True


class SourcePartial(SourceError):
    """The source is a gateway whose own answer is not complete: what it gave stands, and somebody behind it is missing."""

    code = "source_partial"
    retryable = True


class NetworkForbidden(SourceError):
    """The address is not one that the operator allowed for this agency."""

    code = "network_forbidden"


class CapabilityUndeclared(SourceError):
    """Work was given to a source that did not declare it: an error of the gateway's own planner."""

    code = "capability_undeclared"


class PartialAnswerRefused(SimpulError):
    """Some source did not answer and the caller (or the operation) does not accept a partial answer."""

    code = "partial_answer_refused"
    retryable = True


class AllSourcesFailed(SimpulError):
    code = "all_sources_failed"
    retryable = True


class AllSourcesTimedOut(SimpulError):
    code = "all_sources_timed_out"
    retryable = True


# --- the exchange log and the store --------------------------------------------------------------------------------


class LogError(SimpulError):
    code = "log_error"


class LogUnavailable(LogError):
    """The log cannot be written: no data leaves."""

    code = "log_unavailable"
    retryable = True


class LogOverloaded(LogError):
    code = "log_overloaded"
    retryable = True


class LogBroken(LogError):
    """The stored tree is not an extension of the last signed checkpoint, or a row does not match its entry."""

    code = "log_broken"


class LogLocked(LogError):
    code = "log_locked"  # another process has this embedded store open


class EntryTooLarge(LogError):
    code = "entry_too_large"


class EntryInvalid(LogError):
    """An entry has a member, kind or value that its format does not know: an error of the gateway itself."""

    code = "entry_invalid"


class StoreUnavailable(SimpulError):
    code = "store_unavailable"
    retryable = True


class StoreOutdated(SimpulError):
    code = "store_outdated"  # the database needs `simpul db upgrade`


class InstanceMissing(SimpulError):
    """The folder holds no instance; `simpul init` makes one."""

    code = "instance_missing"


class SettingsInvalid(SimpulError):
    code = "settings_invalid"


class ServerOverloaded(SimpulError):
    code = "server_overloaded"
    retryable = True


class RequestTimeout(SimpulError):
    code = "request_timeout"
    retryable = True


def leaves(root: type[SimpulError] = SimpulError) -> list[type[SimpulError]]:
    """Every class of the tree that has a code of its own, `root` included, in definition order."""
    found: list[type[SimpulError]] = [root] if "code" in vars(root) else []
    for child in root.__subclasses__():
        found.extend(leaves(child))
    return found
