"""Errors as OpenAI's API writes them: ``{"error": {"message", "type", "code", "param"}}``."""

import json
from collections.abc import Mapping

from starlette.responses import Response


class ApiError(Exception):
    """A request that is refused: an HTTP status, a message that says what to do, and OpenAI's error code."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param, self.headers = status, message, code, param, headers

    @property
    def body(self) -> dict[str, dict[str, str | None]]:
        """The JSON body of the response."""
        kind = {401: "authentication_error", 429: "rate_limit_error"}.get(self.status)
        kind = kind or ("server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "code": self.code, "param": self.param}}

    def response(self) -> Response:
        """The error as a response; ASCII, because a message may quote half a character of the request."""
        return Response(json.dumps(self.body), self.status, self.headers, "application/json")
