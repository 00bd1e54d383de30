/*
 * Serial ports as sources of input (kern/dev/serial.c). What every part of the kernel needs of them, output first, is
 * in <kern/kern.h>.
 *
 * A port's interrupts put what came in into a ring of the port's; its reader, a terminal or a stream, is told in a
 * thread and takes it from there. What the reader leaves stays in the ring, then in the UART, and then with
 * who sends it.
 */
#ifndef KERN_SERIAL_H
#define KERN_SERIAL_H

#include <kern/sched.h>

#define SERIAL_PORTS 4

/* Who gets a port's input. Locks: (-) set before it is handed to serial_set_reader. */
struct serial_reader {
	void (*receive)(struct serial_reader *); /* (-) something has come: in a thread that holds no locks */
	bool (*waits)(struct serial_reader
			      *); /* (-) is anybody waiting for input? No locks, may be wrong for a moment */
};

/* Finds out which ports can interrupt, and starts that. Once, in a thread, with interrupts on. */
void serial_start_interrupts(void);

/* From now on the port's input is this one's. Once for a port. */
void serial_set_reader(unsigned port, struct serial_reader *reader);

/* Has something come in that was not taken? A glance. */
bool serial_has_input(unsigned port);

/* Takes up to `count` bytes of what has come in. How many. Takes RANK_SERIAL. */
size_t serial_take(unsigned port, void *bytes, size_t count);

/*
 * Somebody is going to wait for the port's input: where it cannot interrupt, it is looked at every now and then from now on, until
 * nobody waits any more.
 */
void serial_expect(unsigned port);

/* While a port is claimed its reader is not told of anything: the monitor has it. Let go, the reader is told of what is left. */
void serial_claim(unsigned port, bool claimed);

/*
 * As serial_write, but does not wait for long for a port that takes nothing at the moment: how many bytes it took, which may be 0. Who has more
 * sleeps for SERIAL_PAUSE_NS before it tries again.
 */
size_t serial_write_some(unsigned port, const void *bytes, size_t count);

#define SERIAL_PAUSE_NS 1000000ull

/* How often an interrupt looks whether a line is idle before it leaves the rest to a thread. Only the suite changes it. */
extern unsigned serial_handler_rounds;

#endif
