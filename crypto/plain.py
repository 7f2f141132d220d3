"""One spelling for characters that keyboards write in several ways."""

_FULL_WIDTH = {0xFF01 + offset: 0x21 + offset for offset in range(94)}
_SPACES = dict.fromkeys((0x00A0, 0x2002, 0x2003, 0x2009, 0x3000), " ")
_HYPHENS = dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2015, 0x2212), "-")
_DOTS = dict.fromkeys((0x2022, 0x2027, 0x30FB, 0xFF65), "·")

_PLAIN: dict[int, int | str] = {**_FULL_WIDTH, **_SPACES, **_HYPHENS, **_DOTS}


def plain(value: str) -> str:
    """Half-width digits, letters and signs, plain spaces and hyphens, one middle dot, nothing around it."""
    return value.translate(_PLAIN).strip()
