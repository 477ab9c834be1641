"""Rehearsal: what the engine itself makes of a grammar, tried where it can be killed.

llama.cpp has a grammar compiler of its own in it, of another version than the package that checks schemas: it writes out what the
other does not, and takes less. It compiles in the thread that all answers come from, and where it cannot it goes on without the
grammar. So its compiler is called here first, by its C interface (llguidance's `llguidance.h`), on a vocabulary of single bytes.
"""

from __future__ import annotations

import ctypes
import importlib.util
from pathlib import Path
from typing import Any, Final

_STEPS: Final = 24
_END: Final = 256
_REASON: Final = 300
_SPARE: Final = 1024
"""Bytes for a structure that the library fills in: far more than any version of it has."""


class _Vocabulary(ctypes.Structure):
    """LlgTokenizerInit, and room for what later versions add."""

    _fields_ = (
        ("vocab_size", ctypes.c_uint32),
        ("tok_eos", ctypes.c_uint32),
        ("token_lens", ctypes.POINTER(ctypes.c_uint32)),
        ("token_bytes", ctypes.c_char_p),
        ("tokenizer_json", ctypes.c_char_p),
        ("tokenize_assumes_string", ctypes.c_bool),
        ("tokenize_fn", ctypes.c_void_p),
        ("use_approximate_greedy_tokenize_fn", ctypes.c_bool),
        ("tokenize_user_data", ctypes.c_void_p),
        ("slices", ctypes.c_void_p),
        ("later", ctypes.c_uint64 * 16),
    )


class Rehearsal:
    """The engine's compiler. Made once a process; a grammar that kills it kills the process."""

    def __init__(self) -> None:
        self._library = _library()
        self._setting = ctypes.create_string_buffer(_SPARE)
        if self._library is not None:
            self._library.llg_constraint_init_set_defaults(self._setting, _vocabulary(self._library))

    def fault(self, grammar: str) -> str:
        """Give the reason why the engine would not decode by `grammar` (Lark); "" where it would, or cannot be asked."""
        library = self._library
        if library is None:
            return ""
        matcher = library.llg_new_matcher(self._setting, b"lark", grammar.encode())
        try:
            return _walked(library, matcher)
        finally:
            library.llg_free_matcher(matcher)


def _walked(library: Any, matcher: int) -> str:
    """Take some steps through the grammar: its first masks are computed as the engine would."""
    for step in range(_STEPS):
        if reason := library.llg_matcher_get_error(matcher):
            return " ".join(reason.decode(errors="replace").partition("<state>")[0].split())[:_REASON]
        if library.llg_matcher_compute_mask(matcher) != 0:
            continue
        mask = library.llg_matcher_get_mask(matcher)
        allowed = [byte for byte in range(_END) if mask[byte // 32] >> (byte % 32) & 1]
        if not allowed or library.llg_matcher_is_stopped(matcher):
            break
        # Now the one, now the other end of what is allowed: texts go on, and end.
        library.llg_matcher_consume_token(matcher, allowed[(step * 7) % len(allowed)])
    return ""


def _library() -> Any:
    spec = importlib.util.find_spec("xllamacpp")
    if spec is None or spec.origin is None:
        return None
    for file in Path(spec.origin).parent.glob("*.so"):
        library = ctypes.CDLL(str(file))
        if hasattr(library, "llg_new_matcher"):
            return _declared(library)
    return None


def _declared(library: Any) -> Any:
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint32
    library.llg_new_tokenizer.argtypes, library.llg_new_tokenizer.restype = (pointer, text, ctypes.c_size_t), pointer
    library.llg_constraint_init_set_defaults.argtypes = (pointer, pointer)
    library.llg_new_matcher.argtypes, library.llg_new_matcher.restype = (pointer, text, text), pointer
    library.llg_free_matcher.argtypes = (pointer,)
    library.llg_matcher_get_error.argtypes, library.llg_matcher_get_error.restype = (pointer,), text
    library.llg_matcher_compute_mask.argtypes = (pointer,)
    library.llg_matcher_is_stopped.argtypes, library.llg_matcher_is_stopped.restype = (pointer,), ctypes.c_bool
    library.llg_matcher_get_mask.argtypes = (pointer,)
    library.llg_matcher_get_mask.restype = ctypes.POINTER(ctypes.c_uint32)
    library.llg_matcher_consume_token.argtypes = (pointer, number)
    return library


def _vocabulary(library: Any) -> int:
    tokens = [bytes([byte]) for byte in range(_END)] + [b"\xff<end>"]
    lengths = (ctypes.c_uint32 * len(tokens))(*map(len, tokens))
    wanted = _Vocabulary(
        vocab_size=len(tokens),
        tok_eos=_END,
        token_lens=lengths,
        token_bytes=b"".join(tokens),
        use_approximate_greedy_tokenize_fn=True,
    )
    reason = ctypes.create_string_buffer(_REASON)
    made: int | None = library.llg_new_tokenizer(ctypes.byref(wanted), reason, _REASON)
    if made is None:
        msg = f"The engine's grammar compiler cannot be asked: {reason.value.decode(errors='replace')}"
        raise RuntimeError(msg)
    return made
