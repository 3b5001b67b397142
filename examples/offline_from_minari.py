"""Learn a reward from recorded trajectories alone: segments of a Minari dataset, a teacher's answers, one fit.

    python examples/offline_from_minari.py [--dataset mujoco/hopper/medium-v0] [--labels 100]

Nothing is played: half of the episodes serve for queries, the other half for testing the reward. Without --dataset,
some episodes of Pendulum are recorded as one first, in runs/minari. To learn a policy too, from queries about them:
`MINARI_DATASETS_PATH=runs/minari rlhf-gym train --env-id Pendulum-v1 --query.trajectories minari:pendulum/mixed-v0`.
"""

import argparse
import os

import minari
import numpy as np

from rlhf_gym.envs.minari_datasets import trajectories_from_minari, trajectories_to_minari
from rlhf_gym.evaluation import play
from rlhf_gym.kinds import choices
from rlhf_gym.preferences import Preference
from rlhf_gym.queries import returns_of, sample_candidates
from rlhf_gym.rewards import RewardLearner, RewardModel
from rlhf_gym.teachers import OracleTeacher

os.environ.setdefault("MINARI_DATASETS_PATH", os.path.abspath("runs/minari"))
LENGTH, MIXED = 50, "pendulum/mixed-v0"


def record(dataset, steps):
    """Record episodes of Pendulum, half of them by an energy controller that swings it up, half by random actions."""
    rng = np.random.default_rng(0)

    def swing(observations):
        cosine, sine, speed = observations.T
        pump = np.sign(speed) * (10 - speed**2 / 2 - 10 * cosine)
        return np.where(cosine > 0.8, -8 * sine - 2 * speed, pump).clip(-2, 2)[:, None].astype(np.float32), None

    def at_random(observations):
        return rng.uniform(-2, 2, (len(observations), 1)).astype(np.float32), None

    each = max(2, steps // 400)  # episodes of 200 steps
    episodes = [play(act, "Pendulum-v1", seed=i, n_episodes=each) for i, act in enumerate((swing, at_random))]
    trajectories_to_minari(sum(episodes, []), dataset, description="an energy controller, and random actions")


def spaces(dataset):
    """Get the observation and action spaces of a dataset."""
    known = minari.load_dataset(dataset)
    return known.observation_space, known.action_space


def fit(asked_about, of, labels):
    """Ask about pairs of segments, and fit a reward model to the answers."""
    rng = np.random.default_rng(0)
    queries = sample_candidates(asked_about, length=LENGTH, n=labels, rng=rng).queries()
    answers = OracleTeacher().answer(queries)  # by the dataset's rewards; other teachers or people work, too
    preferences = [Preference(query, answer) for query, answer in zip(queries, answers, strict=True)]
    learner = RewardLearner(RewardModel(*of), rng=rng, l2=1e-3, steps=300)
    fitted = learner.fit(choices(preferences))
    learner.rescale(asked_about, shift=not any(trajectory.terminated for trajectory in asked_about))
    print(f"{labels} answers: {fitted.accuracy_heldout:.0%} of the held-out ones predicted")
    return learner


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--dataset")
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument("--steps", type=int, default=16_000, help="of the recording, without --dataset")
    parser.add_argument("--output", default="runs/offline_reward")
    args = parser.parse_args()
    dataset = args.dataset or MIXED
    if args.dataset is None and MIXED not in minari.list_local_datasets():
        record(MIXED, args.steps)
    episodes = trajectories_from_minari(dataset)
    learner = fit(episodes[::2], spaces(dataset), args.labels)
    unseen = sample_candidates(episodes[1::2], length=LENGTH, n=200, rng=np.random.default_rng(1)).queries()
    learned = returns_of(unseen, learner.step_rewards).mean(axis=0)
    true = [segment.true_return for query in unseen for segment in query.options]
    print(f"correlation with the true return of unseen segments: {np.corrcoef(learned, true)[0, 1]:.2f}")
    learner.model.save(args.output)
    print(f"wrote {args.output}")
