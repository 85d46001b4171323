# `make` alone lists what there is. Every target sets up what it needs.
.DEFAULT_GOAL := help
.PHONY: help env demo test test-all lint bench clean clean-env

ifdef GSLORA_PYTHON
PY := $(GSLORA_PYTHON)
export PYTHONPATH := $(CURDIR)$(if $(PYTHONPATH),:$(PYTHONPATH))
else
PY := .venv/bin/python
unexport PYTHONPATH
export PYTHONNOUSERSITE := 1
endif
DEMO := work_dirs/demo
DEMO_VIT := work_dirs/demo_vit
CODE := gslora_mm tools tests configs benchmarks setup.py

# GS-LoRA and the counterfactual teacher, and what comes back.
define forget_and_recover
$(PY) tools/compare.py configs/compare/demo_$(1).py \
		--work-dir $(DEMO)_recovery_$(1)
	$(PY) tools/recover.py configs/compare/recover_demo_$(1).py \
		--work-dir $(DEMO)_recovery_$(1)
endef

help:
	@echo 'make demo       forget classes from a small detector and from a small'
	@echo '                classifier: training, evaluation, tables and figures'
	@echo '                in $(DEMO)*; then what comes back of the classes'
	@echo '                when the last layer is trained anew'
	@echo 'make test       the tests'
	@echo 'make test-all   the tests, the slow ones too'
	@echo 'make bench      the benchmarks'
	@echo 'make lint       flake8, isort, yapf'
	@echo 'make env        only the environment (.venv; once, 10-20 minutes)'
	@echo 'make clean      remove caches; make clean-env: .venv as well'
	@echo
	@echo 'Variables, e.g. make demo PYTHON=python3.12:'
	@echo '  GSLORA_PYTHON  interpreter of an environment that has torch and'
	@echo '                 mmcv with ops: nothing is built or installed'
	@echo '  PYTHON         interpreter .venv is made from (3.10 - 3.12)'
	@echo "  TORCH_SPEC     another torch: 'torch==2.x.y torchvision==0.z.w'"
	@echo '  MAX_JOBS       parallel compilers for mmcv (default: all cores)'

env:
	@bash tools/setup_env.sh

demo: env
	$(PY) tools/train.py configs/gslora/ddetr_shapes_forget.py \
		--work-dir $(DEMO) --resume
	$(PY) tools/analyze_groups.py $(DEMO)
	$(PY) tools/train.py configs/gslora/vit_shapes_forget.py \
		--work-dir $(DEMO_VIT) --resume
	$(PY) tools/analyze_groups.py $(DEMO_VIT)
	$(call forget_and_recover,ddetr)
	$(call forget_and_recover,vit)
	@for table in $(DEMO)/summary.md $(DEMO_VIT)/summary.md \
		$(DEMO)_recovery_ddetr/recover/recover.md \
		$(DEMO)_recovery_vit/recover/recover.md; do \
		echo && grep -v '^```' $$table; done

# A process for each core, with one thread; a file stays in one process. An
# environment without pytest-xdist runs them one after another.
test test-all: env
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(PY) -m pytest -q tests \
		$$($(PY) -c 'import xdist' 2>/dev/null && \
			echo '-n auto --dist loadfile') $(if $(filter test-all,$@),-m '')

bench: env
	$(PY) benchmarks/run.py

lint: env
	$(PY) -m flake8 $(CODE)
	$(PY) -m isort --check-only --diff $(CODE)
	$(PY) -m yapf --diff --recursive $(CODE)

clean:
	rm -rf build dist .pytest_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

clean-env: clean
	rm -rf .venv gslora_mm/.mim gslora_mm.egg-info
