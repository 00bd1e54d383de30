/*
 * Disks by virtio: "vda" and so on.
 *
 * A slot is a request that the device has, with the header, the status and the list of descriptors that go with it. They are
 * made when the disk is found, so that nothing is allocated later; requests beyond them wait in a list. The device interrupts when
 * it has answered (MSI-X, else its line), and a timer looks as well, often while no interrupt has ever come, else for requests that
 * the device has had for too long.
 *
 * A request that is not answered in time fails; but the device still has the addresses of its pages. They are kept from being used again
 * (a reference to each) until it answers after all, and until then it is not asked for anything more. It is not reset: a virtual
 * device's reset waits for the very requests that do not end, and the machine with it.
 *
 * Layouts are from <linux/virtio_blk.h>; virtio 1.1, section 5.2.
 */
#include <asm/errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <kern/block.h>
#include <kern/inode.h>
#include <kern/kern.h>
#include <vm/vm.h>

#include "virtio.h"

#define VENDOR_VIRTIO    0x1af4
#define MODERN_DEVICES   0x1040u /* device IDs: this plus the kind's number (virtio 1.1, 4.1.2) */
#define MAX_DISKS        8u
#define DISK_MINOR_SHIFT 4 /* Linux leaves room for partitions */
#define NO_LINE          0xff
#define ISR_QUEUE        1u /* virtio 1.1, 4.1.4.5 */
#define NO_STATUS        0xff
#define LOOK_NS          2000000ull /* between looks at a disk that does not interrupt */
#define MISSED_MOST      8u
#define CHECK_NS         1000000000ull /* between looks for requests that take too long */
#define SECOND_NS        1000000000ull
#define MAX_SLOTS        64u                   /* bits of a word */
#define CHAIN_MAX        (BLOCK_MAX_PAGES + 2) /* header, pages, status */

/* What the device sees of a slot. */
struct slot_memory {
	struct virtio_blk_outhdr header;
	volatile uint8_t status;
	struct vring_desc table[CHAIN_MAX] __attribute__((aligned(VRING_DESC_ALIGN_SIZE)));
};
#define SLOTS_IN_PAGE (PAGE_SIZE / sizeof(struct slot_memory))

/* Locks: (-) set when the disk is found; (l) its disk's lock. */
struct slot {
	struct slot_memory *memory;        /* (-) */
	volatile struct vring_desc *table; /* (-) (l) contents */
	struct block_request *request;     /* (l) NULL: none, or one that is not waited for any more */
	unsigned first, count;             /* (l) the pages of it that the device has now */
	uint64_t due;                      /* (l) when it is overdue, nanoseconds since boot; then ... */
	int64_t overdue;                   /* (l) ... since when, by the battery clock; 0: it is not */
};

/* Locks: (-) set when the disk is found; (a) atomic; (l) its lock. */
struct disk {
	struct block_device block;   /* (-) first */
	struct virtio_device virtio; /* (-) */
	unsigned line;               /* (-) that it interrupts by; NO_LINE: none */
	_Atomic bool interrupts;     /* (a) one has come */
	bool indirect; /* (-) a slot's descriptors are a table of their own, else neighbours in the queue's */
	unsigned stride;           /* (-) descriptors of the queue that a slot has */
	unsigned piece;            /* (-) pages that the device takes at a time */
	struct spinlock lock;      /* RANK_BLOCK */
	struct virtio_queue queue; /* (l) */
	uint64_t free;             /* (l) slots: a bit for each */
	uint64_t busy; /* (l) slots that the device has, those that are not waited for any more included */
	struct block_list pending; /* (l) requests for which there was no slot */
	unsigned abandoned;        /* (l) slots whose requests have failed, but that the device still has */
	bool broken;               /* (l) it has said what makes no sense, and is not listened to any more */
	bool looking;              /* (l) the timer runs */
	unsigned missed;           /* (l) looks that found answers before any interrupt had come */
	struct timer timer;        /* (-) */
	struct slot slots[MAX_SLOTS]; /* (l) */
};

static struct disk *disks[MAX_DISKS]; /* set while the system starts */
static unsigned disk_count;
static uint64_t timeout_seconds; /* 0: for ever */

