# mypy: disable-error-code="call-arg, no-untyped-call"
# (Numba passes the first argument of an intrinsic itself; its own code has no types.)
"""Machine instructions that Numba lacks, generated as LLVM's own intrinsics for whatever CPU it compiles for."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

__all__ = ["LANES", "LINE", "near_lanes", "popcount", "prefetch"]

LINE = 16
"""uint32 values per cache line."""
LANES = 32
"""uint32 values compared at once: two cache lines, and two registers of AVX-512 or four of AVX2."""


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


def _address(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """Return the address of args[0][args[1]], unchecked."""
    data = context.make_array(signature.args[0])(context, builder, args[0]).data
    return builder.gep(data, [args[1]])


def _splat(builder: Any, lanes: Any, value: Any) -> Any:
    low = builder.trunc(value, lanes.element)
    first = builder.insert_element(ir.Constant(lanes, ir.Undefined), low, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, first, zeros)
