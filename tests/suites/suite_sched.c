/*
 * The scheduler: threads that wait for each other in every way there is, timers, mutexes and read-write locks.
 *
 * Threads here run on one CPU, and only change places where they wait; so what a case counts needs no lock.
 */
#include <asm/errno.h>
#include <kern/kern.h>
#include <kern/sched.h>
#include <kern/test.h>
#include <vm/swap.h>
#include <vm/vm.h>

#define MILLISECOND 1000000ull
#define THREADS     6
#define ROUNDS      50
#define MANY        40 /* threads: more than there are spare stacks */

#define READERS_STAY_NS (2000 * MILLISECOND)

void suite_sched(void);

/* Threads of a case. Each counts itself in `ended`, last thing. */
static struct team {
	struct thread threads[THREADS];
	unsigned started, ended, buried;
	struct wait_queue queue;
	struct mutex mutex;
	struct rwlock rwlock;
	unsigned counter, inside, most_inside;
	bool go;
	uint64_t end;
	int status;
	unsigned order[THREADS];
} team;

static void count_burial(struct thread *thread)
{
	(void)thread;
	team.buried++;
}

static void team_begin(void)
{
	memset(&team, 0, sizeof(team));
	wait_queue_init(&team.queue);
	mutex_init(&team.mutex, RANK_FILE, "team");
	rw_init(&team.rwlock, RANK_MAP_ROOT, "team");
}

/* Starts one more thread. */
static bool team_add(unsigned number, void (*entry)(void *))
{
	struct thread *thread = &team.threads[team.started];

	if (!CHECK_EQ(thread_create(thread, "test", entry, (void *)(uintptr_t)number, false, count_burial),
		      0))
		return false;
	team.started++;
	thread_run(thread);
	return true;
}

/* Starts `count` threads, which get their number. */
static bool team_start(unsigned count, void (*entry)(void *))
{
	for (unsigned i = 0; i < count; i++)
		if (!team_add(i, entry))
			return false;
	return true;
}

static void team_join(void)
{
	while (team.buried < team.started)
		time_sleep_until(time_nanoseconds() + MILLISECOND / 10);
	CHECK_EQ(team.ended, team.started);
}

/* Lets the others run until they wait. */
static void let_others_run(void)
{
	time_sleep_until(time_nanoseconds() + 2 * MILLISECOND);
}

static unsigned number_of(void *argument)
{
	return (unsigned)(uintptr_t)argument;
}

/* ---- Waiting and waking ---------------------------------------------------------------------------------- */

static void wait_for_go(void *argument)
{
	int status = WAIT_EVENT(&team.queue, team.go, SLEEP_FIRM, TIME_NEVER);

	team.order[team.ended++] = number_of(argument);
	team.status |= status;
}

static void wake_all(void)
{
	bool in_order = true;

	test_case("all who wait are woken, in the order of their arrival");
	team_begin();
	if (!team_start(THREADS, wait_for_go))
		return;
	let_others_run();
	CHECK_EQ(team.ended, 0);
	wait_wake_all(&team.queue);
	let_others_run();
	CHECK_EQ(team.ended, 0); /* what they wait for has not come */
	team.go = true;
	wait_wake_all(&team.queue);
	team_join();
	for (unsigned i = 0; i < THREADS; i++)
		in_order = in_order && team.order[i] == i;
	CHECK(in_order);
	CHECK_EQ(team.status, 0);
	CHECK(wait_queue_empty(&team.queue));
}

static void take_one(void *argument)
{
	(void)argument;
	WAIT_EVENT(&team.queue, team.counter > 0 ? (team.counter--, true) : false, SLEEP_FIRM, TIME_NEVER);
	team.ended++;
}

static void wake_some(void)
{
	test_case("as many are woken as is said");
	team_begin();
	if (!team_start(THREADS, take_one))
		return;
	let_others_run();
	team.counter = 2;
	wait_wake(&team.queue, 2);
	let_others_run();
	CHECK_EQ(team.ended, 2);
	team.counter = THREADS - 2;
	wait_wake(&team.queue, UINT32_MAX);
	team_join();
	CHECK_EQ(team.counter, 0);
}

/* Two threads that wake each other: no wake-up may be lost, or they would stop. */
static void play(void *argument)
{
	unsigned own = number_of(argument);

	for (unsigned i = 0; i < ROUNDS; i++) {
		WAIT_EVENT(&team.queue, team.counter % 2 == own, SLEEP_FIRM, TIME_NEVER);
		team.counter++;
		wait_wake_all(&team.queue);
	}
	team.ended++;
}

static void ping_pong(void)
{
	test_case("two threads wake each other in turn");
	team_begin();
	if (!team_start(2, play))
		return;
	team_join();
	CHECK_EQ(team.counter, 2 * ROUNDS);
}