static struct disk *disk_of(struct block_device *device)
{
	return (struct disk *)device;
}

/* ---- Handing over ----------------------------------------------------------------------------------------- */

static void describe(volatile struct vring_desc *descriptor, paddr_t start, uint32_t bytes, unsigned flags,
		     unsigned next)
{
	descriptor->addr = start;
	descriptor->len = bytes;
	descriptor->flags = (uint16_t)flags;
	descriptor->next = (uint16_t)next;
}

/* Fills in the descriptors of what the device shall do next of a slot's request. How many. Disk locked. */
static unsigned describe_slot(struct disk *disk, unsigned number)
{
	struct slot *slot = &disk->slots[number];
	struct block_request *request = slot->request;
	unsigned base = disk->indirect ? 0 : number * disk->stride, n = 0;
	unsigned writes = request->op == BLOCK_READ ? VRING_DESC_F_WRITE : 0;
	paddr_t header = env_virt_to_phys(&slot->memory->header);
	paddr_t status = env_virt_to_phys((const void *)&slot->memory->status);

	describe(&slot->table[n], header, sizeof(slot->memory->header), VRING_DESC_F_NEXT, base + n + 1);
	n++;
	for (unsigned i = 0; i < slot->count; i++, n++)
		describe(&slot->table[n], page_paddr(request->pages[slot->first + i]), PAGE_SIZE,
			 VRING_DESC_F_NEXT | writes, base + n + 1);
	describe(&slot->table[n], status, sizeof(slot->memory->status), VRING_DESC_F_WRITE, 0);
	return n + 1;
}

/* Gives the device the slot's request from page slot->first on, or as much of it as it takes. Disk locked. */
static void hand_over(struct disk *disk, unsigned number)
{
	static const uint32_t types[] = {[BLOCK_READ] = VIRTIO_BLK_T_IN,
					 [BLOCK_WRITE] = VIRTIO_BLK_T_OUT,
					 [BLOCK_FLUSH] = VIRTIO_BLK_T_FLUSH};
	struct slot *slot = &disk->slots[number];
	struct block_request *request = slot->request;
	unsigned left = request->count - slot->first, descriptors;

	slot->count = left < disk->piece ? left : disk->piece;
	slot->due = time_nanoseconds() + timeout_seconds * SECOND_NS / 2;
	slot->overdue = 0;
	slot->memory->status = NO_STATUS;
	slot->memory->header = (struct virtio_blk_outhdr){.type = types[request->op]};
	if (request->op != BLOCK_FLUSH)
		slot->memory->header.sector = request->sector + slot->first * BLOCK_PAGE_SECTORS;
	descriptors = describe_slot(disk, number);
	if (disk->indirect)
		describe(&disk->queue.table[number], env_virt_to_phys((const void *)slot->table),
			 (uint32_t)(descriptors * sizeof(*slot->table)), VRING_DESC_F_INDIRECT, 0);
	virtio_queue_put(&disk->queue, (uint16_t)(number * disk->stride));
}

/* Begins a request, for which there is a slot. Disk locked. */
static void begin(struct disk *disk, struct block_request *request)
{
	unsigned number = (unsigned)__builtin_ctzll(disk->free);

	disk->free &= ~(1ull << number);
	disk->busy |= 1ull << number;
	disk->slots[number].request = request;
	disk->slots[number].first = 0;
	hand_over(disk, number);
}

/* Is it of no use to ask the device? Disk locked. */
static bool is_silent(const struct disk *disk)
{
	return disk->abandoned > 0 || disk->broken;
}

/* Disk locked. */
static void start_looking(struct disk *disk)
{
	if (disk->looking)
		return;
	disk->looking = true;
	timer_start(&disk->timer, time_nanoseconds() + (disk->interrupts ? CHECK_NS : LOOK_NS));
}

