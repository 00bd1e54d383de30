/*
 * epoll instances that watch each other: circles, depth, and how many ways an event may go. user/tests/polls.c has what one instance does.
 */
#include "tap.h"
#include <sys/epoll.h>

#define LAYERS  4
#define A_LAYER 40

static int make_instance(void)
{
	int instance = epoll_create1(0);

	NEED(instance >= 0);
	return instance;
}

static int watch(int instance, int file)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = file};

	return epoll_ctl(instance, EPOLL_CTL_ADD, file, &event);
}

/* How many events the instance has now. */
static int ready(int instance)
{
	struct epoll_event events[4];

	return epoll_wait(instance, events, 4, 0);
}

TEST(circles, "instances do not watch themselves, nor each other in circles: EINVAL, ELOOP")
{
	int first = make_instance(), second = make_instance(), third = make_instance();

	FAILS(watch(first, first), EINVAL);
	CHECK(watch(first, second) == 0 && watch(second, third) == 0);
	FAILS(watch(third, first), ELOOP);
	FAILS(watch(second, first), ELOOP);
}

TEST(depth, "five levels of instances pass an event on; there is no sixth")
{
	int levels[6], ends[2];

	NEED(pipe(ends) == 0);
	for (unsigned i = 0; i < 6; i++)
		levels[i] = make_instance();
	EQUAL(watch(levels[0], ends[0]), 0);
	for (unsigned i = 1; i < 5; i++)
		EQUAL(watch(levels[i], levels[i - 1]), 0);
	FAILS(watch(levels[5], levels[4]), ELOOP);
	EQUAL(ready(levels[4]), 0);
	EQUAL(write(ends[1], "x", 1), 1);
	for (unsigned i = 0; i < 5; i++)
		EQUAL(ready(levels[i]), 1);
}

TEST(ways, "layers of instances that all watch all: where the ways multiply they are refused, EINVAL, and an "
	   "event arrives")
{
	static int layers[LAYERS][A_LAYER];
	unsigned refused = 0, watched = 0;
	int ends[2];

	NEED(pipe(ends) == 0);
	for (unsigned layer = 0; layer < LAYERS; layer++)
		for (unsigned i = 0; i < A_LAYER; i++)
			layers[layer][i] = make_instance();
	for (unsigned i = 0; i < A_LAYER; i++)
		EQUAL(watch(layers[0][i], ends[0]), 0);
	for (unsigned layer = 1; layer < LAYERS; layer++) {
		for (unsigned i = 0; i < A_LAYER * A_LAYER; i++) {
			int result = watch(layers[layer][i / A_LAYER], layers[layer - 1][i % A_LAYER]);

			watched += result == 0;
			refused += result != 0;
			if (result != 0 && errno != EINVAL)
				CHECK(!"refused with EINVAL");
		}
	}
	CHECK(watched >= 100 && refused >= 1000);
	EQUAL(write(ends[1], "x", 1), 1);
	EQUAL(ready(layers[0][0]), 1);
	CHECK(ready(layers[1][0]) >= 1);
}

TEST(many, "a file may be watched by any number of instances that nobody watches")
{
	int ends[2], instances[600];

	NEED(pipe(ends) == 0);
	for (unsigned i = 0; i < 600; i++) {
		instances[i] = make_instance();
		EQUAL(watch(instances[i], ends[0]), 0);
	}
	EQUAL(write(ends[1], "x", 1), 1);
	EQUAL(ready(instances[0]), 1);
	EQUAL(ready(instances[599]), 1);
}
