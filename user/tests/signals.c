/*
 * Signals within one process: actions, masks, queues, the alternative stack, waiting, the order in which handlers run; and the errors of
 * these calls.
 */
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define KERNEL_SET_BYTES 8
#define MINIMAL_STACK    2048
#define ORDER_MAX        64

struct kernel_action {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	unsigned long mask;
};

static volatile int order[ORDER_MAX];
static volatile unsigned ordered;
static siginfo_t last_info;
static volatile int values[ORDER_MAX];

static void note(int signo)
{
	order[ordered++ % ORDER_MAX] = signo;
}

static void note_info(int signo, siginfo_t *info, void *context)
{
	(void)context;
	values[ordered % ORDER_MAX] = info->si_value.sival_int;
	last_info = *info;
	note(signo);
}

static void act(int signo, void (*handler)(int), int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};

	CHECK(sigaction(signo, &action, NULL) == 0);
}

static void act_info(int signo, int flags)
{
	struct sigaction action = {.sa_sigaction = note_info, .sa_flags = flags | SA_SIGINFO};

	CHECK(sigaction(signo, &action, NULL) == 0);
}

static void mask(int how, int signo)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	CHECK(sigprocmask(how, &set, NULL) == 0);
}

static bool pending(int signo)
{
	sigset_t set;

	return sigpending(&set) == 0 && sigismember(&set, signo);
}

static void actions(void)
{
	struct sigaction old;

	ordered = 0;
	act(SIGUSR1, note, 0);
	CHECK(raise(SIGUSR1) == 0 && ordered == 1 && order[0] == SIGUSR1);
	CHECK(sigaction(SIGUSR1, NULL, &old) == 0 && old.sa_handler == note);
	CHECK(kill(getpid(), SIGUSR1) == 0 && ordered == 2);
	act(SIGUSR1, SIG_IGN, 0);
	CHECK(raise(SIGUSR1) == 0 && ordered == 2);
	act(SIGUSR1, note, SA_RESETHAND);
	CHECK(raise(SIGUSR1) == 0 && ordered == 3);
	CHECK(sigaction(SIGUSR1, NULL, &old) == 0 && old.sa_handler == SIG_DFL);
	CHECK(old.sa_flags & (int)SA_RESETHAND);
	/* What is ignored unless the program says otherwise. */
	CHECK(raise(SIGCHLD) == 0 && raise(SIGURG) == 0 && raise(SIGWINCH) == 0 && raise(SIGCONT) == 0);
}

static void information(void)
{
	union sigval value = {.sival_int = 4711};

	ordered = 0;
	act_info(SIGUSR2, 0);
	CHECK(kill(getpid(), SIGUSR2) == 0 && ordered == 1);
	CHECK(last_info.si_signo == SIGUSR2 && last_info.si_code == SI_USER && last_info.si_pid == getpid());
	CHECK(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR2) == 0 && ordered == 2);
	CHECK(last_info.si_code == SI_TKILL && last_info.si_pid == getpid());
	CHECK(syscall(SYS_tkill, syscall(SYS_gettid), SIGUSR2) == 0 && ordered == 3);
	CHECK(sigqueue(getpid(), SIGUSR2, value) == 0 && ordered == 4);
	CHECK(last_info.si_code == SI_QUEUE && last_info.si_value.sival_int == 4711);
}

static void pending_ones(void)
{
	ordered = 0;
	act(SIGUSR1, note, 0);
	mask(SIG_BLOCK, SIGUSR1);
	CHECK(raise(SIGUSR1) == 0 && kill(getpid(), SIGUSR1) == 0 && kill(getpid(), SIGUSR1) == 0);
	CHECK(ordered == 0 && pending(SIGUSR1));
	mask(SIG_UNBLOCK, SIGUSR1);
	/* One for the thread, one for the process; the third was there already. */
	CHECK(ordered == 2 && !pending(SIGUSR1));
	mask(SIG_BLOCK, SIGUSR1);
	raise(SIGUSR1);
	act(SIGUSR1, SIG_IGN, 0);
	CHECK(!pending(SIGUSR1));
	/* An ignored signal that is blocked is kept. */
	raise(SIGUSR1);
	CHECK(pending(SIGUSR1));
	mask(SIG_UNBLOCK, SIGUSR1);
	CHECK(ordered == 2);
}

