"""What only the `roofline` model says of an answer, as text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from pipeline.words import counted

if TYPE_CHECKING:
    from pipeline.serving.uncertainty import Robustness


def robustness_view(found: Robustness) -> Text:
    """Say if the groups of the lowest $/token stay that under drawn constants, else what to do.

    Where another set of groups is as likely to be the cheapest, only a measurement can tell.
    """

    def times(share: float) -> int:
        return round(share * found.draws)

    best, more = "cheapest per token", "costs {} more than each time's cheapest"
    if found.is_free:
        best, more = "fastest of what is free", "is {} slower than each time's fastest"
    takes_over = ""
    if found.runner_up is not None:
        takes_over = f", {found.runner_up} becomes it in {times(found.runner_up_share)}"
    keeping = more.format(f"{100 * found.mean_regret:.1f} %")
    lines = [
        f"How sure this choice is, decided again {found.draws} times, with constants drawn from "
        "what the measurements behind the performance model leave open: among "
        f"{counted(found.candidates, 'candidate')}, {found.winner} stays the {best} "
        f"in {times(found.winner_share)} of {found.draws}{takes_over}. Keeping to it {keeping} "
        f"on average, {100 * found.worst_regret:.1f} % at worst."
    ]
    if found.unserved_share:
        lines.append(
            f"In {times(found.unserved_share)} of {found.draws} it can serve no load at all; these "
            "are left out of average and worst."
        )
    if found.winner_share < 0.5 and found.runner_up is not None:
        lines.append(
            f"So these measurements do not settle which groups are the {best}. Measure both on "
            "your GPUs, if that difference matters to you."
        )
    return Text("\n".join(["", *lines]))


def undecided_view(time_limit_s: float) -> Text:
    """Say that time did not allow to decide again."""
    told = f"Not decided again under drawn constants: the limit of {time_limit_s:g} s passed."
    return Text("\n" + told)
