/*
 * Signals: handlers and their flags, masks, pending ones, alternate stacks, waiting for signals, sending them with values.
 * Stop and continue are in wait.c, timers in timers.c, faults in faults.c.
 */
#include "tap.h"
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <ucontext.h>

#define STACK_BYTES 65536
#define RT          (SIGRTMIN + 2)

static volatile sig_atomic_t count, depth, deepest, last;
static volatile siginfo_t last_info;
static char *volatile handler_stack;

static void note(int signal)
{
	count++;
	last = signal;
}

static void note_info(int signal, siginfo_t *info, void *context)
{
	(void)context;
	count++;
	last = signal;
	last_info = *info;
	handler_stack = __builtin_frame_address(0);
}

static void handle(int signal, int flags)
{
	struct sigaction action = {.sa_sigaction = note_info, .sa_flags = SA_SIGINFO | flags};

	NEED(sigaction(signal, &action, NULL) == 0);
}

static void block(int how, int signal)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal);
	NEED(sigprocmask(how, &set, NULL) == 0);
}

static bool is_pending(int signal)
{
	sigset_t set;

	NEED(sigpending(&set) == 0);
	return sigismember(&set, signal) == 1;
}

TEST(handler, "a handler runs, gets the number, and the program goes on")
{
	NEED(signal(SIGUSR1, note) != SIG_ERR);
	for (int i = 1; i <= 100; i++) {
		CHECK(kill(getpid(), SIGUSR1) == 0);
		EQUAL(count, i);
	}
	EQUAL(last, SIGUSR1);
}

TEST(information, "SA_SIGINFO: kill, tgkill and sigqueue say who and how")
{
	union sigval value = {.sival_int = 4711};

	handle(SIGUSR1, 0);
	kill(getpid(), SIGUSR1);
	CHECK(last_info.si_code == SI_USER && last_info.si_pid == getpid() && last_info.si_uid == getuid());
	CHECK(CALL(tgkill, getpid(), gettid(), SIGUSR1) == 0);
	EQUAL(last_info.si_code, SI_TKILL);
	CHECK(sigqueue(getpid(), SIGUSR1, value) == 0);
	CHECK(last_info.si_code == SI_QUEUE && last_info.si_value.sival_int == 4711);
	EQUAL(last_info.si_signo, SIGUSR1);
	EQUAL(count, 3);
}

TEST(bad_calls, "unknown signals are EINVAL; SIGKILL and SIGSTOP have no handlers; nobody there is ESRCH")
{
	struct sigaction action = {.sa_handler = note};

	FAILS(kill(getpid(), 65), EINVAL);
	FAILS(kill(getpid(), -1), EINVAL);
	CHECK(kill(getpid(), 0) == 0);
	FAILS(kill(999999, 0), ESRCH);
	FAILS(CALL(rt_sigaction, SIGKILL, &action, NULL, 8), EINVAL);
	FAILS(CALL(rt_sigaction, SIGSTOP, &action, NULL, 8), EINVAL);
	FAILS(CALL(rt_sigaction, 65, NULL, NULL, 8), EINVAL);
	FAILS(CALL(rt_sigaction, SIGUSR1, NULL, NULL, 4), EINVAL);
	FAILS(CALL(rt_sigaction, SIGUSR1, 8, NULL, 8), EFAULT);
	FAILS(CALL(rt_sigprocmask, 99, &action, NULL, 8), EINVAL);
	FAILS(CALL(rt_sigprocmask, SIG_BLOCK, 8, NULL, 8), EFAULT);
	FAILS(CALL(rt_sigprocmask, SIG_BLOCK, NULL, NULL, 4), EINVAL);
	FAILS(CALL(tgkill, getpid(), 0, SIGUSR1), EINVAL);
	FAILS(CALL(tgkill, 1, gettid(), SIGUSR1), ESRCH);
	FAILS(CALL(tkill, -1, SIGUSR1), EINVAL);
}

