# Builds the kernel, its programs and the boot image, and runs and tests them; `make help` lists
# the targets. Everything that is made goes to $(BUILD). Which packages are needed, and getting them,
# is tools/deps; how QEMU is started and judged is tools/run-iso and tools/run-gdb.
#
# Nothing here runs a program while the file is read: on a fresh machine even the compiler is missing
# until tools/deps has been.

BUILD     ?= build
MEM       ?= 256
CPUS      ?= 1
UEFI      ?=
ACCEL     ?= tcg
QEMU      ?= qemu-system-x86_64
QEMUEXTRA ?=
SWAP      ?=
GDBPORT   ?= 1234
ENTRY     ?=
DEBUG     ?=
V         ?=
ifeq ($(origin CC),default)
CC := gcc
endif
MUSLCC ?= musl-gcc

KERNEL := $(BUILD)/phoenix.elf
ARCHIVE := $(BUILD)/root.cpio
ISO := $(BUILD)/phoenix.iso
GEN := $(BUILD)/gen

export BUILD MEM CPUS UEFI ACCEL QEMU QEMUEXTRA SWAP GDBPORT ENTRY V CC

ifeq ($(V),1)
say = @:
Q :=
else
say = @printf '  %-8s %s\n'
Q := @
endif

# ---- What there is ------------------------------------------------------------------------------

