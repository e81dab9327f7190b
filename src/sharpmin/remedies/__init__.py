"""What has been tried against the generalisation gap of large batches: a file each, all of them parts of `TrainConfig`.

The remedies of appendix E of Keskar et al. 2017, and those that came after. They combine, for each acts at a place of
its own in a step of training:

    the batch        GrowingBatch      how many examples
                     Augmentation      what the images look like
    its gradient     GhostBatchNorm    BatchNorm over parts of the batch
                     Robust            adversarial inputs too
                     SAM               taken uphill of the weights
    the step         WarmUp            the learning rate
                     Conservative      several iterations on the batch

LARS, LAMB and other optimizers need no place of their own: see `sharpmin.optimizers`.
"""

from sharpmin.remedies.augmentation import Augmentation
from sharpmin.remedies.conservative import Conservative
from sharpmin.remedies.ghost import GhostBatchNorm
from sharpmin.remedies.growing import GrowingBatch
from sharpmin.remedies.robust import Robust
from sharpmin.remedies.sam import SAM
from sharpmin.remedies.warm_up import WarmUp

__all__ = ["SAM", "Augmentation", "Conservative", "GhostBatchNorm", "GrowingBatch", "Robust", "WarmUp"]
