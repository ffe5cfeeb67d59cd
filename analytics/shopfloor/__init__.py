"""A shop made of numbers: where it stands, who walks in it, what is true, and how it looks through a ceiling camera.

`shop` is the place, `script` the people and what they do, `figure` their bodies, `truth` what an exact observer would
write down, `scene` (inside Blender) and `render` the clip. Everything follows from a fixed seed. Nobody in it exists.
"""
