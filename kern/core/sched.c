/*
 * The scheduler: who runs on a CPU, and what CPUs do that nobody wants.
 *
 * Each CPU has a queue of runnable threads. A thread gives the CPU up when it sleeps, for another one at the end of its turn, or for one that
 * became runnable and is more urgent. Which is next is in run_queue.h. How threads are made is in thread.c, what they wait for in wait.c and timer.c; the
 * switch itself is kern/arch/x86_64/switch.asm's.
 */
#include <asm/errno.h>
#include <hw.h>
#include <kern/block.h>
#include <kern/kern.h>
#include <kern/sched.h>
#include <vm/pmap.h>
#include <vm/vm.h>

#include "run_queue.h"
#include "sched_internal.h"

#define TICK_NS    10000000ull /* between the timer's interrupts while a thread runs */
#define MOST_WAITS 4u          /* how often a thread lets others come first on one way to ring 3 */

static struct run_queue queues[ENV_MAX_CPUS];

struct thread boot_thread = {.name = "idle", .left_ns = TURN_NS};

static struct run_queue *queue_of(const struct thread *thread)
{
	return &queues[thread->cpu];
}

static struct run_queue *this_queue(void)
{
	return &queues[env_cpu()];
}

void cpu_note_work(uint32_t bits)
{
	__atomic_fetch_or(&this_cpu()->work, bits, __ATOMIC_SEQ_CST);
}

/* ---- Becoming runnable ---------------------------------------------------------------------------- */

/* Makes it runnable; the queue is locked. The thread that runs is in no queue: it sees its state when it is about to sleep. */
static inline __attribute__((always_inline)) void make_runnable(struct run_queue *queue,
								struct thread *thread)
{
	thread->state = THREAD_RUNNABLE;
	if (thread == queue->running || thread->queued)
		return;
	queue_arrive(queue, thread);
	if (unlikely(thread->urgency < queue->running->urgency))
		cpu_note_work(CPU_WORK_SCHEDULE);
	if (!thread->stalled)
		pressure_productive(1);
}

void thread_wake(struct thread *thread)
{
	struct run_queue *queue = queue_of(thread);

	spin_lock(&queue->lock);
	if (thread->state == THREAD_SLEEPING)
		make_runnable(queue, thread);
	spin_unlock(&queue->lock);
}

/* A new thread waits as if it had had a short turn: threads that end soon do not have more than their share by being many. */
void thread_run(struct thread *thread)
{
	thread->virtual_ns = queue_of(thread)->virtual_ns + virtual_of(SHORTEST_TURN_NS, thread->rate);
	thread_wake(thread);
}

/* ---- Switching ------------------------------------------------------------------------------------ */

/* The first interrupt of a turn. Not inlined: it is seldom called, and would make its caller save more registers. */
static __attribute__((noinline)) void arm_for_turn(const struct thread *current)
{
	uint64_t tick = current->since + TICK_NS;

	timer_armed_before(current->turn_end < tick ? current->turn_end : tick);
}

/* The first thing that a thread does when it has the CPU: the queue is locked by who had it before. */
static inline void finish_switch(void)
{
	struct run_queue *queue = this_queue();
	struct thread *previous = queue->previous, *current = thread_current();
	bool dead = previous->state == THREAD_DEAD;

	queue->previous = NULL;
	current->turn_end = current->since + current->left_ns;
	spin_unlock(&queue->lock);
	/* An idle CPU has no tick. Not before it is idle no more: an interrupt would take the tick away again. */
	if (previous == queue->idle || current->left_ns < TICK_NS)
		arm_for_turn(current);
	if (dead)
		thread_bury(previous);
	if (unlikely(threads_excessive()) && current != queue->idle)
		cpu_note_work(CPU_WORK_STACKS);
}

void sched_finish_switch(void)
{
	finish_switch();
}

/* What of a thread is in the CPU, out and in. */
static void switch_machine(struct thread *from, struct thread *to)
{
	struct percpu *cpu = this_cpu();

	if (from->fpu) {
		fpu_save(from->fpu);
		from->fs_base = user_fs_base();
		from->gs_base = user_gs_base();
	}
	if (to->fpu) {
		fpu_load(to->fpu);
		/* Most programs have the same GS base, none, and many the same FS base. */
		if (!from->fpu || to->fs_base != from->fs_base)
			cpu_set_fs_base(to->fs_base);
		if (!from->fpu || to->gs_base != from->gs_base)
			cpu_set_gs_base(to->gs_base);
	}
	cpu->thread = to;
	if (cpu->map != to->map) {
		cpu->map = to->map;
		pmap_activate(to->map ? map_pmap(to->map) : &kernel_pmap);
	}
	if (to->stack)
		cpu_set_kernel_stack(to->stack_top);
	if (to->interrupts)
		cpu_note_work(CPU_WORK_USER);
}

