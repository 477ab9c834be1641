"""The command line's entry: `switchgear`, or `python -m gateway`."""

from gateway.cli.main import cli


def main() -> None:
    """Run the command line."""
    cli(prog_name="switchgear")


if __name__ == "__main__":
    main()
