# Deliberate bugs, one at a time, each of which the host's tests have to find. tests/mutants/run does it all, in
# $(BUILD)/mutants.

.PHONY: mutants

# A name from tests/mutants/list, or several: only those.
MUTANT ?=

mutants:
	@tools/deps test
	@tests/mutants/run $(BUILD)/mutants $(MUTANT)
