"""`python -m s2l_lab`, which `accelerate launch -m s2l_lab train ...` needs."""

from s2l_lab.cli import main

main()