/* Gives the CPU to the next thread. The queue is locked, and is so no more on return. `yields`: the others of its urgency come first. */
static void switch_away(struct run_queue *queue, uint64_t *counter, bool yields)
{
	struct thread *current = thread_current(), *next;
	uint64_t now = time_nanoseconds();

	queue_charge(queue, now);
	/* One that sleeps, or is dead, is no more what make_runnable() made it. */
	if (current->state != THREAD_RUNNABLE) {
		if (!current->stalled)
			pressure_productive(-1);
	} else if (current != queue->idle) {
		queue_return(queue, current, now, yields);
	}
	next = queue_take_next(queue, now);
	next->since = now;
	if (next == current) {
		current->turn_end = now + current->left_ns;
		spin_unlock(&queue->lock);
		if (current->left_ns < TICK_NS)
			arm_for_turn(current);
		return;
	}
	(*counter)++;
	queue->switches++;
	queue->previous = current;
	queue->running = next;
	switch_machine(current, next);
	switch_context(&current->saved_rsp, next->saved_rsp);
	finish_switch();
}

/* Lets the next thread run: the current one is queued, if it is runnable. */
static void reschedule(bool yields)
{
	struct run_queue *queue = this_queue();
	struct thread *current = thread_current();
	uint64_t *counter = &current->switches;

	spin_lock(&queue->lock);
	if (current->state == THREAD_RUNNABLE) {
		counter = &current->preemptions;
		if (queue->levels == 0) {
			current->left_ns = current->turn_ns;
			current->turn_end = time_nanoseconds() + current->turn_ns;
			queue->rate = 0;
			spin_unlock(&queue->lock);
			return;
		}
	}
	switch_away(queue, counter, yields);
}

void thread_yield(void)
{
	if (queue_of(thread_current())->levels != 0)
		reschedule(true);
}

void thread_end_turn(void)
{
	thread_current()->turn_end = 0;
	cpu_note_work(CPU_WORK_SCHEDULE);
}

void thread_exit(void)
{
	struct run_queue *queue = this_queue();

	ASSERT(!thread_current()->put_off);
	thread_use_map(NULL);
	spin_lock(&queue->lock);
	thread_current()->state = THREAD_DEAD;
	switch_away(queue, &thread_current()->switches, false);
	panic("a dead thread runs");
}

void thread_set_urgency(struct thread *thread, unsigned urgency, uint64_t turn_ns)
{
	struct run_queue *queue = queue_of(thread);

	spin_lock(&queue->lock);
	/* As thread_interrupt() has it. */
	if ((thread->interrupts & INTERRUPT_KILL) && urgency > URGENCY_NICE(0))
		urgency = URGENCY_NICE(0);
	if (thread->urgency != urgency || thread->turn_ns != turn_ns)
		queue_set_urgency(queue, thread, urgency, turn_ns);
	spin_unlock(&queue->lock);
}

void thread_use_map(struct map *map)
{
	struct percpu *cpu = this_cpu();

	cpu->thread->map = map;
	if (cpu->map == map)
		return;
	cpu->map = map;
	pmap_activate(map ? map_pmap(map) : &kernel_pmap);
}

/* ---- Sleeping -------------------------------------------------------------------------------------- */

static bool may_interrupt(enum sleep_mode mode, uint32_t bits)
{
	if (mode == SLEEP_INTERRUPTIBLE)
		return (bits & ~INTERRUPT_LATER) != 0;
	return mode == SLEEP_KILLABLE && (bits & INTERRUPT_KILL);
}

/*
 * No lock: the store comes before all that the caller looks at next, as the instruction by which a waker takes the queue's lock comes after all
 * that it has done. So the one sees what it waits for, or the other that it sleeps.
 */
void thread_sleep_begin(enum sleep_mode mode)
{
	struct thread *current = thread_current();

	ASSERT(current != queue_of(current)->idle);
	current->mode = mode;
	__atomic_store_n(&current->state, THREAD_SLEEPING, __ATOMIC_SEQ_CST);
}

/* No lock: a waker stores the same. */
void thread_sleep_end(void)
{
	__atomic_store_n(&thread_current()->state, THREAD_RUNNABLE, __ATOMIC_RELAXED);
}

/* A sleep that ends at some time. Locks: (-) set before the timer starts; (a) atomic. */
struct alarm {
	struct timer timer;    /* (-) timer.c's */
	struct thread *thread; /* (-) */
	_Atomic bool rang;     /* (a) */
};

static void ring(struct timer *timer)
{
	struct alarm *alarm = (struct alarm *)timer;

	alarm->rang = true;
	thread_wake(alarm->thread);
}

