"""How does this toolkit compare with its nearest peer, `imitation` 1.0.1 (Gleave et al. 2022), side by side?

Both learn a reward from the same number of answers of an errorless teacher, and a PPO policy from that reward. Each
runs with its own settings: imitation's are those that it documents for the task, ours are the task's preset. Each also
runs its own PPO on the true reward with the same settings. That shows what learning from answers costs in return and in
wall time, whatever the versions of the libraries below. imitation can't be installed beside this toolkit (it needs
gymnasium 0.29), so it runs in its own virtual environment.
"""
