"""How secrets are kept: bytes in, bytes out."""