static void submit(struct block_device *device, struct block_request *request)
{
	struct disk *disk = disk_of(device);
	bool silent, flushes = virtio_has(&disk->virtio, VIRTIO_BLK_F_FLUSH);

	/* A disk that cannot flush keeps nothing back. */
	if (request->op == BLOCK_FLUSH && !flushes) {
		block_complete(request, 0);
		return;
	}
	spin_lock(&disk->lock);
	silent = is_silent(disk);
	if (!silent && disk->free)
		begin(disk, request);
	else if (!silent)
		TAILQ_INSERT_TAIL(&disk->pending, request, link);
	if (!silent)
		start_looking(disk);
	spin_unlock(&disk->lock);
	if (silent)
		block_complete(request, -ETIMEDOUT);
}

/* ---- Answers ------------------------------------------------------------------------------------------------- */

/* What came of what the device had of a slot's request. Disk locked. */
static int outcome(const struct slot *slot, uint32_t bytes)
{
	uint64_t whole = pages_to_bytes(slot->count) + sizeof(slot->memory->status);

	if (slot->memory->status != VIRTIO_BLK_S_OK)
		return -EIO;
	return slot->request->op == BLOCK_READ && bytes < whole ? -ENODATA : 0;
}

/* Disk locked. */
static void free_slot(struct disk *disk, unsigned number)
{
	disk->slots[number].request = NULL;
	disk->busy &= ~(1ull << number);
	disk->free |= 1ull << number;
}

/* The device has answered what nobody waits for any more: its pages are free. Disk locked. */
static void answered_late(struct disk *disk, unsigned number)
{
	const struct slot *slot = &disk->slots[number];

	for (unsigned i = 0; i < slot->count; i++)
		page_unref(page_from_paddr(slot->table[1 + i].addr));
	free_slot(disk, number);
	if (--disk->abandoned == 0)
		env_log("phoenix: %s answers again", disk->block.name);
}

/* Takes one answer; a request that is done with it is added to `done`. Disk locked. */
static void take_answer(struct disk *disk, uint32_t head, uint32_t bytes, struct block_list *done)
{
	unsigned number = head / disk->stride;
	struct slot *slot = &disk->slots[number];

	if (head % disk->stride || number >= MAX_SLOTS || !(disk->busy >> number & 1)) {
		env_log("phoenix: %s has answered what it was not asked; it is not used any more",
			disk->block.name);
		disk->broken = true;
		return;
	}
	if (!slot->request) {
		answered_late(disk, number);
		return;
	}
	slot->request->outcome = outcome(slot, bytes);
	slot->first += slot->count;
	if (slot->request->outcome == 0 && slot->first < slot->request->count) {
		hand_over(disk, number);
		return;
	}
	TAILQ_INSERT_TAIL(done, slot->request, link);
	free_slot(disk, number);
}

/* No locks held. */
static void complete_all(struct block_list *done)
{
	struct block_request *request;

	while ((request = TAILQ_FIRST(done)) != NULL) {
		TAILQ_REMOVE(done, request, link);
		block_complete(request, request->outcome);
	}
}

/* Takes what the device has answered, and gives it what waits. False: it has answered nothing. */
static bool take_answers(struct disk *disk)
{
	struct block_list done = TAILQ_HEAD_INITIALIZER(done);
	bool some = false;
	uint32_t head, bytes;

	spin_lock(&disk->lock);
	while (!disk->broken && virtio_queue_take(&disk->queue, &head, &bytes)) {
		some = true;
		take_answer(disk, head, bytes, &done);
	}
	while (disk->free && !is_silent(disk) && !TAILQ_EMPTY(&disk->pending)) {
		struct block_request *request = TAILQ_FIRST(&disk->pending);

		TAILQ_REMOVE(&disk->pending, request, link);
		begin(disk, request);
	}
	spin_unlock(&disk->lock);
	complete_all(&done);
	return some;
}

static void work(struct block_device *device)
{
	take_answers(disk_of(device));
}

/* ---- Time -------------------------------------------------------------------------------------------------------- */

/*
 * Has the device had the slot's request for too long? Both clocks have to say so, each for half of the time: an emulator may let ours jump
 * over the time in which nobody computes, which says nothing of how long the disk had. Disk locked.
 */
static bool is_overdue(struct slot *slot)
{
	int64_t now;

	if (timeout_seconds == 0 || time_nanoseconds() < slot->due)
		return false;
	now = clock_read_rtc();
	if (slot->overdue == 0)
		slot->overdue = now;
	return now == 0 || now < slot->overdue || now - slot->overdue > (int64_t)(timeout_seconds / 2);
}

