/*
 * virtio over PCI: finding a device's registers, agreeing on features, and split queues. What goes through the
 * queues is the drivers' business (virtio_blk.c).
 *
 * Memory that a device accesses is ordinary RAM: on x86 its accesses are coherent with the CPU's caches. The CPU's own stores are
 * seen in order; what the device may see only after something else is separated by fences (virtio 1.1, 2.6.13).
 */
#include <stdatomic.h>
#include <linux/pci_regs.h>
#include <kern/kern.h>
#include <vm/vm.h>

#include "virtio.h"

#define RESET_NS         1000000000ull /* a device that takes longer is broken */
#define FEATURE_BITS     32
#define MAX_CAPABILITIES 48u
#define AVAIL_OFFSET     (VIRTIO_QUEUE_MAX * sizeof(struct vring_desc))
#define AVAIL_BYTES      (sizeof(struct vring_avail) + (VIRTIO_QUEUE_MAX + 1) * sizeof(uint16_t))
#define USED_OFFSET \
	((AVAIL_OFFSET + AVAIL_BYTES + VRING_USED_ALIGN_SIZE - 1) & -(size_t)VRING_USED_ALIGN_SIZE)
_Static_assert(USED_OFFSET + sizeof(struct vring_used) + VIRTIO_QUEUE_MAX * sizeof(struct vring_used_elem) +
			       sizeof(uint16_t) <=
		       PAGE_SIZE,
	       "a queue fits into a page");

static void complain(const struct virtio_device *device, const char *what)
{
	const struct pci_function *at = &device->function;

	env_log("phoenix: virtio device at %02x:%02x.%u: %s", at->bus, at->device, at->function, what);
}

/* ---- Registers ------------------------------------------------------------------------------------------- */

/* The capability that says where a structure of at least `bytes` is; 0: there is none. */
static unsigned find_structure(const struct pci_function *function, uint8_t type, uint32_t bytes)
{
	unsigned at = 0;

	for (unsigned step = 0; step < MAX_CAPABILITIES; step++) {
		at = pci_capability(function, PCI_CAP_ID_VNDR, at);
		if (!at || (pci_read8(function, at + VIRTIO_PCI_CAP_CFG_TYPE) == type &&
			    pci_read32(function, at + VIRTIO_PCI_CAP_LENGTH) >= bytes))
			return at;
	}
	return 0;
}

static volatile void *map_part(const struct pci_function *function, unsigned at, uint32_t offset,
			       uint32_t bytes)
{
	return pci_map(function, pci_read8(function, at + VIRTIO_PCI_CAP_BAR),
		       (uint64_t)pci_read32(function, at + VIRTIO_PCI_CAP_OFFSET) + offset, bytes);
}

static volatile void *map_structure(const struct pci_function *function, uint8_t type, uint32_t bytes)
{
	unsigned at = find_structure(function, type, bytes);

	return at ? map_part(function, at, 0, bytes) : NULL;
}

static bool map_all(struct virtio_device *device)
{
	const struct pci_function *function = &device->function;
	unsigned config = find_structure(function, VIRTIO_PCI_CAP_DEVICE_CFG, sizeof(uint64_t));

	device->common = map_structure(function, VIRTIO_PCI_CAP_COMMON_CFG, sizeof(*device->common));
	device->isr = map_structure(function, VIRTIO_PCI_CAP_ISR_CFG, sizeof(*device->isr));
	if (config) {
		device->config_bytes = pci_read32(function, config + VIRTIO_PCI_CAP_LENGTH);
		if (device->config_bytes > PAGE_SIZE)
			device->config_bytes = PAGE_SIZE;
		device->config = map_part(function, config, 0, device->config_bytes);
	}
	return device->common && device->isr && device->config &&
	       find_structure(function, VIRTIO_PCI_CAP_NOTIFY_CFG, sizeof(uint16_t));
}

static bool reset(struct virtio_device *device)
{
	uint64_t end = time_nanoseconds() + RESET_NS;

	device->common->device_status = 0;
	while (device->common->device_status != 0)
		if (time_nanoseconds() > end)
			return false;
	return true;
}

static void add_status(struct virtio_device *device, uint8_t bits)
{
	device->common->device_status |= bits;
}

