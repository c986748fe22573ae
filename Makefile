# Every command sets up what it needs by itself, once, in .comfyui/ (git ignores it).
PYTHON ?= python3
RUN = $(PYTHON) -m demo.environment --run

.PHONY: demo test lint bench workflows clean

demo: ## a morph video from two prompts, in demo/output/
	@$(RUN) -m demo

test: lint ## all tests, on a real ComfyUI and in a real Chromium
	@$(PYTHON) -m demo.environment --browser --run -m pytest $(ARGS)

lint: ## ruff and pyright
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m pyright

bench: ## ratios against what one would use otherwise
	@PYTHONPATH=.comfyui/base/custom_nodes $(RUN) -m benchmarks

workflows: ## write example_workflows/*.json anew from demo/workflows.py
	@$(RUN) -m demo.workflows

clean: ## remove the set-up and everything it made
	rm -rf .comfyui demo/output
