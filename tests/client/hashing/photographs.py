"""The photographs that ship with scikit-image."""

from pathlib import Path

import skimage

FOLDER = Path(skimage.__file__).parent / "data"
COLOUR = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "retina.jpg", "hubble_deep_field.jpg")
ALL = (*COLOUR, "camera.png")