/* The slot's request fails; its pages stay the device's. Disk locked. */
static void abandon(struct disk *disk, unsigned number, struct block_list *done)
{
	struct slot *slot = &disk->slots[number];

	for (unsigned i = 0; i < slot->count; i++)
		page_ref(slot->request->pages[slot->first + i]);
	slot->request->outcome = -ETIMEDOUT;
	TAILQ_INSERT_TAIL(done, slot->request, link);
	slot->request = NULL;
	if (disk->abandoned++ == 0)
		env_log("phoenix: %s does not answer: a request of %u pages fails after %llu s, and so will "
			"all others",
			disk->block.name, slot->count, (unsigned long long)timeout_seconds);
}

/* Gives up what takes too long, and with it what waits for a slot. Disk locked. */
static void check_times(struct disk *disk, struct block_list *done)
{
	for (unsigned number = 0; number < MAX_SLOTS; number++)
		if ((disk->busy >> number & 1) && disk->slots[number].request &&
		    is_overdue(&disk->slots[number]))
			abandon(disk, number, done);
	if (!is_silent(disk))
		return;
	for (struct block_request *request = TAILQ_FIRST(&disk->pending); request;
	     request = TAILQ_NEXT(request, link))
		request->outcome = -ETIMEDOUT;
	TAILQ_CONCAT(done, &disk->pending, link);
}

/* A look has found answers, and no interrupt has ever come: the first ones may only be late. Disk locked. */
static void note_missed(struct disk *disk)
{
	if (++disk->missed == MISSED_MOST)
		env_log("phoenix: %s does not interrupt: it is looked at", disk->block.name);
}

static void look(struct timer *timer)
{
	struct disk *disk = (struct disk *)((char *)timer - offsetof(struct disk, timer));
	struct block_list done = TAILQ_HEAD_INITIALIZER(done);
	bool some = take_answers(disk);

	spin_lock(&disk->lock);
	if (some && !disk->interrupts)
		note_missed(disk);
	check_times(disk, &done);
	disk->looking = false;
	if (disk->busy)
		start_looking(disk);
	spin_unlock(&disk->lock);
	complete_all(&done);
}

/* ---- Interrupts ----------------------------------------------------------------------------------------------------- */

static void message_came(void *context)
{
	struct disk *disk = context;

	disk->interrupts = true;
	block_note_attention(&disk->block);
}

static void line_interrupted(unsigned line)
{
	for (unsigned i = 0; i < disk_count; i++)
		if (disks[i]->line == line && (*disks[i]->virtio.isr & ISR_QUEUE))
			message_came(disks[i]);
}

/* By messages, by its line, or not at all: what the command line allows and the device can. True: by messages. */
static bool choose_interrupt(struct disk *disk)
{
	const struct pci_function *function = &disk->virtio.function;
	const char *word = cmdline_get("block.interrupts");
	bool off = word && strcmp(word, "off") == 0, line_only = word && strcmp(word, "line") == 0;
	unsigned line = pci_read8(function, PCI_INTERRUPT_LINE);

	disk->line = NO_LINE;
	if (!off && !line_only && pci_enable_message(function, message_came, disk))
		return true;
	if (!off && pci_read8(function, PCI_INTERRUPT_PIN) != 0 && line < ISA_LINES &&
	    irq_enable(line, line_interrupted))
		disk->line = line;
	else
		pci_silence_line(function);
	return false;
}

/* ---- Start ------------------------------------------------------------------------------------------------------------ */

/* The lesser of a limit that the device may have, and `most`. */
static uint32_t limit(const struct disk *disk, unsigned feature, size_t offset, uint32_t most)
{
	uint32_t said;

	if (!virtio_has(&disk->virtio, feature))
		return most;
	said = disk->virtio.config[offset / sizeof(said)];
	return said < most ? said : most;
}

