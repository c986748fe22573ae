"""Time, memory and agreement of the pack on a card, at the true sizes of SD1.5 and SDXL."""
