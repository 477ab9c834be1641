"""Every error that can reach a caller, as one tree. Dialects render them; nobody else builds error JSON.

SwitchgearError
├── InvalidRequest 400           the caller can mend it; `param` says where
│   ├── MalformedBody 400        not the JSON that the API takes
│   ├── UnsupportedParameter 400 the target cannot do what `param` asks for
│   ├── ContextLengthExceeded 400
│   ├── ContentBlocked 400       data protection does not let it pass: which kinds, or which guardrail, and where
│   ├── UnsupportedSchema 400    a schema that cannot be compiled or is over the limits
│   ├── BodyTooLarge 413
│   ├── UnsupportedMediaType 415
│   ├── NotFound 404             no such path or object
│   │   └── ModelNotFound 404    with near matches in the message
│   ├── MethodNotAllowed 405
│   └── Conflict 409             it exists already, is still in use, or was changed meanwhile
├── Unauthenticated 401
│   ├── KeyExpired 401           a virtual key whose time is over
│   ├── KeyRevoked 401           a virtual key that was taken back
│   └── InvalidToken 401         a JWT that does not pass; the message says which check
├── Forbidden 403
│   ├── KeyMisplaced 403         a good key, used from an address or origin that it is not for
│   └── PageRefused 403          no key, and a web page of elsewhere, or a name that is not this machine's
├── RateLimited 429              `retry_after` in seconds
│   ├── TooManyBadKeys 429       keys are being guessed from this address
│   ├── LimitExceeded 429        a limit or budget of ours; says which
│   │   └── BudgetExceeded 429   one that counts money
│   └── QueueShareExceeded 429   the caller has more calls waiting than its share
├── InvalidOutput 422            the model's finished answer is not of the promised form; says why, and what it was
├── Unavailable 503              draining, not started, over capacity; `retry_after`
│   ├── Overloaded 503           the targets have as many calls as they may have, and the queue is full or too slow
│   └── StoreUnavailable 503     the database, or another store, cannot be reached or did not answer in time
├── ClientLeft 499               for records only: nobody is there to read it
├── InternalError 500            a bug of ours; its text never leaves the process
└── UpstreamError 502
    ├── UpstreamUnreachable 502  refused, DNS, TLS, proxy: nothing was sent
    ├── UpstreamTimeout 504      the message says which of the four timeouts
    ├── UpstreamBroken 502       connection lost, truncated, or not what the API promises
    └── UpstreamRefused          an HTTP error answer of the upstream, its message kept
"""

from __future__ import annotations


class SwitchgearError(Exception):
    """An error with a status, a machine-readable code, and whether another try could succeed.

    `message` is safe to show to the caller. `param` names the field of the request at fault, `retry_after` is in seconds.
    """

    status: int = 500
    code: str = "internal_error"
    retryable: bool = False

    def __init__(self, message: str, *, param: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after = retry_after


class InvalidRequest(SwitchgearError):
    """The request cannot be served as it stands; the caller can mend it."""

    status = 400
    code = "invalid_request"


class MalformedBody(InvalidRequest):
    """The body is not the JSON that the API takes."""

    code = "invalid_json"


class UnsupportedParameter(InvalidRequest):
    """The target that would serve the call cannot do what this parameter asks for."""

    code = "unsupported_parameter"


class ContextLengthExceeded(InvalidRequest):
    """The prompt, or prompt and answer together, exceed the model's context."""

    code = "context_length_exceeded"


class ContentBlocked(InvalidRequest):
    """Data protection does not let the request pass. The message says what was found, never the value.

    Another target may be allowed what this one is not.
    """

    code = "content_blocked"
    retryable = True


class UnsupportedSchema(InvalidRequest):
    """A JSON schema that cannot be compiled or is over the limits."""

    code = "unsupported_schema"


class BodyTooLarge(InvalidRequest):
    """The body is larger than the server's limit."""

    status = 413
    code = "request_too_large"


class UnsupportedMediaType(InvalidRequest):
    """The body is declared as something other than JSON."""

    status = 415
    code = "unsupported_media_type"


class NotFound(InvalidRequest):
    """No such path or object."""

    status = 404
    code = "not_found"


class ModelNotFound(NotFound):
    """No model of that name is configured."""

    code = "model_not_found"


class MethodNotAllowed(InvalidRequest):
    """The path exists, but not for this method; `allowed` are the methods that it takes (RFC 9110, 15.5.6)."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, message: str, *, allowed: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allowed = allowed


class Conflict(InvalidRequest):
    """What is stored forbids it: a name that is taken, an object that is still in use, a change that came first."""

    status = 409
    code = "conflict"


class Unauthenticated(SwitchgearError):
    """No key, or one that is not known."""

    status = 401
    code = "invalid_api_key"


class KeyExpired(Unauthenticated):
    """The virtual key was valid until its time was over."""

    code = "expired_api_key"


class KeyRevoked(Unauthenticated):
    """The virtual key was taken back."""

    code = "revoked_api_key"


class InvalidToken(Unauthenticated):
    """A JWT of a configured issuer that does not pass a check; the message names the check, never a value."""

    code = "invalid_token"


class Forbidden(SwitchgearError):
    """The caller is known and may not do this."""

    status = 403
    code = "forbidden"


class KeyMisplaced(Forbidden):
    """The key is good, but not for this client address or origin."""

    code = "key_not_allowed_here"


class PageRefused(Forbidden):
    """Whoever asks has no key, and is a web page of elsewhere, or believes this machine to be another."""

    code = "page_not_allowed"


class RateLimited(SwitchgearError):
    """Too much, too soon."""

    status = 429
    code = "rate_limit_exceeded"
    retryable = True


class TooManyBadKeys(RateLimited):
    """This address sent too many keys that are not known here; good keys of the same address go on working."""

    code = "too_many_bad_keys"


class LimitExceeded(RateLimited):
    """A configured limit has no room for the call. `limit` is its name, `window` says in words what it counts over.

    `headers` are the x-ratelimit-* ones that tell what is left of it.
    """

    def __init__(
        self,
        message: str,
        *,
        limit: str,
        window: str,
        retry_after: float,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.limit = limit
        self.window = window
        self.headers = headers


class BudgetExceeded(LimitExceeded):
    """The limit that has no room counts money."""

    code = "budget_exceeded"


class QueueShareExceeded(RateLimited):
    """Calls wait for a place, and of those this caller's are more than its share, or of the lowest priority."""

    code = "queue_share_exceeded"


class InvalidOutput(SwitchgearError):
    """The model's finished answer is not of the form that was promised. Another target may do better.

    `violations` say what is wrong with it, `raw` is what the model said, as much of it as errors may carry: for the caller, never for a log.
    `structured` says how it was kept to the form, as the header of an answer does.
    """

    status = 422
    code = "invalid_output"
    raw: str | None = None
    violations: tuple[str, ...] = ()
    structured: str = ""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        violations: tuple[str, ...] = (),
        raw: str | None = None,
        structured: str = "",
    ) -> None:
        super().__init__(message, param=param)
        self.violations = violations
        self.raw = raw
        self.structured = structured


