/*
 * Terminals, each a pseudo terminal whose other side the program has itself: lines and their editing, bytes, echoes, signals, sessions, hanging up.
 * Checked on Linux first.
 */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

#define MS     1000000ll
#define NOBODY 65534

static int master, terminal;
static char buffer[10000];

static long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static void open_terminal(void)
{
	master = posix_openpt(O_RDWR | O_NOCTTY);
	CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
	CHECK(terminal >= 0);
}

static void close_terminal(void)
{
	close(terminal);
	close(master);
}

/* Changes the mode: flags of the four kinds that are set, and cleared. */
static void set_local(tcflag_t set, tcflag_t clear)
{
	struct termios mode;

	CHECK(tcgetattr(terminal, &mode) == 0);
	mode.c_lflag = (mode.c_lflag & ~clear) | set;
	CHECK(tcsetattr(terminal, TCSANOW, &mode) == 0);
}

static void set_input(tcflag_t set, tcflag_t clear)
{
	struct termios mode;

	CHECK(tcgetattr(terminal, &mode) == 0);
	mode.c_iflag = (mode.c_iflag & ~clear) | set;
	CHECK(tcsetattr(terminal, TCSANOW, &mode) == 0);
}

static void set_raw(int least, int tenths)
{
	struct termios mode;

	CHECK(tcgetattr(terminal, &mode) == 0);
	cfmakeraw(&mode);
	mode.c_cc[VMIN] = (cc_t)least;
	mode.c_cc[VTIME] = (cc_t)tenths;
	CHECK(tcsetattr(terminal, TCSANOW, &mode) == 0);
}

static void type(const char *keys)
{
	CHECK(write(master, keys, strlen(keys)) == (ssize_t)strlen(keys));
}

/* Is this what is on the screen now? */
#define SHOWS(text) CHECK(shows(text))
static bool shows(const char *text)
{
	size_t length = strlen(text), done = 0;
	struct pollfd fd = {master, POLLIN, 0};

	memset(buffer, 0, length + 10);
	/* Linux may be a moment late. */
	while (poll(&fd, 1, done < length ? 1000 : 20) == 1 && (fd.revents & POLLIN)) {
		ssize_t count = read(master, buffer + done, 500);

		if (count <= 0)
			break;
		done += (size_t)count;
	}
	if (done == length && memcmp(buffer, text, length) == 0)
		return true;
	printf("not '%s' but '%s'\n", text, buffer);
	return false;
}

/* Does a read give this? */
#define READS(text) CHECK(reads(text))
static bool reads(const char *text)
{
	ssize_t count = read(terminal, buffer, sizeof(buffer));

	if (count == (ssize_t)strlen(text) && memcmp(buffer, text, (size_t)count) == 0)
		return true;
	printf("not '%s' but %zd '%.*s'\n", text, count, (int)count, buffer);
	return false;
}

static bool is_readable(void)
{
	struct pollfd fd = {terminal, POLLIN, 0};

	return poll(&fd, 1, 100) == 1;
}

/* ---- Lines --------------------------------------------------------------------------------------------- */

static void lines(void)
{
	int count;

	open_terminal();
	CHECK(isatty(terminal) && isatty(master));
	type("one\rtwo");
	SHOWS("one\r\ntwo");
	CHECK(ioctl(terminal, FIONREAD, &count) == 0 && count == 4);
	READS("one\n");
	CHECK(!is_readable());
	type("\n");
	SHOWS("\r\n");
	CHECK(read(terminal, buffer, 2) == 2 && memcmp(buffer, "tw", 2) == 0);
	READS("o\n");
	/* The end of the input: at a line's beginning, and elsewhere. */
	type("\x04");
	READS("");
	type("part\x04");
	READS("part");
	SHOWS("part");
	type("exact\x04");
	CHECK(read(terminal, buffer, 5) == 5);
	CHECK(!is_readable());
	SHOWS("exact");
	fcntl(terminal, F_SETFL, O_NONBLOCK);
	CHECK_ERROR(read(terminal, buffer, 1), EAGAIN);
	close_terminal();
}

static void editing(void)
{
	open_terminal();
	type("abX\x7f"
	     "c\r");
	SHOWS("abX\b \bc\r\n");
	READS("abc\n");
	type("wrong\x15right\r");
	SHOWS("wrong\b \b\b \b\b \b\b \b\b \bright\r\n");
	READS("right\n");
	type("some words \x17thing\r");
	SHOWS("some words \b \b\b \b\b \b\b \b\b \b\b \bthing\r\n");
	READS("some thing\n");
	type("a\x16\x03"
	     "b\x16\x7f\r");
	SHOWS("a^\b^Cb^\b^?\r\n");
	READS("a\x03"
	      "b\x7f\n");
	type("a\x01\x7f\x7f\x7f\x7f\r");
	SHOWS("a^A\b \b\b \b\b \b\r\n");
	READS("\n");
	type("again\x12\x04");
	SHOWS("again^R\r\nagain");
	READS("again");
	set_local(0, ECHO);
	type("secret\r");
	READS("secret\n");
	SHOWS("");
	set_local(ECHONL, 0);
	type("x\r");
	SHOWS("\r\n");
	READS("x\n");
	set_local(ECHO, ECHOE | ECHONL);
	type("ab\x7f\r");
	READS("a\n");
	SHOWS("ab^?\r\n");
	close_terminal();
}