static void deadlines(void)
{
	uint64_t start = time_nanoseconds();
	struct waiter waiter;

	test_case("a wait ends with its deadline, and not before");
	team_begin();
	CHECK_EQ(WAIT_EVENT(&team.queue, team.go, SLEEP_FIRM, start + 3 * MILLISECOND), -ETIMEDOUT);
	CHECK(time_nanoseconds() >= start + 3 * MILLISECOND);
	CHECK_EQ(WAIT_EVENT(&team.queue, team.go, SLEEP_FIRM, 1), -ETIMEDOUT);
	CHECK_EQ(WAIT_EVENT(&team.queue, true, SLEEP_FIRM, 1), 0);
	CHECK(wait_queue_empty(&team.queue));

	test_case("a wake between the look and the sleep counts");
	wait_enter(&team.queue, &waiter);
	thread_sleep_begin(SLEEP_FIRM);
	wait_wake_all(&team.queue);
	CHECK_EQ(thread_sleep(TIME_NEVER), 0);
	thread_sleep_end();
	wait_leave(&waiter);
}

/* ---- Interrupting ------------------------------------------------------------------------------------------ */

static void wait_interruptible(void *argument)
{
	(void)argument;
	team.status = WAIT_EVENT(&team.queue, team.go, SLEEP_INTERRUPTIBLE, TIME_NEVER);
	team.ended++;
}

static void wait_killable(void *argument)
{
	(void)argument;
	team.status = WAIT_EVENT(&team.queue, team.go, SLEEP_KILLABLE, TIME_NEVER);
	team.ended++;
}

static void interrupts(void)
{
	test_case("an interrupt ends an interruptible wait");
	team_begin();
	if (!team_start(1, wait_interruptible))
		return;
	let_others_run();
	thread_interrupt(&team.threads[0], INTERRUPT_SIGNAL);
	team_join();
	CHECK_EQ(team.status, -EINTR);

	test_case("only a killing one ends a killable wait");
	team_begin();
	if (!team_start(1, wait_killable))
		return;
	let_others_run();
	thread_interrupt(&team.threads[0], INTERRUPT_SIGNAL | INTERRUPT_STOP);
	let_others_run();
	CHECK_EQ(team.ended, 0);
	thread_interrupt(&team.threads[0], INTERRUPT_KILL);
	team_join();
	CHECK_EQ(team.status, -EINTR);

	test_case("what has come counts more than an interrupt");
	team_begin();
	if (!team_start(1, wait_interruptible))
		return;
	let_others_run();
	team.go = true;
	thread_interrupt(&team.threads[0], INTERRUPT_SIGNAL);
	team_join();
	CHECK_EQ(team.status, 0);
}

/* ---- Timers --------------------------------------------------------------------------------------------------- */

static struct timer timers[THREADS];
static unsigned fired[THREADS], fired_count;

static void fire(struct timer *timer)
{
	fired[fired_count++ % THREADS] = (unsigned)(timer - timers);
}

static void timers_fire(void)
{
	static const unsigned milliseconds[THREADS] = {5, 1, 4, 1, 3, 2};
	uint64_t start = time_nanoseconds();
	bool in_order = true;

	test_case("timers fire in the order of their times");
	fired_count = 0;
	for (unsigned i = 0; i < THREADS; i++) {
		timer_init(&timers[i], fire);
		timer_start(&timers[i], start + milliseconds[i] * MILLISECOND);
	}
	time_sleep_until(start + 8 * MILLISECOND);
	CHECK_EQ(fired_count, THREADS);
	for (unsigned i = 1; i < THREADS; i++)
		in_order = in_order && milliseconds[fired[i - 1]] <= milliseconds[fired[i]];
	CHECK(in_order);

	test_case("a timer that is stopped does not fire, one that is started again fires once");
	fired_count = 0;
	start = time_nanoseconds();
	timer_start(&timers[0], start + MILLISECOND);
	timer_start(&timers[1], start + MILLISECOND);
	CHECK(timer_cancel(&timers[0]));
	CHECK(!timer_cancel(&timers[0]));
	timer_start(&timers[1], start + 2 * MILLISECOND);
	time_sleep_until(start + 5 * MILLISECOND);
	CHECK_EQ(fired_count, 1);
	CHECK_EQ(fired[0], 1);
	CHECK(!timer_cancel_wait(&timers[1]));
}

/* How often the timer interrupts who runs in the kernel for so long: each time takes a sample. */
static unsigned interruptions(uint64_t nanoseconds)
{
	volatile uint64_t *sampled = &thread_current()->sampled_ns;
	uint64_t end = time_nanoseconds() + nanoseconds, last = *sampled;
	unsigned count = 0;

	while (time_nanoseconds() < end) {
		uint64_t now = *sampled;

		count += now != last;
		last = now;
	}
	return count;
}

