"""Patches of Python by its syntax tree: layout, quotes and comments don't count."""

import ast
from collections.abc import Iterator
from typing import TypeAlias

Scope: TypeAlias = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def scope_of(module: ast.Module, name: str) -> Scope:
    """Find a class or function by its dotted name, "" for the module; LookupError if none is."""
    scope: Scope = module
    for part in filter(None, name.split(".")):
        found = [one for one in _scopes_in(scope) if one.name == part]
        if len(found) != 1:
            raise LookupError(f"{len(found)} functions or classes are named {part}, of {name}")
        scope = found[0]
    return scope


def patched(source: str, name: str, old: str, new: str) -> str:
    """
    Replace the one place in a function where its code reads like `old`.

    Both are expressions, or both are statements, of which `new` may be "" for none; or both are
    patterns, as `case X`. Raises LookupError unless there is one such place.
    """
    module = ast.parse(source)
    wanted, given = _parsed(old, new)
    places = list(_places(scope_of(module, name), wanted))
    if len(places) != 1:
        raise LookupError(f"{name or 'the module'} holds {len(places)} times, not once: {old}")
    parent, field, start = places[0]
    held = getattr(parent, field)
    if isinstance(held, list):
        held[start : start + len(wanted)] = given
    else:
        setattr(parent, field, given[0])
    return ast.unparse(ast.fix_missing_locations(module))


def _scopes_in(scope: Scope) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(scope):
        if node is scope:
            continue
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _parsed(old: str, new: str) -> tuple[list[ast.AST], list[ast.AST]]:
    if old.startswith("case "):
        return [_pattern(old)], [_pattern(new)]
    wanted, given = ast.parse(old).body, ast.parse(new).body
    match wanted, given:
        case [ast.Expr(value=expression)], [ast.Expr(value=instead)]:
            return [expression], [instead]
    return [*wanted], [*given] or [ast.Pass()]


def _pattern(head: str) -> ast.AST:
    (statement,) = ast.parse(f"match _:\n {head}: pass").body
    assert isinstance(statement, ast.Match)
    return statement.cases[0].pattern


def _places(scope: Scope, wanted: list[ast.AST]) -> Iterator[tuple[ast.AST, str, int]]:
    texts = [ast.dump(node) for node in wanted]
    for parent in ast.walk(scope):
        for field, value in ast.iter_fields(parent):
            nodes = value if isinstance(value, list) else [value]
            dumped = [ast.dump(node) if isinstance(node, ast.AST) else None for node in nodes]
            for start in range(len(nodes) - len(wanted) + 1):
                if dumped[start : start + len(wanted)] == texts:
                    yield parent, field, start