static void sleep_without_deadline(struct thread *current)
{
	struct run_queue *queue = queue_of(current);

	spin_lock(&queue->lock);
	if (current->state == THREAD_SLEEPING && !may_interrupt(current->mode, current->interrupts))
		switch_away(queue, &current->switches, false);
	else
		spin_unlock(&queue->lock);
}

int thread_sleep(uint64_t deadline)
{
	return thread_sleep_by(TIMER_BOOT, deadline);
}

int thread_sleep_by(enum timer_clock clock, uint64_t deadline)
{
	struct thread *current = thread_current();
	struct alarm alarm = {.thread = current};

#ifdef DEBUG
	lock_debug_may_sleep(current->name);
#endif
	if (deadline == TIME_NEVER) {
		sleep_without_deadline(current);
	} else {
		timer_init(&alarm.timer, ring);
		timer_start_by(&alarm.timer, clock, deadline);
		sleep_without_deadline(current);
		/* It lies on this stack. */
		timer_cancel_wait(&alarm.timer);
	}
	if (may_interrupt(current->mode, current->interrupts))
		return -EINTR;
	return alarm.rang ? -ETIMEDOUT : 0;
}

/* The bits are set before the queue is locked: who is about to sleep sees them, or is seen sleeping. */
void thread_interrupt(struct thread *thread, uint32_t bits)
{
	struct run_queue *queue = queue_of(thread);

	thread->interrupts |= bits;
	spin_lock(&queue->lock);
	/* What it has is waited for. */
	if ((bits & INTERRUPT_KILL) && thread->urgency > URGENCY_NICE(0))
		queue_set_urgency(queue, thread, URGENCY_NICE(0), TURN_NS);
	if (thread->state == THREAD_SLEEPING && may_interrupt(thread->mode, bits))
		make_runnable(queue, thread);
	if (thread == queue->running)
		cpu_note_work(CPU_WORK_USER);
	spin_unlock(&queue->lock);
}

void thread_interrupt_clear(struct thread *thread, uint32_t bits)
{
	thread->interrupts &= ~bits;
}

/* ---- The tick, and the way back to ring 3 ------------------------------------------------------------ */

/*
 * Arms the timer for the next thing that happens here: a timer, or, while a thread runs, the tick. Interrupts off. A timer that is due is work
 * that was noted, and no reason to interrupt who comes to it anyway: again and again, until the kernel has done what it is at.
 */
static void arm_timer(struct run_queue *queue, uint64_t now, bool idle)
{
	const struct thread *current = thread_current();
	uint64_t next = timers_next();

	if ((!idle && now + TICK_NS < next) || next <= now)
		next = now + TICK_NS;
	if (!idle && current->left_ns < TICK_NS && current->turn_end > now && current->turn_end < next)
		next = current->turn_end;
	queue->armed = next;
	time_interrupt_at(next);
}

void timer_armed_before(uint64_t when)
{
	struct run_queue *queue = this_queue();
	bool were_on = interrupts_enabled();

	interrupts_disable();
	if (when < queue->armed) {
		queue->armed = when;
		time_interrupt_at(when);
	}
	if (were_on)
		interrupts_enable();
}

/* CPU time of a thread until now. Its queue is locked, or it is the one that runs here. */
static uint64_t total_ns(const struct run_queue *queue, const struct thread *thread)
{
	return thread->run_ns + (thread == queue->running ? time_nanoseconds() - thread->since : 0);
}

/*
 * What the thread has run since the last sample counts as where it is now. An interrupt in the midst of a change of its
 * counts takes no sample.
 */
static void sample(const struct run_queue *queue, struct thread *thread, bool user)
{
	uint64_t total;

	if (spin_held(&queue->lock))
		return;
	total = total_ns(queue, thread);
	if (user)
		thread->user_ns += total - thread->sampled_ns;
	thread->sampled_ns = total;
}

void sched_tick(bool user)
{
	struct run_queue *queue = this_queue();
	struct thread *current = thread_current();
	uint64_t now = time_nanoseconds();
	uint32_t work = 0;

	sample(queue, current, user);
	if (timers_next() <= now)
		work |= CPU_WORK_TIMER;
	if (current != queue->idle &&
	    (now >= current->turn_end || unlikely(queue_realtime_changes(queue, now))))
		work |= CPU_WORK_SCHEDULE;
	cpu_note_work(work);
	arm_timer(queue, now, current == queue->idle);
}

/* What does not belong to the thread that happens to do it. No spinlocks held. */
static void do_common_work(uint32_t work)
{
	if (work & CPU_WORK_SERIAL)
		serial_work();
	if (work & CPU_WORK_BLOCK)
		block_work();
	if (work & CPU_WORK_TIMER)
		timers_run();
}

