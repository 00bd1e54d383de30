# Programs that nobody here wrote, and ours for each system call, run on this machine's Linux first and on the booted system
# then: `make test-programs`. What each test here is, is said at its head.

PROGRAM_CALLS := $(patsubst tests/programs/%.c,$(BUILD)/programs/%,$(sort $(wildcard tests/programs/calls/*.c)))
PROGRAM_CFLAGS := -std=gnu11 -O2 -g -static $(WARNINGS) -idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu

# Linux's selftests of the VM, built beside their source, which is taken out of Debian's package of it.
SELFTEST_PACKAGE := /usr/src/linux-source-6.1.tar.xz
SELFTEST_PARTS := tools/testing/selftests tools/include include/uapi
SELFTEST_DIR := $(BUILD)/programs/linux/tools/testing/selftests/vm
SELFTESTS := $(shell sed -n 's/^\([^ #]*\): run.*/\1/p' tests/programs/selftests.list)
SELFTEST_FILES := $(SELFTESTS:%=$(SELFTEST_DIR)/built/%)

PROGRAM_FILES := $(PROGRAM_CALLS) $(SELFTEST_FILES)
TEST_FILES += $(PROGRAM_FILES)

.PHONY: test-programs test-programs-built
test-programs:
	@tools/deps test
	@$(MAKE) --no-print-directory test-programs-built

test-programs-built: $(KERNEL) $(PROGRAM_FILES)
	@$(PROVE) tests/programs

# A shell's loop for HOURS: no page may be lost.
.PHONY: soak-shell soak-shell-built
soak-shell:
	@tools/deps test
	@$(MAKE) --no-print-directory soak-shell-built

soak-shell-built: $(KERNEL)
	@tests/programs/soak '$(HOURS)'

# Programs that page for HOURS, from SEED on: their data has to be right.
.PHONY: soak-swap soak-swap-built
soak-swap:
	@tools/deps test
	@$(MAKE) --no-print-directory soak-swap-built

soak-swap-built: $(KERNEL) $(USER_PROGRAMS)
	@tests/programs/soak-swap '$(HOURS)' '$(SEED)'

# Everything that takes long, one after the other.
.PHONY: check-all
check-all:
	@tools/deps test
	@$(MAKE) --no-print-directory test-built
	@$(MAKE) --no-print-directory tsan coverage mutants fuzz
	@STRESS_SECONDS=10 $(PROVE) -v tests/programs/stress.t
	@PROGRAMS_MEMORY=half $(PROVE) $(patsubst %,tests/programs/%.t,calls selftests shells debian)
	@tests/programs/storm 30
	@tests/programs/storm 30 512
	@$(MAKE) --no-print-directory soak soak-shell soak-swap

CONFIG_programs := $(MUSLCC) $(PROGRAM_CFLAGS)
$(eval $(call config_file,programs))

$(PROGRAM_CALLS): $(BUILD)/programs/calls/%: tests/programs/calls/%.c $(BUILD)/programs.config
	$(say) MUSLCC $<
	@mkdir -p $(@D)
	$(Q)$(MUSLCC) $(PROGRAM_CFLAGS) -MMD -MP -MF $@.d -o $@ $<

-include $(PROGRAM_CALLS:%=%.d)

$(SELFTEST_DIR)/extracted: $(wildcard $(SELFTEST_PACKAGE))
	$(say) TAR $(SELFTEST_PACKAGE)
	@mkdir -p $(BUILD)/programs/linux $(SELFTEST_DIR)/built
	$(Q)tar -xf $(SELFTEST_PACKAGE) -C $(BUILD)/programs/linux --strip-components=1 $(SELFTEST_PARTS:%=linux-source-6.1/%)
	@touch $@

$(SELFTEST_FILES): $(SELFTEST_DIR)/built/%: $(SELFTEST_DIR)/extracted
	$(say) CC $*
	$(Q)cd $(SELFTEST_DIR) && gcc -std=gnu11 -O2 -static -w -o built/$* $*.c vm_util.c -lpthread -lrt -lcap
