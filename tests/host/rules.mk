# The VM core as a host program: kern/vm and pmap.c on the simulated machine of this directory, twice: under the
# address and undefined-behaviour sanitizers, and under the thread sanitizer. `make host-tests` builds
# them, tests/host/*.t run them.

HOSTCC ?= $(CC)
HOST_CFLAGS := -std=gnu11 -O1 -g -pthread -DDEBUG -fno-omit-frame-pointer -fno-strict-aliasing $(WARNINGS) \
	-Itests/host/include -Itests/host -Iinclude -Ikern/arch/x86_64
HOST_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined
HOST_SANITIZE_THREADS := -fsanitize=thread

# Calls of these from other files go through machine.c.
HOST_WATCHED := page_alloc page_alloc_many page_alloc_run page_free page_free_zeroed page_free_run page_unref slab_alloc
HOST_LDFLAGS := $(HOST_WATCHED:%=-Wl,--wrap=%)

# What of the suites needs the real machine, or parts of the kernel that are not the VM; or is a benchmark.
HOST_NOT_SUITES := $(patsubst %,tests/suites/%.c,probe count suite_scale \
	suite_cpu suite_usercopy suite_serial suite_block suite_time suite_sched suite_elf suite_process suite_files suite_panic \
	suite_stack_overflow)
HOST_SUITES := $(filter-out $(HOST_NOT_SUITES),$(sort $(wildcard tests/suites/*.c)))
HOST_CORE ?= $(sort $(wildcard kern/vm/*.c))
# Those with main(): of the suites, and of streams of operations against the model.
HOST_MAINS := tests/host/main.c tests/host/stream.c
HOST_SOURCES := $(HOST_CORE) $(sort $(wildcard kern/arch/x86_64/pmap*.c)) kern/core/test.c $(HOST_SUITES) \
	$(filter-out $(HOST_MAINS),$(sort $(wildcard tests/host/*.c)))
HOST_OBJECTS := $(HOST_SOURCES:%=$(BUILD)/host/%.o)
HOST_THREAD_OBJECTS := $(HOST_SOURCES:%=$(BUILD)/host-threads/%.o)
HOST_TEST_FILES += $(BUILD)/host/run $(BUILD)/host/stream $(BUILD)/host-threads/run

.PHONY: host-tests soak soak-built tsan tsan-built
host-tests: $(BUILD)/host/run $(BUILD)/host/stream $(BUILD)/host-threads/run

# Hours that streams run, fractions too; SEED: the first, else one that no run had before.
HOURS ?= 1
SEED ?= $(shell date +%s)

soak:
	@tools/deps test
	@$(MAKE) --no-print-directory soak-built

soak-built: $(BUILD)/host/stream
	@$< --hours '$(HOURS)' --first '$(SEED)' --jobs $(shell nproc)

tsan:
	@tools/deps test
	@$(MAKE) --no-print-directory tsan-built

tsan-built: $(BUILD)/host-threads/run
	@BUILD='$(BUILD)' $(PROVE) tests/host/races.t

CONFIG_host := $(HOSTCC) $(HOST_CFLAGS) $(HOST_LDFLAGS) $(HOST_SOURCES) $(HOST_MAINS)
$(eval $(call config_file,host))

$(BUILD)/host/%.c.o: %.c $(BUILD)/host.config
	$(say) HOSTCC $<
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(HOST_CFLAGS) $(HOST_SANITIZE) -MMD -MP -MF $@.d -c -o $@ $<

$(BUILD)/host-threads/%.c.o: %.c $(BUILD)/host.config
	$(say) HOSTCC "$< (threads)"
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(HOST_CFLAGS) $(HOST_SANITIZE_THREADS) -MMD -MP -MF $@.d -c -o $@ $<

$(BUILD)/host/run: $(HOST_OBJECTS) $(BUILD)/host/tests/host/main.c.o $(BUILD)/host.config
$(BUILD)/host/stream: $(HOST_OBJECTS) $(BUILD)/host/tests/host/stream.c.o $(BUILD)/host.config
$(BUILD)/host/run $(BUILD)/host/stream:
	$(say) HOSTLD $@
	$(Q)$(HOSTCC) $(HOST_SANITIZE) -pthread $(HOST_LDFLAGS) -o $@ $(filter %.o,$^)

$(BUILD)/host-threads/run: $(HOST_THREAD_OBJECTS) $(BUILD)/host-threads/tests/host/main.c.o $(BUILD)/host.config
	$(say) HOSTLD $@
	$(Q)$(HOSTCC) $(HOST_SANITIZE_THREADS) -pthread $(HOST_LDFLAGS) -o $@ $(filter %.o,$^)

-include $(HOST_OBJECTS:%=%.d) $(HOST_THREAD_OBJECTS:%=%.d) $(HOST_MAINS:%=$(BUILD)/host/%.o.d)
