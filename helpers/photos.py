"""The album: photographs that come inside installed packages, with their credits."""

from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from helpers.errors import unknown_name
from helpers.images import load_image

FOLDERS = {
    "scikit-image": ("skimage", "data"),
    "scikit-learn": ("sklearn", "datasets/images"),
    "matplotlib": ("matplotlib", "mpl-data/sample_data"),
}


@dataclass(frozen=True)
class Photo:
    """A photograph in an installed package: what it shows, who made it, and its license."""

    device: object      # where `load` puts it
    title: str
    package: str
    file: str
    credit: str
    license: str

    def load(self, size=None):
        """Load the photograph as (1,3,h,w) from 0 to 1; with `size`, its center at that size."""
        module, folder = FOLDERS[self.package]
        path = Path(find_spec(module).origin).parent / folder / self.file
        with Image.open(path) as picture:       # as an array it has no color profile
            x = load_image(Image.fromarray(np.asarray(picture)), size=size)
        return x.to(self.device)


class Album(dict):
    def __missing__(self, name):
        raise unknown_name("photograph", name, self)


def photos(device="cpu"):
    """Return the album, name -> Photo: photos()["cat"].load(64) is a tensor (1,3,64,64)."""
    photo = partial(Photo, device)
    public = "public domain"
    return Album(
        cat=photo("a ginger cat, Chelsea", "scikit-image", "chelsea.png",
                  "Stefan van der Walt", "CC0"),
        espresso=photo("an espresso in a cup", "scikit-image", "coffee.png",
                       "Rachel Michetti, Pikolo Espresso Bar", "CC0"),
        astronaut=photo("the astronaut Eileen Collins", "scikit-image", "astronaut.png",
                        "NASA", public),
        rocket=photo("a Falcon 9 rocket at its launch", "scikit-image", "rocket.jpg",
                     "SpaceX", public),
        hubble=photo("the Hubble eXtreme Deep Field", "scikit-image", "hubble_deep_field.jpg",
                     "NASA and ESA", public),
        temple=photo("a pavilion of the Summer Palace, Beijing", "scikit-learn", "china.jpg",
                     "Daniel Buechele", "CC BY 2.0"),
        dahlia=photo("a dahlia", "scikit-learn", "flower.jpg", "vultilion", "CC BY 2.0"),
        cameraman=photo("a cameraman with his tripod", "scikit-image", "camera.png",
                        "Lav Varshney", "CC0"),
        hopper=photo("Commodore Grace Hopper", "matplotlib", "grace_hopper.jpg",
                     "US Navy", public),
    )
