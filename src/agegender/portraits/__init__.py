"""From a picture to aligned faces: read, find, align, judge, draw."""
