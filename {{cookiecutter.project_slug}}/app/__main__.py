"""The command `app`, or `python -m app`."""

import gc


def main() -> None:
    """Run a command, without a search for garbage in what is imported: that would be a sixth of the start."""
    gc.disable()
    from app import cli  # noqa: PLC0415, this is what takes long

    gc.freeze()
    gc.enable()
    cli.main()


if __name__ == "__main__":
    main()