C_SOURCES := $(sort $(wildcard kern/*/*.c kern/arch/x86_64/*.c tests/suites/*.c))
ASM_SOURCES := $(sort $(wildcard boot/*.asm kern/arch/x86_64/*.asm))
OBJECTS := $(ASM_SOURCES:%=$(BUILD)/obj/%.o) $(C_SOURCES:%=$(BUILD)/obj/%.o)
USER_PROGRAMS := $(patsubst user/%.c,$(BUILD)/user/%,$(sort $(wildcard user/*.c)))

# ---- How it is built ------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Werror
KERNEL_CFLAGS := -std=gnu11 -O2 -g -ffreestanding -fno-pic -mcmodel=small -mno-red-zone \
	-mgeneral-regs-only -fno-omit-frame-pointer -fno-strict-aliasing \
	-fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none -fno-common $(WARNINGS) \
	-Iinclude -Iinclude/kern -Ikern/arch/x86_64 -DSTB_SPRINTF_NOFLOAT= \
	-idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu
KERNEL_LDFLAGS := -nostdlib -static -z max-page-size=4096 -z noexecstack --build-id=none \
	--fatal-warnings -L$(GEN) -T linker.ld
KERNEL_NASMFLAGS := -f elf64 -g -F dwarf -Werror -I./ -I$(GEN)/
USER_CFLAGS := -std=gnu11 -O2 -g -static $(WARNINGS) -Iinclude
ifeq ($(DEBUG),1)
KERNEL_CFLAGS += -DDEBUG
# Calls of these from other files go through kern/proc/fail_nth.c.
FAIL_WATCHED := syscall_handle slab_alloc page_alloc page_alloc_many page_alloc_run vm_make_room task_made_room task_end_for_room
KERNEL_LDFLAGS += $(FAIL_WATCHED:%=--wrap=%)
endif

# Only gcc makes a memset of a loop in memset itself, and only gcc knows the option.
ifeq ($(findstring clang,$(CC)),)
$(BUILD)/obj/kern/core/string.c.o: KERNEL_CFLAGS += -fno-tree-loop-distribute-patterns
endif

.PHONY: all iso run run-built gdb gdb-built test test-files test-built test-host test-qemu bench lint compdb clean help force
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

# For a make in a recipe that only builds: all CPUs, unless the user said how many. What runs is run by another, so that no make below it looks for this one's.
PARALLEL = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))

## all         kernel, programs, boot archive and ISO (the default)
all: $(KERNEL) $(ARCHIVE) $(ISO)

# What a file was made with, kept beside it: made anew only when it changes.
CONFIG_compile := $(CC) $(KERNEL_CFLAGS) $(KERNEL_NASMFLAGS)
CONFIG_link := $(KERNEL_LDFLAGS) $(OBJECTS)
CONFIG_user := $(MUSLCC) $(USER_CFLAGS) $(USER_PROGRAMS)
define config_file
$(BUILD)/$(1).config: $(if $(subst x$(CONFIG_$(1))x,,x$(file <$(BUILD)/$(1).config)x),force)
	@mkdir -p $$(@D)
	@printf '%s' '$$(CONFIG_$(1))' >$$@
endef
$(foreach name,compile link user,$(eval $(call config_file,$(name))))

# The layout's one statement is <vm/layout.h>; NASM and the linker read copies in their languages.
$(GEN)/layout.inc $(GEN)/layout.ld: include/vm/layout.h
	@mkdir -p $(@D)
	$(Q)sed -n 's/^#define \(LAYOUT_[A-Z_]*\) *\(0x[0-9a-f]*\)ul.*/\1 $(if $(filter %.ld,$@),= \2;,equ \2)/p' $< >$@

$(BUILD)/obj/%.c.o: %.c $(BUILD)/compile.config
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(KERNEL_CFLAGS) -MMD -MP -MF $@.d -c -o $@ $<

$(BUILD)/obj/%.asm.o: %.asm $(GEN)/layout.inc $(BUILD)/compile.config
	$(say) NASM $<
	@mkdir -p $(@D)
	$(Q)nasm $(KERNEL_NASMFLAGS) -MD $@.d -MP -MT $@ -o $@ $<

# The vDSO is a shared object in ring 3, which the kernel contains (kern/arch/x86_64/vdso_image.asm).
$(GEN)/vdso.so: $(wildcard kern/arch/x86_64/vdso/*) include/kern/gate.h $(GEN)/layout.ld $(BUILD)/compile.config
	$(say) VDSO $@
	$(Q)$(CC) -std=gnu11 -O2 -fPIC -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none \
		$(WARNINGS) -Iinclude -idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu \
		-shared -nostdlib -Wl,-soname=linux-vdso.so.1 -Wl,--hash-style=both -Wl,--build-id=none -Wl,-z,max-page-size=4096 \
		-Wl,-z,noexecstack -L$(GEN) -Wl,-T,kern/arch/x86_64/vdso/vdso.ld -o $@ $(filter %.c,$^)

$(BUILD)/obj/kern/arch/x86_64/vdso_image.asm.o: $(GEN)/vdso.so

# Linked twice: the symbol table of backtraces lists the addresses of the first link, which hold
# in the second as text comes before the table.
$(GEN)/ksyms-none.asm: tools/ksyms
	@mkdir -p $(@D)
	$(Q)tools/ksyms </dev/null >$@

$(BUILD)/phoenix-nosyms.elf: $(OBJECTS) $(GEN)/ksyms-none.asm.o $(GEN)/layout.ld linker.ld $(BUILD)/link.config
	$(Q)$(LD) $(KERNEL_LDFLAGS) -o $@ $(OBJECTS) $(GEN)/ksyms-none.asm.o

$(GEN)/ksyms.asm: $(BUILD)/phoenix-nosyms.elf tools/ksyms
	$(Q)nm -n $< | tools/ksyms >$@

$(GEN)/%.asm.o: $(GEN)/%.asm
	$(Q)nasm $(KERNEL_NASMFLAGS) -o $@ $<

$(KERNEL): $(GEN)/ksyms.asm.o
	$(say) LD $@
	$(Q)$(LD) $(KERNEL_LDFLAGS) -o $@ $(OBJECTS) $<
	$(Q)nm -n $@ | tools/ksyms | cmp - $(GEN)/ksyms.asm

$(BUILD)/user/%: user/%.c $(BUILD)/user.config
	$(say) MUSLCC $<
	@mkdir -p $(@D)
	$(Q)$(MUSLCC) $(USER_CFLAGS) -MMD -MP -MF $@.d -o $@ $(filter %.c,$^)

# A program of several files: those beside it in a directory of its name.
$(BUILD)/user/bench: $(sort $(wildcard user/bench/*))

ARCHIVE_TOOLS := tools/mkarchive tools/lib/Archive.pm tools/lib/Root.pm $(wildcard /bin/busybox)

$(ARCHIVE): $(USER_PROGRAMS) $(ARCHIVE_TOOLS) $(BUILD)/user.config
	$(say) ARCHIVE $@
	$(Q)tools/mkarchive $@ --standard --busybox $(foreach program,$(USER_PROGRAMS),bin/$(notdir $(program))=$(program))

$(ISO): $(KERNEL) $(ARCHIVE) boot/grub.cfg tools/mkiso
	$(say) ISO $@
	$(Q)tools/mkiso $@ $(KERNEL) $(ARCHIVE) boot/grub.cfg

-include $(OBJECTS:%=%.d) $(USER_PROGRAMS:%=%.d)

# ---- What can be done with it ---------------------------------------------------------------------

## iso         the boot image, for BIOS and UEFI
iso: $(ISO)

## run         boots the ISO in QEMU: a shell on a terminal, else the demo; exits with its status
run:
	@tools/deps run
	@$(MAKE) --no-print-directory $(PARALLEL) $(ISO)
	@$(MAKE) --no-print-directory run-built

run-built: $(ISO)
	@tools/run-iso $(ISO)

## gdb         QEMU and GDB on the kernel, stopped at kernel_main
gdb:
	@tools/deps gdb
	@$(MAKE) --no-print-directory gdb-built

gdb-built: $(KERNEL) $(ARCHIVE)
	@tools/run-gdb $(KERNEL) $(ARCHIVE)

# What has to be built before tests and benchmarks run; tests/*/rules.mk and bench/rules.mk add to it.
TEST_FILES :=
HOST_TEST_FILES :=
BENCH_FILES :=
-include $(sort $(wildcard tests/*/rules.mk bench/rules.mk))

PROVE = prove --timer

## test        lint, host tests and QEMU tests
test:
	@tools/deps test
	@$(MAKE) --no-print-directory $(PARALLEL) test-files
	@$(MAKE) --no-print-directory test-built

test-files: $(KERNEL) $(ARCHIVE) $(ISO) $(TEST_FILES) $(HOST_TEST_FILES)

test-built: test-files
	@$(PROVE) $(wildcard tests/lint tests/tools tests/host tests/fuzz tests/qemu tests/programs)

## test-host   the VM core as a host program
test-host: $(HOST_TEST_FILES)
	@$(PROVE) tests/host

## test-qemu   in-kernel suites, programs and the boot matrix in QEMU
test-qemu: $(KERNEL) $(ARCHIVE) $(ISO) $(TEST_FILES)
	@$(PROVE) tests/qemu

## test-programs  real programs, on Linux here and on Phoenix: system calls, shells, Linux's selftests
# Its rules are in tests/programs/rules.mk.

## lint        format, boundaries, lock marks
lint:
	@$(PROVE) tests/lint

## coverage    lines and branches of kern/vm that host and QEMU tests run, with bars
## fuzz        libFuzzer on the VM core for SECONDS=60 in all; TARGET=NAME: only that
##             (calls: system calls in QEMU)
## mutants     deliberate bugs, each of which a host test has to find; MUTANT=NAME: only that
## soak        streams of operations against the model for HOURS=1, from SEED on
## soak-shell  a shell on Phoenix that runs programs for HOURS=1; no page may be lost
## soak-swap   programs with four times more data than RAM, which has to be right, for HOURS=1, from SEED on
## tsan        the suites with several threads, under the thread sanitizer
## check-all   all of that, one after the other, programs with half of the memory that they need, each stressor of stress-ng for longer, and all stressors at once for 30 minutes, without swap and with: hours
# Their rules are in tests/*/rules.mk.

## bench       counted instructions of the benchmarks
bench: $(KERNEL) $(ARCHIVE) $(BENCH_FILES)
	@bench/run

## bench-programs  counted instructions of whole programs, the kernel's and their own, against Linux in the same QEMU
## bench-swap  seconds that a program takes which needs more memory than there is, against Linux on the same disk
# Its rules are in bench/rules.mk.

## compdb      build/compile_commands.json, for editors
compdb:
	@mkdir -p $(BUILD)
	@{ echo '['; separator=; for file in $(C_SOURCES); do \
		printf '%s{"directory": "%s", "file": "%s", "command": "%s"}\n' "$$separator" '$(CURDIR)' "$$file" \
			"$(CC) $(KERNEL_CFLAGS) -c $$file"; separator=,; \
	done; echo ']'; } >$(BUILD)/compile_commands.json

## clean       removes what was built
clean:
	rm -rf $(BUILD)

## help        this
help:
	@sed -n 's/^## //p' Makefile
	@echo
	@echo "Variables: MEM (MiB, $(MEM)) CPUS ($(CPUS)) UEFI=1 ACCEL ($(ACCEL)) QEMU QEMUEXTRA GDBPORT ($(GDBPORT))"
	@echo "           SWAP (MiB, or as phoenix-run --swap: a disk to page to)"
	@echo "           ENTRY (of GRUB's menu, for run: shell, demo, test, debug)"
	@echo "           CC (gcc or clang) DEBUG=1 (costly assertions) BUILD ($(BUILD)) V=1 (show commands)"
