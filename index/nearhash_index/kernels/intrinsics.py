# mypy: disable-error-code="call-arg, no-untyped-call"
# (Numba passes the first argument of an intrinsic itself; its own code has no types.)
"""Machine instructions that Numba lacks, generated as LLVM's own intrinsics for whatever CPU it compiles for."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from nearhash_index.cache_lines import LANES

__all__ = ["array_at", "near_lanes", "planes_at", "popcount", "prefetch", "room_at"]


@intrinsic
def popcount(_context: Any, x: Any) -> Any:
    """Count the set bits, in the width of x."""
    return x(x), lambda _context, builder, _signature, args: builder.ctpop(args[0])


@intrinsic
def prefetch(_context: Any, array: Any, index: Any) -> Any:
    """Start to load the cache line of array[index]. The index may lie outside."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        i32 = ir.IntType(32)
        address = builder.bitcast(_address(context, builder, signature, args), cgutils.voidptr_t)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, i32, i32, i32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [address, i32(0), i32(3), i32(1)])
        return context.get_dummy_value()

    return types.void(array, index), generate


@intrinsic
def near_lanes(_context: Any, array: Any, index: Any, value: Any, bound: Any) -> Any:
    """Compare the LANES values from array[index] on with one value.

    Bit k of the uint32 returned tells whether popcount(array[index + k] ^ value) <= bound. The array is uint32, all
    other arguments are uint64, of which value and bound count with their low 32 bits.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = ir.VectorType(ir.IntType(32), LANES)
        address = builder.bitcast(_address(context, builder, signature, args), lanes.as_pointer())
        values = builder.load(address, align=4)
        difference = builder.xor(values, _splat(builder, lanes, args[2]))
        count = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(lanes, [lanes]), f"llvm.ctpop.v{LANES}i32"
        )
        near = builder.icmp_unsigned("<=", builder.call(count, [difference]), _splat(builder, lanes, args[3]))
        return builder.bitcast(near, ir.IntType(LANES))

    return types.uint32(array, index, value, bound), generate


@intrinsic
def array_at(_context: Any, address: Any, shape: Any, like: Any) -> Any:
    """Return the C-contiguous, read-only array of the dtype of `like` that lies at an address. It owns nothing."""
    return _array_at(types.Array(like, len(shape), "C", readonly=True), address, shape, like)


@intrinsic
def room_at(_context: Any, address: Any, shape: Any, like: Any) -> Any:
    """Return what `array_at` does, to be written to."""
    return _array_at(types.Array(like, len(shape), "C"), address, shape, like)


@intrinsic
def planes_at(_context: Any, address: Any, size: Any, like: Any) -> Any:
    """Return a tuple of read-only arrays of `size` items each, one after the other, as many as `like` has items."""
    kind = types.Array(like.dtype, 1, "C", readonly=True)

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        address, size, _ = args
        item_bytes = ir.Constant(size.type, context.get_abi_sizeof(context.get_data_type(kind.dtype)))
        planes = []
        for _ in range(len(like)):
            planes.append(_view(context, builder, kind, address, [size]))
            address = builder.add(address, builder.mul(size, item_bytes))
        return context.make_tuple(builder, types.UniTuple(kind, len(like)), planes)

    return types.UniTuple(kind, len(like))(address, size, like), generate


def _array_at(kind: Any, address: Any, shape: Any, like: Any) -> Any:
    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return _view(context, builder, kind, args[0], cgutils.unpack_tuple(builder, args[1]))

    return kind(address, shape, like), generate


def _view(context: Any, builder: Any, kind: Any, address: Any, shape: list[Any]) -> Any:
    """Make an array of a memory that something else keeps."""
    item = context.get_data_type(kind.dtype)
    size = context.get_constant(types.intp, context.get_abi_sizeof(item))
    strides = [size] if len(shape) == 1 else [builder.mul(shape[1], size), size]
    array = context.make_array(kind)(context, builder)
    data = builder.inttoptr(address, item.as_pointer())
    populate_array(array, data=data, shape=shape, strides=strides, itemsize=size, meminfo=None)
    return array._getvalue()


def _address(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """Return the address of args[0][args[1]], unchecked."""
    data = context.make_array(signature.args[0])(context, builder, args[0]).data
    return builder.gep(data, [args[1]])


def _splat(builder: Any, lanes: Any, value: Any) -> Any:
    low = builder.trunc(value, lanes.element)
    first = builder.insert_element(ir.Constant(lanes, ir.Undefined), low, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, first, zeros)
