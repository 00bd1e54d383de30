/*
 * What drivers of virtio devices share: the way to a device over PCI and its queues (virtio.c).
 *
 * Only the modern interface is used. Layouts are from <linux/virtio_pci.h> and <linux/virtio_ring.h>, rules from the Virtual I/O
 * Device specification 1.1, sections 2.6, 3.1 and 4.1.
 */
#ifndef DEV_VIRTIO_H
#define DEV_VIRTIO_H

#include <kern/pci.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <vm/page.h>

/* Descriptors of a queue: as many as, with both rings, fit into a page. */
#define VIRTIO_QUEUE_MAX 128u

/* All of it is set while the system starts. */
struct virtio_device {
	struct pci_function function;
	volatile struct virtio_pci_common_cfg *common;
	volatile uint8_t *isr;     /* a read takes the interrupt's line back */
	volatile uint32_t *config; /* what the kind of device has for itself */
	uint32_t config_bytes;
	uint64_t features; /* that were agreed on */
};

/* A split queue. Locks: (-) set while the system starts; (o) the lock of who owns the queue. */
struct virtio_queue {
	unsigned size;                      /* (-) descriptors, a power of two */
	volatile struct vring_desc *table;  /* (-) (o) contents */
	volatile struct vring_avail *avail; /* (-) (o) contents */
	volatile struct vring_used *used;   /* (-) contents are the device's */
	volatile uint16_t *notify;          /* (-) */
	uint16_t number;                    /* (-) */
	uint16_t put;                       /* (o) chains ever handed over */
	uint16_t taken;                     /* (o) answers ever taken */
};

/*
 * Maps the registers of a function and resets the device. False: it does not have all that it must have, or does not come out of the
 * reset, which is logged.
 */
bool virtio_open(struct virtio_device *device, const struct pci_function *function);

/* Agrees on those of the `wanted` features that the device has, version 1 among them. False: it refuses; logged. */
bool virtio_agree(struct virtio_device *device, uint64_t wanted);

static inline bool virtio_has(const struct virtio_device *device, unsigned feature)
{
	return device->features >> feature & 1;
}

/* Makes queue `number` of at most VIRTIO_QUEUE_MAX descriptors, which interrupts by MSI-X entry 0 if `message`. False: it cannot be; logged. */
bool virtio_queue_start(struct virtio_device *device, struct virtio_queue *queue, uint16_t number,
			bool message);

/* The device may begin. */
void virtio_go(struct virtio_device *device);

/* The device is not to be used; what was mapped of it stays mapped. */
void virtio_give_up(struct virtio_device *device);

/* Hands over the chain of descriptors that begins with `head`, and tells the device if it wants to be told. */
void virtio_queue_put(struct virtio_queue *queue, uint16_t head);

/* The next answer: which chain, and how many bytes the device says that it wrote. False: there is none. */
bool virtio_queue_take(struct virtio_queue *queue, uint32_t *head, uint32_t *bytes);

/* A number of 64 bits in `config`, at a multiple of 4, read as a whole. */
uint64_t virtio_config64(const struct virtio_device *device, unsigned offset);

#endif
