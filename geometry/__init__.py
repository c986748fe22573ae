"""The mathematics of geodesic morphs, on tensors alone.

Nothing here knows of ComfyUI, of nodes or of files. A CONDITIONING list enters and leaves through
`cloud`; a socket of the node layer carries a tuple with one object of this package for each entry
of that list.
"""
