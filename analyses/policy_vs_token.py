"""What does a smaller explorer add to the learner's rollouts, beside siblings, temperatures and split halves?

    python analyses/policy_vs_token.py [--scale mini|paper | --plan FILE] [--out DIR]

Writes the policy-level share of every arm in every feature, with nulls, p and the size effect over pretrained models.
The prediction and every deviation from the paper are in experiments/policy-share.
"""

import sys

from s2l_lab.cli.analysis import run_analysis

if __name__ == "__main__":
    sys.exit(run_analysis("policy-share", __doc__))
