"""Weakly supervised segmentation: from a saliency map to a mask (Simonyan 2014, section 3.2)."""

import warnings

import cv2
import numpy as np
import torch

from helpers.images import check_images, to_pil

NEEDED = 10     # known pixels of each kind, to which GrabCut fits five Gaussians
PROBABLY = {"background": cv2.GC_PR_BGD, "foreground": cv2.GC_PR_FGD}


def trimap(saliency_map, *, foreground=0.95, background=0.3):
    """Make a trimap (1,h,w): 1 above the quantile `foreground`, -1 up to `background`, else 0.

    1 is foreground, -1 background, 0 unknown. Pixels that share the lowest value, such as the zeros
    of Grad-CAM, are all background.
    """
    values = saliency_map.float()
    levels = torch.tensor([background, foreground], device=values.device)
    low, high = values.quantile(levels)
    return (values > high).int() - (values <= low).int()


def largest_component(mask):
    """Keep the largest connected component of a mask (1,h,w) bool; corners connect."""
    pixels = mask[0].cpu().numpy().astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(pixels, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]                         # without the background
    if len(areas) == 0:
        return mask.clone()
    return torch.from_numpy(labels == 1 + areas.argmax())[None].to(mask.device)


def grabcut(image, saliency_map, *, foreground=0.95, background=0.3, unknown="background"):
    """Segment the object of a saliency map by GrabCut, (1,3,h,w) and (1,h,w) -> mask (1,h,w) bool.

    GrabCut (Rother 2004) decides on the unknown pixels of the map's `trimap` by color and edges,
    in five rounds from `unknown`: "background" or "foreground". The largest component is kept. If
    a kind has too few known pixels, or all known pixels have one color, the mask is the map above
    its quantile, and a warning says so.
    """
    check_images(image)
    known = trimap(saliency_map, foreground=foreground, background=background)
    sure = known.squeeze(0).cpu().numpy()                       # (h,w)
    labels = np.full(sure.shape, PROBABLY[unknown], np.uint8)
    labels[sure == 1] = cv2.GC_FGD
    labels[sure == -1] = cv2.GC_BGD
    pixels = np.ascontiguousarray(np.asarray(to_pil(image))[:, :, ::-1])        # BGR (h,w,3)
    colors = pixels[sure != 0]
    if min((sure == 1).sum(), (sure == -1).sum()) < NEEDED or (colors == colors[0]).all():
        warnings.warn("GrabCut needs 10 known pixels of each kind, in more than one color; the "
                      "mask is the map above its quantile instead.", stacklevel=2)
        return largest_component(known == 1)
    cv2.setRNGSeed(0)
    models = np.zeros((2, 1, 65))
    cv2.grabCut(pixels, labels, None, *models, 5, cv2.GC_INIT_WITH_MASK)
    mask = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    return largest_component(torch.from_numpy(mask)[None].to(image.device))