/* How requests are cut for this device. False: it takes no pages. */
static bool choose_piece(struct disk *disk)
{
	unsigned most = disk->queue.size < CHAIN_MAX ? disk->queue.size : CHAIN_MAX;

	if (limit(disk, VIRTIO_BLK_F_SIZE_MAX, offsetof(struct virtio_blk_config, size_max), UINT32_MAX) <
		    PAGE_SIZE ||
	    most <= 2)
		return false;
	disk->piece =
		limit(disk, VIRTIO_BLK_F_SEG_MAX, offsetof(struct virtio_blk_config, seg_max), most - 2);
	if (disk->piece == 0)
		return false;
	disk->indirect = virtio_has(&disk->virtio, VIRTIO_RING_F_INDIRECT_DESC);
	disk->stride = disk->indirect ? 1 : disk->piece + 2;
	return true;
}

/* Makes as many slots as the queue has room for. False: there is no memory for one. */
static bool make_slots(struct disk *disk)
{
	struct slot_memory *memory = NULL;
	unsigned count = disk->queue.size / disk->stride;

	for (unsigned n = 0; n < count && n < MAX_SLOTS; n++) {
		if (n % SLOTS_IN_PAGE == 0) {
			struct page *page = page_alloc(PAGE_KERNEL, PAGE_ALLOC_ZERO);

			if (!page)
				break;
			memory = page_data(page);
		}
		disk->slots[n].memory = memory++;
		disk->slots[n].table =
			disk->indirect ? disk->slots[n].memory->table : disk->queue.table + n * disk->stride;
		disk->free |= 1ull << n;
	}
	return disk->free != 0;
}

/* Sets the device up as far as it can be without being begun with. */
static bool set_up(struct disk *disk, const struct pci_function *function)
{
	const uint64_t wanted = 1ull << VIRTIO_BLK_F_SIZE_MAX | 1ull << VIRTIO_BLK_F_SEG_MAX |
				1ull << VIRTIO_BLK_F_RO | 1ull << VIRTIO_BLK_F_FLUSH |
				1ull << VIRTIO_RING_F_INDIRECT_DESC;

	if (!virtio_open(&disk->virtio, function))
		return false;
	if (virtio_agree(&disk->virtio, wanted) &&
	    virtio_queue_start(&disk->virtio, &disk->queue, 0, choose_interrupt(disk))) {
		if (choose_piece(disk) && make_slots(disk))
			return true;
		env_log("phoenix: a disk cannot be used: it takes no pages, or there is no memory for it");
	}
	/* After a reset it does not interrupt any more. */
	virtio_give_up(&disk->virtio);
	return false;
}

static void name(struct disk *disk)
{
	env_format(disk->block.name, sizeof(disk->block.name), "vd%c", 'a' + disk_count);
	disk->block.number = DEVICE_NUMBER(BLOCK_VIRTIO_MAJOR, disk_count << DISK_MINOR_SHIFT);
}

static const struct block_ops disk_ops = {.driver = "virtio-blk", .submit = submit, .work = work};

static void consider(const struct pci_function *function)
{
	struct disk *disk;

	if (function->vendor_id != VENDOR_VIRTIO || (function->device_id != VIRTIO_TRANS_ID_BLOCK &&
						     function->device_id != MODERN_DEVICES + VIRTIO_ID_BLOCK))
		return;
	disk = disk_count < MAX_DISKS ? kernel_alloc(sizeof(*disk), "disk") : NULL;
	if (!disk) {
		env_log("phoenix: a disk is left out: there may be %u, and memory for them", MAX_DISKS);
		return;
	}
	memset(disk, 0, sizeof(*disk));
	spin_init(&disk->lock, RANK_BLOCK, "disk");
	TAILQ_INIT(&disk->pending);
	timer_init(&disk->timer, look);
	if (!set_up(disk, function)) {
		kernel_free(disk);
		return;
	}
	name(disk);
	disk->block.ops = &disk_ops;
	disk->block.sectors = virtio_config64(&disk->virtio, offsetof(struct virtio_blk_config, capacity));
	disk->block.read_only = virtio_has(&disk->virtio, VIRTIO_BLK_F_RO);
	disks[disk_count++] = disk;
	virtio_go(&disk->virtio);
	block_register(&disk->block);
}

void virtio_blk_init(void)
{
	timeout_seconds = block_timeout_seconds();
	pci_visit(consider);
}
