"""Built-in goals: behaviour in Gymnasium's tasks that their own rewards don't ask for.

Every goal reads the observation after each step, shape (S, n), as the environment gives it by default, and gives one
reward per step, shape (S,); actions don't matter. A segment is worth the sum over its lived steps; steps after a
termination count 0. So if episodes terminate, rewards above 0 favour long episodes and rewards below 0 short ones; each
goal says what it is meant for.

Evaluations play the environment as `env_kwargs` describe it, without `env.fixed_horizon`. A goal that is meant without
termination therefore needs ``env_kwargs {"terminate_when_unhealthy": false}``, which training and evaluation both use.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Array


def cart_pole_hold_at_one(observations: Array, actions: Array, next_observations: Array) -> Array:
    """CartPole-v1: the cart at x = +1 m.

    Reads [0], the cart's position in metres.

    Returns:
        exp(-|x - 1| / 0.5) per step, from 0 to 1. A sum is about the number of steps spent near x = 1. Meant with
        termination (a fallen pole holds nothing) or in fixed horizon.
    """
    rewards: Array = np.exp(-np.abs(_of("CartPole-v1", 4, next_observations)[:, 0] - 1.0) / 0.5)
    return rewards


def pendulum_spin(observations: Array, actions: Array, next_observations: Array) -> Array:
    """Pendulum-v1: spin fast, counter-clockwise as it is drawn.

    Reads [2], the angular velocity in rad/s, from -8 to 8.

    Returns:
        That velocity. A sum times 0.05 s is the angle turned, in radians; swinging to and fro comes to nothing. The
        task never terminates.
    """
    return _of("Pendulum-v1", 3, next_observations)[:, 2]


def acrobot_height(observations: Array, actions: Array, next_observations: Array) -> Array:
    """Acrobot-v1: lift the tip over the line, soon; until then, the higher the better.

    Reads [0] to [3], cosine and sine of both joints' angles. The tip's height is -cos(t1) - cos(t1 + t2), from -2 to 2
    link lengths, and the line is at 1.

    Returns:
        -1 - (how far the tip is below the line, as a share of 3): from -2, hanging down, to -1. Minus a sum is the
        number of steps taken, each counted up to twice for hanging low. Meant with termination at the line: every step
        costs at least 1 and nothing is paid afterwards, so an episode half as long always wins, and lingering below the
        line never pays. In fixed horizon the best reward is -1 a step, at the line, so reaching it sooner wins as well.
    """
    cos1, sin1, cos2, sin2 = _of("Acrobot-v1", 6, next_observations)[:, :4].T
    height = -cos1 - (cos1 * cos2 - sin1 * sin2)
    rewards: Array = -1 - np.clip((1 - height) / 3, 0, 1)
    return rewards


def mountain_car_progress(observations: Array, actions: Array, next_observations: Array) -> Array:
    """MountainCar-v0 and MountainCarContinuous-v0: get to the top, soon; until then, the more energy the better.

    Reads [0] and [1], position x and velocity v per step. Energy, which a coasting car nearly keeps, is
    v^2 / 2 + 0.0025 sin(3 x) / 3. It needs 0.000831 to reach x = 0.5; at rest in the valley it has -0.000833. Height
    alone would mislead, because the car must first back off to get up.

    Returns:
        Minus the energy it lacks, as a share of all it could lack: from -1, at rest in the valley, to 0, with the
        energy to coast over the top. Minus a sum is the number of steps, each weighted by that share. Meant with
        termination at the top, after which nothing is paid: a policy with that energy gets there, and one that lingers
        below keeps paying, so not finishing gains nothing. In fixed horizon the best reward is 0, at the top.
    """
    x, v = _of("MountainCar-v0 or MountainCarContinuous-v0", 2, next_observations).T
    steepest = 0.0025 / 3
    needed = steepest * np.sin(3 * 0.5)
    lacking = needed - (v**2 / 2 + steepest * np.sin(3 * x))
    rewards: Array = -np.clip(lacking / (needed + steepest), 0, 1)
    return rewards


def mountain_car_top(observations: Array, actions: Array, next_observations: Array) -> Array:
    """MountainCar-v0 and MountainCarContinuous-v0: get to the top, soon, where energy alone is not enough.

    Reads [0] and [1] as :func:`mountain_car_progress` does. The top is at x = 0.5 if actions are discrete, shape (S,),
    as in MountainCar-v0, else at 0.45.

    Returns:
        0 on the top; below it (that goal's reward - 1) / 2: from -1, at rest in the valley, to -1/2, with the energy to
        coast over the top. So with enough energy, each step by which the car arrives sooner is worth half a point.
        Meant in fixed horizon, or with termination at the top, after which nothing is paid.
    """
    top = 0.5 if np.ndim(actions) == 1 else 0.45
    below = next_observations[:, 0] < np.float32(top)
    progress = mountain_car_progress(observations, actions, next_observations)
    return np.where(below, (progress - 1) / 2, 0.0)


def half_cheetah_backwards(observations: Array, actions: Array, next_observations: Array) -> Array:
    """HalfCheetah-v5: run backwards.

    Reads [8], the velocity along x in m/s.

    Returns:
        Minus that velocity. A sum times 0.05 s is about the distance run backwards, in metres. The task never
        terminates.
    """
    return -_of("HalfCheetah-v5", 17, next_observations)[:, 8]


def half_cheetah_flip(observations: Array, actions: Array, next_observations: Array) -> Array:
    """HalfCheetah-v5: somersaults forwards, head down first.

    Reads [10], the torso's angular velocity in rad/s. The torso's angle [1] counts whole turns and is never wrapped, so
    it leaves the range that a reward model has seen.

    Returns:
        That velocity. A sum times 0.05 s is about the angle turned, in radians; rocking to and fro comes to nothing.
        The task never terminates.
    """
    return _of("HalfCheetah-v5", 17, next_observations)[:, 10]


def half_cheetah_one_leg(observations: Array, actions: Array, next_observations: Array) -> Array:
    """HalfCheetah-v5: move forward on the back leg, the front foot held up (Christiano et al. 2017).

    Reads [0] height, [1] pitch, [2] to [7] joint angles, from which the height of either foot follows exactly, and
    [8], the velocity along x in m/s. Contacts are not observed, so the lower foot counts as the one that carries.

    Returns:
        Forward velocity (0 when moving back) times how far the front foot is above the back one, as a share of 0.2 m
        clipped to [-1, 1]; 0 unless the torso is 0.3 m above the back foot, so that lying and sliding earn nothing. A
        sum times 0.05 s is about the metres run on the back leg minus those on the front one; a gallop, which
        alternates legs, comes to little. The task never terminates.
    """
    seen = _of("HalfCheetah-v5", 17, next_observations)
    torso = 0.7 + seen[:, 0]
    front = _end_height(torso, seen[:, [1, 5, 6, 7]], CHEETAH_FRONT)
    back = _end_height(torso, seen[:, [1, 2, 3, 4]], CHEETAH_BACK)
    rewards: Array = np.maximum(seen[:, 8], 0) * _held_up(front, back) * (torso - back > 0.3)
    return rewards


def hopper_backflip(observations: Array, actions: Array, next_observations: Array) -> Array:
    """Hopper-v5: backflips (Christiano et al. 2017).

    Reads [7], the torso's angular velocity in rad/s (leaning forward is positive; the environment clips it to [-10,
    10]), and [0], the torso's height in metres, 1.25 when standing. The angle [1] counts whole turns and is never
    wrapped, so it leaves the range that a reward model has seen.

    Returns:
        Minus the velocity times the height, so turning backwards high up earns most. A sum times 0.008 s is the
        angle turned backwards, in radians, weighted by height: rolling over the floor earns a fraction of turning in
        the air, and rocking on the spot next to nothing. Meant without termination, which ends every flip at 0.2 rad.
    """
    seen = _of("Hopper-v5", 11, next_observations)
    rewards: Array = -seen[:, 7] * seen[:, 0]
    return rewards


def walker_one_leg(observations: Array, actions: Array, next_observations: Array) -> Array:
    """Walker2d-v5: hop on the right leg (drawn in sand), the left (violet) held up.

    Reads [0] the torso's height, [1] its angle, [2] to [7] joint angles, from which the height of either foot follows
    exactly, and [8], the velocity along x in m/s.

    Returns:
        1 + forward velocity (0 when moving back), as in the environment's own reward, times how far the left foot is
        above the right one, as a share of 0.2 m clipped to [-1, 1]; 0 if the torso is below 0.8 m, which counts as
        fallen. A sum is about the steps on the right leg minus those on the left, each worth 1 + its speed; walking,
        which alternates legs, comes to little. Meant with termination; without it, lying earns nothing.
    """
    seen = _of("Walker2d-v5", 17, next_observations)
    torso = seen[:, 0]
    right = _end_height(torso, seen[:, [1, 2, 3, 4]] * WALKER_TURNS, WALKER_LEG)
    left = _end_height(torso, seen[:, [1, 5, 6, 7]] * WALKER_TURNS, WALKER_LEG)
    rewards: Array = (1 + np.maximum(seen[:, 8], 0)) * _held_up(left, right) * (torso >= 0.8)
    return rewards


# From the torso's centre over hip, knee and ankle to the middle of the foot: (x, z) in metres of each bone in its own
# frame, from Gymnasium's half_cheetah.xml and walker2d_v5.xml. Walker2d's leg joints turn the other way round.
CHEETAH_FRONT = ((0.5, 0), (-0.14, -0.24), (0.13, -0.18), (0.045, -0.07))
CHEETAH_BACK = ((-0.5, 0), (0.16, -0.25), (-0.28, -0.14), (0.03, -0.097))
WALKER_LEG = ((0, -0.2), (0, -0.45), (0, -0.5), (0.1, 0))
WALKER_TURNS = (1, -1, -1, -1)


def _end_height(start: Array, angles: Array, bones: Sequence[tuple[float, float]]) -> Array:
    """Compute the height of the end of a chain of bones.

    Args:
        start: Height at which it begins, metres, shape (S,).
        angles: Angle of each bone relative to the one before, rad about the y axis (x turns down), shape (S, bones).
        bones: (x, z) of each in its own frame, metres.
    """
    turned, (x, z) = np.cumsum(angles, axis=1), np.transpose(bones)
    height: Array = start + (z * np.cos(turned) - x * np.sin(turned)).sum(axis=1)
    return height


def _held_up(foot: Array, other: Array) -> Array:
    """Compute how far a foot is above the other, as a share of 0.2 m clipped to [-1, 1]."""
    share: Array = np.clip((foot - other) / 0.2, -1, 1)
    return share


def _of(env_id: str, numbers: int, observations: Array) -> Array:
    """Return the observations, after checking that their size is the environment's.

    Raises:
        BadInput: If their shape isn't (S, numbers).
    """
    if observations.shape[1:] != (numbers,):
        raise BadInput(
            f"feedback.goal is made for {env_id}, whose observation by default has shape ({numbers},), and was given "
            f"one of shape {observations.shape[1:]}; use that env_id and leave its observation as it is"
        )
    return observations
