"""More from the same labels: what a fit may take beside the answers (`reward.more`), each option in a file of its own.

An option is a function of its parameters that returns a :class:`More`; its name is a line in :mod:`rlhf_gym.registry`,
or `module:function` of the user's own. Without any, fits are what they are without this folder.
"""

from rlhf_gym.rewards.more.more import More, Situation, Term, make_more

__all__ = ["More", "Situation", "Term", "make_more"]
