"""Every table and figure of Keskar et al. 2017, and the command that makes it here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A table, figure or appendix of the paper.

    Attributes:
        name: as the paper numbers it.
        shows: what it holds.
        command: that makes it.

    """

    name: str
    shows: str
    command: str


CONTENTS = (
    Entry("Table 1", "the networks, their data and batch sizes", "sharpmin paper networks"),
    Entry("Table 2", "accuracy of small- and large-batch training", "sharpmin tables runs/F1-*"),
    Entry("Table 3", "sharpness, full space", "sharpmin sharpness RUN, then sharpmin tables"),
    Entry("Table 4", "sharpness, random subspaces", "sharpmin sharpness RUN --subspace 100, then sharpmin tables"),
    Entry("Figure 2", "training and testing accuracy by epoch", "sharpmin paper training-curves RUN"),
    Entry("Figure 3", "loss on the line between the minimizers", "sharpmin plot -n C1 --published"),
    Entry("Figure 4", "accuracy and sharpness against batch size", "sharpmin paper batch-sizes -n F1"),
    Entry("Figure 5", "warm starts of large-batch training", "sharpmin paper warm-start -n F1"),
    Entry("Figure 6", "sharpness against loss in training", "sharpmin paper sharpness-along -n F1"),
    Entry("Figure 7", "loss on the arc between the minimizers", "sharpmin plot -n C1 --path arc"),
    Entry("Section 2.2.1", "distance of the minimizers from x0", "sharpmin paper distances runs/F1-*"),
    Entry("Appendix A", "the data sets", "sharpmin paper networks"),
    Entry("Appendix C", "when a large batch pays", "sharpmin paper performance --efficiency 0.2"),
    Entry("Appendix E", "remedies: augmentation, conservative, robust", "sharpmin paper remedies -n C1"),
)
