"""The explorer: `streamlit run apps/dashboard.py -- --runs DIR`, or `s2l-lab dashboard`."""

from s2l_lab.app.dashboard import main

main()