static uint32_t take_work(void)
{
	return __atomic_exchange_n(&this_cpu()->work, 0, __ATOMIC_SEQ_CST);
}

/* What is for ring 3's return stays noted for it. */
void thread_do_work(void)
{
	uint32_t work = take_work();

#ifdef DEBUG
	lock_debug_may_sleep(thread_current()->name);
#endif
	ASSERT(thread_current()->state == THREAD_RUNNABLE);
	cpu_note_work(work & (CPU_WORK_USER | CPU_WORK_STACKS));
	do_common_work(work);
	if (work & CPU_WORK_SCHEDULE)
		reschedule(false);
}

/* The caller may have locks that do not go with those of timers. So he sleeps for no time: who runs meanwhile, or the idle thread, does what has come up. */
void env_breathe(void)
{
	if (likely((this_cpu()->work & ~(CPU_WORK_USER | CPU_WORK_STACKS)) == 0))
		return;
	thread_sleep_begin(SLEEP_FIRM);
	thread_sleep(time_nanoseconds());
	thread_sleep_end();
}

/*
 * A thread that was let go before comes back here with more to do, and realtime ones that sleep for moments could be back each time, and never have
 * had their part: after a few times it goes to ring 3 first, for as long as a short turn or until it comes to the kernel again.
 */
void return_work(struct trapframe *frame)
{
	unsigned times = 0;
	bool later = false;
	uint32_t work;

	while ((work = take_work()) != 0) {
		interrupts_enable();
		do_common_work(work);
		if (work & CPU_WORK_SCHEDULE) {
			later = times++ >= MOST_WAITS;
			if (!later)
				reschedule(false);
		}
		if (work & CPU_WORK_STACKS)
			threads_trim_excess();
		if (thread_current()->interrupts)
			user_return(frame);
		interrupts_disable();
	}
	if (unlikely(later)) {
		cpu_note_work(CPU_WORK_SCHEDULE);
		timer_armed_before(time_nanoseconds() + SHORTEST_TURN_NS);
	}
}

/* ---- Idle ------------------------------------------------------------------------------------------- */

void sched_init(void)
{
	struct run_queue *queue = this_queue();

	for (unsigned i = 0; i < ENV_MAX_CPUS; i++) {
		queue_init(&queues[i]);
		queues[i].armed = TIME_NEVER;
	}
	queue->idle = queue->running = thread_current();
	queue->idle->since = time_nanoseconds();
	timers_init();
	threads_init();
}

/* One step of what an idle CPU does: what others want, or clearing a page, or else waiting for an interrupt. */
static void idle_step(void)
{
	struct run_queue *queue = this_queue();
	uint64_t now;
	uint32_t work;

	interrupts_enable();
	work = take_work();
	/* Where no timer interrupts, it is looked at here. */
	if (timers_next() <= time_nanoseconds())
		work |= CPU_WORK_TIMER;
	do_common_work(work);
	if (queue->levels != 0) {
		reschedule(false);
		return;
	}
	if (page_zero_one())
		return;
	interrupts_disable();
	now = time_nanoseconds();
	if (this_cpu()->work != 0 || queue->levels != 0 || timers_next() <= now)
		return;
	arm_timer(queue, now, true);
	time_wait_for_interrupt();
}

void sched_idle(void)
{
	for (;;)
		idle_step();
}

/* ---- Figures ------------------------------------------------------------------------------------------ */

unsigned sched_runnable(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < ENV_MAX_CPUS; i++) {
		spin_lock(&queues[i].lock);
		count += queue_count(&queues[i]);
		spin_unlock(&queues[i].lock);
	}
	return count + (queues[0].running != queues[0].idle);
}

uint64_t sched_idle_ns(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < ENV_MAX_CPUS; i++) {
		spin_lock(&queues[i].lock);
		sum += queues[i].idle_ns;
		spin_unlock(&queues[i].lock);
	}
	return sum;
}

uint64_t sched_switches(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < ENV_MAX_CPUS; i++) {
		spin_lock(&queues[i].lock);
		sum += queues[i].switches;
		spin_unlock(&queues[i].lock);
	}
	return sum;
}

/* What has not been sampled yet counts as ring 3's; if it turns out to have been the kernel's, what was told is not taken back. */
struct thread_times thread_times(struct thread *thread)
{
	struct run_queue *queue = queue_of(thread);
	struct thread_times times;
	uint64_t total, user;

	spin_lock(&queue->lock);
	total = total_ns(queue, thread);
	user = thread->user_ns + (total - thread->sampled_ns);
	if (user > thread->told_ns)
		thread->told_ns = user;
	times = (struct thread_times){thread->told_ns, total - thread->told_ns};
	spin_unlock(&queue->lock);
	return times;
}
