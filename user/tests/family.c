/*
 * A great many processes and threads: made, ended in every way, waited for or not; and more than there may be. What they leave behind is the
 * kernel's to find out. Arguments: how many rounds (20).
 */
#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static char *self;
static unsigned seed = 1;

static unsigned random_number(void)
{
	seed = seed * 1103515245 + 12345;
	return seed >> 16 & 0x7fff;
}

static void *thread(void *argument)
{
	volatile char *memory = malloc(1 << 16);

	for (int i = 0; i < 1 << 16; i += 4096)
		memory[i] = 1;
	sched_yield();
	free((void *)memory);
	return argument;
}

static void threads_of_child(void)
{
	pthread_t threads[6];

	for (int i = 0; i < 6; i++)
		CHECK(pthread_create(&threads[i], NULL, thread, NULL) == 0);
	if (random_number() % 2)
		return;
	for (int i = 0; i < 6; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
}

/* A child does one of many things. */
static void child(unsigned what)
{
	char *arguments[] = {self, "again", NULL};
	volatile char *volatile nowhere = (char *)24;

	switch (what % 7) {
	case 0:
		_exit(1);
	case 1:
		threads_of_child();
		exit(1);
	case 2:
		execv(self, arguments);
		_exit(2);
	case 3:
		kill(getpid(), SIGKILL);
		break;
	case 4:
		/* A grandchild, whom nobody waits for. */
		if (fork() == 0)
			usleep(random_number() % 3000);
		_exit(1);
	case 5:
		if (vfork() == 0) {
			execv(self, arguments);
			_exit(2);
		}
		_exit(1);
	default:
		(void)nowhere;
		abort();
	}
}

static void round_of_children(void)
{
	enum { CHILDREN = 24 };
	int status;

	for (int i = 0; i < CHILDREN; i++) {
		unsigned what = random_number();
		pid_t pid = fork();

		if (pid == 0)
			child(what);
		CHECK(pid > 0);
		if (what % 3 == 0)
			CHECK(waitpid(pid, &status, 0) == pid);
	}
	while (wait(&status) > 0)
		;
	CHECK(errno == ECHILD);
}

/* As many as there may be: then fork fails, and goes on working when they have gone. */
static void bomb(void)
{
	int made = 0, status;
	pid_t pid = 0;
	pid_t first = fork();

	if (first == 0) {
		setpgid(0, 0);
		signal(SIGTERM, SIG_DFL);
		while ((pid = fork()) > 0)
			made++;
		if (pid < 0)
			_exit(errno == EAGAIN || errno == ENOMEM ? 7 : 1);
		for (;;)
			pause();
	}
	CHECK(waitpid(first, &status, 0) == first);
	/* It is ended if memory was short first. */
	CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 7) ||
	      (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
	kill(-first, SIGKILL);
	for (int tries = 0; tries < 1000; tries++) {
		pid = fork();
		if (pid == 0)
			_exit(3);
		if (pid > 0)
			break;
		usleep(1000);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 3);
}

int main(int count, char **arguments)
{
	int rounds = count > 1 ? atoi(arguments[1]) : 20;

	self = arguments[0];
	if (count > 1 && !strcmp(arguments[1], "again"))
		return 0;
	for (int i = 0; i < rounds; i++)
		round_of_children();
	if (on_phoenix())
		bomb();
	return checks_end("family");
}
