"""Methods that fit a policy to answers: scores by hand, recovery of a known policy, what a run keeps."""

import math
from contextlib import closing
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch

from rlhf_gym import RLHF
from rlhf_gym.cli import main
from rlhf_gym.config import RLHFConfig
from rlhf_gym.errors import BadInput
from rlhf_gym.kinds import choices
from rlhf_gym.methods import Lately
from rlhf_gym.methods.policy_fit import PolicyFit, log_probabilities
from rlhf_gym.preferences import Choice
from rlhf_gym.rewards import Dataset
from rlhf_gym.runs import lifecycle
from rlhf_gym.segments import Segment

NOTHING = Lately((), shift=False)
SMALL = {
    "total_timesteps": 1024,
    "segment_length": 10,
    "query": {"rounds": 2, "warm_up_steps": 256},
    "agent": {"n_envs": 2, "net_arch": (16, 16), "options": {"n_steps": 64, "batch_size": 64}},
    "evaluation": {"n_episodes": 2},
}


def settings(env_id="CartPole-v1", method="cpl", labels=8, steps=20, **more):
    options = {"steps": steps, "clone_steps": 5} | more.pop("method_options", {})
    given = {"env_id": env_id, "method": method, "labels": labels, "method_options": options, **SMALL}
    return RLHFConfig.from_dict(given | more)


@pytest.fixture
def make():
    made = []

    def run(**given):
        made.append(RLHF(settings(**given)))
        return made[-1]

    yield run
    for one in made:
        one.close()


def segment(actions, *, length=5, observations=None):
    actions = np.array(actions)
    if observations is None:
        observations = np.zeros((len(actions) + 1, 4), np.float32)
    rewards = np.zeros(len(actions), np.float32)
    return Segment(observations, actions, rewards, length, len(actions) < length, actions[:0])


def choice(*segments, target=(1.0, 0.0)):
    return Choice(segments, target, group=str(id(segments)))


def fit_of(method, said):
    """The fit of a method to choices, before its first step."""
    data = Dataset(method._encoding)
    data.update(said)
    parts = method._scores, method._fitting
    fit = PolicyFit(data, method._encoding, method.actor, method.reference, *parts, rng=np.random.default_rng(0))
    seen = data.inputs[data.rows[data.offered]][fit._lived[data.offered]]
    fit._reference_logs[fit._lived] = log_probabilities(method.reference, method._encoding, seen)
    return fit


def act_always(actor, logits):
    """Make a softmax that is the same everywhere."""
    actor.policy.action_net.weight.data.zero_()
    actor.policy.action_net.bias.data.copy_(torch.tensor(logits).log())


def scores_of(method, *segments, average=0.0):
    """Score segments by a method whose reference gave the steps seen this log-probability on average."""
    fit = fit_of(method, [choice(*segments)])
    fit._average = average
    return fit.segment_scores(torch.tensor([0])).detach()[0].tolist()


def test_cpl_scores_alpha_times_the_log_probability_and_gives_steps_after_termination_the_average(make):
    method = make(method_options={"alpha": 0.2}).method
    act_always(method.actor, [0.25, 0.75])
    whole, ended = segment([0, 1, 1, 1, 1]), segment([1, 0])
    q, p = math.log(0.25), math.log(0.75)
    found = scores_of(method, whole, ended, average=-0.6)
    assert found == pytest.approx([0.2 * (q + 4 * p), 0.2 * (p + q - 3 * 0.6)])


def test_dpo_scores_beta_times_how_much_likelier_than_by_the_reference_and_nothing_after_termination(make):
    method = make(method="dpo", method_options={"beta": 0.5}).method
    act_always(method.actor, [0.25, 0.75])
    act_always(method.reference, [0.5, 0.5])
    found = scores_of(method, segment([0, 1, 1, 1, 1]), segment([1, 0]), average=-0.6)
    assert found == pytest.approx([0.5 * (math.log(0.5) + 4 * math.log(1.5)), 0.5 * math.log(0.75)])


@pytest.mark.parametrize("method", ["cpl", "dpo"])
def test_a_long_and_a_short_segment_of_average_actions_score_alike(make, method):
    method = make(method=method).method
    act_always(method.actor, [0.5, 0.5])
    act_always(method.reference, [0.5, 0.5])
    long, short = scores_of(method, segment([0, 1, 1, 0, 1]), segment([1]), average=math.log(0.5))
    assert long == pytest.approx(short)


