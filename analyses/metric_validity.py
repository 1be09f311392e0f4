"""Which diversity metrics follow strategies, and which follow phrasing alone?

    python analyses/metric_validity.py [--scale mini|paper | --plan FILE] [--out DIR]

Writes, for every metric, how far it follows strategies, phrasing and step order, with intervals and a mark.
The prediction and every deviation from the paper are in experiments/metric-validity.
"""

import sys

from s2l_lab.cli.analysis import run_analysis

if __name__ == "__main__":
    sys.exit(run_analysis("metric-validity", __doc__))