bool virtio_open(struct virtio_device *device, const struct pci_function *function)
{
	device->function = *function;
	pci_enable(function);
	if (!map_all(device)) {
		complain(device, "its modern interface cannot be reached");
		return false;
	}
	if (!reset(device)) {
		complain(device, "it does not come out of a reset");
		return false;
	}
	add_status(device, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	add_status(device, VIRTIO_CONFIG_S_DRIVER);
	return true;
}

bool virtio_agree(struct virtio_device *device, uint64_t wanted)
{
	volatile struct virtio_pci_common_cfg *common = device->common;

	wanted |= 1ull << VIRTIO_F_VERSION_1;
	device->features = 0;
	for (uint32_t half = 0; half < 2; half++) {
		uint32_t agreed = (uint32_t)(wanted >> half * FEATURE_BITS);

		common->device_feature_select = half;
		agreed &= common->device_feature;
		common->guest_feature_select = half;
		common->guest_feature = agreed;
		device->features |= (uint64_t)agreed << half * FEATURE_BITS;
	}
	add_status(device, VIRTIO_CONFIG_S_FEATURES_OK);
	if (virtio_has(device, VIRTIO_F_VERSION_1) && (common->device_status & VIRTIO_CONFIG_S_FEATURES_OK))
		return true;
	complain(device, "it does not agree to what this driver can do");
	return false;
}

void virtio_go(struct virtio_device *device)
{
	add_status(device, VIRTIO_CONFIG_S_DRIVER_OK);
}

void virtio_give_up(struct virtio_device *device)
{
	reset(device);
	add_status(device, VIRTIO_CONFIG_S_FAILED);
}

uint64_t virtio_config64(const struct virtio_device *device, unsigned offset)
{
	volatile uint32_t *at = device->config + offset / sizeof(*at);
	uint32_t low, high;
	uint8_t generation;

	do {
		generation = device->common->config_generation;
		low = at[0];
		high = at[1];
	} while (generation != device->common->config_generation);
	return low | (uint64_t)high << FEATURE_BITS;
}

/* ---- Queues ------------------------------------------------------------------------------------------------- */

/* Where the device is told of a queue that is chosen. */
static volatile uint16_t *map_notify(const struct virtio_device *device)
{
	const struct pci_function *function = &device->function;
	unsigned at = find_structure(function, VIRTIO_PCI_CAP_NOTIFY_CFG, sizeof(uint16_t));
	uint64_t offset = (uint64_t)device->common->queue_notify_off *
			  pci_read32(function, at + VIRTIO_PCI_NOTIFY_CAP_MULT);

	if (offset + sizeof(uint16_t) > pci_read32(function, at + VIRTIO_PCI_CAP_LENGTH))
		return NULL;
	return map_part(function, at, (uint32_t)offset, sizeof(uint16_t));
}

/* The largest power of two that the device, and a page, can do. */
static unsigned choose_size(unsigned most)
{
	unsigned size = VIRTIO_QUEUE_MAX;

	while (size > most)
		size /= 2;
	return size;
}

bool virtio_queue_start(struct virtio_device *device, struct virtio_queue *queue, uint16_t number,
			bool message)
{
	volatile struct virtio_pci_common_cfg *common = device->common;
	struct page *page;
	char *memory;
	paddr_t pa;

	common->queue_select = number;
	*queue = (struct virtio_queue){.number = number, .size = choose_size(common->queue_size)};
	queue->notify = map_notify(device);
	page = page_alloc(PAGE_KERNEL, PAGE_ALLOC_ZERO);
	if (queue->size == 0 || !queue->notify || !page) {
		complain(device, "its queue cannot be set up");
		if (page)
			page_free(page);
		return false;
	}
	memory = page_data(page);
	pa = page_paddr(page);
	queue->table = (volatile struct vring_desc *)memory;
	queue->avail = (volatile struct vring_avail *)(memory + AVAIL_OFFSET);
	queue->used = (volatile struct vring_used *)(memory + USED_OFFSET);
	common->queue_size = (uint16_t)queue->size;
	common->queue_desc_lo = (uint32_t)pa;
	common->queue_desc_hi = (uint32_t)(pa >> FEATURE_BITS);
	common->queue_avail_lo = (uint32_t)(pa + AVAIL_OFFSET);
	common->queue_avail_hi = (uint32_t)((pa + AVAIL_OFFSET) >> FEATURE_BITS);
	common->queue_used_lo = (uint32_t)(pa + USED_OFFSET);
	common->queue_used_hi = (uint32_t)((pa + USED_OFFSET) >> FEATURE_BITS);
	/* The device may have no room for a vector: then it is looked at. */
	if (message)
		common->queue_msix_vector = 0;
	common->queue_enable = 1;
	return true;
}

void virtio_queue_put(struct virtio_queue *queue, uint16_t head)
{
	queue->avail->ring[queue->put % queue->size] = head;
	queue->put++;
	atomic_thread_fence(memory_order_release);
	queue->avail->idx = queue->put;
	/* The store is seen before the flag is read: else both sides could wait for each other. */
	atomic_thread_fence(memory_order_seq_cst);
	if (!(queue->used->flags & VRING_USED_F_NO_NOTIFY))
		*queue->notify = queue->number;
}

bool virtio_queue_take(struct virtio_queue *queue, uint32_t *head, uint32_t *bytes)
{
	volatile struct vring_used_elem *element;

	if (queue->used->idx == queue->taken)
		return false;
	atomic_thread_fence(memory_order_acquire);
	element = &queue->used->ring[queue->taken % queue->size];
	*head = element->id;
	*bytes = element->len;
	queue->taken++;
	return true;
}
