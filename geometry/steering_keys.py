"""The keys of a conditioning that ComfyUI reads: what they hold may steer the picture.

Other nodes leave keys of their own in a conditioning. A text under such a key is a note, as
prompt-control's `prompt`; under one of these it may choose how the model works.
"""

from __future__ import annotations

# All keys that models and samplers of ComfyUI 0.3.75 and 0.30.0 look up by name. A test compares
# them with both.
_KEYS = """
    aesthetic_score area aspect_ratio attention_mask attention_mask_img_shape
    attention_mask_mt5xl audio_codes audio_embed audio_inject_scale augmentation_level azimuth
    camera_conditions clip_end_percent clip_start_percent clip_vision_output
    clip_vision_output_ref clip_vision_outputs concat_image concat_latent_image concat_mask
    concat_mask_index condition conditioning_byt5small conditioning_llama3 conditioning_lyrics
    conditioning_mt5xl context_latents control control_apply_to_uncond control_video crop_h
    crop_w cross_attn cross_attn_controlnet default degrade_sigma denoise_mask device
    driving_mask_28ch elevation end_percent face_video_pixels fps frame_rate gligen guidance
    guide_attention_entries guiding_frame_index height hooks keyframe_idxs latent_image
    latent_shapes lq_latent lyrics_strength mask mask_strength minimax_audio_cond_noise_aug
    minimax_frame_count minimax_keyframes minimax_refs minimax_token_tags
    minimax_visual_cond_noise_aug model_conds motion_bucket_id noise noise_augmentation
    noise_concat ofs pooled_output pose_video_latent prompt_type ref_audio ref_latent
    ref_mask_28ch ref_mask_flag reference_audio_timbre_latents reference_latents
    reference_latents_method reference_latents_text_embeds reference_motion seconds_start
    seconds_total seed set_area_to_bounds stable_cascade_prior start_percent strength
    t5xxl_ids t5xxl_weights target_height target_width text_input_ids time_conditioning
    time_dim_concat time_dim_replace timestep_end timestep_start transformer_options
    unclip_conditioning unclip_noise_augment_merge unprocessed_ltxav_embeds vace_frames
    vace_mask vace_strength width
"""
STEERING = frozenset(_KEYS.split())
