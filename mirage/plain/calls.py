"""Makes a plain method of an asynchronous one, with the same parameters and documentation."""

import functools
import inspect
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from mirage.plain.loop import LOOP

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C")
W = TypeVar("W")


class Waiter(Protocol):
    """Something that can be waited for, with a progress bar."""

    def wait(self, progress: bool | None = None) -> Any:
        """Waits for its end."""
        ...


L = TypeVar("L", bound=Waiter)


class Plain(Generic[C]):
    """Stands for an asynchronous object and calls its methods."""

    def __init__(self, core: C) -> None:
        self._core = core


class Blocking(Generic[P, R]):
    """A method that calls the asynchronous object's and waits for its answer."""

    def __init__(self, method: Callable[..., Any], call: Callable[..., R]) -> None:
        self._method = method
        self._call = call
        self.__doc__ = method.__doc__
        self.__wrapped__ = method  # where help() and notebooks find the parameters

    def __call__(self, instance: Plain[Any], /, *arguments: P.args, **options: P.kwargs) -> R:
        """Calls it as a function of the object, as `Client.generate(client, …)`."""
        return self.__get__(instance, type(instance))(*arguments, **options)

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Plain[Any], owner: type) -> Callable[P, R]: ...
    def __get__(self, instance: Plain[Any] | None, owner: type) -> Self | Callable[P, R]:
        if instance is None:
            return self
        method = self._method.__get__(instance._core)  # noqa: SLF001 -- this is the instance's own method

        @functools.wraps(method)
        def bound(*arguments: P.args, **options: P.kwargs) -> R:
            try:
                inspect.signature(method).bind(*arguments, **options)
            except TypeError as error:  # told of what was called, which isn't the asynchronous one
                raise TypeError(f"{type(instance).__name__}.{self._method.__name__}(): {error}") from None
            return self._call(method, *arguments, **options)

        return bound


@overload
def blocking(method: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]) -> Blocking[P, R]: ...
@overload
def blocking(
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, C]], wrap: Callable[[C], W]
) -> Blocking[P, W]: ...
def blocking(method: Callable[..., Coroutine[Any, Any, Any]], wrap: Callable[[Any], Any] | None = None) -> Any:
    """Returns the plain form of an asynchronous method; `wrap` makes the plain form of what it returns."""

    def call(bound: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any, **options: Any) -> Any:
        answer = LOOP.call(partial(bound, *arguments, **options))
        return answer if wrap is None else wrap(answer)

    return Blocking(method, call)


def waiting(
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, C]],
    wrap: Callable[[C], L],
    attended: Callable[[C], L] | None = None,
) -> Blocking[P, L]:
    """Returns the plain form of a method with `wait` and `progress`; the calling thread waits and draws.

    `attended` makes what is waited for, where that is another thing than what is returned.
    """

    def call(bound: Callable[..., Coroutine[Any, Any, C]], *arguments: Any, **options: Any) -> L:
        wait = options.pop("wait", True)
        started = LOOP.call(partial(bound, *arguments, wait=False, **options))
        if wait:
            (attended or wrap)(started).wait(options.get("progress"))
        return wrap(started)

    return Blocking(method, call)


def each(wrap: Callable[[C], W]) -> Callable[[list[C]], list[W]]:
    """Returns what makes the plain form of a list."""
    return lambda items: [wrap(item) for item in items]
