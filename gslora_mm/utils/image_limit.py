"""The largest image that is decoded.

An image of a hundred bytes can claim a billion pixels. OpenCV reads its limit
when it is loaded, so that this module has to be imported before it is.
"""
import os

_SWITCH = 'OPENCV_IO_MAX_IMAGE_PIXELS'

#: 2 ** 27 pixels are 400 MB in memory; the variable sets another limit.
MAX_PIXELS = os.environ.setdefault(_SWITCH, str(2**27))