@pytest.mark.parametrize("method", ["cpl", "dpo"])
def test_preferring_who_lived_longer_makes_their_actions_likelier_and_the_others_rarer(make, method):
    method = make(method=method, steps=30).method
    one, other = np.eye(4, dtype=np.float32)[:2]
    long = segment([1, 1, 1, 1, 1], observations=np.tile(one, (6, 1)))
    short = segment([1], observations=np.tile(other, (2, 1)))
    method.fit([choice(long, short)], NOTHING)

    def change(at):  # from the reference, whose actions are the same in both
        step = torch.from_numpy(at[None]), torch.tensor([1])
        return (method.actor(*step) - method.reference(*step)).item()

    assert change(one) > 0 > change(other)


def test_a_fixed_gaussian_scores_the_squared_error(make):
    method = make(env_id="Pendulum-v1", method_options={"std": 0.5}).method
    method.actor.policy.action_net.weight.data.zero_()
    method.actor.policy.action_net.bias.data.fill_(1.0)
    assert method.actor.policy.log_std.exp().item() == pytest.approx(0.5)
    found = method.actor(torch.zeros(2, 3), torch.tensor([[1.0], [2.0]])).tolist()
    assert found == pytest.approx([0.0, -1 / (2 * 0.25)])
    assert all(value is not method.actor.policy.log_std for value in method.actor.trained())


def test_a_learned_standard_deviation_stays_within_its_bounds(make):
    method = make(env_id="Pendulum-v1", method_options={"std": "learned"}).method
    method.actor.policy.log_std.data.fill_(-9.0)
    method.actor.hold_std()
    assert method.actor.policy.log_std.exp().item() == pytest.approx(0.05 * 2)  # the torque goes from -2 to 2
    assert any(value is method.actor.policy.log_std for value in method.actor.trained())


def leaning(rng, n):
    """Segments of random actions, worth the log-probability that a known policy gives them."""
    found, worth = [], []
    for _ in range(n):
        observations = rng.normal(size=(11, 4)).astype(np.float32)
        actions = rng.integers(2, size=10)
        signs = np.sign(observations[:-1, 0] - observations[:-1, 2])
        worth.append(float(((2 * actions - 1) * signs).sum()))
        found.append(segment(actions, length=10, observations=observations))
    return found, np.array(worth)


def agreement(method, seed=1):
    """How often the policy acts as the known one, in states it hasn't seen."""
    states = np.random.default_rng(seed).normal(size=(1000, 4)).astype(np.float32)
    actions, _ = method.agent.predict(states)
    return np.mean((actions == 1) == (states[:, 0] > states[:, 2]))


@pytest.mark.parametrize("method", ["cpl", "dpo"])
def test_a_known_policy_is_recovered_from_preferences_and_not_from_shuffled_ones(make, method):
    rng = np.random.default_rng(0)
    segments, worth = leaning(rng, 400)
    better = worth[::2] > worth[1::2]
    found = {}
    for name, said in (("true", better), ("shuffled", rng.permutation(better))):
        trained = make(method=method, steps=200, method_options={"learning_rate": 3e-3}).method
        targets = [(1.0, 0.0) if left else (0.0, 1.0) for left in said]
        pairs = zip(segments[::2], segments[1::2], targets, strict=True)
        trained.fit([choice(a, b, target=target) for a, b, target in pairs], NOTHING)
        found[name] = agreement(trained)
    assert found["true"] > 0.85
    assert 0.3 < found["shuffled"] < 0.7


def test_no_steps_are_behaviour_cloning(make):
    method = make(steps=0, method_options={"clone_steps": 100, "learning_rate": 1e-2}).method
    method.fit([choice(segment([1, 1, 1, 1, 1]), segment([1, 1]))], NOTHING)
    assert method.actor(torch.zeros(1, 4), torch.tensor([1])).item() > math.log(0.9)


def test_a_choice_among_several_options_is_learned_from(make):
    method = make(steps=50, method_options={"learning_rate": 1e-2}).method
    states = np.eye(4, dtype=np.float32)
    options = [segment([0, 1, 0, 1, 0], observations=np.tile(states[i], (6, 1))) for i in range(3)]
    fit = method.fit([choice(*options, target=(0.0, 1.0, 0.0))], NOTHING)
    assert fit.n == 1 and fit.accuracy == 1.0 and math.isnan(fit.accuracy_heldout)


