"""Tell one function of a user from another, so that no job resumes or reuses the work of another one.

    settings |= {"checker": identity_of(checker)}
    settings |= own_aggregators_in("median")  # adds nothing for a built-in one: manifests keep their keys

A digest covers a function's code, its defaults and the values it closes over, also behind `functools.partial`, bound
methods and callable objects; of an object that does not write itself in full it covers the state that a pickle would
hold, so that `__getstate__` can leave out a cache; and of arrays and tensors every number. It does not cover what a
function reads or calls by a global name. Another version of Python may give another digest.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any

from prm.statistics.aggregation import aggregator_named, own_aggregators

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_DEEPEST = 200
"""Parts within parts that are written in full."""


def identity_of(function: Any) -> str:
    """Name of a callable, and a digest of what it does: "module.name#digest"."""
    return f"{name_of(function)}#{digest_of(function)}"


def name_of(function: Any) -> str:
    """Qualified name of a function, or of a callable object's class."""
    module = getattr(function, "__module__", None) or type(function).__module__
    return f"{module}.{getattr(function, '__qualname__', type(function).__qualname__)}"


def digest_of(value: Any) -> str:
    """Digest of a value: the same in every process for the same code and state."""
    return hashlib.sha256(_Writer().written(value, ()).encode()).hexdigest()[:16]


def own_aggregators_in(*names: str) -> dict[str, Any]:
    """The setting that records the user's own aggregators among `names`, or all of them; empty if there are none."""
    own = {name: aggregator_named(name) for name in own_aggregators() if not names or name in names}
    digests = {name: digest_of((found.one, found.many, found.is_logarithm)) for name, found in own.items()}
    return {"own_aggregators": digests} if digests else {}


class _Writer:
    """Writes a value in full, as text, and each function or object in it once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, Any]] = {}
        """The number of each function and object so far, and itself, lest its id is given again; by id."""

    def written(self, value: Any, outer: tuple[Any, ...]) -> str:
        """The text; `outer`: the values it is a part of, since a list may hold itself."""
        if id(value) in self._known:
            return f"number {self._known[id(value)][0]}"
        if any(value is other for other in outer):
            return "itself"
        text, parts = "", _parts(value)
        if parts is None:
            text, parts = _said(value)
        if parts is None or len(outer) >= _DEEPEST:
            return text or _ADDRESS.sub("", repr(value))
        if not isinstance(value, _VALUES):
            self._known[id(value)] = len(self._known), value
        written = [self.written(part, (*outer, value)) for part in parts]
        if isinstance(value, AbstractSet):
            written.sort()  # the order of texts in a set differs between processes
        return f"{text}{type(value).__qualname__}({', '.join(written)})"


_VALUES = (Mapping, list, tuple, AbstractSet, CodeType)
"""What is told by its parts alone, and may be there twice or be the same one in two places."""


def _said(value: Any) -> tuple[str, list[Any] | None]:
    """The `repr` of a value, and the state of an object that writes its address in place of it."""
    text = repr(value)
    if isinstance(value, str | bytes) or not _ADDRESS.search(text):
        return text, None
    try:
        return _ADDRESS.sub("", text), list(_state(value))
    except Exception:  # of a user's class, such as "cannot be pickled"
        return _ADDRESS.sub("", text), None


def _parts(value: Any) -> list[Any] | None:
    """What a value consists of; None if it writes itself."""
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
    return _parts_of_object(value)


def _parts_of_object(value: Any) -> list[Any] | None:
    """The same for what is no function and no collection of Python's own."""
    if isinstance(value, re.Pattern):  # writes its beginning
        return [value.pattern, value.flags]
    if (numbers := _numbers(value)) is not None:
        return numbers
    call = getattr(type(value), "__call__", None)  # noqa: B004  # the code, not whether there is any
    if isinstance(call, FunctionType):
        return [call, _state(value)]
    if is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name) for field in fields(value) if field.repr]
    return None


def _numbers(value: Any) -> list[Any] | None:
    """Type, shape and numbers of an array of numpy or a tensor of torch; None for anything else."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None and isinstance(value, numpy.ndarray):
        held = value.tolist() if value.dtype.hasobject else hashlib.sha256(value.tobytes()).hexdigest()
        return [value.dtype, value.shape, held]
    if torch is not None and isinstance(value, torch.Tensor) and value.layout == torch.strided and not value.is_meta:
        held = value.detach().cpu().resolve_conj().resolve_neg().reshape(-1).view(torch.uint8).numpy()
        return [value.dtype, value.shape, hashlib.sha256(held.tobytes()).hexdigest()]
    return None


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