static void long_line(void)
{
	static char line[5000];
	ssize_t count;

	open_terminal();
	set_local(0, ECHO);
	memset(line, 'l', sizeof(line));
	for (int i = 0; i < 5000; i += 500)
		CHECK(write(master, line, 500) == 500);
	type("\r");
	count = read(terminal, buffer, sizeof(buffer));
	CHECK(count == 4096 && buffer[4095] == '\n');
	close_terminal();
}

static void input_modes(void)
{
	open_terminal();
	set_local(0, ECHO);
	set_input(INLCR | IGNCR, ICRNL);
	type("a\rb\n\x04");
	READS("ab\r");
	set_input(ISTRIP | ICRNL, INLCR | IGNCR);
	type("\xe1\xe2\r");
	READS("ab\n");
	close_terminal();
}

static void output_modes(void)
{
	struct termios mode;

	open_terminal();
	CHECK(write(terminal, "a\nb\r\tc\n", 7) == 7);
	SHOWS("a\r\nb\r\tc\r\n");
	CHECK(tcgetattr(terminal, &mode) == 0);
	mode.c_oflag |= XTABS;
	CHECK(tcsetattr(terminal, TCSADRAIN, &mode) == 0);
	CHECK(write(terminal, "ab\tc\n", 5) == 5);
	SHOWS("ab      c\r\n");
	mode.c_oflag &= (tcflag_t)~OPOST;
	CHECK(tcsetattr(terminal, TCSANOW, &mode) == 0);
	CHECK(write(terminal, "a\nb", 3) == 3);
	SHOWS("a\nb");
	close_terminal();
}

/* ---- Bytes ----------------------------------------------------------------------------------------------- */

static void type_later(const char *keys, int milliseconds)
{
	if (fork() == 0) {
		usleep((useconds_t)milliseconds * 1000);
		_exit(write(master, keys, strlen(keys)) == (ssize_t)strlen(keys) ? 0 : 1);
	}
}

static void reap(void)
{
	int status = -1;

	CHECK(wait(&status) > 0 && status == 0);
}

static void raw(void)
{
	long long start;

	open_terminal();
	set_raw(1, 0);
	type("a\x03\x04\r");
	READS("a\x03\x04\r");
	SHOWS("");
	set_raw(3, 0);
	type("12");
	CHECK(!is_readable());
	type_later("3", 50);
	READS("123");
	reap();
	set_raw(0, 0);
	READS("");
	type("x");
	READS("x");
	set_raw(0, 1);
	start = now();
	READS("");
	CHECK(now() - start >= 100 * MS);
	type_later("y", 30);
	READS("y");
	reap();
	/* The time runs from the first byte on. */
	set_raw(5, 1);
	type_later("z", 300);
	start = now();
	READS("z");
	CHECK(now() - start >= 390 * MS);
	reap();
	/* What was typed as a part of a line can be read as bytes. */
	set_raw(1, 0);
	set_local(ICANON, 0);
	type("part");
	CHECK(!is_readable());
	set_local(0, ICANON);
	READS("part");
	close_terminal();
}

static void flow(void)
{
	int count;

	open_terminal();
	type("\x13");
	usleep(20000);
	if (fork() == 0)
		_exit(write(terminal, "held", 4) == 4 ? 0 : 1);
	SHOWS("");
	CHECK(ioctl(terminal, TIOCOUTQ, &count) == 0);
	type("\x11");
	SHOWS("held");
	reap();
	CHECK(tcflow(terminal, TCOOFF) == 0);
	CHECK(tcflow(terminal, TCOON) == 0);
	CHECK(write(terminal, "more", 4) == 4);
	SHOWS("more");
	set_local(0, ECHO);
	type("lost\r");
	usleep(20000);
	CHECK(tcflush(terminal, TCIFLUSH) == 0);
	CHECK(!is_readable());
	CHECK_ERROR(tcflush(terminal, 77), EINVAL);
	CHECK_ERROR(tcflow(terminal, 77), EINVAL);
	CHECK(tcdrain(terminal) == 0);
	close_terminal();
}