/* The kernel is not preempted: timers wait until a thread sleeps. */
static void timer_that_is_due(void)
{
	test_case("a timer that is due does not interrupt the kernel again and again");
	fired_count = 0;
	timer_init(&timers[0], fire);
	timer_start(&timers[0], time_nanoseconds() + MILLISECOND);
	CHECK(interruptions(50 * MILLISECOND) <= 10);
	CHECK_EQ(fired_count, 0);
	let_others_run();
	CHECK_EQ(fired_count, 1);
}

static struct spinlock outer;

static void fire_with_lock(struct timer *timer)
{
	spin_lock(&outer);
	fire(timer);
	spin_unlock(&outer);
}

/* Who looks for them may have locks that come after those that timers take. */
static void timer_during_search(void)
{
	test_case("a timer fires while pages are looked for that can be given up");
	team_begin();
	spin_init(&outer, RANK_PROCESS, "outer");
	fired_count = 0;
	timer_init(&timers[0], fire_with_lock);
	rw_read_lock(&team.rwlock);
	timer_start(&timers[0], time_nanoseconds());
	vm_reclaim(1);
	rw_read_unlock(&team.rwlock);
	CHECK_EQ(fired_count, 1);
	timer_cancel_wait(&timers[0]);
}

/* ---- Locks ------------------------------------------------------------------------------------------------------ */

static void step_inside(void)
{
	team.inside++;
	if (team.inside > team.most_inside)
		team.most_inside = team.inside;
	time_sleep_until(time_nanoseconds() + MILLISECOND / 20);
	team.inside--;
}

static void hold_mutex(void *argument)
{
	(void)argument;
	for (unsigned i = 0; i < ROUNDS / 5; i++) {
		mutex_lock(&team.mutex);
		step_inside();
		team.counter++;
		mutex_unlock(&team.mutex);
	}
	team.ended++;
}

static void try_mutex(void *argument)
{
	(void)argument;
	team.status = mutex_trylock(&team.mutex) ? 1 : mutex_lock_killable(&team.mutex);
	team.ended++;
}

static void mutexes(void)
{
	test_case("one thread at a time holds a mutex, and sleeps with it");
	team_begin();
	if (!team_start(THREADS, hold_mutex))
		return;
	team_join();
	CHECK_EQ(team.most_inside, 1);
	CHECK_EQ(team.counter, THREADS * (ROUNDS / 5));
	CHECK(!mutex_held(&team.mutex));

	test_case("who waits for a mutex to be killed does not get it");
	team_begin();
	mutex_lock(&team.mutex);
	CHECK(mutex_held(&team.mutex));
	if (team_start(1, try_mutex)) {
		let_others_run();
		thread_interrupt(&team.threads[0], INTERRUPT_KILL);
		team_join();
		CHECK_EQ(team.status, -EINTR);
	}
	mutex_unlock(&team.mutex);
	CHECK(mutex_trylock(&team.mutex));
	mutex_unlock(&team.mutex);
}

static void read(void *argument)
{
	(void)argument;
	for (unsigned i = 0; i < ROUNDS / 5; i++) {
		rw_read_lock(&team.rwlock);
		CHECK(!rw_held_write(&team.rwlock));
		step_inside();
		rw_read_unlock(&team.rwlock);
		thread_yield();
	}
	team.ended++;
}

static void write(void *argument)
{
	(void)argument;
	for (unsigned i = 0; i < ROUNDS / 5; i++) {
		rw_write_lock(&team.rwlock);
		CHECK_EQ(team.inside, 0);
		step_inside();
		CHECK_EQ(team.inside, 0);
		team.counter++;
		rw_write_unlock(&team.rwlock);
		thread_yield();
	}
	team.ended++;
}

static void read_or_write(void *argument)
{
	if (number_of(argument) % 3 == 0)
		write(argument);
	else
		read(argument);
}

static void rwlocks(void)
{
	test_case("readers are in together, a writer alone; all of them come in");
	team_begin();
	if (!team_start(THREADS, read_or_write))
		return;
	team_join();
	CHECK(team.most_inside > 1);
	CHECK_EQ(team.counter, THREADS / 3 * (ROUNDS / 5));
	CHECK(!rw_held(&team.rwlock));
}

/* Comes for the lock, has it until `go`, and notes in which place it got it. Even numbers read. */
static void come_and_hold(void *argument)
{
	unsigned number = number_of(argument);
	bool reads = number % 2 == 0;

	if (reads)
		rw_read_lock(&team.rwlock);
	else
		rw_write_lock(&team.rwlock);
	team.order[team.ended++] = number;
	WAIT_EVENT(&team.queue, team.go, SLEEP_FIRM, TIME_NEVER);
	if (reads)
		rw_read_unlock(&team.rwlock);
	else
		rw_write_unlock(&team.rwlock);
}

