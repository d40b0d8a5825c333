"""Machine code of small functions on numbers and arrays, by llvmlite alone: 0.3 s from their text to the first call.

numba, which llvmlite comes with, takes far more of Python, but 0.7 s to be imported, and seconds where it compiles.
Here a function is Python of few words:

    int, float           of 64 bits; whole numbers wrap around, and `>>` takes them for unsigned ones
    Bytes, Ints, Floats  arrays of one dimension, contiguous: uint8, int64, float64; no index is checked nor negative
    statements           assignments, `while`, `for ... in range(...)`, `if`, `return`, `break`, `continue`
    expressions          + - * & | ^ << >>, / of floats, comparisons, and, or, not, float(n); `x if c else y` has both
                         sides computed
    calls                of the helpers it is compiled with, and of WORDS, which Python itself lacks

A variable has the type of what it is first given. A name from outside the function is a whole number.
"""

from __future__ import annotations

import ast
import ctypes
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import binding, ir

BIT, BYTE, WORD, WIDE, REAL = ir.IntType(1), ir.IntType(8), ir.IntType(64), ir.IntType(128), ir.DoubleType()
KINDS = {"int": WORD, "float": REAL, "bool": BIT}
ELEMENTS = {"Bytes": (BYTE, np.uint8), "Ints": (WORD, np.int64), "Floats": (REAL, np.float64)}
CTYPES: dict[str, Any] = {"int": ctypes.c_int64, "float": ctypes.c_double}
OF_INTS: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.LShift: "shl",
    ast.RShift: "lshr",
    ast.BitAnd: "and_",
    ast.BitOr: "or_",
    ast.BitXor: "xor",
}
OF_FLOATS: dict[type[ast.operator], str] = {ast.Add: "fadd", ast.Sub: "fsub", ast.Mult: "fmul", ast.Div: "fdiv"}
SIGNS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}


class NotCompiled(SyntaxError):
    """A function has a word that this compiler does not take."""


def compiled(function: Callable[..., Any], *helpers: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function; threads may call it side by side, and Python goes on meanwhile.

    helpers: functions that it calls, or that a later one calls.

    Raises:
        NotCompiled: it has a word that is not known here.
    """
    module = ir.Module()
    known: dict[str, ir.Function] = {}
    for each in (*helpers, function):
        known[each.__name__] = _Compiler(module, known, each).code
        known[each.__name__].linkage = "external" if each is function else "internal"
    engine, address = _linked(str(module), function.__name__)
    signature = inspect.signature(function)
    kinds = [str(each.annotation) for each in signature.parameters.values()]
    types = [CTYPES.get(kind, ctypes.c_void_p) for kind in kinds]
    call = ctypes.CFUNCTYPE(CTYPES.get(str(signature.return_annotation)), *types)(address)

    def run(*given: Any) -> Any:
        assert engine is not None  # the code is its
        return call(*(_passed(value, kind) for value, kind in zip(given, kinds, strict=True)))

    return run


def _passed(value: Any, kind: str) -> Any:
    if kind not in ELEMENTS:
        return value
    assert value.dtype == ELEMENTS[kind][1] and value.flags.c_contiguous, f"must be {kind}, but is {value.dtype}"
    return value.ctypes.data


def _linked(text: str, name: str) -> tuple[Any, int]:
    """Optimise a module and link it into this process; return its engine, and the address of a function."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    module = binding.parse_assembly(text)
    machine = binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), features=binding.get_host_cpu_features().flatten(), opt=2
    )
    options = binding.create_pipeline_tuning_options(speed_level=2)
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    engine = binding.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    return engine, engine.get_function_address(name)


