"""When every frame is where: times, and schedules of prompts and latents for KSampler."""
