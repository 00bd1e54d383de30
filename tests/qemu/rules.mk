# The programs that tests/qemu runs on the booted system: user/tests/*.c.

TEST_PROGRAMS := $(patsubst user/%.c,$(BUILD)/user/%,$(sort $(wildcard user/tests/*.c)))
TEST_FILES += $(TEST_PROGRAMS) $(BUILD)/user/tests/addresses_pie

# The same kernel with its costly assertions, for the suites.
TEST_FILES += $(BUILD)/debug/phoenix.elf

$(BUILD)/debug/phoenix.elf: $(KERNEL)
	$(say) DEBUG $@
	$(Q)$(MAKE) --no-print-directory -s BUILD=$(BUILD)/debug DEBUG=1 $@

# A static PIE: musl-gcc's own specs make no such thing, so the start files are named here.
MUSL_LIB ?= /usr/lib/x86_64-linux-musl
STATIC_PIE = -fPIE -nostartfiles -Wl,-pie -Wl,--no-dynamic-linker -Wl,-z,text \
	$(MUSL_LIB)/rcrt1.o $(MUSL_LIB)/crti.o

$(BUILD)/user/tests/float: USER_CFLAGS += -lm
# The kernel's headers after musl's own.
$(addprefix $(BUILD)/user/tests/,pointer_table threads groups identity shortage fail_nth): USER_CFLAGS += -idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu
$(BUILD)/user/tests/first: USER_CFLAGS += -nostartfiles
$(BUILD)/user/tests/fail_nth: $(wildcard user/tests/fail_nth/*)

$(BUILD)/user/tests/addresses_pie: user/tests/addresses.c $(BUILD)/user.config
	$(say) MUSLCC $@
	@mkdir -p $(@D)
	$(Q)$(MUSLCC) $(USER_CFLAGS) $(STATIC_PIE) -MMD -MP -MF $@.d -o $@ $< $(MUSL_LIB)/crtn.o

-include $(TEST_PROGRAMS:%=%.d) $(BUILD)/user/tests/addresses_pie.d
