"""What is known of samplers by their names in ComfyUI's menu."""

from __future__ import annotations

# Parts of the names of samplers that draw new noise in every step.
STOCHASTIC = ("ancestral", "sde", "lcm", "ddpm", "seeds", "sa_solver")
# Samplers that choose their own σ, so that no step can be a starting point.
ADAPTIVE = ("dpm_fast", "dpm_adaptive")


def draws_step_noise(name: str) -> bool:
    """Whether a sampler draws new noise in every step."""
    return any(part in name for part in STOCHASTIC)


def is_restartable(name: str) -> bool:
    """Whether a sampler can start from the state before any of its steps."""
    return name not in ADAPTIVE and not draws_step_noise(name)
