"""What the measures of footage mean, in plain words."""

from __future__ import annotations

from collections.abc import Iterator

from nodes.generator.footage.quality import LIGHT_LEVELS, Quality

LEAST_SECONDS = 60.0
LEAST_WITH_POSE, LONGEST_GAP_S = 0.95, 1.0
MOST_OUTSIDE = 0.05  # share of the frames
LEAST_WALKED = 0.1  # of the stage's width
LEAST_TURNED = 90.0  # degrees, from one side to the other
LEAST_KNOWN = 0.6  # share of the frames in which a joint is seen
# How far a joint's angle in the picture should have gone, degrees.
LEAST_EXTENT = {"neck": 15.0, "shoulder": 120.0, "elbow": 120.0, "hip": 30.0, "knee": 25.0}
LEAST_FILLED = 0.6  # share of the angles in between
ASKED = {
    "neck": "tilt and nod the head more",
    "shoulder": "raise the arms more, to the side and above the head",
    "elbow": "bend and stretch the arms more, hands up and hands down",
    "hip": "lift the legs more, and step further to the side",
    "knee": "bend the knees more",
}
LEAST_SHARPNESS = 40.0  # variance of the Laplacian at 512 pixels
MOST_BLURRED = 0.15
MOST_RESTLESS = 0.06  # share of the stage beside the performer
MOST_DARK, MOST_BRIGHT = 0.25, 0.1  # share of the body
MOST_GUESSED = 0.02  # share of the plate
SMALL = 256  # pixels of the stage's side


def advice(quality: Quality) -> list[str]:
    """Sentences, the weightiest first; none where nothing is to be wished for."""
    return [*_of_the_person(quality), *_of_the_light(quality), *_of_the_movement(quality)]


def _of_the_person(quality: Quality) -> Iterator[str]:
    if quality.with_pose < LEAST_WITH_POSE:
        yield (f"Nobody was found in {1 - quality.with_pose:.0%} of the pictures: stay whole in the picture, before a "
               "stage that differs from your clothes.")  # fmt: skip
    if quality.longest_gap_s > LONGEST_GAP_S:
        yield f"From {quality.longest_gap_at} on nobody was found for {quality.longest_gap_s:.1f} s."
    if quality.outside > MOST_OUTSIDE:
        yield (f"In {quality.outside:.0%} of the pictures a part of the body is outside the stage: step back, or "
               "choose the square with --crop.")  # fmt: skip
    if quality.crop[2] < SMALL:
        yield f"The stage is only {quality.crop[2]} pixels high: bring the camera nearer, or record larger pictures."
    if quality.seconds < LEAST_SECONDS:
        yield f"{quality.seconds:.0f} s are short: record {LEAST_SECONDS:.0f} s at least, two minutes rather."


def _of_the_light(quality: Quality) -> Iterator[str]:
    if abs(quality.light_levels) > LIGHT_LEVELS:
        yield (f"The light changed at {quality.light_changed_at}: the stage came out "
               f"{'brighter' if quality.light_levels > 0 else 'darker'} than the plate by "
               f"{abs(quality.light_levels):.0f} of 255. Fix the camera's exposure and white balance.")  # fmt: skip
    if quality.restless > MOST_RESTLESS:
        yield (f"{quality.restless:.0%} of the stage beside the performer differs from the plate: the camera moved, or "
               "something behind did. Stand the camera firmly; take a new plate.")  # fmt: skip
    if quality.sharpness < LEAST_SHARPNESS:
        yield "The performer is not sharp: check the focus, and clean the lens."
    if quality.blurred > MOST_BLURRED:
        yield f"{quality.blurred:.0%} of the pictures are blurred: more light, or a shorter exposure."
    if quality.too_dark > MOST_DARK:
        yield f"{quality.too_dark:.0%} of the body is black: more light from the front, or brighter clothes."
    if quality.too_bright > MOST_BRIGHT:
        yield f"{quality.too_bright:.0%} of the body is white: less exposure."
    if quality.plate_never_seen > MOST_GUESSED:
        yield f"{quality.plate_never_seen:.0%} of the empty stage is guessed: walk about more, or record a plate."


def _of_the_movement(quality: Quality) -> Iterator[str]:
    if quality.facing.extent < LEAST_TURNED:
        yield f"Turn around more: the body turned by {quality.facing.extent:.0f} degrees in all."
    for part, least in LEAST_EXTENT.items():
        turns = {name: turn for name, turn in quality.joints.items() if name.endswith(part)}
        short = [name for name, turn in turns.items() if turn.extent < least or turn.known < LEAST_KNOWN]
        sparse = [name for name, turn in turns.items() if turn.filled < LEAST_FILLED]
        if short or sparse:
            which = " and ".join(short or sparse).replace("_", " ")
            yield f"{ASKED[part].capitalize()} ({which}{'' if short else ': much in between was left out'})."
    if quality.walked < LEAST_WALKED:
        yield f"Walk about more: only {quality.walked:.0%} of the stage's width was used."


def told(quality: Quality, hints: list[str]) -> str:
    """The report as text."""
    lines = [
        f"{quality.frames} pictures, {quality.seconds:.0f} s. A person was found in {quality.with_pose:.1%} of them.",
        f"Sharpness {quality.sharpness:.0f}; {quality.blurred:.0%} of the pictures are blurred. Stage against plate: "
        f"{quality.light_levels:+.1f} of 255 at most; {quality.restless:.1%} of it restless.",
        f"The body turned by {quality.facing.extent:.0f} degrees and used {quality.walked:.0%} of the stage's width.",
        "Joint            degrees  filled  seen",
        *(
            f"{name.replace('_', ' '):<16} {turn.extent:>7.0f} {turn.filled:>7.0%} {turn.known:>5.0%}"
            for name, turn in quality.joints.items()
        ),
        *(["Advice:", *(f"- {hint}" for hint in hints)] if hints else ["Nothing is to be wished for: train."]),
    ]
    return "\n".join(lines) + "\n"