static void rwlocks_in_order(void)
{
	bool in_order = true;

	test_case(
		"a reader does not pass a writer who waits, nor a writer readers; who waits longest is next");
	team_begin();
	rw_read_lock(&team.rwlock);
	for (unsigned i = 0; i < THREADS; i++) {
		/* One after the other: 0 reads at once, 1 waits to write, and all after it wait for that. */
		if (!team_add(i, come_and_hold))
			return;
		let_others_run();
		CHECK_EQ(team.ended, 1);
	}
	rw_read_unlock(&team.rwlock);
	let_others_run();
	CHECK_EQ(team.ended, 1);
	team.go = true;
	wait_wake_all(&team.queue);
	team_join();
	for (unsigned i = 0; i < THREADS; i++)
		in_order = in_order && team.order[i] == i;
	CHECK(in_order);
	CHECK(!rw_held(&team.rwlock));

	test_case("readers who wait one after the other come in together");
	team_begin();
	rw_write_lock(&team.rwlock);
	for (unsigned i = 0; i < THREADS; i++)
		if (!team_add(0, come_and_hold))
			return;
	let_others_run();
	CHECK_EQ(team.ended, 0);
	rw_write_unlock(&team.rwlock);
	let_others_run();
	CHECK_EQ(team.ended, THREADS);
	team.go = true;
	wait_wake_all(&team.queue);
	team_join();
	CHECK(!rw_held(&team.rwlock));
}

/* Comes again and again, and is inside for most of the time. */
static void read_for_long(void *argument)
{
	(void)argument;
	while (!team.go && time_nanoseconds() < team.end) {
		rw_read_lock(&team.rwlock);
		step_inside();
		rw_read_unlock(&team.rwlock);
	}
	team.ended++;
}

/* Readers take turns, so that one of them is always inside. */
static void writer_among_readers(void)
{
	test_case("a writer comes in though there is always a reader inside");
	team_begin();
	team.end = time_nanoseconds() + READERS_STAY_NS;
	if (!team_start(THREADS, read_for_long))
		return;
	let_others_run();
	rw_write_lock(&team.rwlock);
	CHECK_EQ(team.inside, 0);
	CHECK(time_nanoseconds() < team.end);
	team.go = true;
	rw_write_unlock(&team.rwlock);
	team_join();
}

/* ---- The end of threads -------------------------------------------------------------------------------------- */

static struct thread many[MANY];

static void end_at_go(void *argument)
{
	(void)argument;
	WAIT_EVENT(&team.queue, team.go, SLEEP_FIRM, TIME_NEVER);
	team.ended++;
}

/* Called by map_wire, which has the lock of the kernel's memory: all threads end meanwhile. */
static int end_all(struct pager *pager, const struct page_wanted *wanted, unsigned count, struct page **out)
{
	(void)pager, (void)wanted, (void)count, (void)out;
	team.go = true;
	wait_wake_all(&team.queue);
	team_join();
	return -EIO;
}

static void let_go(struct pager *pager)
{
	(void)pager;
}

/* Whoever runs next buries a dead thread: he may have any lock, that of the memory where its stack is, too. */
static void burials(void)
{
	static const struct pager_ops ops = {.name = "end", .get_pages = end_all, .destroy = let_go};
	static const struct placement anywhere;
	static const struct mapping how = {
		.prot = VM_READ | VM_WRITE, .inherit = INHERIT_SHARE, .name = "end"};
	struct pager pager = {.ops = &ops, .refs = 1};
	struct blob *blob;
	vaddr_t place;

	test_case("dead threads are buried by who has the lock of the kernel's memory");
	team_begin();
	for (; team.started < MANY; team.started++) {
		struct thread *thread = &many[team.started];

		if (!CHECK_EQ(thread_create(thread, "test", end_at_go, NULL, false, count_burial), 0))
			return;
		thread_run(thread);
	}
	let_others_run();
	if (!CHECK_EQ(blob_create_paged(PAGE_SIZE, &pager, &blob), 0))
		return;
	CHECK_EQ(map_blob(dynamic_map, &anywhere, blob, 0, 1, &how, &place), 0);
	CHECK_EQ(map_wire(dynamic_map, place, PAGE_SIZE), -EIO);
	CHECK_EQ(team.buried, MANY);
	CHECK_EQ(map_unmap(dynamic_map, place, PAGE_SIZE), 0);
	blob_unref(blob);
	threads_trim();
}

void suite_sched(void)
{
	burials();
	wake_all();
	wake_some();
	ping_pong();
	deadlines();
	interrupts();
	timers_fire();
	timer_that_is_due();
	timer_during_search();
	mutexes();
	rwlocks();
	rwlocks_in_order();
	writer_among_readers();
}
