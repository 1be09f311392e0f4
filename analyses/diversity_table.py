"""How diverse is each member of a family, and which differences survive conditioning on correctness?

    python analyses/diversity_table.py [--scale mini|paper | --plan FILE] [--out DIR]

Writes the table of all metrics with intervals (report.html, numbers.json), and the paper's Table 3 beside ours.
The prediction and every deviation from the paper are in experiments/table3.
"""

import sys

from s2l_lab.cli.analysis import run_analysis

if __name__ == "__main__":
    sys.exit(run_analysis("table3", __doc__))
