# Programs that nobody here wrote, and ours for each system call, run on this machine's Linux first and on the booted system
# then: `make test-programs`. What each test here is, is said at its head.

PROGRAM_CALLS := $(patsubst tests/programs/%.c,$(BUILD)/programs/%,$(sort $(wildcard tests/programs/calls/*.c)))
PROGRAM_CFLAGS := -std=gnu11 -O2 -g -static $(WARNINGS) -idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu
PROGRAM_FILES := $(PROGRAM_CALLS)
TEST_FILES += $(PROGRAM_FILES)

.PHONY: test-programs test-programs-built
test-programs:
	@tools/deps test
	@$(MAKE) --no-print-directory test-programs-built

test-programs-built: $(KERNEL) $(PROGRAM_FILES)
	@$(PROVE) tests/programs

CONFIG_programs := $(MUSLCC) $(PROGRAM_CFLAGS)
$(eval $(call config_file,programs))

$(PROGRAM_CALLS): $(BUILD)/programs/calls/%: tests/programs/calls/%.c $(BUILD)/programs.config
	$(say) MUSLCC $<
	@mkdir -p $(@D)
	$(Q)$(MUSLCC) $(PROGRAM_CFLAGS) -MMD -MP -MF $@.d -o $@ $<

-include $(PROGRAM_CALLS:%=%.d)
