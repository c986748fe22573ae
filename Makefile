# Every command sets up what it needs by itself, once, in .comfyui/ (git ignores it).
PYTHON ?= python3
SETUP = $(PYTHON) -m dev.comfyui.environment
RUN = $(SETUP) --develop --run

.PHONY: demo test check lint release-check bench gpu-check workflows locales pictures models train evaluate study study-sd15 results clean

demo: ## a morph video from two prompts, in demo/output/
	@$(SETUP) --run -m demo

test: ## lint, types and all tests, on two real ComfyUIs and in a real Chromium; ten minutes
	@$(SETUP) --develop --browser --next --run -m tests $(ARGS)

check: ## lint, types and the tests that need no ComfyUI; a minute
	@$(RUN) -m tests check $(ARGS)

lint: ## ruff, pyright, oxlint and the order of layers
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m dev.checks.typecheck
	@$(RUN) -m dev.checks.lint_js
	@$(RUN) -m dev.checks.layers

release-check: lint ## what the registry would take: does it run in a bare ComfyUI, and fit all versions?
	@$(SETUP) --develop --next --run -m dev.checks.release

bench: ## ratios against what one would use otherwise
	@PYTHONPATH=.comfyui/base/custom_nodes $(RUN) -m benchmarks $(ARGS)

gpu-check: ## times, memory and agreement on this machine's graphics card, in eight minutes
	@COMFYUI_NEXT=1 $(SETUP) --next --run -m dev.gpu_check $(ARGS)

workflows: ## write example_workflows/*.json and subgraphs/*.json anew from dev/workflows/
	@$(RUN) -m dev.workflows

locales: ## write the English names and tooltips anew from the nodes' schemas
	@$(RUN) -m dev.locales

pictures: ## draw anew what README, example workflows and help pages show
	@$(SETUP) --develop --browser --run -m dev.pictures

models: ## run every node on tiny models of all families and write docs/models.md anew
	@$(SETUP) --develop --next --run -m dev.families

train: ## the small model's weights from nothing, in .comfyui/training; stop and go on at will
	@$(RUN) -m dev.small_model train $(ARGS)

evaluate: ## does the small model draw what it is asked? writes scenes/quality.md
	@$(RUN) -m dev.small_model evaluate $(ARGS)

study: ## one of the study's commands, such as make study ARGS="run my-run --guidance 7"
	@$(RUN) -m study $(or $(ARGS),--help)

# Where SD1.5's study is measured, and with how many pairs; BINS is the number of bins of similarity.
SD15 = .comfyui/study/sd15
COUNT ?= 200
BINS = 10

study-sd15: ## on a GPU: experiment 1 and the paper's table on SD1.5, CHECKPOINT= PAIRS= CAPTIONS=
	@test -n "$(CHECKPOINT)" -a -n "$(PAIRS)" -a -n "$(CAPTIONS)" || { echo "make study-sd15 \
	CHECKPOINT=v1-5-pruned-emaonly-fp16.safetensors PAIRS=\"sts_val.csv sts_test.csv\" \
	CAPTIONS=dataset_coco.json [COUNT=200]; docs/study.md says where they come from."; exit 2; }
	@$(RUN) -m study paths seeds --checkpoint "$(CHECKPOINT)" --pairs $(PAIRS) \
		--captions "$(CAPTIONS)" --count $(COUNT) --folder $(SD15)/seeds
	@$(RUN) -m study paths report --folder $(SD15)/seeds --output $(SD15)
	@$(RUN) -m study run $(SD15)/table --checkpoint "$(CHECKPOINT)" --pairs $(PAIRS) \
		--captions "$(CAPTIONS)" --per-bin $$(( ($(COUNT) + $(BINS) - 1) / $(BINS) ))
	@$(RUN) -m study report $(SD15)/table

# What the committed reports of the prompt experiment were made with.
PROMPTS = --steps 8 --batch 8 --kept-per-bin 2

results: ## rerun all comparisons on the small model (ten hours): study/results/
	@$(RUN) -m study even
	@$(RUN) -m study paths all --text-model written --anew
	@$(RUN) -m study paths all --text-model reader --anew
	@$(RUN) -m study paths report
	@$(RUN) -m study noise
	@$(RUN) -m study density
	@$(RUN) -m study attention
	@$(RUN) -m study run .comfyui/study/guidance-1 --guidance 1 --per-bin 50 $(PROMPTS)
	@$(RUN) -m study report .comfyui/study/guidance-1 --output study/results/prompts/guidance-1
	@$(RUN) -m study run .comfyui/study/guidance-4 --guidance 4 --per-bin 25 $(PROMPTS)
	@$(RUN) -m study report .comfyui/study/guidance-4 --output study/results/prompts/guidance-4

clean: ## remove the set-up and all in it: models put there by hand, half-done training
	rm -rf .comfyui demo/output
