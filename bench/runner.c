/*
 * Runs a command a number of times, one run after the other, as the first process of a machine, and ends the machine: what
 * bench/programs counts. runner TIMES COMMAND [ARGUMENT...]
 *
 * It is the same on Phoenix, where the end of the first process ends the machine, and on Linux, where it has to be asked for.
 * The command's output is thrown away. Status 0, or 1 if a run did not end with 0.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

/* Linux does not mount anything by itself. */
static int is_linux(void)
{
	struct utsname names;

	return uname(&names) == 0 && access("/proc/self", F_OK) != 0;
}

static int run_once(char **command)
{
	int status = 0;
	pid_t pid = vfork();

	if (pid == 0) {
		execv(command[0], command);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return status == 0 ? 0 : -1;
}

int main(int count, char **words)
{
	int linux_here = is_linux(), failed = 0, null;

	if (count < 3)
		return 2;
	setenv("PATH", "/usr/bin:/bin", 1);
	setenv("HOME", "/root", 1);
	if (linux_here) {
		mount("proc", "/proc", "proc", 0, NULL);
		mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	}
	null = open("/dev/null", O_RDWR);
	for (int i = 0; i < 3 && null >= 0 && (linux_here || i == 1); i++)
		dup2(null, i);
	for (int i = atoi(words[1]); i > 0 && !failed; i--)
		failed = run_once(words + 2) != 0;
	if (linux_here) {
		int console = open("/dev/ttyS0", O_WRONLY);

		if (console >= 0)
			dprintf(console, "runner: %s\n", failed ? "failed" : "done");
		reboot(RB_AUTOBOOT);
	}
	return failed;
}
