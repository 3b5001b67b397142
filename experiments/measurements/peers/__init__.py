"""How does this toolkit compare with its nearest peer, `imitation` 1.0.1 (Gleave et al. 2022), side by side?

Both learn a reward from the same number of answers of an errorless teacher, and a PPO policy from that reward. Each
runs with settings of its own: imitation's are those that it documents for the task, ours are the task's preset. Each
also runs its own PPO on the true reward with the same settings, which says what learning from answers costs in return
and in wall time, whatever the versions of the libraries below. imitation doesn't install beside us (it needs
gymnasium 0.29), so it runs in a virtual environment of its own.
"""