/* ---- Sessions --------------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t last_signal;

static void note(int signo)
{
	last_signal = signo;
}

static void catch (int signo)
{
	struct sigaction action = {.sa_handler = note};

	sigaction(signo, &action, NULL);
}

/* A new session with the terminal; the result of `what` is its status. */
static int in_session(int (*what)(void))
{
	int status = -1;

	if (fork() == 0) {
		if (setsid() < 0 || ioctl(terminal, TIOCSCTTY, 0) != 0)
			_exit(99);
		_exit(what());
	}
	CHECK(wait(&status) > 0);
	return status;
}

static bool wait_signal(int signo)
{
	for (int i = 0; i < 200 && last_signal != signo; i++)
		usleep(10000);
	return last_signal == signo;
}

#define EXPECT(condition)                                                                           \
	do {                                                                                        \
		if (!(condition)) {                                                                 \
			printf("failed: %s, at line %d (errno %d)\n", #condition, __LINE__, errno); \
			fflush(stdout);                                                             \
			return 1;                                                                   \
		}                                                                                   \
	} while (0)

static int keys_signal(void)
{
	static const struct {
		const char *key;
		int signo;
	} keys[] = {{"\x03", SIGINT}, {"\x1c", SIGQUIT}, {"\x1a", SIGTSTP}};
	struct winsize size = {.ws_row = 5, .ws_col = 7}, got;

	for (int i = 0; i < 3; i++) {
		catch (keys[i].signo);
		EXPECT(write(master, keys[i].key, 1) == 1);
		EXPECT(wait_signal(keys[i].signo));
	}
	catch (SIGWINCH);
	EXPECT(ioctl(master, TIOCSWINSZ, &size) == 0);
	EXPECT(wait_signal(SIGWINCH));
	EXPECT(ioctl(terminal, TIOCGWINSZ, &got) == 0 && got.ws_row == 5 && got.ws_col == 7);
	/* What was typed before ^C is gone; a read is interrupted. */
	EXPECT(write(master, "gone\x03", 5) == 5);
	EXPECT(wait_signal(SIGINT));
	if (fork() == 0) {
		usleep(50000);
		_exit(write(master, "\x03", 1) == 1 ? 0 : 1);
	}
	EXPECT(read(terminal, buffer, 1) == -1 && errno == EINTR);
	EXPECT(wait(NULL) > 0);
	return 0;
}

static int groups(void)
{
	pid_t child, group = 0;
	int status, own;

	EXPECT(tcgetpgrp(terminal) == getpid() && tcgetsid(terminal) == getpid());
	EXPECT(ioctl(terminal, TIOCGPGRP, &group) == 0 && group == getpid());
	own = open("/dev/tty", O_RDWR);
	EXPECT(own >= 0 && tcgetpgrp(own) == getpid());
	child = fork();
	if (child == 0) {
		setpgid(0, 0);
		_exit(read(own, buffer, 10) == 3 ? 7 : 1);
	}
	/* It reads in the background and is stopped; in the foreground it goes on. */
	EXPECT(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status) &&
	       WSTOPSIG(status) == SIGTTIN);
	EXPECT(tcsetpgrp(terminal, child) == 0 && tcgetpgrp(terminal) == child);
	EXPECT(kill(child, SIGCONT) == 0);
	EXPECT(write(master, "ok\r", 3) == 3);
	EXPECT(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7);
	/* Now this process is in the background. */
	signal(SIGTTIN, SIG_IGN);
	EXPECT(read(own, buffer, 1) == -1 && errno == EIO);
	EXPECT(write(own, "x", 1) == 1);
	signal(SIGTTOU, SIG_IGN);
	EXPECT(tcsetpgrp(terminal, getpid()) == 0);
	EXPECT(tcsetpgrp(terminal, 1) == -1 && (errno == EPERM || errno == ESRCH));
	EXPECT(tcsetpgrp(terminal, 123456789) == -1 && errno == ESRCH);
	signal(SIGHUP, SIG_IGN);
	EXPECT(ioctl(terminal, TIOCNOTTY) == 0);
	EXPECT(open("/dev/tty", O_RDWR) == -1 && errno == ENXIO);
	EXPECT(tcgetpgrp(terminal) == -1 && errno == ENOTTY);
	return 0;
}

/* The other side goes away. */
static int hangup(void)
{
	struct pollfd fd = {terminal, POLLIN, 0};

	catch (SIGHUP);
	close(master);
	EXPECT(wait_signal(SIGHUP));
	EXPECT(read(terminal, buffer, 1) == 0);
	EXPECT(write(terminal, "x", 1) == -1 && errno == EIO);
	EXPECT(poll(&fd, 1, 0) == 1 && (fd.revents & POLLHUP));
	return 0;
}

/* A leader's end is told to the foreground; `told` is where it says so. */
static int told[2];

