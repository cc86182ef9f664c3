"""Tell one function of a user from another, so that no job resumes or reuses the work of another one.

    settings |= {"checker": identity_of(checker)}
    settings |= own_aggregators_in("median")  # adds nothing for a built-in one: manifests keep their keys

A digest covers a function's code, its defaults and the values it closes over, also behind `functools.partial`, bound
methods and callable objects; of an object it covers the state that a pickle would hold, so that `__getstate__` can
leave out a cache. It does not cover what a function reads or calls by a global name. Another version of Python may
give another digest.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any

from prm.statistics.aggregation import aggregator_named, own_aggregators

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def identity_of(function: Any) -> str:
    """Name of a callable, and a digest of what it does: "module.name#digest"."""
    return f"{name_of(function)}#{digest_of(function)}"


def name_of(function: Any) -> str:
    """Qualified name of a function, or of a callable object's class."""
    module = getattr(function, "__module__", None) or type(function).__module__
    return f"{module}.{getattr(function, '__qualname__', type(function).__qualname__)}"


def digest_of(value: Any) -> str:
    """Digest of a value: the same in every process for the same code and state."""
    return hashlib.sha256(_written(value, ()).encode()).hexdigest()[:16]


def own_aggregators_in(*names: str) -> dict[str, Any]:
    """The setting that records the user's own aggregators among `names`, or all of them; empty if there are none."""
    own = {name: aggregator_named(name) for name in own_aggregators() if not names or name in names}
    digests = {name: digest_of((found.one, found.many, found.is_logarithm)) for name, found in own.items()}
    return {"own_aggregators": digests} if digests else {}


def _written(value: Any, outer: tuple[Any, ...]) -> str:
    """The value in full, as text; `outer`: the values it is a part of, since a function may close over itself."""
    if any(value is other for other in outer):
        return "itself"
    parts = _parts(value)
    if parts is None:
        return _ADDRESS.sub("", repr(value))
    written = [_written(part, (*outer, value)) for part in parts]
    if isinstance(value, AbstractSet):
        written.sort()  # the order of texts in a set differs between processes
    return f"{type(value).__qualname__}({', '.join(written)})"


def _parts(value: Any) -> list[Any] | None:
    """What a value consists of; None if its `repr` is to stand for it."""
    if isinstance(value, Mapping):
        return [part for item in value.items() for part in item]
    if isinstance(value, list | tuple | AbstractSet):
        return list(value)
    if isinstance(value, CodeType):
        return [value.co_code, value.co_names, value.co_consts]
    if isinstance(value, FunctionType):
        return [value.__qualname__, value.__code__, value.__defaults__, value.__kwdefaults__, _closed_over(value)]
    if isinstance(value, MethodType):
        return [value.__func__, _state(value.__self__)]
    if isinstance(value, BuiltinFunctionType):
        return [value.__name__, value.__self__]
    if isinstance(value, partial):
        return [value.func, value.args, value.keywords]
    if hasattr(value, "__wrapped__"):  # as `functools.lru_cache` leaves it
        return [value.__wrapped__]
    call = getattr(type(value), "__call__", None)  # noqa: B004  # the code, not whether there is any
    return [call, _state(value)] if isinstance(call, FunctionType) else None


def _closed_over(function: FunctionType) -> Mapping[str, Any]:
    """The values of a function's enclosing scopes, by name; without those that are not assigned yet."""
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue
    return found


def _state(owner: Any) -> tuple[Any, ...]:
    """The class of an object, and what a pickle of it would hold."""
    return (owner,) if isinstance(owner, type) else (type(owner), owner.__getstate__())
