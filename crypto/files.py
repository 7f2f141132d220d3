"""Files of a case: recordings and letters, sealed as one Cobblestone-256 stream each under the case key of `notes`."""

from typing import NamedTuple

from crypto.cells import lp

_LABEL = b"consign/file/1\x00"


class FileName(NamedTuple):
    """Where a file belongs: ids as raw bytes."""

    portfolio_id: bytes
    case_reference: bytes
    document_id: bytes

    def context(self) -> bytes:
        return _LABEL + lp(self.portfolio_id) + lp(self.case_reference) + lp(self.document_id)