/* All are blocked in each other's handlers, so that they run one after another. */
static void handlers_in_order(void)
{
	static const int sent[] = {SIGTERM, SIGHUP, SIGUSR1, SIGINT};
	struct sigaction action = {.sa_handler = note};
	sigset_t all, old;

	ordered = 0;
	sigfillset(&all);
	action.sa_mask = all;
	for (unsigned i = 0; i < 4; i++)
		sigaction(sent[i], &action, NULL);
	sigprocmask(SIG_BLOCK, &all, &old);
	for (unsigned i = 0; i < 4; i++)
		kill(getpid(), sent[i]);
	sigprocmask(SIG_SETMASK, &old, NULL);
	CHECK(ordered == 4);
	/* Frames are set up from the lowest number on, so the last one set up runs first, unless they block one another, as here. */
	CHECK(order[0] == SIGHUP && order[1] == SIGINT && order[2] == SIGUSR1 && order[3] == SIGTERM);
	for (unsigned i = 0; i < 4; i++)
		act(sent[i], SIG_DFL, 0);
}

static void real_time(void)
{
	struct sigaction action = {.sa_sigaction = note_info, .sa_flags = SA_SIGINFO};

	ordered = 0;
	sigfillset(&action.sa_mask);
	sigaction(SIGRTMIN, &action, NULL);
	sigaction(SIGRTMIN + 1, &action, NULL);
	mask(SIG_BLOCK, SIGRTMIN);
	mask(SIG_BLOCK, SIGRTMIN + 1);
	for (int i = 0; i < 10; i++) {
		CHECK(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = i}) == 0);
		CHECK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 100 + i}) == 0);
	}
	mask(SIG_UNBLOCK, SIGRTMIN);
	CHECK(ordered == 10);
	mask(SIG_UNBLOCK, SIGRTMIN + 1);
	CHECK(ordered == 20);
	for (int i = 0; i < 10; i++) {
		CHECK(order[i] == SIGRTMIN && values[i] == 100 + i);
		CHECK(order[10 + i] == SIGRTMIN + 1 && values[10 + i] == i);
	}
}

static volatile int depth, deepest, raised;

static void raise_again(int signo)
{
	depth++;
	deepest = depth > deepest ? depth : deepest;
	if (++raised < 5)
		raise(signo);
	depth--;
}

static void nesting(void)
{
	deepest = 0;
	act(SIGUSR1, raise_again, SA_NODEFER);
	raise(SIGUSR1);
	CHECK(deepest == 5);
	deepest = raised = 0;
	act(SIGUSR1, raise_again, 0);
	raise(SIGUSR1);
	/* Blocked in its own handler: each waits for the one before. */
	CHECK(deepest == 1 && raised == 5);
}

static volatile uintptr_t handler_stack;

static void note_stack(int signo)
{
	volatile char here;
	stack_t stack;

	handler_stack = (uintptr_t)&here;
	note(signo);
	if (sigaltstack(NULL, &stack) == 0)
		values[0] = stack.ss_flags;
	stack.ss_flags = 0;
	CHECK_ERROR(sigaltstack(&stack, NULL), EPERM);
}

static void alternative_stack(void)
{
	static char memory[64 << 10];
	stack_t stack = {.ss_sp = memory, .ss_size = sizeof(memory)}, old;

	ordered = 0;
	CHECK(sigaltstack(NULL, &old) == 0 && old.ss_flags == SS_DISABLE);
	CHECK(sigaltstack(&stack, NULL) == 0);
	CHECK(sigaltstack(NULL, &old) == 0 && old.ss_flags == 0 && old.ss_sp == memory);
	act(SIGUSR1, note_stack, SA_ONSTACK);
	raise(SIGUSR1);
	CHECK(ordered == 1 && values[0] == SS_ONSTACK);
	CHECK(handler_stack >= (uintptr_t)memory && handler_stack < (uintptr_t)memory + sizeof(memory));
	act(SIGUSR1, note, 0);
	raise(SIGUSR1);
	CHECK(ordered == 2);
	stack.ss_size = MINIMAL_STACK - 1;
	CHECK_ERROR(syscall(SYS_sigaltstack, &stack, NULL), ENOMEM);
	stack.ss_size = sizeof(memory);
	stack.ss_flags = 16;
	CHECK_ERROR(syscall(SYS_sigaltstack, &stack, NULL), EINVAL);
	CHECK_ERROR(syscall(SYS_sigaltstack, 8, NULL), EFAULT);
	CHECK_ERROR(syscall(SYS_sigaltstack, NULL, 8), EFAULT);
	stack.ss_flags = SS_DISABLE;
	CHECK(sigaltstack(&stack, NULL) == 0 && sigaltstack(NULL, &old) == 0 && old.ss_flags == SS_DISABLE);
}

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif

