/*
 * The model at work: its beginning and end, the steps of a stream, what a call returned, and messages.
 *
 * What operations there are is in model_internal.h; each is a function do_NAME() in one of the other files.
 */
#include "model_internal.h"

#define ODD_FROM      224u
#define IO_FROM       128u
#define DIGEST_FACTOR 0x100000001b3ul
#define DIGEST_START  0xcbf29ce484222325ul
#define COMPARE_EVERY 64
#define WORD_BYTES    sizeof(uint64_t)

struct model m;
bool model_tracing;
static unsigned compare_every = COMPARE_EVERY;

#define KIND_OF_OPERATION(operation, often) {#operation, often},
const struct stream_kind stream_kinds[] = {OPERATIONS(KIND_OF_OPERATION)};
const unsigned stream_kind_count = sizeof(stream_kinds) / sizeof(stream_kinds[0]);

#define FUNCTION_OF_OPERATION(operation, often) do_##operation,
static void (*const operations[])(void) = {OPERATIONS(FUNCTION_OF_OPERATION)};

void stream_trace(bool on)
{
	model_tracing = on;
}

void stream_compare_every(unsigned steps)
{
	compare_every = steps;
}

uint64_t stream_digest(void)
{
	return m.digest;
}

void model_digest(uint64_t word)
{
	m.digest = (m.digest ^ word) * DIGEST_FACTOR;
	m.digest ^= m.digest >> 32;
}

/* ---- Agreement --------------------------------------------------------------------------------- */

bool model_agree(bool holds, const char *text, const char *file, int line)
{
	if (!holds)
		WRONG("# stream: step %llu, %s: %s:%d: not so: %s", (unsigned long long)m.steps,
		      stream_kinds[m.op->kind % stream_kind_count].name, file, line, text);
	return holds;
}

bool model_agree_equal(uint64_t found, uint64_t expected, const char *text, const char *file, int line)
{
	if (found != expected)
		WRONG("# stream: step %llu, %s: %s:%d: %s is %lld (0x%llx), not %lld (0x%llx)",
		      (unsigned long long)m.steps, stream_kinds[m.op->kind % stream_kind_count].name, file,
		      line, text, (long long)found, (unsigned long long)found, (long long)expected,
		      (unsigned long long)expected);
	return found == expected;
}

/* ---- Results ----------------------------------------------------------------------------------- */

void model_call(void)
{
	unsigned fail = m.op->fail;

	if (m.lost > 0)
		model_note_slots();
	if (fail == 0 || !stream_fail_allocation)
		return;
	model_note_slots();
	m.armed = true;
	if (fail < IO_FROM) {
		stream_fail_allocation(fail - 1);
	} else {
		store_fail_io(fail - IO_FROM, false);
		pagers_fail_io(fail - IO_FROM);
		disks_fail_io(fail - IO_FROM);
	}
}

void model_end_call(void)
{
	bool pager_failed, store_failed, disk_failed, excused;

	if (!m.armed)
		return;
	m.armed = false;
	if (m.op->fail < IO_FROM) {
		m.fired = stream_fail_stop();
		m.excuse = -ENOMEM;
		return;
	}
	pager_failed = pagers_fail_stop();
	store_failed = store_fail_stop();
	disk_failed = disks_fail_stop(&excused);
	m.fired = pager_failed || store_failed || disk_failed;
	m.excuse = pager_failed || store_failed || excused ? -EIO : 0;
}

bool model_is_lost(int error)
{
	bool lost = false;

	for (unsigned b = 0; b < MODEL_BLOBS && error == -EIO && m.lost; b++) {
		bool chosen = m.chosen_blobs >> b & 1;

		for (unsigned r = 0; r < MODEL_ROOTS; r++)
			chosen |= (m.chosen_roots >> r & 1) && root_shows(&m.root[r], b);
		lost |= m.blob[b].blob && chosen && blob_has_lost(&m.blob[b], 0, m.blob[b].pages);
	}
	m.fired |= lost;
	return lost;
}

bool model_result_or(int error, int predicted, int other)
{
	int excuse;

	model_end_call();
	excuse = m.fired && m.excuse ? m.excuse : predicted;
	if (error != predicted && model_is_lost(error))
		excuse = error;
	SAY("#   = %d%s", error, m.fired ? ", with a failure on the way" : "");
	model_digest((uint64_t)error);
	if (error != other && error != excuse)
		AGREE_EQ(error, predicted);
	return error == 0;
}

bool model_result(int error, int predicted)
{
	return model_result_or(error, predicted, predicted);
}

unsigned model_odd(unsigned mistakes)
{
	return m.op->odd < ODD_FROM ? 0 : 1 + (m.op->odd - ODD_FROM) % mistakes;
}

