"""H-Mean, the one number of the GS-LoRA papers."""
import math


def h_mean(retain, forget_before, forget_after):
    """Harmonic mean of what stayed and what was forgotten.

    ``H = 2 * retain * drop / (retain + drop)`` with
    ``drop = forget_before - forget_after`` (GS-LoRA, caption of its result
    tables; the published cells follow from the *pre-trained* model's value,
    also for later requests). All three values are on the same scale, e.g.
    AP in [0, 1] or accuracy in per cent, and so is the result.

    Args:
        retain (float): AP_r or Acc_r after forgetting.
        forget_before (float): AP_f or Acc_f of the pre-trained model.
        forget_after (float): AP_f or Acc_f after forgetting.

    Returns:
        float: H; 0.0 if nothing was forgotten (``drop <= 0``) or nothing
        stayed (``retain <= 0``); NaN if any value is NaN.
    """
    drop = float(forget_before) - float(forget_after)
    retain = float(retain)
    if math.isnan(drop) or math.isnan(retain):
        return math.nan
    if drop <= 0 or retain <= 0:
        return 0.0
    return 2 * retain * drop / (retain + drop)
