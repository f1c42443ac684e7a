"""The `alexnet` command, also as `python -m alexnet`; Ctrl-C ends it without a traceback from the first import on."""

import signal
import sys


def main() -> None:
    """Runs the command; outside of it, while Python imports and ends, Ctrl-C has the system end the process.

    Where Python, torch or the C library cannot serve, one line says so.
    """
    is_heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not where a shell has it ignored
    if is_heard:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from alexnet import requirements

    problem = requirements.problem()
    if problem:
        sys.stderr.write(f"alexnet: {problem}\n")
        raise SystemExit(2)
    from alexnet import cli

    if is_heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        cli.main()
    finally:
        if is_heard:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    main()
