/*
 * Who ends when a page fault finds no memory, and there is nothing left to give up.
 *
 * One process is ended at a time, and the rest waits for that; then everybody tries again. The rule:
 *
 *   - a process that ends already is waited for first, for a second: it may wait for something that the one in need holds
 *   - else the one that counts most: its resident pages, those in swap, its page tables, and as many thousandths of all RAM and swap more, or fewer, as its
 *     oom_score_adj says (proc(5)); and with it who has the same memory (CLONE_VM)
 *   - never the first process, nor one with OOM_SCORE_ADJ_MIN, nor one that shares memory with such a one
 *   - if there is nobody, whose fault it is ends, whoever it is: nothing else can go on
 *
 * Comes from kern/arch/x86_64/trap.c, in ring 3's faults and in the midst of copies, with any mutexes held. Nothing is allocated here.
 */
#include <linux/oom.h>
#include <vm/page.h>
#include <vm/pmap.h>
#include <vm/swap.h>

#include "process_internal.h"

#define PATIENCE_NS  1000000000ull /* for the end of another process */
#define TABLE_EVERY  1000000000ull /* nanoseconds between two tables on the console */
#define TABLE_ROWS   8u
#define KIB_PER_PAGE (PAGE_SIZE / 1024)
#define KIB(pages)   ((unsigned long long)((pages)*KIB_PER_PAGE))

/* Locks: (m) its lock, which is held while the end of a process is waited for; (a) atomic, changed under the lock. */
static struct {
	struct mutex lock;
	_Atomic uint64_t ended; /* (a) how many ends were waited for */
	unsigned round;         /* (m) of marking the spaces that are spared */
	uint64_t next_table;    /* (m) nanoseconds since boot */
} shortage = {.lock = MUTEX_INIT(shortage.lock, RANK_SHORTAGE, "shortage of memory")};

/* ---- How much each has ---------------------------------------------------------------------------------------------- */

bool process_memory(struct process *process, struct process_memory *out)
{
	struct user_space *space = process_space(process);
	struct pmap_stats stats;

	if (!space)
		return false;
	/* Who is changing its mappings may be waiting for the memory that somebody's end is to bring, as mlock does: he is not waited for. */
	stats = pmap_stats(map_pmap(space->root));
	*out = (struct process_memory){
		.resident = stats.resident_pages,
		.swapped = user_space_swapped_pages(space, false),
		.tables = stats.table_pages,
	};
	user_space_unref_later(space);
	return true;
}

int64_t process_weight(const struct process *process, const struct process_memory *memory)
{
	struct swap_stats swap;
	int64_t all;

	if (process->end_adjust == OOM_SCORE_ADJ_MIN)
		return PROCESS_NEVER_ENDED;
	swap_stats(&swap);
	all = (int64_t)(page_ram_count() + swap.pages);
	return (int64_t)(memory->resident + memory->swapped + memory->tables) +
	       process->end_adjust * all / OOM_SCORE_ADJ_MAX;
}

/* Marks the spaces of those who are never ended for others. */
static void mark_spared(void)
{
	struct process *process;

	shortage.round++;
	spin_lock(&process_lock);
	for (process = process_next_locked(0); process; process = process_next_locked(process->pid)) {
		if (process->space && (process->pid == FIRST_PID || process->end_adjust == OOM_SCORE_ADJ_MIN))
			process->space->spared = shortage.round;
	}
	spin_unlock(&process_lock);
}

static bool is_spared(struct process *process)
{
	bool spared;

	spin_lock(&process_lock);
	spared = !process->space || process->space->spared == shortage.round;
	spin_unlock(&process_lock);
	return spared;
}

/* ---- All processes -------------------------------------------------------------------------------------------------- */

/* A line of the table. */
struct row {
	char name[PROCESS_NAME_BYTES];
	int pid, adjust;
	struct process_memory memory;
};

struct survey {
	struct row rows[TABLE_ROWS]; /* the largest, by falling size */
	unsigned rows_used;
	unsigned processes;      /* that have memory */
	struct process *ending;  /* with a reference: one whose end is worth waiting for; NULL: none */
	struct process *largest; /* with a reference: who is to end; NULL: nobody may */
	int64_t weight;          /* of the largest */
};

static uint64_t size_of(const struct process_memory *memory)
{
	return memory->resident + memory->swapped + memory->tables;
}

/* Puts a process into the table, if it is large enough. */
static void survey_note(struct survey *survey, const struct process *process,
			const struct process_memory *memory)
{
	unsigned at = survey->rows_used;

	while (at > 0 && size_of(&survey->rows[at - 1].memory) < size_of(memory))
		at--;
	survey->processes++;
	if (at == TABLE_ROWS)
		return;
	if (survey->rows_used < TABLE_ROWS)
		survey->rows_used++;
	memmove(&survey->rows[at + 1], &survey->rows[at],
		(survey->rows_used - at - 1) * sizeof(survey->rows[0]));
	survey->rows[at] =
		(struct row){.pid = process->pid, .adjust = process->end_adjust, .memory = *memory};
	memcpy(survey->rows[at].name, process->name, PROCESS_NAME_BYTES);
}

/* Replaces what *kept is a reference to. */
static void keep(struct process **kept, struct process *process)
{
	process_ref(process);
	if (*kept)
		process_unref(*kept);
	*kept = process;
}

/* From the first time on that somebody wants its end it has so much time. */
static void set_due(struct process *process)
{
	uint64_t never = 0;

	(void)atomic_compare_exchange_strong(&process->end_due, &never, time_nanoseconds() + PATIENCE_NS);
}

