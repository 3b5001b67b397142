"""Options that get more from the same labels (`reward.more`), one per file.

An option is a function of its parameters that returns a :class:`More`; its name is registered in
:mod:`rlhf_gym.registry`, or is the `module:function` of a user. Without options, this package changes nothing.

Measured by `python -m experiments.measurements.more_offline`, with networks alone, 50 errorless answers and five seeds:
the gain in accuracy on fresh pairs over plain networks (87.3 and 95.5 %), in percentage points.

=====================  ===============  ============  ==============
option                 cart at x = +1   HalfCheetah   time of a fit
=====================  ===============  ============  ==============
label smoothing, 0.1   -1.3 ± 1.4       -5.6 ± 0.8    1.0
crops                  +1.4 ± 0.5       +0.0 ± 0.2    1.1
pseudo_labels          +0.7 ± 0.6       -0.7 ± 0.7    2.8
self_supervised        -0.0 ± 0.4       -0.3 ± 0.1    1.5
=====================  ===============  ============  ==============

So crops may help a little and cost little; the others don't help here. Effects on a policy aren't measured yet.
"""

from rlhf_gym.rewards.more.more import More, Situation, Term, make_more

__all__ = ["More", "Situation", "Term", "make_more"]