def test_the_score_of_a_segment_is_the_sum_over_its_lived_steps_but_for_what_all_have_in_common(make):
    rlhf = make(segment_length=10)
    rlhf.collect()
    queries = rlhf.ask(8)
    rlhf.tell(queries, rlhf.teacher.answer(queries))
    rlhf.fit_reward()
    method, said = rlhf.method, choices(rlhf.preferences)
    fit = fit_of(method, said)
    fit._average = method._average
    scores = fit.segment_scores(torch.arange(len(said))).detach().numpy()
    sums = [
        [method.step_scores(s.observations[:-1], s.actions, s.observations[1:]).sum() for s in one.options]
        for one in said
    ]
    np.testing.assert_allclose(np.diff(scores), np.diff(sums), atol=1e-4)


def test_the_policy_changes_in_fits_alone_and_its_play_counts_as_the_agent_s_steps(make):
    rlhf = make()
    rlhf.collect()
    queries = rlhf.ask(8)
    rlhf.tell(queries, rlhf.teacher.answer(queries))
    rlhf.fit_reward()
    before = rlhf.method.actor.weights()
    rlhf.improve(256)
    assert rlhf.agent.steps == 256 and rlhf.env_steps == 512
    assert rlhf.venv.pop_episodes() and rlhf.agent.sb3.ep_info_buffer
    assert all(torch.equal(value, before[name]) for name, value in rlhf.method.actor.weights().items())
    with pytest.raises(ValueError, match="steps is 100 but the policy is played in 128 steps"):
        rlhf.improve(100)


@pytest.mark.parametrize("method", ["cpl", "dpo"])
def test_a_segment_in_two_choices_counts_twice_whether_it_is_one_object_or_two(make, method):
    segments, _ = leaning(np.random.default_rng(0), 20)
    pairs = [(a, b) for a, b in zip(segments[::2], segments[1::2], strict=True)]
    again = replace(segments[0], observations=segments[0].observations.copy())  # as one read back from a store
    one, two = (make(method=method).method for _ in range(2))
    fits = [
        m.fit([choice(*p) for p in [*pairs, (s, segments[3])]], NOTHING) for m, s in ((one, segments[0]), (two, again))
    ]
    assert len(one._data.lived) < len(two._data.lived)
    assert fits[0].loss == fits[1].loss and one._average == two._average
    for a, b in ((one.actor, two.actor), (one.reference, two.reference)):
        assert all(torch.equal(value, b.weights()[name]) for name, value in a.weights().items())


@pytest.mark.parametrize("method", ["cpl", "dpo"])
def test_a_fit_after_a_checkpoint_equals_the_uninterrupted_one(make, tmp_path, method):
    segments, worth = leaning(np.random.default_rng(0), 20)
    said = [
        choice(a, b, target=(1.0, 0.0)) if u > v else choice(b, a, target=(1.0, 0.0))
        for a, b, u, v in zip(segments[::2], segments[1::2], worth[::2], worth[1::2], strict=True)
    ]
    one, other = make(method=method).method, make(method=method).method
    one.fit(said[:5], NOTHING)
    one.save_state(tmp_path)
    other.restore(tmp_path)
    other._rng.bit_generator.state = one._rng.bit_generator.state
    one.fit(said, NOTHING)
    other.fit(said, NOTHING)
    assert other.version == one.version == 2
    for a, b in ((one.actor, other.actor), (one.reference, other.reference)):
        assert all(torch.equal(value, b.weights()[name]) for name, value in a.weights().items())
    steps = segments[0].observations[:-1], segments[0].actions, segments[0].observations[1:]
    np.testing.assert_array_equal(one.step_scores(*steps), other.step_scores(*steps))


def test_an_interrupted_run_goes_on_after_its_last_round(tmp_path, monkeypatch):
    monkeypatch.setattr(lifecycle, "CHECKPOINT_SECONDS", 0.0)
    rlhf = RLHF(settings(run_dir=str(tmp_path)))
    next(rlhf.rounds())
    weights = rlhf.method.reference.weights()
    rlhf.close()
    resumed = RLHF.resume(tmp_path)
    assert resumed.method.version == 1 and resumed.agent.steps == 384
    assert all(torch.equal(value, weights[name]) for name, value in resumed.method.reference.weights().items())
    resumed.learn()
    assert resumed.method.version == 2 and resumed.labels == 8 and resumed.env_steps == 1024
    resumed.close()


