/*
 * Serial input: what comes in at the console's port, which is looped back to itself for that, comes out of its ring, by interrupts,
 * in order, and none is lost where nobody takes it for a while, or where an interrupt gives up before it has seen the line idle.
 */
#include <linux/serial_reg.h>
#include <hw.h>
#include <kern/kern.h>
#include <kern/serial.h>
#include <kern/test.h>

#define LONGEST_NS   2000000000ull
#define INTERRUPT_NS 20000000ull /* within which a byte that has come interrupts */
#define MANY         4100u       /* more than the ring takes, not more than the FIFO takes beyond it */

static const uint16_t bases[SERIAL_PORTS] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};

static unsigned char next_byte(unsigned i)
{
	return (unsigned char)(i * 7 + (i >> 8));
}

/* Sends bytes while the port is looped back; nothing may be printed meanwhile. */
static void send_to_itself(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		unsigned char byte = next_byte(i);

		serial_write(console_port(), &byte, 1);
	}
}

/* Takes as many; how many came in order. */
static unsigned take_back(unsigned count)
{
	uint64_t end = time_nanoseconds() + LONGEST_NS;
	unsigned done = 0;
	unsigned char byte;

	while (done < count && time_nanoseconds() < end) {
		if (serial_take(console_port(), &byte, 1) == 0)
			continue;
		if (byte != next_byte(done))
			return done;
		done++;
	}
	return done;
}

static unsigned loop_back(unsigned count)
{
	uint16_t control = bases[console_port() - 1] + UART_MCR;
	unsigned came;

	outb(control, UART_MCR_LOOP | UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
	send_to_itself(count);
	came = take_back(count);
	outb(control, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
	return came;
}

/* The same, but the interrupt gives up at once, as it does where a line is busy all the time; the rest is a thread's. */
static unsigned loop_back_busy(unsigned count)
{
	uint16_t control = bases[console_port() - 1] + UART_MCR;
	unsigned came, rounds = serial_handler_rounds;
	uint64_t end;

	outb(control, UART_MCR_LOOP | UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
	serial_handler_rounds = 0;
	send_to_itself(count);
	end = time_nanoseconds() + INTERRUPT_NS;
	while (time_nanoseconds() < end)
		cpu_relax();
	serial_handler_rounds = rounds;
	time_sleep_until(end + INTERRUPT_NS);
	came = take_back(count);
	outb(control, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
	return came;
}

void suite_serial(void)
{
	unsigned char byte;
	unsigned came;

	serial_claim(console_port(), true);
	while (serial_take(console_port(), &byte, 1) != 0)
		continue;

	test_case("a byte, and a FIFO's worth");
	came = loop_back(1);
	CHECK_EQ(came, 1);
	came = loop_back(16);
	CHECK_EQ(came, 16);

	test_case("more than the ring takes waits in the port");
	came = loop_back(MANY);
	CHECK_EQ(came, MANY);
	came = loop_back(MANY);
	CHECK_EQ(came, MANY);

	test_case("what an interrupt leaves, as there is always more, comes all the same");
	came = loop_back_busy(1);
	CHECK_EQ(came, 1);
	came = loop_back(1);
	CHECK_EQ(came, 1);

	test_case("and nothing more comes");
	CHECK_EQ(serial_take(console_port(), &byte, 1), 0);
	serial_claim(console_port(), false);
}
