"""More from the same labels: what a fit may take beside the answers (`reward.more`), each option in a file of its own.

An option is a function of its parameters that returns a :class:`More`; its name is a line in :mod:`rlhf_gym.registry`,
or `module:function` of the user's own. Without any, fits are what they are without this folder.

Measured by `python -m experiments.measurements.more_offline`: networks alone, 50 answers without error, five seeds; how
many more of fresh pairs, in points of a per cent, are put in order than by plain networks (87.3 and 95.5 %).

=====================  ===============  ============  ==============
option                 cart at x = +1   HalfCheetah   time of a fit
=====================  ===============  ============  ==============
label smoothing, 0.1   -1.3 ± 1.4       -5.6 ± 0.8    1.0
crops                  +1.4 ± 0.5       +0.0 ± 0.2    1.1
pseudo_labels          +0.7 ± 0.6       -0.7 ± 0.7    2.8
self_supervised        -0.0 ± 0.4       -0.3 ± 0.1    1.5
=====================  ===============  ============  ==============

So crops may help a little and cost little; the others don't, here, and what they do to a policy is not measured yet.
"""

from rlhf_gym.rewards.more.more import More, Situation, Term, make_more

__all__ = ["More", "Situation", "Term", "make_more"]