static int leader_ends(void)
{
	int ready[2];
	char byte;

	EXPECT(pipe(ready) == 0);
	if (fork() == 0) {
		catch (SIGHUP);
		signal(SIGTTOU, SIG_IGN);
		if (setpgid(0, 0) == 0 && tcsetpgrp(terminal, getpid()) == 0 &&
		    write(ready[1], "r", 1) == 1 && wait_signal(SIGHUP) && tcgetpgrp(terminal) == -1 &&
		    errno == ENOTTY)
			_exit(write(told[1], "t", 1) == 1 ? 0 : 1);
		_exit(1);
	}
	EXPECT(read(ready[0], &byte, 1) == 1);
	return 0;
}

static void sessions(void)
{
	open_terminal();
	CHECK(in_session(keys_signal) == 0);
	close_terminal();
	open_terminal();
	CHECK(in_session(groups) == 0);
	close_terminal();
	/* Who else has it open can use it when the leader has ended. */
	open_terminal();
	CHECK(pipe(told) == 0);
	CHECK(in_session(leader_ends) == 0);
	close(told[1]);
	CHECK(read(told[0], buffer, 2) == 1);
	close(told[0]);
	type("still\r");
	READS("still\n");
	close_terminal();
	open_terminal();
	if (fork() == 0) {
		int fd = open(ptsname(master), O_RDWR | O_NOCTTY);

		close(terminal);
		terminal = fd;
		if (setsid() < 0 || ioctl(terminal, TIOCSCTTY, 0) != 0)
			_exit(99);
		close(STDIN_FILENO);
		_exit(hangup());
	}
	close(master);
	reap();
	close(terminal);
}

/* A terminal that another session has is only for who may administer the system: to take, and to type into. */
static void others(void)
{
	int told[2], status;
	pid_t owner, thief;

	open_terminal();
	CHECK(pipe(told) == 0);
	owner = fork();
	if (owner == 0) {
		if (setsid() < 0 || ioctl(terminal, TIOCSCTTY, 0) != 0)
			_exit(1);
		signal(SIGHUP, SIG_IGN);
		write(told[1], "x", 1);
		pause();
	}
	CHECK(read(told[0], buffer, 1) == 1);
	thief = fork();
	if (thief == 0) {
		if (setsid() < 0 || ioctl(terminal, TIOCSCTTY, 0) != -1 || errno != EPERM)
			_exit(1);
		if (ioctl(terminal, TIOCSTI, "a") != 0)
			_exit(2);
		if (fork() == 0) {
			if (setuid(NOBODY) != 0 || ioctl(terminal, TIOCSTI, "b") != -1 || errno != EPERM)
				_exit(3);
			if (setsid() < 0 || ioctl(terminal, TIOCSCTTY, 1) != -1 || errno != EPERM)
				_exit(4);
			_exit(0);
		}
		if (wait(&status) < 0 || status != 0)
			_exit(5);
		_exit(ioctl(terminal, TIOCSCTTY, 1) != 0);
	}
	CHECK(waitpid(thief, &status, 0) == thief && status == 0);
	kill(owner, SIGKILL);
	CHECK(waitpid(owner, &status, 0) == owner);
	close(told[0]);
	close(told[1]);
	close(terminal);
	close(master);
}

static void closed_sides(void)
{
	open_terminal();
	CHECK(write(terminal, "rest", 4) == 4);
	close(terminal);
	SHOWS("rest");
	CHECK_ERROR(read(master, buffer, 1), EIO);
	close(master);
	master = posix_openpt(O_RDWR | O_NOCTTY);
	CHECK_ERROR(open(ptsname(master), O_RDWR | O_NOCTTY), EIO);
	close(master);
}

/* /dev/tty is the pseudo terminal, though nobody else has that open any more, or its other side: it stays for as long. */
static void last_by_name(void)
{
	int own, status;
	pid_t pid;

	open_terminal();
	pid = fork();
	if (pid == 0) {
		if (setsid() < 0 || ioctl(terminal, TIOCSCTTY, 0) != 0)
			_exit(1);
		signal(SIGHUP, SIG_IGN);
		own = open("/dev/tty", O_RDWR);
		close(terminal);
		close(master);
		/* The parent has closed both, too; others have the memory by then that was given back. */
		if (read(own, buffer, 1) != 0)
			_exit(2);
		nanosleep(&(struct timespec){0, 50000000}, NULL);
		for (int i = 0; i < 64; i++)
			if (fork() == 0)
				_exit(0);
		while (wait(NULL) > 0)
			;
		_exit(write(own, "x", 1) != -1 || errno != EIO || read(own, buffer, 1) != 0 ||
		      close(own) != 0);
	}
	close(master);
	close(terminal);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0); /* children print, too */
	lines();
	editing();
	long_line();
	input_modes();
	output_modes();
	raw();
	flow();
	sessions();
	others();
	closed_sides();
	last_by_name();
	return checks_end("terminals");
}