class _Compiler:
    """Writes one function into a module, as LLVM's code."""

    def __init__(self, module: ir.Module, known: dict[str, ir.Function], function: Callable[..., Any]) -> None:
        self.known, self.outside = known, function.__globals__
        tree = ast.parse(inspect.getsource(function)).body[0]
        assert isinstance(tree, ast.FunctionDef)
        kinds = {each.arg: ast.unparse(each.annotation) for each in tree.args.args if each.annotation}
        types = [KINDS[kind] if kind in KINDS else ELEMENTS[kind][0].as_pointer() for kind in kinds.values()]
        returned = KINDS.get(ast.unparse(tree.returns) if tree.returns else "", ir.VoidType())
        self.code = ir.Function(module, ir.FunctionType(returned, types), name=tree.name)
        self.entry = ir.IRBuilder(self.code.append_basic_block())
        begin = self.code.append_basic_block()
        self.builder = ir.IRBuilder(begin)
        self.places: dict[str, tuple[Any, Any]] = {}  # variable -> where it lies, its type
        self.arrays: dict[str, tuple[Any, Any]] = {}  # array -> where it begins, type of its elements
        self.loops: list[tuple[Any, Any]] = []  # of each loop around: blocks at which it goes on, and behind it
        for (name, kind), value in zip(kinds.items(), self.code.args, strict=True):
            if kind in ELEMENTS:
                value.add_attribute("noalias")
                self.arrays[name] = value, ELEMENTS[kind][0]
            else:
                self._store(name, value)
        self._all(tree.body)
        if not self.builder.block.is_terminated:
            self.builder.ret_void() if isinstance(returned, ir.VoidType) else self.builder.unreachable()
        self.entry.branch(begin)

    def _unknown(self, node: ast.AST) -> Any:
        raise self._not_known(node)

    def _not_known(self, node: ast.AST) -> NotCompiled:
        return NotCompiled(f"{self.code.name}: {ast.unparse(node)}")

    # ---------------------------------------------------------------- statements

    def _all(self, statements: list[ast.stmt]) -> None:
        for each in statements:
            if not self.builder.block.is_terminated:
                getattr(self, f"_{type(each).__name__.lower()}", self._unknown)(each)

    def _store(self, name: str, value: Any) -> None:
        if name not in self.places:
            self.places[name] = self.entry.alloca(value.type), value.type
        self.builder.store(value, self.places[name][0])

    def _assign(self, node: ast.Assign) -> None:
        target, value = node.targets[0], self._value(node.value)
        if isinstance(target, ast.Name):
            self._store(target.id, value)
        elif isinstance(target, ast.Subscript):
            place, kind = self._element(target)
            self.builder.store(self.builder.trunc(value, kind) if kind is BYTE else value, place)
        else:
            self._unknown(node)

    def _augassign(self, node: ast.AugAssign) -> None:
        self._assign(ast.Assign([node.target], ast.BinOp(node.target, node.op, node.value)))

    def _expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring
            self._value(node.value)

    def _return(self, node: ast.Return) -> None:
        self.builder.ret_void() if node.value is None else self.builder.ret(self._value(node.value))

    def _if(self, node: ast.If) -> None:
        yes, no, after = (self.code.append_basic_block() for _ in range(3))
        self.builder.cbranch(self._value(node.test), yes, no)
        self._block(yes, node.body, after)
        self._block(no, node.orelse, after)
        self.builder.position_at_end(after)

    def _while(self, node: ast.While) -> None:
        test, body, after = (self.code.append_basic_block() for _ in range(3))
        self.builder.branch(test)
        self.builder.position_at_end(test)
        self.builder.cbranch(self._value(node.test), body, after)
        self._loop(body, node.body, test, after)

    def _for(self, node: ast.For) -> None:
        bounds = node.iter.args if isinstance(node.iter, ast.Call) and ast.unparse(node.iter.func) == "range" else []
        if not isinstance(node.target, ast.Name) or not 1 <= len(bounds) <= 2:
            raise self._not_known(node)
        name, end = node.target.id, self._value(bounds[-1])
        self._store(name, self._value(bounds[0]) if len(bounds) == 2 else WORD(0))
        test, body, step, after = (self.code.append_basic_block() for _ in range(4))
        self.builder.branch(test)
        self.builder.position_at_end(test)
        self.builder.cbranch(self.builder.icmp_signed("<", self._of_name(ast.Name(name)), end), body, after)
        self.builder.position_at_end(step)
        self._store(name, self.builder.add(self._of_name(ast.Name(name)), WORD(1)))
        self.builder.branch(test)
        self._loop(body, node.body, step, after)

    def _loop(self, body: Any, statements: list[ast.stmt], again: Any, after: Any) -> None:
        self.loops.append((again, after))
        self._block(body, statements, again)
        self.loops.pop()
        self.builder.position_at_end(after)

    def _block(self, block: Any, statements: list[ast.stmt], after: Any) -> None:
        self.builder.position_at_end(block)
        self._all(statements)
        if not self.builder.block.is_terminated:
            self.builder.branch(after)

    def _continue(self, node: ast.Continue) -> None:
        self.builder.branch(self.loops[-1][0])

    def _break(self, node: ast.Break) -> None:
        self.builder.branch(self.loops[-1][1])

    # ---------------------------------------------------------------- expressions

    def _value(self, node: ast.expr) -> Any:
        return getattr(self, f"_of_{type(node).__name__.lower()}", self._unknown)(node)

    def _of_constant(self, node: ast.Constant) -> Any:
        if type(node.value) not in (int, float):
            return self._unknown(node)
        return _word(node.value) if type(node.value) is int else REAL(node.value)

    def _of_name(self, node: ast.Name) -> Any:
        if node.id in self.places:
            return self.builder.load(self.places[node.id][0], typ=self.places[node.id][1])
        value = self.outside.get(node.id)
        return _word(value) if type(value) is int else self._unknown(node)

    def _of_binop(self, node: ast.BinOp) -> Any:
        one, other = self._value(node.left), self._value(node.right)
        names = OF_INTS if one.type == WORD else OF_FLOATS
        if one.type != other.type or type(node.op) not in names:
            return self._unknown(node)
        return getattr(self.builder, names[type(node.op)])(one, other)

    def _of_unaryop(self, node: ast.UnaryOp) -> Any:
        value = self._value(node.operand)
        if isinstance(node.op, ast.USub):
            return self.builder.fneg(value) if value.type == REAL else self.builder.neg(value)
        return self.builder.not_(value) if isinstance(node.op, ast.Not) else self._unknown(node)

    def _of_compare(self, node: ast.Compare) -> Any:
        found, one = None, self._value(node.left)
        for operator, right in zip(node.ops, node.comparators, strict=True):
            other = self._value(right)
            if one.type != other.type or type(operator) not in SIGNS:
                return self._unknown(node)
            compare = self.builder.icmp_signed if one.type == WORD else self._compare_floats
            holds, one = compare(SIGNS[type(operator)], one, other), other
            found = holds if found is None else self.builder.and_(found, holds)
        return found

    def _compare_floats(self, sign: str, one: Any, other: Any) -> Any:
        return (self.builder.fcmp_unordered if sign == "!=" else self.builder.fcmp_ordered)(sign, one, other)

    def _of_boolop(self, node: ast.BoolOp) -> Any:
        """What comes later is looked at only where it matters, as in Python."""
        after, found = self.code.append_basic_block(), []
        for each in node.values:
            value, more = self._value(each), self.code.append_basic_block()
            found.append((value, self.builder.block))
            yes, no = (more, after) if isinstance(node.op, ast.And) else (after, more)
            self.builder.cbranch(value, yes, no)
            self.builder.position_at_end(more)
        self.builder.branch(after)
        self.builder.position_at_end(after)
        chosen = self.builder.phi(BIT)
        for value, block in [*found, (found[-1][0], more)]:
            chosen.add_incoming(value, block)
        return chosen

    def _of_ifexp(self, node: ast.IfExp) -> Any:
        return self.builder.select(self._value(node.test), self._value(node.body), self._value(node.orelse))

    def _element(self, node: ast.Subscript) -> tuple[Any, Any]:
        array, kind = self.arrays[ast.unparse(node.value)]
        return self.builder.gep(array, [self._value(node.slice)], source_etype=kind), kind

    def _of_subscript(self, node: ast.Subscript) -> Any:
        place, kind = self._element(node)
        value = self.builder.load(place, typ=kind)
        return self.builder.zext(value, WORD) if kind is BYTE else value

    def _of_call(self, node: ast.Call) -> Any:
        name = ast.unparse(node.func)
        if name == "eight":  # bytes of an array, from a place on, as one whole number
            array, _ = self.arrays[ast.unparse(node.args[0])]
            place = self.builder.gep(array, [self._value(node.args[1])], source_etype=BYTE)
            place = self.builder.bitcast(place, WORD.as_pointer())
            return self.builder.load(place, align=1, typ=WORD)
        given = [
            self.arrays[each.id][0] if isinstance(each, ast.Name) and each.id in self.arrays else self._value(each)
            for each in node.args
        ]
        if name in self.known:
            return self.builder.call(self.known[name], given)
        return WORDS[name](self.builder, *given) if name in WORDS else self._unknown(node)


def _word(value: int) -> Any:
    return WORD(value - (1 << 64) if value >> 63 else value)


def _high(builder: ir.IRBuilder, one: Any, other: Any) -> Any:
    product = builder.mul(builder.zext(one, WIDE), builder.zext(other, WIDE))
    return builder.trunc(builder.lshr(product, WIDE(64)), WORD)


# What Python has no word for; whole numbers are unsigned in them.
WORDS: dict[str, Callable[..., Any]] = {
    "float": lambda builder, value: builder.sitofp(value, REAL),
    "high": _high,  # the upper half of a product of 128 bits
    "below": lambda builder, one, other: builder.icmp_unsigned("<", one, other),
    "leading_zeros": lambda builder, value: builder.ctlz(value, BIT(0)),
    "trailing_zeros": lambda builder, value: builder.cttz(value, BIT(0)),
    "bits": lambda builder, value: builder.bitcast(value, WORD),  # those of a float
    "of_bits": lambda builder, value: builder.bitcast(value, REAL),
}