TEST(permission, "others' processes are EPERM")
{
	pid_t parent = getpid();

	IN_CHILD
	{
		NEED(CALL(setresuid, NOBODY, NOBODY, NOBODY) == 0);
		FAILS(kill(parent, SIGUSR1), EPERM);
		FAILS(kill(parent, 0), EPERM);
	}
}

TEST(blocked, "a blocked signal waits, once; unblocked, it comes before the call returns")
{
	handle(SIGUSR1, 0);
	block(SIG_BLOCK, SIGUSR1);
	for (int i = 0; i < 3; i++)
		kill(getpid(), SIGUSR1);
	CHECK(count == 0 && is_pending(SIGUSR1) && !is_pending(SIGUSR2));
	block(SIG_UNBLOCK, SIGUSR1);
	CHECK(count == 1 && !is_pending(SIGUSR1));
}

TEST(queued, "real-time signals are queued, each with its value, in order")
{
	handle(RT, 0);
	block(SIG_BLOCK, RT);
	for (int i = 0; i < 5; i++)
		CHECK(sigqueue(getpid(), RT, (union sigval){.sival_int = i}) == 0);
	EQUAL(count, 0);
	block(SIG_UNBLOCK, RT);
	EQUAL(count, 5);
	EQUAL(last_info.si_value.sival_int, 4); /* lowest first, each in order */
}

TEST(unblockable, "SIGKILL and SIGSTOP cannot be blocked")
{
	sigset_t set;

	sigfillset(&set);
	CHECK(sigprocmask(SIG_SETMASK, &set, NULL) == 0 && sigprocmask(SIG_BLOCK, NULL, &set) == 0);
	CHECK(!sigismember(&set, SIGKILL) && !sigismember(&set, SIGSTOP) && sigismember(&set, SIGUSR1));
}

TEST(ignored, "an ignored signal is lost, also when it was pending")
{
	handle(SIGUSR1, 0);
	block(SIG_BLOCK, SIGUSR1);
	kill(getpid(), SIGUSR1);
	signal(SIGUSR1, SIG_IGN);
	CHECK(!is_pending(SIGUSR1));
	handle(SIGUSR1, 0);
	block(SIG_UNBLOCK, SIGUSR1);
	EQUAL(count, 0);
}

TEST(default_actions, "default actions: ignored ones, ending ones")
{
	int harmless[] = {SIGCHLD, SIGURG, SIGWINCH, SIGCONT};
	int deadly[] = {SIGHUP, SIGUSR1, SIGALRM, SIGPIPE, SIGXCPU, SIGVTALRM, SIGIO, SIGSYS, SIGRTMIN + 5};

	for (unsigned i = 0; i < sizeof(harmless) / sizeof(*harmless); i++)
		CHECK(kill(getpid(), harmless[i]) == 0);
	for (unsigned i = 0; i < sizeof(deadly) / sizeof(*deadly); i++) {
		pid_t child = fork();

		if (child == 0) {
			struct rlimit none = {0, 0};

			setrlimit(RLIMIT_CORE, &none);
			kill(getpid(), deadly[i]);
			_exit(0);
		}
		EQUAL(wait_status(child) & 0x7f, deadly[i]);
	}
}

static void nest(int signal)
{
	depth++;
	deepest = depth > deepest ? depth : deepest;
	if (++count < 5)
		kill(getpid(), signal);
	depth--;
}

TEST(not_nested, "a signal is blocked in its own handler")
{
	struct sigaction action = {.sa_handler = nest};

	sigaction(SIGUSR1, &action, NULL);
	kill(getpid(), SIGUSR1);
	CHECK(count == 5 && deepest == 1);
}

TEST(no_defer, "SA_NODEFER: but then it is not")
{
	struct sigaction action = {.sa_handler = nest, .sa_flags = SA_NODEFER};

	sigaction(SIGUSR1, &action, NULL);
	kill(getpid(), SIGUSR1);
	CHECK(count == 5 && deepest == 5);
}

