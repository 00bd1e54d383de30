/*
 * exec: arguments up to their limits, scripts, what stays and what goes, and everything that it refuses. The program execs itself, with a word that
 * says what it is to check then.
 */
#include "check.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char *self;
static char directory[] = "/tmp/execXXXXXX", path[64], path2[64];

static int wait_for(pid_t pid)
{
	int status = -1;

	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* execve's errno in a child, or the new program's status. */
static int run(const char *file, char **arguments, char **environment)
{
	pid_t pid = fork();

	if (pid == 0) {
		execve(file, arguments, environment);
		_exit(errno);
	}
	return wait_for(pid);
}

static void make(const char *name, const void *bytes, size_t count, int mode)
{
	int file;

	unlink(name);
	file = open(name, O_CREAT | O_EXCL | O_WRONLY, mode);
	CHECK(file >= 0 && write(file, bytes, count) == (ssize_t)count);
	close(file);
}

static void make_text(const char *name, const char *text)
{
	make(name, text, strlen(text), 0755);
}

/* ---- Errors -------------------------------------------------------------------------------------------------- */

static void errors(void)
{
	char *arguments[] = {"x", NULL}, *bad[] = {"x", (char *)8, NULL};
	char long_path[5000];

	memset(long_path, 'a', sizeof(long_path));
	long_path[sizeof(long_path) - 1] = '\0';
	CHECK(run("/no/such/file", arguments, NULL) == ENOENT);
	CHECK(run("", arguments, NULL) == ENOENT);
	CHECK(run(long_path, arguments, NULL) == ENAMETOOLONG);
	CHECK(run("/tmp", arguments, NULL) == EACCES);
	CHECK(run((char *)8, arguments, NULL) == EFAULT);
	CHECK(run(self, bad, NULL) == EFAULT);
	CHECK(run(self, arguments, bad) == EFAULT);
	CHECK(run(self, (char **)8, NULL) == EFAULT);
	make(path, "no program", 10, 0644);
	CHECK(run(path, arguments, NULL) == EACCES);
	make(path, "no program", 10, 0755);
	CHECK(run(path, arguments, NULL) == ENOEXEC);
	make(path, "", 0, 0755);
	CHECK(run(path, arguments, NULL) == ENOEXEC);
	make(path, "\177ELF", 4, 0755);
	CHECK(run(path, arguments, NULL) == ENOEXEC);
	make_text(path2, "x");
	strcat(path2, "/y");
	CHECK(run(path2, arguments, NULL) == ENOTDIR);
	*strrchr(path2, '/') = '\0';
}

/* ---- Sizes ----------------------------------------------------------------------------------------------------- */

static void sizes(void)
{
	enum { LONGEST = 131072 };
	static char text[LONGEST + 1];
	static char *many[100002];
	char *one[] = {self, "length", text, NULL};
	char number[32];

	memset(text, 'a', LONGEST);
	/* With its terminator a string may have LONGEST bytes. */
	CHECK(run(self, one, NULL) == E2BIG);
	text[LONGEST - 1] = '\0';
	CHECK(run(self, one, NULL) == 77);
	/* A quarter of the stack: 2 MiB. */
	many[0] = self;
	many[1] = "count";
	for (int i = 2; i < 20; i++)
		many[i] = text;
	CHECK(run(self, many, NULL) == E2BIG);
	many[14] = NULL;
	CHECK(run(self, many, NULL) == 14);
	for (int i = 2; i < 100000; i++)
		many[i] = "12345";
	many[100000] = NULL;
	CHECK(run(self, many, NULL) == 100000 % 256);
	for (int i = 2; i < 100000; i++)
		many[i] = "123456789abcdefg";
	CHECK(run(self, many, NULL) == E2BIG);
	snprintf(number, sizeof(number), "%d", 5);
	CHECK(run(self, (char *[]){self, "empty", "", "", number, NULL}, (char *[]){"A=", "", NULL}) == 5);
	CHECK(run(self, (char *[]){NULL}, (char *[]){"NOTHING=1", NULL}) == 44);
	CHECK(run(self, NULL, (char *[]){"NOTHING=1", NULL}) == 44);
}

/* ---- Scripts ------------------------------------------------------------------------------------------------------ */

static void script(const char *first_line, int expected)
{
	char text[600];

	snprintf(text, sizeof(text), first_line, self);
	make_text(path, text);
	CHECK(run(path, (char *[]){"lost", "one", "two", NULL}, NULL) == expected);
}

static void scripts(void)
{
	char text[400], blanks[300];

	/* The new program gets: itself, [the argument,] the script, one, two. */
	script("#!%s\n", 4);
	script("#!%s", 4);
	script("#! \t %s   \nrest", 4);
	script("#!%s -x\n", 5);
	script("#!%s  -x y  \n", 5);
	script("#!/no/such/interpreter %s\n", ENOENT);
	script("#!\n%s", ENOEXEC);
	script("#!   \n", ENOEXEC);
	script("#!   ", EACCES);
	script("#", ENOEXEC);
	memset(blanks, ' ', sizeof(blanks));
	blanks[sizeof(blanks) - 1] = '\0';
	snprintf(text, sizeof(text), "#!%s", blanks);
	script(text, ENOEXEC);
	/* An argument is cut, an interpreter's name is not. */
	snprintf(text, sizeof(text), "#!%%s %s%s\n", "x", blanks);
	script(text, 5);
	memset(blanks, 'x', sizeof(blanks) - 1);
	snprintf(text, sizeof(text), "#!/%s\n", blanks);
	script(text, ENOEXEC);
	/* A script as the interpreter of one; and one that is its own. */
	snprintf(text, sizeof(text), "#!%s second\n", self);
	make_text(path2, text);
	snprintf(text, sizeof(text), "#!%s first\n", path2);
	make_text(path, text);
	CHECK(run(path, (char *[]){"lost", "one", NULL}, NULL) == 6);
	snprintf(text, sizeof(text), "#!%s\n", path);
	make_text(path, text);
	CHECK(run(path, (char *[]){"lost", NULL}, NULL) == ELOOP);
}

/* ---- What stays, and what goes --------------------------------------------------------------------------------------- */

static void kept(void)
{
	int stays = open("/tmp", O_RDONLY), goes = open("/tmp", O_RDONLY | O_CLOEXEC);
	char first[16], second[16], pid[16];
	pid_t child;

	snprintf(first, sizeof(first), "%d", stays);
	snprintf(second, sizeof(second), "%d", goes);
	child = fork();
	if (child == 0) {
		sigset_t set;

		sigemptyset(&set);
		sigaddset(&set, SIGUSR2);
		sigprocmask(SIG_BLOCK, &set, NULL);
		signal(SIGUSR1, SIG_IGN);
		signal(SIGTERM, exit);
		umask(0123);
		snprintf(pid, sizeof(pid), "%d", getpid());
		execve(self, (char *[]){self, "kept", first, second, pid, NULL}, NULL);
		_exit(1);
	}
	CHECK(wait_for(child) == 55);
	close(stays);
	close(goes);
}

static int check_kept(char **arguments)
{
	struct sigaction action;
	sigset_t set;
	char name[16];

	CHECK(fcntl(atoi(arguments[2]), F_GETFD) == 0);
	CHECK_ERROR(fcntl(atoi(arguments[3]), F_GETFD), EBADF);
	CHECK(getpid() == atoi(arguments[4]));
	CHECK(sigprocmask(SIG_BLOCK, NULL, &set) == 0 && sigismember(&set, SIGUSR2) == 1);
	CHECK(sigaction(SIGUSR1, NULL, &action) == 0 && action.sa_handler == SIG_IGN);
	CHECK(sigaction(SIGTERM, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
	CHECK(umask(0) == 0123);
	CHECK(prctl(PR_GET_NAME, name) == 0 && strncmp(name, strrchr(self, '/') + 1, 15) == 0);
	return checks_failed ? 1 : 55;
}

static void by_descriptor(void)
{
	int file = open(self, O_RDONLY), tmp = open(directory, O_RDONLY | O_DIRECTORY);
	char *arguments[] = {self, "length", "abc", NULL};
	pid_t pid = fork();

	if (pid == 0) {
		syscall(SYS_execveat, file, "", arguments, NULL, AT_EMPTY_PATH);
		_exit(1);
	}
	CHECK(wait_for(pid) == 3);
	make_text(path, "#!/no/interpreter\n");
	CHECK_ERROR(syscall(SYS_execveat, tmp, strrchr(path, '/') + 1, arguments, NULL, 0), ENOENT);
	CHECK_ERROR(syscall(SYS_execveat, tmp, "nothing", arguments, NULL, 0), ENOENT);
	CHECK_ERROR(syscall(SYS_execveat, file, "", arguments, NULL, 0), ENOENT);
	CHECK_ERROR(syscall(SYS_execveat, file, "x", arguments, NULL, 0), ENOTDIR);
	CHECK_ERROR(syscall(SYS_execveat, 99, "x", arguments, NULL, 0), EBADF);
	CHECK_ERROR(syscall(SYS_execveat, tmp, "file", arguments, NULL, 0x200000), EINVAL);
	close(file);
	close(tmp);
}

int main(int count, char **arguments, char **environment)
{
	self = arguments[0];
	if (environment[0] && !strcmp(environment[0], "NOTHING=1"))
		return count == 1 && !*arguments[0] && !arguments[1] ? 44 : 1;
	if (count > 1 && !strcmp(arguments[1], "length"))
		return strlen(arguments[2]) == 3 ? 3 : strlen(arguments[2]) == 131071 ? 77 : 1;
	if (count > 1 && !strcmp(arguments[1], "count"))
		return count & 255;
	if (count > 1 && !strcmp(arguments[1], "empty"))
		return !*arguments[2] && !*arguments[3] && !*environment[1] ? atoi(arguments[4]) : 1;
	if (count > 1 && !strcmp(arguments[1], "kept"))
		return check_kept(arguments);
	if (count > 1)
		return !strcmp(arguments[count - 1], "two") || !strcmp(arguments[count - 1], "one") ? count
												    : 1;
	CHECK(mkdtemp(directory) != NULL);
	snprintf(path, sizeof(path), "%s/file", directory);
	snprintf(path2, sizeof(path2), "%s/second", directory);
	errors();
	sizes();
	scripts();
	kept();
	by_descriptor();
	unlink(path);
	unlink(path2);
	rmdir(directory);
	return checks_end("exec");
}
