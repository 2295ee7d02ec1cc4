"""From a saliency map to a mask, without ever having seen one. Simonyan 2014, section 3.2; GrabCut is OpenCV's."""

import warnings

import cv2
import numpy as np
import torch

from helpers.errors import check_count, describe
from helpers.errors import unknown as unknown_name
from helpers.images import check_images

NEEDED = 10     # pixels of each kind; OpenCV fits five Gaussians to each
UNKNOWN = {"ground": cv2.GC_PR_BGD, "object": cv2.GC_PR_FGD}


def seeds(saliency_map, *, foreground=0.95, background=0.3):
    """The pixels of which the map is sure, (1,h,w) -> (1,h,w): 1 above the quantile `foreground`, -1 up to `background`, else 0.

    Where more than the share `background` are equally low, as the zeros of Grad-CAM, all of them count.
    """
    if not torch.is_tensor(saliency_map) or saliency_map.is_complex() or saliency_map.ndim != 3 or len(saliency_map) != 1:
        raise ValueError(f"Got {describe(saliency_map)}; expected one map, (1, h, w). Try maps[:1].")
    if not saliency_map.isfinite().all():
        raise ValueError("Some values of the map are infinite or not a number; expected finite ones.")
    if not 0 < background <= foreground < 1:
        raise ValueError(f"Got quantiles {background} and {foreground}; expected 0 < background <= foreground < 1.")
    saliency_map = saliency_map.float()
    low, high = saliency_map.quantile(torch.tensor([background, foreground], device=saliency_map.device))
    return (saliency_map > high).int() - (saliency_map <= low).int()


def largest_part(mask):
    """The largest of a mask's connected parts, (1,h,w) bool -> (1,h,w) bool; pixels that touch at a corner are connected."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask[0].cpu().numpy().astype(np.uint8), connectivity=8)
    if count == 1:      # background alone
        return mask.clone()
    return torch.from_numpy(parts == 1 + stats[1:, cv2.CC_STAT_AREA].argmax())[None].to(mask.device)


def grabcut(image, saliency_map, *, foreground=0.95, background=0.3, unknown="ground", iterations=5):
    """The object that a saliency map points at, image (1,3,h,w) and map (1,h,w) -> mask (1,h,w) bool.

    Pixels above the quantile `foreground` of the map are the object, those up to `background` are not; GrabCut (Rother
    2004) decides on the others by their colours and edges, in rounds of fitting and cutting. In the first round these count as
    `unknown`, "ground" or "object", which may decide more than the map. The largest part is kept.
    Where it can't, since one kind of seed is missing or all is alike, the mask is the map above its quantile, and a
    warning says so.
    """
    check_images(image)
    sure = seeds(saliency_map, foreground=foreground, background=background)
    if image.shape[0] != 1 or image.shape[2:] != sure.shape[1:]:
        raise ValueError(f"Got an image {tuple(image.shape)} and a map {tuple(sure.shape)}; expected (1, 3, h, w) and (1, h, w).")
    check_count(iterations, "iterations")
    if unknown not in UNKNOWN:
        raise unknown_name("start of unknown pixels", unknown, UNKNOWN)
    if min((sure == 1).sum(), (sure == -1).sum()) < NEEDED:
        return fallback(saliency_map, sure, f"the map leaves fewer than {NEEDED} pixels of one kind")
    labels = torch.where(sure == 1, cv2.GC_FGD, torch.where(sure == -1, cv2.GC_BGD, UNKNOWN[unknown]))
    labels = np.ascontiguousarray(labels[0].cpu().numpy(), dtype=np.uint8)
    pixels = np.ascontiguousarray((image[0].detach().flip(0) * 255).round().byte().permute(1, 2, 0).cpu().numpy())      # blue first
    cv2.setRNGSeed(0)       # its Gaussians start at random
    try:
        cv2.grabCut(pixels, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), int(iterations), cv2.GC_INIT_WITH_MASK)
    except cv2.error:
        return fallback(saliency_map, sure, "the colours of one kind of pixel are all alike")
    mask = torch.from_numpy((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD))[None].to(image.device)
    return largest_part(mask)


def fallback(saliency_map, sure, why):
    warnings.warn(f"GrabCut could not start: {why}. The mask is the largest part of the map above its quantile.", stacklevel=3)
    return largest_part(sure == 1)