static void check_mask(int signal)
{
	sigset_t set;

	sigprocmask(SIG_BLOCK, NULL, &set);
	CHECK(sigismember(&set, signal) && sigismember(&set, SIGUSR2) && !sigismember(&set, SIGTERM));
	count++;
}

TEST(mask_in_handler, "sa_mask is blocked while the handler runs, and no longer")
{
	struct sigaction action = {.sa_handler = check_mask};
	sigset_t set;

	sigaddset(&action.sa_mask, SIGUSR2);
	sigaction(SIGUSR1, &action, NULL);
	kill(getpid(), SIGUSR1);
	sigprocmask(SIG_BLOCK, NULL, &set);
	CHECK(count == 1 && !sigismember(&set, SIGUSR1) && !sigismember(&set, SIGUSR2));
}

TEST(reset, "SA_RESETHAND: the handler runs once")
{
	struct sigaction action;

	handle(SIGURG, (int)SA_RESETHAND);
	kill(getpid(), SIGURG);
	kill(getpid(), SIGURG); /* ignored by default */
	EQUAL(count, 1);
	CHECK(sigaction(SIGURG, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
}

static void jump(int signal)
{
	(void)signal;
	siglongjmp(fault_jump, 1);
}

TEST(jump_out, "a handler may jump out, with the mask restored, many times")
{
	signal(SIGUSR1, jump);
	for (volatile int i = 0; i < 200; i++) {
		if (sigsetjmp(fault_jump, 1) == 0) {
			kill(getpid(), SIGUSR1);
			CHECK(!"the handler jumps");
		}
	}
}

TEST(alternate_stack, "SA_ONSTACK: the handler runs on the alternate stack, others do not")
{
	char *memory = anonymous(STACK_BYTES);
	stack_t stack = {.ss_sp = memory, .ss_size = STACK_BYTES}, old;

	NEED(sigaltstack(&stack, NULL) == 0);
	handle(SIGUSR1, SA_ONSTACK);
	kill(getpid(), SIGUSR1);
	CHECK(handler_stack > memory && handler_stack < memory + STACK_BYTES);
	handle(SIGUSR1, 0);
	kill(getpid(), SIGUSR1);
	CHECK(handler_stack < memory || handler_stack > memory + STACK_BYTES);
	CHECK(sigaltstack(NULL, &old) == 0 && old.ss_sp == memory && old.ss_size == STACK_BYTES &&
	      old.ss_flags == 0);
	stack.ss_flags = SS_DISABLE;
	CHECK(sigaltstack(&stack, NULL) == 0 && sigaltstack(NULL, &old) == 0 && old.ss_flags == SS_DISABLE);
}

static void look_at_gaps(int signal, siginfo_t *info, void *context)
{
	const ucontext_t *registers = context;
	const char *stack = (const char *)&registers->uc_stack;
	const size_t end = offsetof(stack_t, ss_flags) + sizeof(int);

	(void)signal, (void)info;
	CHECK(all_are(stack + end, offsetof(stack_t, ss_size) - end, 0));
	for (unsigned i = 0; i < 8; i++) {
		const void *gap = registers->uc_mcontext.fpregs->_st[i].padding;

		CHECK(all_are(gap, sizeof(registers->uc_mcontext.fpregs->_st[i].padding), 0));
	}
	count++;
}

TEST(alternate_stack_gaps, "a handler's frame has nothing of the kernel's between its fields")
{
	stack_t stack = {.ss_sp = anonymous(STACK_BYTES), .ss_size = STACK_BYTES};
	struct sigaction action = {.sa_sigaction = look_at_gaps, .sa_flags = SA_ONSTACK | SA_SIGINFO};

	NEED(sigaltstack(&stack, NULL) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
	kill(getpid(), SIGUSR1);
	EQUAL(count, 1);
}

static void look_at_stack(int signal)
{
	stack_t now, other = {.ss_sp = &now, .ss_size = STACK_BYTES};

	(void)signal;
	CHECK(sigaltstack(NULL, &now) == 0 && now.ss_flags == SS_ONSTACK);
	FAILS(sigaltstack(&other, NULL), EPERM);
	count++;
}

TEST(alternate_stack_bad, "sigaltstack: too small is ENOMEM, unknown flags EINVAL, while in use EPERM")
{
	stack_t stack = {.ss_sp = anonymous(STACK_BYTES), .ss_size = STACK_BYTES};
	struct sigaction action = {.sa_handler = look_at_stack, .sa_flags = SA_ONSTACK};

	NEED(sigaltstack(&stack, NULL) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
	kill(getpid(), SIGUSR1);
	EQUAL(count, 1);
	stack.ss_size = 1000;
	FAILS(CALL(sigaltstack, &stack, NULL), ENOMEM);
	stack = (stack_t){.ss_sp = stack.ss_sp, .ss_size = STACK_BYTES, .ss_flags = 99};
	FAILS(CALL(sigaltstack, &stack, NULL), EINVAL);
	FAILS(CALL(sigaltstack, 8, NULL), EFAULT);
}

static void change_registers(int signal, siginfo_t *info, void *context)
{
	ucontext_t *registers = context;

	(void)signal, (void)info;
	count++;
	/* Everything that can be: the floating-point state as well. */
	__asm__ volatile("fninit; pxor %%xmm0, %%xmm0; pxor %%xmm7, %%xmm7; pxor %%xmm15, %%xmm15" ::
				 : "xmm0", "xmm7", "xmm15");
	CHECK(sigismember(&registers->uc_sigmask, SIGUSR2) == 1);
	sigaddset(&registers->uc_sigmask, SIGWINCH);
}

TEST(registers, "all registers are as before after a handler, floating point too; the mask is the context's")
{
	struct sigaction action = {.sa_sigaction = change_registers, .sa_flags = SA_SIGINFO};
	double values[2] = {1.5, 2.5}, after[2];
	long pid = getpid(), sum = 0;
	sigset_t set;

	block(SIG_BLOCK, SIGUSR2);
	sigaction(SIGUSR1, &action, NULL);
	for (int i = 0; i < 100; i++) {
		register long number __asm__("r8") = 8, other __asm__("r10") = 10;
		long result = SYS_kill;

		__asm__ volatile("movsd (%3), %%xmm7; movsd 8(%3), %%xmm15; syscall; movsd %%xmm7, (%4); "
				 "movsd %%xmm15, 8(%4)"
				 : "+a"(result), "+r"(number), "+r"(other)
				 : "b"(values), "r"(after), "D"(pid), "S"((long)SIGUSR1)
				 : "rcx", "r11", "xmm7", "xmm15", "memory");
		sum += number + other + result;
		CHECK(after[0] == 1.5 && after[1] == 2.5);
	}
	CHECK(count == 100 && sum == 1800);
	sigprocmask(SIG_BLOCK, NULL, &set);
	CHECK(sigismember(&set, SIGWINCH) == 1);
}

/* A child that sends the signal to its parent so much later. */
static pid_t send_later(int signal, long milliseconds)
{
	pid_t parent = getpid(), child = fork();

	if (child == 0) {
		sleep_ms(milliseconds);
		kill(parent, signal);
		_exit(0);
	}
	return child;
}

TEST(interrupts, "without SA_RESTART a handler interrupts read, wait, poll, nanosleep, pause: EINTR")
{
	struct timespec second = {5, 0}, left;
	struct pollfd poll_one;
	int ends[2];
	char byte;
	pid_t sleeper = fork();

	if (sleeper == 0) {
		sleep(20);
		_exit(0);
	}
	NEED(pipe(ends) == 0);
	poll_one = (struct pollfd){ends[0], POLLIN, 0};
	handle(SIGUSR1, 0);
	send_later(SIGUSR1, 20);
	FAILS(read(ends[0], &byte, 1), EINTR);
	send_later(SIGUSR1, 20);
	FAILS(poll(&poll_one, 1, -1), EINTR);
	send_later(SIGUSR1, 20);
	FAILS(waitpid(sleeper, NULL, 0), EINTR);
	send_later(SIGUSR1, 20);
	FAILS(nanosleep(&second, &left), EINTR);
	CHECK(left.tv_sec == 4 && left.tv_nsec < 995000000);
	send_later(SIGUSR1, 20);
	FAILS(pause(), EINTR);
	EQUAL(count, 5);
	kill(sleeper, SIGKILL);
}

TEST(restarts, "with SA_RESTART read and wait go on after the handler; poll and pause do not")
{
	struct pollfd poll_one;
	int ends[2];
	char byte = 0;
	pid_t child = fork();

	if (child == 0) {
		sleep_ms(100);
		_exit(3);
	}
	NEED(pipe(ends) == 0);
	poll_one = (struct pollfd){ends[0], POLLIN, 0};
	handle(SIGUSR1, SA_RESTART);
	send_later(SIGUSR1, 20);
	EQUAL(wait_status(child), 3 << 8);
	EQUAL(count, 1);
	child = fork();
	if (child == 0) {
		sleep_ms(20);
		kill(getppid(), SIGUSR1);
		sleep_ms(50);
		_exit(write(ends[1], "x", 1) != 1);
	}
	EQUAL(read(ends[0], &byte, 1), 1);
	CHECK(byte == 'x' && count == 2);
	send_later(SIGUSR1, 20);
	FAILS(poll(&poll_one, 1, -1), EINTR);
}

TEST(ignored_no_interrupt, "an ignored signal interrupts nothing")
{
	int ends[2];
	char byte = 0;
	pid_t child;

	NEED(pipe(ends) == 0);
	signal(SIGUSR1, SIG_IGN);
	child = fork();
	if (child == 0) {
		sleep_ms(10);
		kill(getppid(), SIGUSR1);
		kill(getppid(), SIGWINCH);
		sleep_ms(30);
		_exit(write(ends[1], "x", 1) != 1);
	}
	EQUAL(read(ends[0], &byte, 1), 1);
	EQUAL(byte, 'x');
	child_passed(child);
}

TEST(suspend, "sigsuspend waits with another mask, and gives the old one back")
{
	sigset_t none, old;

	sigemptyset(&none);
	handle(SIGUSR1, 0);
	block(SIG_BLOCK, SIGUSR1);
	kill(getpid(), SIGUSR1);
	FAILS(sigsuspend(&none), EINTR);
	EQUAL(count, 1);
	sigprocmask(SIG_BLOCK, NULL, &old);
	CHECK(sigismember(&old, SIGUSR1));
	send_later(SIGUSR1, 20);
	FAILS(sigsuspend(&none), EINTR);
	EQUAL(count, 2);
}

TEST(timed_wait, "sigtimedwait takes a pending signal, or waits; EAGAIN when the time is up")
{
	struct timespec zero = {0, 0}, some = {0, 30000000}, bad = {0, 2000000000};
	siginfo_t info;
	sigset_t set;
	long start;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, RT);
	NEED(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	FAILS(sigtimedwait(&set, &info, &zero), EAGAIN);
	start = now_ms();
	FAILS(sigtimedwait(&set, &info, &some), EAGAIN);
	CHECK(now_ms() - start >= 29);
	FAILS(CALL(rt_sigtimedwait, &set, &info, &bad, 8), EINVAL);
	FAILS(CALL(rt_sigtimedwait, &set, &info, &zero, 4), EINVAL);
	FAILS(CALL(rt_sigtimedwait, 8, &info, &zero, 8), EFAULT);
	sigqueue(getpid(), RT, (union sigval){.sival_int = 5});
	kill(getpid(), SIGUSR1);
	EQUAL(sigtimedwait(&set, &info, &zero), SIGUSR1);
	EQUAL(sigwaitinfo(&set, &info), RT);
	CHECK(info.si_value.sival_int == 5 && !is_pending(RT));
	send_later(SIGUSR1, 20);
	EQUAL(sigwaitinfo(&set, &info), SIGUSR1);
	handle(SIGUSR2, 0);
	send_later(SIGUSR2, 20);
	FAILS(CALL(rt_sigtimedwait, &set, &info, NULL, 8), EINTR);
	EQUAL(count, 1);
}

TEST(not_inherited, "pending signals are not inherited by fork, masks and handlers are")
{
	handle(SIGUSR1, 0);
	block(SIG_BLOCK, SIGUSR1);
	kill(getpid(), SIGUSR1);
	IN_CHILD
	{
		CHECK(!is_pending(SIGUSR1));
		kill(getpid(), SIGUSR1);
		CHECK(count == 0 && is_pending(SIGUSR1));
		block(SIG_UNBLOCK, SIGUSR1);
		EQUAL(count, 1);
	}
	EQUAL(count, 0);
}

TEST(broken_pipe, "writing into a pipe that nobody reads: SIGPIPE, EPIPE if it is ignored")
{
	int ends[2];

	NEED(pipe(ends) == 0);
	close(ends[0]);
	handle(SIGPIPE, 0);
	FAILS(write(ends[1], "x", 1), EPIPE);
	EQUAL(count, 1);
	signal(SIGPIPE, SIG_IGN);
	FAILS(write(ends[1], "x", 1), EPIPE);
}

static void *wait_for_signal(void *unused)
{
	(void)unused;
	for (int i = 0; i < 5000 && !count; i++)
		sleep_ms(1);
	return (void *)(long)count;
}

TEST(to_a_thread, "a thread that does not block it gets a process's signal; pthread_kill reaches one thread")
{
	pthread_t thread;
	void *seen;

	handle(SIGUSR1, 0);
	NEED(pthread_create(&thread, NULL, wait_for_signal, NULL) == 0);
	block(SIG_BLOCK, SIGUSR1); /* here only */
	kill(getpid(), SIGUSR1);
	NEED(pthread_join(thread, &seen) == 0);
	CHECK((long)seen == 1 && !is_pending(SIGUSR1));
	NEED(pthread_kill(pthread_self(), SIGUSR1) == 0);
	CHECK(count == 1 && is_pending(SIGUSR1));
}

TEST(storm, "two processes that send each other thousands of signals lose none that are queued")
{
	sigset_t set;
	pid_t parent = getpid(), child;
	siginfo_t info;

	sigemptyset(&set);
	sigaddset(&set, RT);
	NEED(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	child = fork_counted();
	if (child == 0) {
		for (int i = 0; i < 1000; i++) {
			while (sigqueue(parent, RT, (union sigval){.sival_int = i}) != 0)
				NEED(errno == EAGAIN);
		}
		child_end();
	}
	for (int i = 0; i < 1000; i++) {
		EQUAL(sigwaitinfo(&set, &info), RT);
		if (!EQUAL(info.si_value.sival_int, i))
			break;
	}
	child_passed(child);
}

TEST(proc_directory, "pidfd_send_signal takes a process's directory in /proc, too, and no other")
{
	int own = open("/proc/self", O_RDONLY | O_DIRECTORY), other = open("/proc", O_RDONLY | O_DIRECTORY);
	int path = open("/proc/self", O_PATH);
	pid_t child;
	char name[32];

	NEED(own >= 0 && other >= 0 && path >= 0);
	EQUAL(CALL(pidfd_send_signal, own, 0, 0, 0), 0);
	FAILS(CALL(pidfd_send_signal, own, 65, 0, 0), EINVAL);
	FAILS(CALL(pidfd_send_signal, other, 0, 0, 0), EBADF);
	FAILS(CALL(pidfd_send_signal, path, 0, 0, 0), EBADF);
	child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	snprintf(name, sizeof(name), "/proc/%d", child);
	own = open(name, O_RDONLY | O_DIRECTORY);
	NEED(own >= 0);
	EQUAL(CALL(pidfd_send_signal, own, SIGTERM, 0, 0), 0);
	EQUAL(wait_status(child), SIGTERM);
	FAILS(CALL(pidfd_send_signal, own, 0, 0, 0), ESRCH);
}