/* Does it end, or has been told to? Who has come so far by himself that no signal reaches him does so without being told. */
static bool is_ending(const struct process *process)
{
	return process->signals.exiting || process->end_due != 0;
}

static void survey_visit(struct survey *survey, struct process *process)
{
	struct process_memory memory;
	int64_t weight;

	if (!process_memory(process, &memory))
		return;
	survey_note(survey, process, &memory);
	if (is_ending(process)) {
		set_due(process);
		if (time_nanoseconds() < process->end_due)
			keep(&survey->ending, process);
		return;
	}
	weight = process_weight(process, &memory);
	if (weight == PROCESS_NEVER_ENDED || is_spared(process) ||
	    (survey->largest && weight <= survey->weight))
		return;
	keep(&survey->largest, process);
	survey->weight = weight;
}

/* The caller gives back the references in it. */
static void survey_take(struct survey *survey)
{
	struct process *process;

	*survey = (struct survey){.rows_used = 0};
	mark_spared();
	for (int pid = 0; (process = process_next(pid)) != NULL; process_unref(process)) {
		pid = process->pid;
		survey_visit(survey, process);
	}
}

static void survey_end(struct survey *survey)
{
	if (survey->ending)
		process_unref(survey->ending);
	if (survey->largest)
		process_unref(survey->largest);
}

/* ---- What the console is told ----------------------------------------------------------------------------------------- */

static void report_totals(const struct process *needy)
{
	const struct page_stats pages = page_stats();
	struct swap_stats swap;

	swap_stats(&swap);
	env_log("phoenix: no memory for %s[%d]: of %llu KiB %llu are free, contents have %llu, page tables "
		"%llu, "
		"small objects %llu, the kernel %llu; of %llu KiB of swap %llu are free",
		needy->name, needy->pid, KIB(pages.ram_pages), KIB(pages.free_pages),
		KIB(pages.by_state[PAGE_BLOB]), KIB(pages.by_state[PAGE_TABLE]),
		KIB(pages.by_state[PAGE_SLAB]), KIB(pages.by_state[PAGE_KERNEL]), KIB(swap.pages),
		KIB(swap.pages - swap.used - swap.bad));
}

static void report_table(const struct survey *survey)
{
	env_log("phoenix:   pid  adjust  resident   swapped    tables  KiB of the largest");
	for (unsigned i = 0; i < survey->rows_used; i++) {
		const struct row *row = &survey->rows[i];

		env_log("phoenix: %5d  %6d  %8llu  %8llu  %8llu  %s", row->pid, row->adjust,
			KIB(row->memory.resident), KIB(row->memory.swapped), KIB(row->memory.tables),
			row->name);
	}
	if (survey->processes > survey->rows_used)
		env_log("phoenix: and %u processes more", survey->processes - survey->rows_used);
}

/* Who is ended is always said, who has what not more often than now and then. */
static void report(const struct survey *survey, const struct process *needy)
{
	uint64_t now = time_nanoseconds();

	if (now >= shortage.next_table) {
		shortage.next_table = now + TABLE_EVERY;
		report_totals(needy);
		report_table(survey);
	}
	env_log("phoenix: %s[%d] killed: no memory for %s[%d]", survey->largest->name, survey->largest->pid,
		needy->name, needy->pid);
}

/* ---- Ending one ----------------------------------------------------------------------------------------------------------- */

/* The process and all that have the same memory. */
static void end_all_of(const struct process *victim)
{
	struct process *process;

	spin_lock(&process_lock);
	for (process = process_next_locked(0); process; process = process_next_locked(process->pid)) {
		if (process != victim && (!process->space || process->space != victim->space))
			continue;
		signal_send_process_kernel(process, SIGKILL);
		set_due(process);
	}
	spin_unlock(&process_lock);
}

/* Has it given its memory back within its time? */
static bool await(struct process *process)
{
	(void)WAIT_EVENT(&process->news, __atomic_load_n(&process->state, __ATOMIC_ACQUIRE) != PROCESS_ALIVE,
			 SLEEP_KILLABLE, process->end_due);
	return __atomic_load_n(&process->state, __ATOMIC_ACQUIRE) != PROCESS_ALIVE;
}

static bool shall_end_itself(void)
{
	return thread_current()->interrupts & INTERRUPT_KILL;
}

/* Does one step of the rule. Is that of no use, for want of others? */
static bool make_step(const struct process *needy)
{
	struct survey survey;
	bool more = true;

	survey_take(&survey);
	if (survey.ending) {
		shortage.ended += await(survey.ending);
	} else if (survey.largest) {
		report(&survey, needy);
		end_all_of(survey.largest);
		shortage.ended += await(survey.largest);
	} else {
		more = false;
	}
	survey_end(&survey);
	return more;
}

bool task_made_room(void)
{
	uint64_t ended = shortage.ended;
	bool others = true;

	/* Kernel threads that copy, in tests, have no task. */
	if (!thread_current()->fpu || shall_end_itself())
		return false;
	memory_line_enter();
	if (mutex_lock_killable(&shortage.lock) == 0) {
		env_stall_begin();
		while (others && shortage.ended == ended && !shall_end_itself())
			others = make_step(task_current()->process);
		env_stall_end();
		mutex_unlock(&shortage.lock);
	}
	memory_line_leave();
	return others && !shall_end_itself();
}

void task_end_for_room(void)
{
	struct process *process;

	if (!thread_current()->fpu || shall_end_itself())
		return;
	process = task_current()->process;
	env_log("phoenix: %s[%d] killed: no memory for it, and nobody else may be ended", process->name,
		process->pid);
	signal_send_process_kernel(process, SIGKILL);
}
