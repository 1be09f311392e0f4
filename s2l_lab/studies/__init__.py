"""Studies: which rollouts a question needs, and what is made of them. Between diversity and figures.

A study is one file with its plan and `measure` (see `study`): `table3`, `policy_share`, `persistence`,
`metric_validity`, which also keeps the mark that it found of each metric. What they share has modules of its own:
`arms` brings policies, each with its sampling, to N verified rollouts; `within`, `between`, `diversity` read one run;
`contrast_arms` adds roles, siblings (`siblings`) and matched temperatures (`matching`); `traces` measures along fixed
paths; `frames` asks two of the questions of frames, for notebooks.
"""
