/*
 * Sockets within the machine: what must hold when descriptors or their owner run out. user/tests/sockets.c has the rest.
 */
#include "tap.h"
#include <sys/socket.h>
#include <sys/un.h>

static const struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "socket"};

/* A socket that listens at `name`. */
static int make_listener(void)
{
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);

	NEED(listener >= 0);
	NEED(bind(listener, (const struct sockaddr *)&name, sizeof(name)) == 0 && listen(listener, 5) == 0);
	return listener;
}

static void limit_descriptors(rlim_t most)
{
	struct rlimit limit;

	NEED(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = most;
	NEED(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

TEST(no_descriptor, "accept without a descriptor to spare is EMFILE, and the connection waits on")
{
	int listener = make_listener(), client = socket(AF_UNIX, SOCK_STREAM, 0), server;
	char byte = 0;

	NEED(connect(client, (const struct sockaddr *)&name, sizeof(name)) == 0);
	EQUAL(write(client, "x", 1), 1);
	limit_descriptors((rlim_t)client + 1);
	FAILS(accept(listener, NULL, NULL), EMFILE);
	limit_descriptors((rlim_t)client + 2);
	server = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	NEED(server >= 0);
	CHECK(read(server, &byte, 1) == 1 && byte == 'x');
}

TEST(bad_address, "accept that cannot write the address is EFAULT, and its descriptor is free again")
{
	int listener = make_listener(), client = socket(AF_UNIX, SOCK_STREAM, 0), next;
	socklen_t bytes = sizeof(name);

	NEED(connect(client, (const struct sockaddr *)&name, sizeof(name)) == 0);
	next = dup(0);
	close(next);
	FAILS(CALL(accept, listener, 8, &bytes), EFAULT);
	EQUAL(dup(0), next);
}
