"""Files and functions stay small: without a gate, size only grows."""

import ast
from collections.abc import Iterator

FILE_LINES = 400
FUNCTION_LINES = 80
FUNCTION_LINES_P90 = 30
PARAMETERS = 8


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def parameters_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    given = function.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in {"self", "cls"}])


def percentile(values: list[int], share: float) -> int:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0


def all_functions(repository):
    for path, text in repository.python.items():
        for function in functions(ast.parse(text)):
            yield f"{path}:{function.lineno} {function.name}", function


def test_no_file_is_longer_than_it_can_be_read(repository):
    lengths = {path: text.count("\n") for path, text in repository.python.items()}

    assert {path: lines for path, lines in lengths.items() if lines > FILE_LINES} == {}


def test_no_function_is_longer_than_a_screen(repository):
    lengths = {name: lines_of(function) for name, function in all_functions(repository)}

    assert {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES} == {}


def test_nine_of_ten_functions_are_short(repository):
    lengths = [lines_of(function) for tree in repository.source.values() for function in functions(tree)]

    assert percentile(lengths, 0.9) <= FUNCTION_LINES_P90


def test_no_function_takes_more_parameters_than_a_reader_can_hold(repository):
    counts = {name: parameters_of(function) for name, function in all_functions(repository)}

    assert {name: count for name, count in counts.items() if count > PARAMETERS} == {}


def test_the_measures_see_a_function_that_is_too_big():
    body = "\n".join(f"    x{number} = {number}" for number in range(81))
    (function,) = functions(ast.parse(f"async def long(self, a, /, b, *, c):\n{body}\n"))

    assert lines_of(function) == 82
    assert parameters_of(function) == 3
    assert percentile([1] * 8 + [31, 90], 0.9) == 90