static void note_disarmed(int signo)
{
	stack_t stack;

	note(signo);
	values[0] = syscall(SYS_sigaltstack, NULL, &stack) == 0 ? stack.ss_flags : -1;
}

static void disarming_stack(void)
{
	static char memory[64 << 10];
	stack_t stack = {.ss_sp = memory, .ss_size = sizeof(memory), .ss_flags = (int)SS_AUTODISARM}, now;

	ordered = 0;
	CHECK(syscall(SYS_sigaltstack, &stack, NULL) == 0);
	act(SIGUSR1, note_disarmed, SA_ONSTACK);
	raise(SIGUSR1);
	CHECK(ordered == 1 && values[0] == SS_DISABLE);
	CHECK(syscall(SYS_sigaltstack, NULL, &now) == 0 && now.ss_flags == (int)SS_AUTODISARM &&
	      now.ss_sp == memory);
	stack.ss_flags = SS_DISABLE;
	syscall(SYS_sigaltstack, &stack, NULL);
}

static void waiting(void)
{
	struct timespec little = {0, 20000000}, none = {0, 0};
	sigset_t set, empty;
	siginfo_t info;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 2);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	CHECK_ERROR(sigtimedwait(&set, &info, &none), EAGAIN);
	CHECK_ERROR(sigtimedwait(&set, &info, &little), EAGAIN);
	sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = 7});
	raise(SIGUSR2);
	CHECK(sigtimedwait(&set, &info, &little) == SIGUSR2 && info.si_code == SI_TKILL);
	CHECK(sigtimedwait(&set, &info, NULL) == SIGRTMIN + 2 && info.si_value.sival_int == 7);
	CHECK(!pending(SIGUSR2));
	little.tv_nsec = 1000000000;
	CHECK_ERROR(syscall(SYS_rt_sigtimedwait, &set, NULL, &little, KERNEL_SET_BYTES), EINVAL);
	/* sigsuspend: the mask is another one only while it waits. */
	ordered = 0;
	act(SIGUSR2, note, 0);
	raise(SIGUSR2);
	sigemptyset(&empty);
	CHECK_ERROR(sigsuspend(&empty), EINTR);
	CHECK(ordered == 1);
	raise(SIGUSR2);
	CHECK(ordered == 1 && pending(SIGUSR2));
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	CHECK(ordered == 2);
}

static void *wait_in_thread(void *argument)
{
	sigset_t *set = argument;
	siginfo_t info;

	return (void *)(long)sigwaitinfo(set, &info);
}

