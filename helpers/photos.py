"""The album: photographs that come inside installed packages, with their credits."""

from dataclasses import dataclass
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
            return load_image(Image.fromarray(np.asarray(picture)), size=size)


class Album(dict):
    def __missing__(self, name):
        raise unknown_name("photograph", name, self)


def photos():
    """Return the album, name -> Photo: photos()["cat"].load(64) is a tensor (1,3,64,64)."""
    public = "public domain"
    return Album(
        cat=Photo("a ginger cat, Chelsea", "scikit-image", "chelsea.png",
                  "Stefan van der Walt", "CC0"),
        espresso=Photo("an espresso in a cup", "scikit-image", "coffee.png",
                       "Rachel Michetti, Pikolo Espresso Bar", "CC0"),
        astronaut=Photo("the astronaut Eileen Collins", "scikit-image", "astronaut.png",
                        "NASA", public),
        rocket=Photo("a Falcon 9 rocket at its launch", "scikit-image", "rocket.jpg",
                     "SpaceX", public),
        hubble=Photo("the Hubble eXtreme Deep Field", "scikit-image", "hubble_deep_field.jpg",
                     "NASA and ESA", public),
        temple=Photo("a pavilion of the Summer Palace, Beijing", "scikit-learn", "china.jpg",
                     "Daniel Buechele", "CC BY 2.0"),
        dahlia=Photo("a dahlia", "scikit-learn", "flower.jpg", "vultilion", "CC BY 2.0"),
        cameraman=Photo("a cameraman with his tripod", "scikit-image", "camera.png",
                        "Lav Varshney", "CC0"),
        hopper=Photo("Commodore Grace Hopper", "matplotlib", "grace_hopper.jpg",
                     "US Navy", public),
    )
