"""`python -m foldline VERB ...`: what run.sh calls."""

from foldline.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
