"""JSON with exactly one spelling (RFC 8785), for strings, integers, nulls, arrays and objects."""

from functools import lru_cache
from json.encoder import encode_basestring
from typing import TypeAlias

from crypto.errors import ValueRefused

Json: TypeAlias = "str | int | list[Json] | tuple[Json, ...] | dict[str, Json] | None"

INTEGER_MAX = 2**53 - 1


def canonical(value: Json) -> bytes:
    """The value's only spelling; `ValueRefused` for floats, booleans, big integers, lone surrogates, endless depth."""
    try:
        return _text(value).encode()
    except UnicodeEncodeError:
        fault = "a string holds a lone surrogate"  # Raised below, outside: the codec's error carries the value itself.
    except RecursionError:
        fault = "a value is nested too deep"
    raise ValueRefused(fault)


def _text(value: object) -> str:
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, dict):
        return "{" + ",".join([prefix + _text(value[name]) for name, prefix in _members(tuple(value))]) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join([_text(item) for item in value]) + "]"
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > INTEGER_MAX:
            raise ValueRefused("an integer is beyond ±(2^53 - 1)")
        return str(int(value))
    if value is None:
        return "null"
    raise ValueRefused(f"a {type(value).__name__} cannot be sealed")


@lru_cache(maxsize=512)  # Intake seals the same few sets of names a million times.
def _members(names: tuple[object, ...]) -> tuple[tuple[str, str], ...]:
    """Each name with its `"name":`, in RFC 8785's order: by UTF-16 code units."""
    texts = [name for name in names if isinstance(name, str)]
    if len(texts) != len(names):
        raise ValueRefused("an object's names are strings")
    texts.sort(key=lambda name: name.encode("utf-16-be", "surrogatepass"))
    return tuple((name, encode_basestring(name) + ":") for name in texts)
