# What `make bench` needs built beside the kernel: the programs that run in it, and the scale suite as a host program,
# optimized as the kernel is, on a simulated machine with RAM for a million pages.

HOSTCC ?= $(CC)
BENCH_FILES += $(BUILD)/user/bench $(BUILD)/user/tests/first $(BUILD)/host-bench/run

HOST_BENCH_CFLAGS := -std=gnu11 -O2 -g -pthread -fno-omit-frame-pointer -fno-strict-aliasing $(WARNINGS) \
	-fno-stack-protector -fcf-protection=none -mno-red-zone -DSIM_RAM_BYTES=0x140000000ul \
	-Itests/host/include -Itests/host -Iinclude -Ikern/arch/x86_64
# Nobody watches the allocator here: the watching would be counted. (tests/host/rules.mk, which is read later, has the list.)
HOST_BENCH_LDFLAGS = -pthread $(foreach name,$(HOST_WATCHED),-Wl,--defsym=__real_$(name)=$(name))
# The kernel's own memcpy and memset: how many instructions the C library's take depends on the CPU.
HOST_BENCH_SOURCES := $(sort $(wildcard kern/vm/*.c)) $(sort $(wildcard kern/arch/x86_64/pmap*.c)) kern/core/test.c kern/core/string.c \
	tests/suites/suites.c tests/suites/suite_scale.c tests/suites/vm_suite.c \
	$(addprefix tests/host/,env.c machine.c mmu.c main.c) bench/count_host.c
HOST_BENCH_OBJECTS := $(HOST_BENCH_SOURCES:%=$(BUILD)/host-bench/%.o)

# Whole programs, on Phoenix and on Linux: the plugin that counts in QEMU, and the first process.
BENCH_PROGRAM_FILES := $(BUILD)/bench/count.so $(BUILD)/bench/runner

.PHONY: bench-programs bench-programs-built
bench-programs:
	@tools/deps test
	@$(MAKE) --no-print-directory bench-programs-built

bench-programs-built: $(KERNEL) $(BENCH_PROGRAM_FILES)
	@bench/programs

# The clock of this machine, not counted instructions: alone it means something.
.PHONY: bench-swap bench-swap-built
bench-swap:
	@tools/deps test
	@$(MAKE) --no-print-directory bench-swap-built

bench-swap-built: $(KERNEL) $(BUILD)/user/bench
	@bench/swap-clock

$(BUILD)/bench/count.so: bench/count_plugin.c
	$(say) HOSTCC $<
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) -std=gnu11 -O2 $(WARNINGS) -fPIC -shared -fvisibility=hidden -o $@ $<

$(BUILD)/bench/runner: bench/runner.c
	$(say) MUSLCC $<
	@mkdir -p $(@D)
	$(Q)$(MUSLCC) -std=gnu11 -O2 -static $(WARNINGS) -o $@ $<

CONFIG_host-bench := $(HOSTCC) $(HOST_BENCH_CFLAGS) $(HOST_BENCH_SOURCES)
$(eval $(call config_file,host-bench))

ifeq ($(findstring clang,$(HOSTCC)),)
$(BUILD)/host-bench/kern/core/string.c.o: HOST_BENCH_CFLAGS += -fno-tree-loop-distribute-patterns
endif

$(BUILD)/host-bench/%.c.o: %.c $(BUILD)/host-bench.config
	$(say) HOSTCC "$< (bench)"
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(HOST_BENCH_CFLAGS) -MMD -MP -MF $@.d -c -o $@ $<

$(BUILD)/host-bench/run: $(HOST_BENCH_OBJECTS) $(BUILD)/host-bench.config
	$(say) HOSTLD $@
	$(Q)$(HOSTCC) $(HOST_BENCH_LDFLAGS) -o $@ $(HOST_BENCH_OBJECTS)

-include $(HOST_BENCH_OBJECTS:%=%.d)
