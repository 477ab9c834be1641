"""Unpacks the test suites out of the packages that scripts/setup-suites.sh fetched: `unpack_suites.py PACKAGES TARGET`.

Only JSON files of the two folders are written, by names that stay below the target. Standard library only.
"""

import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

SUITE = "json"
SCHEMAS = "check_jsonschema/builtin_schemas/vendor"


def suite_files(packages: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The official suite, out of jsonschema's source distribution."""
    with tarfile.open(next(packages.glob("jsonschema-*.tar.gz"))) as archive:
        for member in archive:
            path = PurePosixPath(*PurePosixPath(member.name).parts[1:])
            file = archive.extractfile(member) if member.isfile() and path.is_relative_to(SUITE) else None
            if file is not None:
                yield PurePosixPath("json-schema-test-suite") / path.relative_to(SUITE), file.read()


def schema_files(packages: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The schemas of the SchemaStore, out of check-jsonschema's wheel."""
    with zipfile.ZipFile(next(packages.glob("check_jsonschema-*.whl"))) as archive:
        for name in archive.namelist():
            path = PurePosixPath(name)
            if path.parent == PurePosixPath(SCHEMAS):
                yield PurePosixPath("schemastore") / path.name, archive.read(name)


def main(packages: Path, target: Path) -> None:
    """Write the files."""
    for files in (suite_files(packages), schema_files(packages)):
        for path, content in files:
            if path.suffix == ".json" and ".." not in path.parts:
                written = target / path
                written.parent.mkdir(parents=True, exist_ok=True)
                written.write_bytes(content)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
