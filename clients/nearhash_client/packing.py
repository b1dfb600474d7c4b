"""Hashes in the forms that Python code holds them in, packed into the bytes that the wire carries.

No message repeats a hash: errors end up in logs.
"""

from collections.abc import Callable, Iterable
from typing import Any

from .errors import InvalidRequest, invalid
from .hash_types import HashType

_BOOL_TO_DIGIT = bytes.maketrans(b"\x00\x01", b"01")


def pack(hashes: object, hash_type: HashType, first_position: int = 0) -> bytes:
    """Concatenate a batch of hashes, each most significant byte first.

    Parameters
    ----------
    hashes
        A NumPy array with one row per hash, or an iterable that may mix scalars.

        Arrays, w being the type's width in bits: ``uint64[n]`` (w = 64), ``uint64[n, w/64]`` (word 0 holds the most
        significant bits), ``uint8[n, w/8]`` and ``bool[n, w]`` (most significant first).

        Scalars: int from 0 to 2**w - 1, str of w/4 hex digits, w/8 bytes, or an ImageHash of w bits (row-major, most
        significant bit first, as its hex digits read).
    hash_type
        The type of every hash. It cannot be inferred: an ImageHash does not know which function made it.
    first_position
        What errors call the position of the first hash.

    Returns
    -------
    bytes
        w/8 bytes per hash.

    Raises
    ------
    InvalidRequest
        If the batch is empty or a hash is not of the type's width; it names the position.
    """
    if is_array(hashes):
        packed = _pack_array(hashes, hash_type)
    elif isinstance(hashes, Iterable) and not isinstance(hashes, str | bytes | bytearray | memoryview):
        packed = b"".join(
            _pack_scalar(value, position, hash_type) for position, value in enumerate(hashes, first_position)
        )
    else:
        raise invalid("hashes", f"found one {type(hashes).__name__}; pass a sequence, for one hash [hash]")
    if not packed:
        raise invalid("hashes", "found none; pass at least one hash")
    return packed


def is_array(value: object) -> bool:
    """Tell whether a value is a NumPy array."""
    # By its attributes, so that NumPy is not imported here. A NumPy scalar has the attributes too, with no dimension.
    return hasattr(value, "dtype") and hasattr(value, "tobytes") and getattr(value, "ndim", 0) > 0


def _pack_array(array: Any, hash_type: HashType) -> bytes:
    width_bits = hash_type.width_bits
    kind, row = (array.dtype.kind, array.dtype.itemsize), array.shape[1:]
    if kind == ("u", 8) and (row or (1,)) == (width_bits / 64,):
        return bytes(array.astype(">u8").tobytes())
    if kind == ("u", 1) and row == (hash_type.width_bytes,):
        return bytes(array.tobytes())
    if kind == ("b", 1) and row == (width_bits,):
        return _pack_bits(array)
    forms = [f"uint8[n, {hash_type.width_bytes}]", f"bool[n, {width_bits}]"]
    if width_bits % 64 == 0:
        forms.insert(0, "uint64[n]" if width_bits == 64 else f"uint64[n, {width_bits // 64}]")
    raise invalid("hashes", f"found {_describe_array(array)}; {hash_type.name} takes {', '.join(forms)}")


def _pack_scalar(value: object, position: int, hash_type: HashType) -> bytes:
    if isinstance(value, str):
        return _pack_hex(value, position, hash_type)
    if isinstance(value, bytes | bytearray | memoryview):
        return _pack_raw(bytes(value), position, hash_type)
    if _is_image_hash(value):
        return _pack_image_hash(value, position, hash_type)
    # NumPy's integers are no int, but say what integer they stand for.
    as_int: Callable[[], int] | None = getattr(value, "__index__", None)
    if as_int is not None and not isinstance(value, bool) and not is_array(value):
        return _pack_int(as_int(), position, hash_type)
    found = _describe_array(value) if is_array(value) else type(value).__name__
    raise _wrong(position, f"found {found}; pass an int, hex digits, bytes or an ImageHash")


def _pack_hex(digits: str, position: int, hash_type: HashType) -> bytes:
    expected = hash_type.width_bits // 4
    if len(digits) != expected:
        raise _wrong(position, f"found {len(digits)} characters; {hash_type.name} has {expected} hex digits")
    try:
        packed = bytes.fromhex(digits)
    except ValueError:
        packed = b""
    # bytes.fromhex skips spaces, which would make a shorter hash.
    if len(packed) != hash_type.width_bytes:
        raise _wrong(
            position, "found characters that are no hex digits; only 0-9, a-f and A-F are, without 0x or spaces"
        )
    return packed


def _pack_raw(raw: bytes, position: int, hash_type: HashType) -> bytes:
    if len(raw) != hash_type.width_bytes:
        raise _wrong(position, f"found {len(raw)} bytes; {hash_type.name} has {hash_type.width_bytes}")
    return raw


def _pack_int(value: int, position: int, hash_type: HashType) -> bytes:
    if value < 0:
        raise _wrong(
            position, f"found a negative int; add 2**{hash_type.width_bits} if it was read as a signed {hash_type.name}"
        )
    if value.bit_length() > hash_type.width_bits:
        raise _wrong(
            position, f"found an int of {value.bit_length()} bits; {hash_type.name} has at most {hash_type.width_bits}"
        )
    return value.to_bytes(hash_type.width_bytes, "big")


def _is_image_hash(value: object) -> bool:
    bits = getattr(value, "hash", None)
    return is_array(bits) and getattr(bits, "dtype", None) == "bool"


def _pack_image_hash(image_hash: Any, position: int, hash_type: HashType) -> bytes:
    if image_hash.hash.size != hash_type.width_bits:
        raise _wrong(
            position, f"found an ImageHash of {image_hash.hash.size} bits; {hash_type.name} has {hash_type.width_bits}"
        )
    return _pack_bits(image_hash.hash)


def _pack_bits(bits: Any) -> bytes:
    # int() is linear in the digits for a base that is a power of two.
    digits = bits.tobytes().translate(_BOOL_TO_DIGIT)
    return int(digits, 2).to_bytes(len(digits) // 8, "big") if digits else b""


def _describe_array(array: Any) -> str:
    return f"{array.dtype.name}[{', '.join(str(length) for length in array.shape)}]"


def _wrong(position: int, description: str) -> InvalidRequest:
    return invalid(f"hashes[{position}]", description)
