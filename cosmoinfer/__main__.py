"""``python -m cosmoinfer``, and the console script."""

from cosmoinfer.cli import main

if __name__ == "__main__":
    main()
