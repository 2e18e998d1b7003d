"""Refuse ONNX files that reach outside themselves, before a backend sees them.

The runtime has no `onnx` package, so this reads the protobuf wire format directly: just enough of it to walk
every message of a model that can hold an operator or a tensor. External data is refused wherever a tensor can
hide (initialisers, attributes, sparse tensors, subgraphs, functions, training graphs), and so are compiled code
and every operator domain other than the standard one and `com.microsoft`.
"""

from __future__ import annotations

from collections.abc import Iterator

from samuel_runtime.errors import UserError

DOMAINS = frozenset({"", "ai.onnx", "com.microsoft"})
COMPILED = "EPContext"
"""The `com.microsoft` operator that loads code compiled for a device, from inside the model or from any file."""

_DEEPEST = 64  # real graphs nest two or three levels; a bomb nests thousands

# onnx.proto3: message -> field number -> message to walk into.
_CHILDREN = {
    "Model": {7: "Graph", 8: "OperatorSet", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Function": {7: "Node", 9: "OperatorSet", 11: "Attribute"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "OperatorSet": {},
    "Tensor": {},
}
_DOMAIN_FIELD = {"Node": 7, "OperatorSet": 1, "Function": 10}
_OPERATOR_FIELD = {"Node": 4}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # of a Tensor

_LARGEST_NUMBER = (1 << 29) - 1  # readers disagree on tags beyond 32 bits, so a field could hide behind one

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MORE = 0x80  # the bit of a byte that says that another belongs to its number


def check_onnx(model: bytes, name: str) -> None:
    """Raise if the model refers to anything outside its own bytes and the standard operators.

    Args:
        model: the whole file.
        name: what to call it in the message.

    Raises:
        UserError: not an ONNX model, external data, compiled code, or a foreign operator domain.
    """
    view = memoryview(model)
    try:
        numbers = {number for number, _, _ in _fields(view)}
        if 7 not in numbers:
            raise _MalformedError("it has no graph")
        _walk(view, "Model", name, 0)
    except _MalformedError as error:
        raise UserError(f"{name}: is not an ONNX model ({error}); export the bundle again") from error


class _MalformedError(Exception):
    pass


def _walk(message: memoryview, kind: str, name: str, depth: int) -> None:
    if depth > _DEEPEST:
        raise _MalformedError("it nests too deeply")
    children, domain_field, operator_field = _CHILDREN[kind], _DOMAIN_FIELD.get(kind), _OPERATOR_FIELD.get(kind)
    for number, wire, value in _fields(message):
        if number == domain_field:
            domain = _text(wire, value)
            if domain not in DOMAINS:
                raise UserError(
                    f"{name}: uses operators of the domain {domain[:60]!r}; only standard ONNX and "
                    "com.microsoft operators are run, so export the bundle again"
                )
        elif number == operator_field and _text(wire, value) == COMPILED:
            raise UserError(
                f"{name}: holds code compiled for a device ({COMPILED}), which is refused; "
                "export the bundle again, as plain ONNX"
            )
        elif kind == "Tensor" and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0)):
            raise UserError(
                f"{name}: keeps weights in another file (external data), which is refused; "
                "export the bundle again, with its weights inside"
            )
        elif number in children:
            _walk(_bytes(wire, value), children[number], name, depth + 1)


def _bytes(wire: int, value: int | memoryview) -> memoryview:
    if wire != _BYTES or not isinstance(value, memoryview):
        raise _MalformedError("a field has the wrong type")
    return value


def _text(wire: int, value: int | memoryview) -> str:
    return _bytes(wire, value).tobytes().decode("utf-8", "replace")


def _fields(message: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """(field number, wire type, value) of every field; lengths are checked before they are used.

    Nearly all tags and most lengths are numbers of one byte, which are read here: every start walks a whole bundle.
    """
    position, end = 0, len(message)
    while position < end:
        tag = message[position]
        position += 1
        if tag >= _MORE:
            tag, position = _varint(message, position - 1)
        number, wire = tag >> 3, tag & 7
        if not 0 < number <= _LARGEST_NUMBER:
            raise _MalformedError("it is not protobuf")
        if wire == _VARINT:
            value, position = _varint(message, position)
            yield number, wire, value
            continue
        if wire == _BYTES:
            if position < end and (size := message[position]) < _MORE:
                position += 1
            else:
                size, position = _varint(message, position)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise _MalformedError("it is not protobuf")
        if size > end - position:
            raise _MalformedError("it is cut short or not protobuf")
        yield number, wire, message[position : position + size]
        position += size


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            break
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < _MORE:
            return value, position
    raise _MalformedError("it is cut short or not protobuf")
