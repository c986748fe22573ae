# Every command sets up what it needs by itself, once, in .comfyui/ (git ignores it).
PYTHON ?= python3
SETUP = $(PYTHON) -m demo.environment
RUN = $(SETUP) --develop --run

.PHONY: demo test lint bench workflows locales pictures train evaluate study clean

demo: ## a morph video from two prompts, in demo/output/
	@$(SETUP) --run -m demo

test: lint ## all tests, on a real ComfyUI and in a real Chromium
	@$(SETUP) --develop --browser --run -m pytest $(ARGS)

lint: ## ruff, pyright and oxlint
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m demo.typecheck
	@$(RUN) -m demo.lint_js

bench: ## ratios against what one would use otherwise
	@PYTHONPATH=.comfyui/base/custom_nodes $(RUN) -m benchmarks $(ARGS)

workflows: ## write example_workflows/*.json and subgraphs/*.json anew from demo/
	@$(RUN) -m demo.workflows

locales: ## write the English names and tooltips anew from the nodes' schemas
	@$(RUN) -m demo.locales

pictures: ## draw anew what README, example workflows and help pages show
	@$(SETUP) --develop --browser --run -m demo.pictures

train: ## the small model's weights from nothing, in .comfyui/training; stop and go on at will
	@$(RUN) -m scenes train

evaluate: ## does the small model draw what it is asked? writes scenes/quality.md
	@$(RUN) -m scenes evaluate

study: ## rerun the papers' comparisons on the small model: study/results/
	@$(RUN) -m study noise $(ARGS)
	@$(RUN) -m study density $(ARGS)

clean: ## remove the set-up and all in it: models put there by hand, half-done training
	rm -rf .comfyui demo/output
