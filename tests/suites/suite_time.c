/*
 * Time goes on, at a believable rate, and a wait ends when it should.
 */
#include <kern/kern.h>
#include <kern/test.h>

#define MILLISECOND  1000000ull
#define READINGS     10000
#define YEAR_2020_NS (50ll * 365 * 86400 * 1000000000) /* roughly */

void suite_time(void);

void suite_time(void)
{
	uint64_t last = time_nanoseconds(), start;
	bool forward = true;

	test_case("time never goes back");
	for (unsigned i = 0; i < READINGS; i++) {
		uint64_t now = time_nanoseconds();

		forward = forward && now >= last;
		last = now;
	}
	CHECK(forward);

	test_case("a wait of 3 ms is not shorter");
	start = time_nanoseconds();
	time_sleep_until(start + 3 * MILLISECOND);
	CHECK(time_nanoseconds() >= start + 3 * MILLISECOND);

	test_case("a wait for what is past does not wait");
	time_sleep_until(0);
	time_sleep_until(time_nanoseconds());
	CHECK(true);

	test_case("the time of day is of this century");
	CHECK(time_realtime_offset() > YEAR_2020_NS);
}
