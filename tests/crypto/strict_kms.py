"""moto's KMS with AWS's refusals put back where moto lets things pass, at the far side of the wire."""

import base64
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from threading import Event, Thread
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.kms.models import Key, KmsBackend, kms_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

REGION = "us-east-1"
ACTIONS = ("TrentService.Encrypt", "TrentService.Decrypt")


class StrictKms:
    """Between the wire and moto. `refuse` makes it answer with that code, `silent` not at all; `asked` counts."""

    def __init__(self) -> None:
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.refuse: str | None = None
        self.silent = False
        self.asked = 0
        self.over = Event()
        self._contexts: dict[str, dict[str, str]] = {}  # of every ciphertext that moto made

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ.get("HTTP_X_AMZ_TARGET") not in ACTIONS:
            return self.moto(environ, start_response)
        self.asked += 1
        if self.silent:
            self.over.wait(2)
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        request = json.loads(body)
        if code := self.refuse or self._refusal(request):
            start_response("400 Bad Request", [("Content-Type", "application/x-amz-json-1.1")])
            return [json.dumps({"__type": code, "message": "as AWS would"}).encode()]
        answer = b"".join(self.moto(environ | {"wsgi.input": BytesIO(body)}, start_response))
        if made := json.loads(answer).get("CiphertextBlob"):
            self._contexts[made] = request.get("EncryptionContext", {})
        return [answer]

    def _refusal(self, request: dict[str, Any]) -> str | None:
        backend: KmsBackend = kms_backends[DEFAULT_ACCOUNT_ID][REGION]
        key: Key | None = backend.keys.get(backend.any_id_to_key_id(request["KeyId"]))
        if key is None:
            return None  # moto refuses it itself
        if key.key_state == "PendingDeletion":
            return "KMSInvalidStateException"
        if key.key_state == "Disabled":
            return "DisabledException"
        sealed = request.get("CiphertextBlob")
        if sealed not in self._contexts:
            return "InvalidCiphertextException" if sealed else None
        if not base64.b64decode(sealed).startswith(key.id.encode()):
            return "IncorrectKeyException"
        # moto runs names and values together, so that contexts that differ can look the same to it.
        return None if self._contexts[sealed] == request.get("EncryptionContext", {}) else "InvalidCiphertextException"


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 (werkzeug's name)
        """Nothing: the tests say what matters."""


@contextmanager
def serving(kms: StrictKms) -> Iterator[str]:
    """The endpoint's URL."""
    server = make_server("127.0.0.1", 0, kms, threaded=True, request_handler=_Quiet)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        kms.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
