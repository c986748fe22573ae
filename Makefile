# Every command sets up what it needs by itself, once, in .comfyui/ (git ignores it).
PYTHON ?= python3
SETUP = $(PYTHON) -m demo.environment
RUN = $(SETUP) --develop --run

.PHONY: demo test lint bench workflows clean

demo: ## a morph video from two prompts, in demo/output/
	@$(SETUP) --run -m demo

test: lint ## all tests, on a real ComfyUI and in a real Chromium
	@$(SETUP) --develop --browser --run -m pytest $(ARGS)

lint: ## ruff and pyright
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m demo.typecheck

bench: ## ratios against what one would use otherwise
	@PYTHONPATH=.comfyui/base/custom_nodes $(RUN) -m benchmarks $(ARGS)

workflows: ## write example_workflows/*.json anew from demo/workflows.py
	@$(RUN) -m demo.workflows

clean: ## remove the set-up and everything in it, models put there by hand too
	rm -rf .comfyui demo/output