def test_a_run_through_the_command_line_is_evaluated_plotted_exported_and_loaded(tmp_path, capsys):
    settings(method="dpo").to_yaml(tmp_path / "settings.yaml")
    run = tmp_path / "run"
    assert main(["train", "--config", str(tmp_path / "settings.yaml"), "--run-dir", str(run)]) == 0
    assert not (run / "reward_model").exists() and (run / "reference_policy" / "policy.safetensors").exists()
    assert RLHFConfig.from_yaml(run / "config.yaml").query.scheme == "uniform"
    assert main(["evaluate", str(run)]) == 0
    assert main(["plot", str(run), "--output", str(tmp_path / "figure.png")]) == 0
    assert main(["export", str(run), "--output", str(tmp_path / "exported")]) == 0
    assert main(["evaluate", str(run), "--reward"]) == 2
    loaded = RLHF.load(run)
    assert loaded.method.version == 2 and len(loaded.preferences) == 8
    loaded.save(tmp_path / "again")
    loaded.close()
    more = RLHF(settings(labels=0, feedback={"preferences": str(tmp_path / "exported")}))
    more.learn()
    assert more.method.version == 1 and more.labels == 8
    more.close()
    (tmp_path / "again" / "reference_policy" / "policy.safetensors").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="reference_policy can't be read"):
        RLHF.load(tmp_path / "again")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"query": {**SMALL["query"], "scheme": "value_disagreement"}},
            "query.scheme is value_disagreement and method is cpl, which learns no reward; no members are there",
        ),
        ({"reward": {"source": "true"}}, "reward.source is true and method is cpl, which learns no reward"),
        (
            {"agent": {**SMALL["agent"], "critic_after_fit": "reset"}},
            "agent.critic_after_fit is reset and method is cpl",
        ),
        ({"method_options": {"std": 0.2}}, r"method_options.std is 0.2 and actions are Discrete\(2\), which have none"),
        ({"feedback": {"reliability": True}}, "feedback.reliability is on and method is cpl"),
        ({"method_options": {"steps": -1}}, "method_options.steps is -1; use a whole number, at least 0"),
        ({"method_options": {"bias": 1.5}}, "method_options.bias is 1.5; use a number above 0, at most 1"),
        ({"method_options": {"std": "much"}}, "method_options.std is 'much'; use a number above 0, learned"),
        ({"method_options": {"alfa": 1}}, "has no option alfa; did you mean alpha?"),
        ({"env_id": "Pendulum-v1", "algo": "sac", "agent": {}}, "method is cpl and algo is SAC"),
    ],
)
def test_what_a_direct_method_has_no_use_for_is_refused(make, given, told):
    with pytest.raises(ValueError, match=told):
        make(**given)


@pytest.mark.slow
def test_dpo_on_line_learns_to_balance_the_pole_and_not_from_random_answers():
    found = {}
    for teacher in ("oracle", "random"):
        more = {"query": {"rounds": 8, "warm_up_steps": 2048}, "total_timesteps": 20_000, "teacher": teacher}
        rlhf = RLHF(RLHFConfig.for_env("CartPole-v1", labels=200, method="dpo", **more))
        found[teacher] = rlhf.learn()["true_return_mean"]
        rlhf.close()
    assert found["oracle"] > 200 > 60 > found["random"]


def test_its_own_standard_deviation_goes_before_that_of_the_policy_that_it_starts_with(make, tmp_path):
    first = RLHF(settings("Pendulum-v1").replace(method="learned_reward", method_options={}))
    first.save(tmp_path / "first")
    agent = {**SMALL["agent"], "start": str(tmp_path / "first")}
    for std, expected in ((0.2, np.log(0.2)), (None, first.agent.sb3.policy.log_std.item())):
        rlhf = make(env_id="Pendulum-v1", agent=agent, method_options={} if std is None else {"std": std})
        assert rlhf.agent.sb3.policy.log_std.item() == pytest.approx(expected)
        same = [w for name, w in rlhf.agent.sb3.policy.named_parameters() if name != "log_std"]
        theirs = [w for name, w in first.agent.sb3.policy.named_parameters() if name != "log_std"]
        assert all(torch.equal(a, b) for a, b in zip(same, theirs, strict=True))