void model_pattern(uint64_t seed, uint8_t *to, size_t bytes)
{
	uint64_t word = seed * 0x9e3779b97f4a7c15ul + 1;

	while (bytes > 0) {
		size_t piece = bytes < WORD_BYTES ? bytes : WORD_BYTES;

		memcpy(to, &word, piece);
		word += 0x0101010101010101ul;
		to += piece;
		bytes -= piece;
	}
}

/* ---- CPUs ---------------------------------------------------------------------------------------- */

void model_enter(const struct model_root *root)
{
	unsigned number = root ? root_number(root) : MODEL_ROOTS;
	struct pmap *pmap = root ? map_pmap(root->map) : &kernel_pmap;

	if (m.cpu_root[m.cpu] == number)
		return;
	m.cpu_root[m.cpu] = number;
	if (stream_become)
		pmap_activate(pmap);
	else if (probe_activate)
		probe_activate(pmap);
}

static void become(unsigned cpu)
{
	m.cpu = cpu;
	if (stream_become)
		stream_become(cpu);
}

void model_leave(const struct model_root *root)
{
	unsigned present = m.cpu;
	unsigned cpus = stream_cpus ? stream_cpus() : 1;

	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		if (m.cpu_root[cpu] != root_number(root))
			continue;
		become(cpu);
		model_enter(NULL);
	}
	become(present);
}

/* ---- Streams --------------------------------------------------------------------------------------- */

/* What stays after the first stream: memory for contents, and descriptors of device pages. */
static bool prepare(void)
{
	static struct page *memory;

	if (!memory) {
		memory = page_alloc_run(PAGE_KERNEL, MODEL_PAGES, 1, PAGE_ANYWHERE, 0);
		if (!memory || !model_prepare_device())
			return false;
	}
	m.memory = memory;
	return true;
}

bool stream_begin(bool swaps)
{
	static const struct stream_op none;
	unsigned cpus = stream_cpus ? stream_cpus() : 1;

	memset(&m, 0, sizeof(m));
	m.op = &none;
	m.digest = DIGEST_START;
	m.complaints = test_complaints();
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		m.cpu_root[cpu] = MODEL_ROOTS;
	if (!AGREE(prepare()))
		return false;
	m.before = footprint_now();
	m.blob_pages = blob_pages_now();
	pagers_open();
	m.store_set = true;
	m.swaps = swaps;
	return AGREE(store_open(STORE_LOCATIONS)) && (!swaps || AGREE(disks_open()));
}

bool stream_step(const struct stream_op *op)
{
	m.op = op;
	m.armed = m.fired = false;
	m.excuse = 0;
	m.chosen_blobs = m.chosen_roots = 0;
	m.touched_root = MODEL_ROOTS;
	become(op->cpu % (stream_cpus ? stream_cpus() : 1));
	disks_begin_step();
	operations[op->kind % stream_kind_count]();
	/* An operation that found nothing to do has made no call. */
	model_end_call();
	model_collect();
	if (m.fired)
		model_adopt_all();
	if (m.fired && m.swaps)
		model_find_lost();
	if (m.fired || m.steps % compare_every == compare_every - 1)
		model_check_all();
	else
		model_check_step();
	if (test_complaints() != m.complaints)
		m.wrong = true;
	m.steps++;
	return !m.wrong;
}

static void drop_everything(void)
{
	for (unsigned w = 0; w < MODEL_WIRINGS; w++) {
		if (m.wiring[w].wiring)
			blob_unwire(m.wiring[w].wiring);
	}
	for (unsigned r = 0; r < MODEL_ROOTS; r++) {
		if (!m.root[r].map)
			continue;
		model_leave(&m.root[r]);
		map_unref(m.root[r].map);
	}
	for (unsigned e = 0; e < MODEL_ENTITIES; e++) {
		if (m.entity[e].entity && m.entity[e].held)
			entity_unref(m.entity[e].entity);
	}
	for (unsigned b = 0; b < MODEL_BLOBS; b++) {
		if (m.blob[b].blob && m.blob[b].held)
			blob_unref(m.blob[b].blob);
	}
}

bool stream_end(void)
{
	struct footprint now;

	if (!m.wrong)
		model_check_all();
	if (m.wrong)
		return false;
	drop_everything();
	disks_let_go();
	if (m.swaps)
		disks_close();
	AGREE_EQ(store_used(), 0);
	AGREE_EQ(blob_pages_now(), m.blob_pages);
	store_close();
	pagers_close();
	become(0);
	page_check();
	now = footprint_now();
	AGREE_EQ(now.pages, m.before.pages);
	AGREE_EQ(now.objects, m.before.objects);
	AGREE_EQ(test_complaints(), m.complaints);
	return !m.wrong;
}

ptrdiff_t stream_run(const struct stream_op *ops, size_t count, bool swaps)
{
	if (!stream_begin(swaps))
		return 0;
	for (size_t i = 0; i < count; i++) {
		if (!stream_step(&ops[i]))
			return (ptrdiff_t)i;
	}
	return stream_end() ? -1 : (ptrdiff_t)count;
}
