# What `make bench` needs built beside the kernel.

bench: $(BUILD)/user/bench $(BUILD)/user/tests/first