class Unavailable(SwitchgearError):
    """The server cannot take the call now; it may a little later."""

    status = 503
    code = "unavailable"
    retryable = True


class Overloaded(Unavailable):
    """The targets have as many calls as they may have at once, and there is no place in the queue, or none became free in time."""

    code = "overloaded"


class StoreUnavailable(Unavailable):
    """A store cannot be reached, or did not answer in time. Whether a write that was under way was done is not known."""

    code = "store_unavailable"


class ClientLeft(SwitchgearError):
    """The client closed its connection before the answer was complete."""

    status = 499
    code = "client_left"


class InternalError(SwitchgearError):
    """A fault of ours. What happened is in the log, not in the message."""

    def __init__(self, message: str = "The server met an error of its own; the call id finds it in the log.") -> None:
        super().__init__(message)


class UpstreamError(SwitchgearError):
    """An upstream did not give a usable answer."""

    status = 502
    code = "upstream_error"
    retryable = True


class UpstreamUnreachable(UpstreamError):
    """No connection could be made, so nothing was sent."""

    code = "upstream_unreachable"


class UpstreamTimeout(UpstreamError):
    """The upstream did not answer in time."""

    status = 504
    code = "upstream_timeout"


class UpstreamBroken(UpstreamError):
    """The connection was lost, or what came back is not what the API promises."""

    code = "upstream_broken"


class UpstreamRefused(UpstreamError):
    """The upstream answered with an HTTP error; its message is kept.

    `upstream_status` is what it sent. What the caller sees differs where the upstream speaks of our credentials (401, 402,
    403 become 502) or of its own faults (5xx become 502 or 503).
    """

    def __init__(
        self,
        message: str,
        *,
        upstream_status: int,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, param=param, retry_after=retry_after)
        self.upstream_status = upstream_status
        self.status = _status_for_caller(upstream_status)
        self.retryable = upstream_status in _RETRYABLE or upstream_status >= 500
        self.code = _CODES.get(upstream_status) or code or self.code

    @property
    def blames_key(self) -> bool:
        """Whether another key of the same provider might be accepted."""
        return self.upstream_status in _KEY_FAULTS or self.upstream_status == 429


_RETRYABLE = frozenset({401, 402, 403, 408, 409, 425, 429})
_KEY_FAULTS = frozenset({401, 402, 403})
_CODES = {
    401: "upstream_credentials",
    402: "upstream_credentials",
    403: "upstream_credentials",
    429: "rate_limit_exceeded",
}


def _status_for_caller(upstream_status: int) -> int:
    if upstream_status in _KEY_FAULTS:
        return 502
    if upstream_status in (503, 529):
        return 503
    if upstream_status in (408, 504):
        return 504
    return upstream_status if 400 <= upstream_status < 500 else 502
