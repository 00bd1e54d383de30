/*
 * Serial ports: the 16550 UARTs at the PC's four places, polled, 115200 baud, 8 bits, no parity.
 *
 * Register names are from <linux/serial_reg.h>. Who writes what to which port is the console's
 * (kern/core/console.c) and the processes' business; there is no lock here.
 */
#include <linux/serial_reg.h>
#include <hw.h>
#include <kern/kern.h>
#include <kern/sched.h>

#define PORTS         4
#define FIFO_BYTES    16
#define DIVISOR       1    /* of 115200 baud */
#define LOOPBACK_BYTE 0xae /* any value will do */

/*
 * How often to look whether the port takes more, at about 1 us a look: a receiver may stop the line for
 * seconds, but a dead port must not stop the kernel for ever.
 */
#define MAX_POLLS      10000000u
#define LOOPBACK_POLLS 1000u

/* Locks: (-) set by serial_init; (w) the port's one writer: the console under its lock, or the program's output. */
struct port {
	uint16_t base; /* (-) */
	bool present;  /* (-) */
	bool stuck;    /* (w) a wait was in vain; do not wait again until it is ready */
};

static struct port ports[PORTS] = {{.base = 0x3f8}, {.base = 0x2f8}, {.base = 0x3e8}, {.base = 0x2e8}};

static struct port *find_port(unsigned number)
{
	return number >= 1 && number <= PORTS && ports[number - 1].present ? &ports[number - 1] : NULL;
}

static bool wait_for(uint16_t base, uint8_t line_status, unsigned polls)
{
	while (polls--) {
		if (inb(base + UART_LSR) & line_status)
			return true;
		cpu_relax();
	}
	return false;
}

/* Sets the port up and sends itself a byte; where there is no UART, nothing comes back. */
static bool start_port(uint16_t base)
{
	bool works;

	outb(base + UART_IER, 0);
	outb(base + UART_LCR, UART_LCR_DLAB);
	outb(base + UART_DLL, DIVISOR & 0xff);
	outb(base + UART_DLM, DIVISOR >> 8);
	outb(base + UART_LCR, UART_LCR_WLEN8);
	outb(base + UART_FCR,
	     UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT | UART_FCR_TRIGGER_14);
	if (inb(base + UART_LCR) != UART_LCR_WLEN8)
		return false;
	outb(base + UART_MCR, UART_MCR_LOOP | UART_MCR_RTS | UART_MCR_OUT2);
	outb(base + UART_TX, LOOPBACK_BYTE);
	works = wait_for(base, UART_LSR_DR, LOOPBACK_POLLS) && inb(base + UART_RX) == LOOPBACK_BYTE;
	outb(base + UART_MCR, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
	return works;
}

void serial_init(void)
{
	for (unsigned i = 0; i < PORTS; i++)
		ports[i].present = start_port(ports[i].base);
}

bool serial_present(unsigned port)
{
	return find_port(port) != NULL;
}

/* An empty transmitter takes a FIFO's worth at once. */
size_t serial_write(unsigned number, const void *bytes, size_t count)
{
	struct port *port = find_port(number);
	const uint8_t *next = bytes;
	size_t left = count;

	while (port && left) {
		size_t burst = left < FIFO_BYTES ? left : FIFO_BYTES;

		port->stuck = !wait_for(port->base, UART_LSR_THRE, port->stuck ? 1 : MAX_POLLS);
		if (port->stuck)
			return count - left;
		left -= burst;
		while (burst--)
			outb(port->base + UART_TX, *next++);
	}
	return count;
}

int serial_read_byte(unsigned number)
{
	struct port *port = find_port(number);

	if (!port || !(inb(port->base + UART_LSR) & UART_LSR_DR))
		return -1;
	return inb(port->base + UART_RX);
}

/* Nobody waits for input yet: ports are looked at by who reads. */
void serial_work(void) {}