/* A signal that the process blocks finds the thread that waits for it. */
static void waiting_thread(void)
{
	struct timespec little = {0, 20000000};
	pthread_t thread;
	void *result;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	CHECK(pthread_create(&thread, NULL, wait_in_thread, &set) == 0);
	nanosleep(&little, NULL);
	kill(getpid(), SIGTERM);
	CHECK(pthread_join(thread, &result) == 0 && (long)result == SIGTERM);
	CHECK(!pending(SIGTERM));
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void errors(void)
{
	struct kernel_action action = {.handler = SIG_DFL};
	siginfo_t info = {.si_code = SI_USER};
	unsigned long set = 0;

	CHECK_ERROR(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4), EINVAL);
	CHECK_ERROR(syscall(SYS_rt_sigaction, 0, NULL, NULL, KERNEL_SET_BYTES), EINVAL);
	CHECK_ERROR(syscall(SYS_rt_sigaction, 65, NULL, NULL, KERNEL_SET_BYTES), EINVAL);
	CHECK_ERROR(syscall(SYS_rt_sigaction, SIGKILL, &action, NULL, KERNEL_SET_BYTES), EINVAL);
	CHECK_ERROR(syscall(SYS_rt_sigaction, SIGSTOP, &action, NULL, KERNEL_SET_BYTES), EINVAL);
	CHECK(syscall(SYS_rt_sigaction, SIGKILL, NULL, &action, KERNEL_SET_BYTES) == 0);
	CHECK_ERROR(syscall(SYS_rt_sigaction, SIGUSR1, 8, NULL, KERNEL_SET_BYTES), EFAULT);
	CHECK_ERROR(syscall(SYS_rt_sigaction, SIGUSR1, NULL, 8, KERNEL_SET_BYTES), EFAULT);
	CHECK_ERROR(syscall(SYS_rt_sigprocmask, 3, &set, NULL, KERNEL_SET_BYTES), EINVAL);
	CHECK(syscall(SYS_rt_sigprocmask, 3, NULL, &set, KERNEL_SET_BYTES) == 0);
	CHECK_ERROR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 16), EINVAL);
	CHECK_ERROR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, 8, NULL, KERNEL_SET_BYTES), EFAULT);
	CHECK_ERROR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, 8, KERNEL_SET_BYTES), EFAULT);
	CHECK_ERROR(syscall(SYS_rt_sigpending, &set, 16), EINVAL);
	CHECK_ERROR(syscall(SYS_rt_sigpending, 8, KERNEL_SET_BYTES), EFAULT);
	CHECK_ERROR(syscall(SYS_rt_sigsuspend, &set, 4), EINVAL);
	CHECK_ERROR(syscall(SYS_rt_sigsuspend, 8, KERNEL_SET_BYTES), EFAULT);
	CHECK_ERROR(syscall(SYS_kill, getpid(), 65), EINVAL);
	CHECK_ERROR(syscall(SYS_kill, getpid(), -1), EINVAL);
	CHECK_ERROR(syscall(SYS_kill, 1 << 30, SIGTERM), ESRCH);
	CHECK_ERROR(syscall(SYS_kill, -(1 << 30), SIGTERM), ESRCH);
	CHECK(syscall(SYS_kill, getpid(), 0) == 0);
	CHECK_ERROR(syscall(SYS_tkill, 0, SIGTERM), EINVAL);
	CHECK_ERROR(syscall(SYS_tkill, 1 << 30, SIGTERM), ESRCH);
	CHECK_ERROR(syscall(SYS_tgkill, getpid(), 0, SIGTERM), EINVAL);
	CHECK_ERROR(syscall(SYS_tgkill, 1 << 30, syscall(SYS_gettid), SIGTERM), ESRCH);
	CHECK_ERROR(syscall(SYS_rt_sigqueueinfo, getppid() ? getppid() : 1 << 30, 0, &info), EPERM);
	CHECK_ERROR(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, 8), EFAULT);
	CHECK_ERROR(syscall(SYS_rt_tgsigqueueinfo, 0, 1, SIGUSR1, &info), EINVAL);
	CHECK_ERROR(syscall(SYS_restart_syscall), EINTR);
}

/* SIGKILL and SIGSTOP are left out of masks; unknown flags are forgotten. */
static void cleared_bits(void)
{
	struct kernel_action action = {.handler = SIG_IGN, .flags = 0x400 | SA_RESTART, .mask = ~0ul};
	unsigned long set = ~0ul, sure = 1ul << (SIGKILL - 1) | 1ul << (SIGSTOP - 1), old;

	CHECK(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, &old, KERNEL_SET_BYTES) == 0);
	CHECK(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, &set, KERNEL_SET_BYTES) == 0 && set == ~sure);
	CHECK(syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, KERNEL_SET_BYTES) == 0);
	CHECK(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &action, KERNEL_SET_BYTES) == 0);
	CHECK(action.flags == SA_RESTART && action.mask == ~sure);
}

/* Only the thread that asked gets its signal; the others share what the process gets. */
static void *signal_me(void *argument)
{
	sigset_t set;

	(void)argument;
	sigfillset(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	CHECK(pending(SIGUSR1));
	return NULL;
}

static void threads(void)
{
	pthread_t thread;

	ordered = 0;
	act(SIGUSR1, note, 0);
	CHECK(pthread_create(&thread, NULL, signal_me, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(ordered == 0 && !pending(SIGUSR1));
}

int main(void)
{
	actions();
	information();
	pending_ones();
	handlers_in_order();
	real_time();
	nesting();
	alternative_stack();
	disarming_stack();
	waiting();
	waiting_thread();
	errors();
	cleared_bits();
	threads();
	return checks_end("signals");
}
