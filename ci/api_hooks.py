"""How schemathesis proves who it is: with the key, or the signature, of the sandbox's demo application.

Every sixteenth request has a wrong one.
"""

import hashlib
import hmac
import itertools

import schemathesis
from requests.auth import AuthBase

KEY, SECRET, CODE = "demo-token", b"demo-secret", "DEMO0-00001"
WRONG_EVERY = 16


class Caller(AuthBase):
    """Sets the headers of a request that is ready to be sent, over the bytes of its body."""

    def __init__(self):
        self.requests = itertools.count(1)

    def __call__(self, request):
        wrong = next(self.requests) % WRONG_EVERY == 0
        if "/webhook/" in request.url:
            body = request.body or b""
            body = body.encode() if isinstance(body, str) else body
            signature = hmac.new(b"wrong" if wrong else SECRET, body, hashlib.sha1)
            request.headers["x-signature"] = signature.hexdigest()
        else:
            request.headers["authorization"] = f"Token {'wrong' if wrong else KEY}"
            request.headers["x-pw-appcode"] = CODE
        return request


schemathesis.auth.set_from_requests(Caller())