def test_what_a_policy_starts_with_is_its_observations_statistics_too(make, tmp_path):
    with_statistics = {**SMALL["agent"], "normalize_observations": True}
    first = RLHF(settings(method="learned_reward", agent=with_statistics).replace(method_options={}))
    first.learn()
    first.save(tmp_path / "first")
    wanted = first.agent.sb3.policy.features_extractor
    first.close()
    agent = {**with_statistics, "start": str(tmp_path / "first")}
    run = {"agent": agent, "steps": 5, "run_dir": str(tmp_path / "second"), "query": {**SMALL["query"], "rounds": 3}}
    rlhf = make(**run)
    for done, _ in enumerate(rlhf.rounds()):
        extractor = rlhf.agent.sb3.policy.features_extractor
        assert torch.equal(extractor.mean, wanted.mean) and torch.equal(extractor.count, wanted.count)
        if done == 1:
            (tmp_path / "state").mkdir()
            rlhf.method.save(tmp_path / "state")
    again = make(**run | {"run_dir": None})
    again.method.restore(tmp_path / "state")
    again.method.fit(rlhf.answers.choices, NOTHING)
    assert torch.equal(again.agent.sb3.policy.features_extractor.mean, wanted.mean)


def test_a_policy_that_starts_afresh_takes_the_statistics_of_what_was_seen(make):
    rlhf = make(agent={**SMALL["agent"], "normalize_observations": True})
    counts = []
    for _ in rlhf.rounds():
        counts.append(rlhf.agent.sb3.policy.features_extractor.count.item())
    assert 0 < counts[0] < counts[1]


@pytest.mark.parametrize(
    ("env_id", "more"),
    [
        ("CartPole-v1", {"method_options": {"learning_rate": 1e38}}),
        ("Pendulum-v1", {"method_options": {"learning_rate": 1e38}}),
        ("Pendulum-v1", {"method_options": {"std": 1e-30}}),
    ],
)
def test_weights_that_diverge_are_told_in_one_line(make, env_id, more):
    rlhf = make(env_id=env_id, **more)
    with pytest.raises(BadInput, match="nan or infinite in a fit; use method_options.learning_rate < "):
        list(rlhf.rounds())


class Picture(gymnasium.Env):
    """Which half is lit says which action is right."""

    observation_space = gymnasium.spaces.Box(0, 255, (36, 44, 3), np.uint8)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.seen(), {}

    def seen(self):
        picture = self.np_random.integers(0, 100, (36, 44, 3)).astype(np.uint8)
        self.right = int(self.np_random.integers(2))
        picture[:, 22 * self.right : 22 * self.right + 22, self.right] = 250
        return picture

    def step(self, action):
        reward = float(action == self.right)
        return self.seen(), reward, False, False, {}


@pytest.mark.parametrize("images", ["flat", "cnn"])
def test_images_are_compared_as_the_policy_sees_them(images):
    gymnasium.register("DirectPictures/Picture-v0", entry_point=Picture, max_episode_steps=20)
    few = {"n_envs": 2, "images": images, "options": {"n_steps": 16, "batch_size": 16}}
    short = {"total_timesteps": 96, "segment_length": 5, "query": {"rounds": 1, "warm_up_steps": 64}}
    try:
        config = settings("DirectPictures/Picture-v0", labels=4, agent=few, reward={"images": images}, **short)
        with closing(RLHF(config)) as rlhf:
            next(rlhf.rounds())
            told = rlhf.answers.choices[0].options[0]
            steps = told.observations[:-1], told.actions, told.observations[1:]
            policy = rlhf.agent.sb3.policy
            inputs = torch.from_numpy(rlhf.method.encode(*steps))
            found = log_probabilities(rlhf.method.actor, rlhf.method._encoding, inputs)
            with torch.no_grad():
                seen = policy.obs_to_tensor(told.observations[:-1].copy())[0]
                wanted = policy.get_distribution(seen).log_prob(torch.tensor(told.actions))
            assert torch.allclose(found, wanted, atol=1e-4)
    finally:
        del gymnasium.registry["DirectPictures/Picture-v0"]
