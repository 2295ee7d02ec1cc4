"""Blind tests: pictures to be named, or to be chosen between, by someone who is not told who made them."""

import random

import ipywidgets
import torch

from helpers.images import check_images
from helpers.interact import Screen
from helpers.show import WIDTH


def blind_test(cards, *, choices=4, width=2 * WIDTH, seed=0):
    """Pictures one after the other, each to be named out of `choices` names: who drew them more clearly?

    `cards` are (picture (1,3,h,w), its name, the kind that it is of); the wrong names are those of other cards, drawn by `seed`.
    At the end the line of text says for each kind how many were named right, and how many chance would give. Raises ValueError for
    fewer different names than choices.
    """
    names = list(dict.fromkeys(name for _, name, _ in cards))
    if not 2 <= choices <= len(names):
        raise ValueError(f"Got {len(names)} different names for {choices} choices; expected at least as many names, and 2 choices.")
    dice, screen, right = random.Random(seed), Screen(), {kind: [] for _, _, kind in cards}
    offers = [dice.sample([*dice.sample([n for n in names if n != name], choices - 1), name], choices) for _, name, _ in cards]
    # The same buttons get other names: new ones would take the focus from whoever presses them by key.
    buttons = ipywidgets.HBox([ipywidgets.Button() for _ in range(choices)], layout={"flex_flow": "row wrap"})

    def ask():
        n = sum(map(len, right.values()))
        if n == len(cards):
            said = "; ".join(f"{kind}: {sum(hits)} of {len(hits)} right, by chance {len(hits) / choices:.1f}"
                             for kind, hits in right.items())
            screen.text.value, buttons.children = f"Done. {said}.", ()
            return
        screen.show(cards[n][0], f"Picture {n + 1} of {len(cards)}: what is it?", width)
        for button, offer in zip(buttons.children, offers[n]):
            button.description = offer

    def choose(pressed):
        _, name, kind = cards[sum(map(len, right.values()))]
        right[kind].append(pressed.description == name)
        ask()

    for button in buttons.children:
        button.on_click(choose)
    ask()
    return ipywidgets.VBox([screen, buttons])


def blind_choice(rounds, *, width=4 * WIDTH, seed=0):
    """An original and two pictures beside it, round after round: which of the two is more like it?

    `rounds` are (original (1,3,h,w), {kind: picture (1,3,h,w), other kind: picture}); which stands on the left, and the order of the
    rounds, are drawn by `seed`. At the end the line of text says for each pair of kinds how often each was chosen. Raises ValueError
    for anything but two pictures.
    """
    for original, pictures in rounds:
        check_images(original)
        for picture in pictures.values():
            check_images(picture)
            if picture.shape[2] != original.shape[2]:
                raise ValueError(f"Got pictures {original.shape[2]} and {picture.shape[2]} pixels high; expected one height. Try resize.")
        if len(pictures) != 2:
            raise ValueError(f"Got {len(pictures)} pictures to choose from, {list(pictures)}; expected two.")
    dice, screen, chosen = random.Random(seed), Screen(), {}
    cards = [(original, dice.sample(list(pictures.items()), 2)) for original, pictures in dice.sample(rounds, len(rounds))]
    buttons = ipywidgets.HBox([ipywidgets.Button(description=side) for side in ("left", "right")])

    def ask():
        n = sum(map(len, chosen.values()))
        if n == len(cards):
            said = "; ".join(", ".join(f"{kind} {picks.count(kind)}" for kind in pair) + f" of {len(picks)}"
                             for pair, picks in chosen.items())
            screen.text.value, buttons.children = f"Done. Chosen: {said}.", ()
            return
        original, pictures = cards[n]
        gap = original.new_ones(*original.shape[:3], 12)
        both = [part for _, picture in pictures for part in (gap, picture.to(original))]
        screen.show(torch.cat([original, gap, *both], 3), f"Round {n + 1} of {len(cards)}: which of the two is more like the one "
                    "on the far left?", width)

    def choose(k):
        pictures = cards[sum(map(len, chosen.values()))][1]
        chosen.setdefault(tuple(sorted(kind for kind, _ in pictures)), []).append(pictures[k][0])
        ask()

    for k, button in enumerate(buttons.children):
        button.on_click(lambda _, k=k: choose(k))
    ask()
    return ipywidgets.VBox([screen, buttons])
