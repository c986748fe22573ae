"""Geodesics of a probability density: shortest paths where high density makes distances short.

"Probability Density Geodesics in Image Diffusion Latent Space" (Yu et al., CVPR 2025, arXiv
2504.06675). The metric is p(x)^(−2a)·I, so a path's length is ∫ ‖γ'‖ p(γ)^(−a) dt. A model is a
plain callable here (`score.Denoiser`); the solvers only see its score, so they can be tested on
densities whose score is known exactly.

curve      knots on a sphere or in flat space: positions, velocities, accelerations
score      ∇ log p from a denoiser, two estimates of it
boundary   the geodesic between two points
initial    the geodesic from a point with a velocity
measure    density along a curve, its length, how close it is to a geodesic
"""
