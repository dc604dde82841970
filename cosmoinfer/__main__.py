"""``python -m cosmoinfer``, and the console script."""

from cosmoinfer.stopping import EXIT_STATUS, INTERRUPTED, STOP_REQUEST, Stopped


def main() -> None:
    """Run the command line, from the very start as one that can be asked to stop: what it imports takes a second.

    Raises SystemExit with the exit status.
    """
    try:
        STOP_REQUEST.listen()
        from cosmoinfer import cli

        cli.main()
    except Stopped:  # before or after the command itself
        raise SystemExit(EXIT_STATUS) from None
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    finally:
        STOP_REQUEST.ignore()


if __name__ == "__main__":
    main()
