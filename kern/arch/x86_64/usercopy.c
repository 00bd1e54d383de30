/*
 * Copying between kernel and user memory, and accesses that may fail.
 *
 * The ranges are checked here; the instructions that touch the memory are in copy.asm, and trap.c
 * serves the faults they take or sends them to their fix-up.
 */
#include <asm/errno.h>
#include <kern/cpu.h>
#include <kern/kern.h>
#include <vm/vm.h>

uint64_t user_copy_bytes(void *to, const void *from, size_t bytes);
uint64_t user_copy_present(void *to, const void *from, size_t bytes);
long user_copy_string(char *to, const char *from, size_t bytes);
long user_read_word(vaddr_t address);
long user_exchange_word(vaddr_t address, uint32_t expected, uint32_t value);
long user_exchange_word_now(vaddr_t address, uint32_t expected, uint32_t value);
long kernel_copy_bytes(void *to, const void *from, size_t bytes);
long probe_read(vaddr_t address);
long probe_write(vaddr_t address, uint8_t value);
long probe_execute(vaddr_t address);

int copy_from_user(void *to, vaddr_t from, size_t bytes)
{
	if (bytes == 0)
		return 0;
	if (!user_range(from, bytes) || user_copy_bytes(to, (const void *)from, bytes) != 0)
		return -EFAULT;
	return 0;
}

int copy_to_user(vaddr_t to, const void *from, size_t bytes)
{
	if (bytes == 0)
		return 0;
	if (!user_range(to, bytes) || user_copy_bytes((void *)to, from, bytes) != 0)
		return -EFAULT;
	return 0;
}

bool copy_user_present(vaddr_t to, vaddr_t from, size_t bytes)
{
	return bytes == 0 || ((user_range(to, bytes) || user_range(from, bytes)) &&
			      user_copy_present((void *)to, (const void *)from, bytes) == 0);
}

/* Page by page, because only as much as the string needs has to be the user's. */
long copy_string_from_user(char *to, vaddr_t from, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		vaddr_t at = from + done;
		size_t part = PAGE_SIZE - (at & PAGE_MASK);
		long length;

		part = part < bytes - done ? part : bytes - done;
		if (!user_range(at, part))
			return -EFAULT;
		length = user_copy_string(to + done, (const char *)at, part);
		if (length < 0)
			return -EFAULT;
		done += (size_t)length;
		if ((size_t)length < part)
			return (long)done;
	}
	return -ENAMETOOLONG;
}

bool user_word_read_now(vaddr_t address, uint32_t *out)
{
	long word = user_range(address, sizeof *out) ? user_read_word(address) : -1;

	*out = (uint32_t)word;
	return word >= 0;
}

int user_word_exchange(vaddr_t address, uint32_t expected, uint32_t value, uint32_t *was)
{
	long word = user_range(address, sizeof *was) ? user_exchange_word(address, expected, value) : -1;

	*was = (uint32_t)word;
	return word >= 0 ? 0 : -EFAULT;
}

bool user_word_exchange_now(vaddr_t address, uint32_t expected, uint32_t value, uint32_t *was)
{
	long word = user_range(address, sizeof *was) ? user_exchange_word_now(address, expected, value) : -1;

	*was = (uint32_t)word;
	return word >= 0;
}

/*
 * A plain write, not one instruction that reads as well, so that the fault is a write's. Where
 * reading faults, writing does too.
 */
static long probe_by_writing(vaddr_t address)
{
	uint8_t value = 0;

	kernel_read_safely(&value, address, sizeof value);
	return probe_write(address, value);
}

long cpu_probe(vaddr_t address, vm_prot_t access)
{
	if (access == VM_EXEC)
		return probe_execute(address);
	return access == VM_WRITE ? probe_by_writing(address) : probe_read(address);
}

bool kernel_read_safely(void *to, vaddr_t from, size_t bytes)
{
	return kernel_copy_bytes(to, (const void *)from, bytes) == PROBE_WORKS;
}
