"""The command line: parse, delegate, print. Each command's work lives in the module named after it."""


def main() -> None:
    """Entry point of `s2l-lab`."""
    from s2l_lab.cli.app import run

    run()
