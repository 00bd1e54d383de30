# Fuzz targets: each target_NAME.c of this directory, with the VM core on the host's simulated machine, under clang's libFuzzer and
# its address and undefined-behaviour sanitizers. tests/fuzz/run runs them. TARGET=calls is another one: tests/qemu/fuzz_calls.t.

FUZZCC ?= clang
# The first is fuzzed on the CPUs that would be idle at the end.
FUZZ_TARGETS := map $(filter-out map,$(patsubst tests/fuzz/target_%.c,%,$(sort $(wildcard tests/fuzz/target_*.c))))
FUZZ_PROGRAMS := $(FUZZ_TARGETS:%=$(BUILD)/fuzz/%)
test-files: $(FUZZ_PROGRAMS)

# Where the fuzzer looks at branches and comparisons, to find inputs that go new ways; and what else is linked. Allocators and
# checkers compare much that tells it nothing: looking at that takes most of the time.
FUZZ_NOT_EXPLORED := $(patsubst %,kern/vm/%.c,page slab check)
FUZZ_EXPLORED := $(filter-out $(FUZZ_NOT_EXPLORED),$(sort $(wildcard kern/vm/*.c))) $(sort $(wildcard kern/arch/x86_64/pmap*.c)) kern/proc/elf.c
FUZZ_OTHERS := tests/fuzz/fuzz.c $(FUZZ_NOT_EXPLORED) $(patsubst %,tests/host/%.c,env machine mmu probe program) \
	$(sort $(wildcard tests/suites/vm_suite.c tests/suites/store.c tests/suites/disk.c tests/suites/model*.c))
FUZZ_OBJECTS := $(patsubst %,$(BUILD)/fuzz/obj/%.o,$(FUZZ_EXPLORED) $(FUZZ_OTHERS))

FUZZ_CFLAGS := -std=gnu11 -O1 -g -pthread -DDEBUG -fno-omit-frame-pointer -fno-strict-aliasing $(WARNINGS) \
	-Itests/host/include -Itests/host -Iinclude -Ikern/arch/x86_64
FUZZ_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined
FUZZ_LDFLAGS = -fsanitize=fuzzer $(HOST_LDFLAGS)

.PHONY: fuzz fuzz-corpus fuzz-built

# A number of seconds for all targets together, and perhaps one target alone.
SECONDS = 60
TARGET ?=

# Not libFuzzer's: random system calls on the booted system. SEED is where to begin.
ifeq ($(TARGET),calls)
fuzz:
	@tools/deps test
	@$(MAKE) --no-print-directory $(PARALLEL) $(KERNEL) $(ARCHIVE) $(BUILD)/debug/phoenix.elf $(BUILD)/user/tests/fuzz_calls
	@SECONDS='$(SECONDS)' prove -v tests/qemu/fuzz_calls.t
else
fuzz:
	@tools/deps test
	@$(MAKE) --no-print-directory $(PARALLEL) fuzz-built
	@tests/fuzz/run --seconds '$(SECONDS)' $(BUILD)/fuzz $(or $(TARGET),$(FUZZ_TARGETS))
endif

fuzz-built: $(FUZZ_PROGRAMS)
	@:

# Keeps of the inputs in the repository, and those found since, as few as reach all that they reach.
fuzz-corpus: fuzz-built
	@tests/fuzz/run --merge $(BUILD)/fuzz $(or $(TARGET),$(FUZZ_TARGETS))

CONFIG_fuzz := $(FUZZCC) $(FUZZ_CFLAGS) $(FUZZ_SANITIZE) $(FUZZ_OBJECTS)
$(eval $(call config_file,fuzz))

$(patsubst %,$(BUILD)/fuzz/obj/%.o,$(FUZZ_EXPLORED)): FUZZ_SANITIZE += -fsanitize=fuzzer-no-link

$(BUILD)/fuzz/obj/%.c.o: %.c $(BUILD)/fuzz.config
	$(say) FUZZCC $<
	@mkdir -p $(@D)
	$(Q)$(FUZZCC) $(FUZZ_CFLAGS) $(FUZZ_SANITIZE) -MMD -MP -MF $@.d -c -o $@ $<

$(FUZZ_PROGRAMS): $(BUILD)/fuzz/%: $(BUILD)/fuzz/obj/tests/fuzz/target_%.c.o $(FUZZ_OBJECTS) $(BUILD)/fuzz.config
	$(say) FUZZLD $@
	$(Q)$(FUZZCC) $(FUZZ_SANITIZE) $(FUZZ_LDFLAGS) -pthread -o $@ $< $(FUZZ_OBJECTS)

-include $(FUZZ_OBJECTS:%=%.d) $(FUZZ_TARGETS:%=$(BUILD)/fuzz/obj/tests/fuzz/target_%.c.o.d)
