# Coverage of kern/vm by the host's suites and those in QEMU together. `make coverage` makes both again in $(BUILD)/coverage,
# with counters in kern/vm alone; tests/coverage/run runs them and tells. gcc's own: only its gcov reads what it writes.

COVERAGE ?=
COVERAGE_BUILD := $(BUILD)/coverage
COVERAGE_RUN := COVERAGE=1 CC=gcc HOSTCC=gcc HOST_SANITIZE= BUILD=$(COVERAGE_BUILD)

.PHONY: coverage coverage-built

coverage:
	@tools/deps test
	@$(MAKE) --no-print-directory $(PARALLEL) $(COVERAGE_RUN) coverage-built
	@tests/coverage/run $(COVERAGE_BUILD)

ifeq ($(COVERAGE),1)

# Unoptimized and never inlined, so that every line and branch is once, where it was written.
COVERAGE_CFLAGS := -O0 -fprofile-arcs -ftest-coverage -Dalways_inline=unused
COVERAGE_PROGRAMS := $(BUILD)/user/demo $(patsubst %,$(BUILD)/user/tests/%,heap memory random_memory)
KERNEL_COVERAGE_OBJECTS := $(BUILD)/obj/tests/coverage/kernel.c.o
KERNEL_COVERAGE_CFLAGS := $(COVERAGE_CFLAGS) -fprofile-info-section=gcov_info

$(BUILD)/obj/kern/vm/%.c.o: KERNEL_CFLAGS += $(KERNEL_COVERAGE_CFLAGS)
$(BUILD)/host/kern/vm/%.c.o: HOST_CFLAGS += $(COVERAGE_CFLAGS) -fprofile-update=atomic
$(BUILD)/host/run $(BUILD)/host/stream: HOST_LDFLAGS += --coverage
$(foreach source,$(wildcard kern/vm/*.c),$(BUILD)/obj/$(source).o $(BUILD)/host/$(source).o): tests/coverage/rules.mk

# Linked as all the others are; the section of counters' places is one that the linker knows the ends of.
$(BUILD)/phoenix-nosyms.elf: $(KERNEL_COVERAGE_OBJECTS)
OBJECTS += $(KERNEL_COVERAGE_OBJECTS) $(shell $(CC) -print-file-name=libgcov.a)
KERNEL_LDFLAGS += --wrap=power_off
-include $(KERNEL_COVERAGE_OBJECTS:%=%.d)

coverage-built: $(KERNEL) $(BUILD)/host/run $(BUILD)/host/stream $(COVERAGE_PROGRAMS)
	@:

endif
