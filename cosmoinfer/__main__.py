"""``python -m cosmoinfer``, and the console script."""


def main() -> None:
    from cosmoinfer.cli import app

    app()


if __name__ == "__main__":
    main()
