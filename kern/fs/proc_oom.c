/*
 * /proc/PID/oom_score_adj, oom_adj and oom_score (proc(5)): who is to end first when there is no memory left (kern/proc/no_memory.c).
 */
#include <asm/errno.h>
#include <linux/capability.h>
#include <linux/oom.h>
#include <vm/page.h>
#include <vm/swap.h>

#include "proc_internal.h"

/* A decimal number, perhaps negative, perhaps with white space around it, and nothing else. -EINVAL. */
static int parse_signed(const char *text, int least, int most, int *out)
{
	bool negative;
	uint64_t value;

	while (*text == ' ' || *text == '\t' || *text == '\n')
		text++;
	negative = *text == '-';
	text += negative || *text == '+';
	if (*text < '0' || *text > '9' || proc_parse_number(&text, INT32_MAX, &value) != 0 || *text != '\0')
		return -EINVAL;
	*out = negative ? -(int)value : (int)value;
	return *out < least || *out > most ? -EINVAL : 0;
}

/* -EACCES: only who may raise limits makes a process safer than such a one last made it. */
static int set_adjust(struct process *process, int adjust)
{
	bool may = task_capable(task_current(), CAP_SYS_RESOURCE);

	if (adjust < process->least_adjust && !may)
		return -EACCES;
	process->end_adjust = adjust;
	if (may)
		process->least_adjust = adjust;
	return 0;
}

int proc_show_oom_score_adj(struct seq *seq, const struct proc_subject *subject)
{
	seq_print(seq, "%d\n", (int)subject->process->end_adjust);
	return 0;
}

int proc_store_oom_score_adj(const struct proc_subject *subject, char *text, size_t bytes)
{
	int adjust, error = parse_signed(text, OOM_SCORE_ADJ_MIN, OOM_SCORE_ADJ_MAX, &adjust);

	(void)bytes;
	return error ? error : set_adjust(subject->process, adjust);
}

/* The old scale, from OOM_DISABLE (-17) to OOM_ADJUST_MAX (15), both of which stand for the new one's ends. */
int proc_show_oom_adj(struct seq *seq, const struct proc_subject *subject)
{
	int adjust = subject->process->end_adjust;

	if (adjust == OOM_SCORE_ADJ_MAX)
		adjust = OOM_ADJUST_MAX;
	else
		adjust = adjust * -OOM_DISABLE / OOM_SCORE_ADJ_MAX;
	seq_print(seq, "%d\n", adjust);
	return 0;
}

int proc_store_oom_adj(const struct proc_subject *subject, char *text, size_t bytes)
{
	int old, error = parse_signed(text, OOM_DISABLE, OOM_ADJUST_MAX, &old);

	(void)bytes;
	if (error)
		return error;
	return set_adjust(subject->process,
			  old == OOM_ADJUST_MAX ? OOM_SCORE_ADJ_MAX : old * OOM_SCORE_ADJ_MAX / -OOM_DISABLE);
}

/* In thousandths of all memory, moved up so that it is not negative, two thirds of it: Linux's figure. */
int proc_show_oom_score(struct seq *seq, const struct proc_subject *subject)
{
	struct process_memory memory;
	struct swap_stats swap;
	int64_t weight = PROCESS_NEVER_ENDED, score = 0;

	if (process_memory(subject->process, &memory))
		weight = process_weight(subject->process, &memory);
	swap_stats(&swap);
	if (weight != PROCESS_NEVER_ENDED)
		score = (OOM_SCORE_ADJ_MAX +
			 weight * OOM_SCORE_ADJ_MAX / (int64_t)(page_ram_count() + swap.pages)) *
			2 / 3;
	seq_print(seq, "%lld\n", (long long)score);
	return 0;
}
