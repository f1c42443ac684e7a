"""`python -m alexnet` is the `alexnet` command."""

from alexnet.cli import main

main()
