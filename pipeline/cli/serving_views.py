"""What only the `roofline` model says of an answer, as text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from pipeline.words import counted

if TYPE_CHECKING:
    from pipeline.serving.uncertainty import Robustness


def robustness_view(found: Robustness) -> Text:
    """Say whether the groups of the lowest $/token stay that under drawn constants."""
    candidates = counted(found.candidates, "candidate")
    best, worse = ("cheapest per token", "dearer")
    if found.is_free:
        best, worse = ("fastest of what is free", "slower")
    lines = [
        f"{found.winner} stays the {best} in {100 * found.winner_share:.0f} % of "
        f"{found.draws} draws of the fitted constants, among {candidates} "
        f"(on average {100 * found.mean_regret:.1f} % {worse} than the draw's best, at worst "
        f"{100 * found.worst_regret:.1f} %)."
    ]
    if found.runner_up is not None:
        share = 100 * found.runner_up_share
        lines.append(f"{found.runner_up} takes over most often, in {share:.0f} %.")
    if found.unserved_share:
        share = 100 * found.unserved_share
        lines.append(
            f"In {share:.0f} % of the draws it can serve no load at all; what it is {worse} on "
            "average and at worst is over the others."
        )
    return Text("\n".join(["", *lines]))


def undecided_view(time_limit_s: float) -> Text:
    """Say that time did not allow to decide again."""
    told = f"Not decided again under drawn constants: the limit of {time_limit_s:g} s passed."
    return Text("\n" + told)
