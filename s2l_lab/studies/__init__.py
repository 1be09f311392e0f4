"""Studies: which rollouts a question needs, and what is made of them. Between diversity and figures.

`arms` brings policies, each with its sampling, to N verified rollouts; `within`, `between`, `diversity` read one run;
`policy_share` and `persistence` compare a learner with explorers, siblings (`siblings`) and matched temperatures
(`matching`, `contrast_arms`); `metric_validity` measures the metrics themselves, and `marks` keeps what it found.
"""
