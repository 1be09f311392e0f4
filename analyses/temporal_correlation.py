"""Do an explorer's deviations from the learner last along a trajectory, more than those of temperature?

    python analyses/temporal_correlation.py [--scale mini|paper | --plan FILE] [--out DIR]

Writes drift, variance ratio, autocovariance, ICC, KL, prefix survival and score covariances of every arm.
The prediction and every deviation from the paper are in experiments/persistence.
"""

import sys

from s2l_lab.cli.analysis import run_analysis

if __name__ == "__main__":
    sys.exit(run_analysis("persistence", __doc__))
