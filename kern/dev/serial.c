/*
 * Serial ports: the 16550 UARTs at the PC's four places, 115200 baud, 8 bits, no parity.
 *
 * Input is taken by interrupts into a ring for each port, whose one producer is who has `draining`: the interrupt's handler, which
 * takes no locks, or somebody who looks. Output is by polling: an emulated UART is always ready, and a real one
 * takes 16 bytes at a time. Register names are from <linux/serial_reg.h>. Who writes what to which port is
 * the console's (kern/core/console.c) and the terminals' business (tty.c, stream.c).
 */
#include <linux/serial_reg.h>
#include <stdatomic.h>
#include <hw.h>
#include <kern/kern.h>
#include <kern/serial.h>

#define FIFO_BYTES    16
#define RING_BYTES    4096u /* a power of two */
#define DIVISOR       1     /* of 115200 baud */
#define LOOPBACK_BYTE 0xae  /* any value will do */

/*
 * How often to look whether the port takes more, at about 1 us a look: a receiver may stop the line for
 * seconds, but a dead port must not stop the kernel for ever. A byte takes 87 us at 115200 baud.
 */
#define MAX_POLLS      10000000u
#define SHORT_POLLS    100u
#define LOOPBACK_POLLS 1000u

#define TEST_NS        2000000ull /* within which an interrupt comes that can come */
#define LOOK_NS        2000000ull /* between looks at ports that cannot interrupt */
#define HANDLER_ROUNDS 64u        /* a port that always has something must not stop the kernel */

unsigned serial_handler_rounds = HANDLER_ROUNDS;

/*
 * Locks: (-) set by serial_init and serial_start_interrupts; (a) atomic; (d) who has `draining`; (r) its lock.
 */
struct port {
	uint16_t base;           /* (-) */
	unsigned line;           /* (-) the interrupt's: two ports share each */
	bool present;            /* (-) */
	_Atomic bool interrupts; /* (a) one has come */
	_Atomic bool stuck;      /* (a) a wait was in vain; do not wait again until it is ready */
	_Atomic bool sending;    /* (a) somebody fills the transmitter */
	_Atomic bool draining;   /* (a) somebody fills the ring */
	_Atomic bool claimed;    /* (a) by the monitor */
	_Atomic bool full;      /* (a) the ring was full: the UART holds the rest, and its interrupt is off */
	_Atomic bool paused;    /* (a) the handler gave up: the interrupt is off until serial_work() */
	_Atomic uint32_t put;   /* (a) bytes ever put into the ring; written by (d) */
	_Atomic uint32_t taken; /* (a) bytes ever taken out; written by (r) */
	unsigned char ring[RING_BYTES]; /* (d) puts; those between `taken` and `put` are who takes' */
	struct spinlock lock;           /* RANK_SERIAL: one takes at a time */
	struct serial_reader *reader;   /* (r) */
};

static struct port ports[SERIAL_PORTS] = {{.base = 0x3f8, .line = 4},
					  {.base = 0x2f8, .line = 3},
					  {.base = 0x3e8, .line = 4},
					  {.base = 0x2e8, .line = 3}};

static struct timer look_timer; /* runs while somebody waits for a port that cannot interrupt */

static struct port *find_port(unsigned number)
{
	return number >= 1 && number <= SERIAL_PORTS && ports[number - 1].present ? &ports[number - 1] : NULL;
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

/* ---- Start ---------------------------------------------------------------------------------------- */

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
	for (unsigned i = 0; i < SERIAL_PORTS; i++) {
		spin_init(&ports[i].lock, RANK_SERIAL, "serial port");
		ports[i].present = start_port(ports[i].base);
	}
}

bool serial_present(unsigned port)
{
	return find_port(port) != NULL;
}

/* ---- Input ------------------------------------------------------------------------------------------ */

static bool has_room(struct port *port)
{
	return port->put - port->taken < RING_BYTES;
}

/* There is room in the ring: the port may interrupt, if it can. */
static void listen(struct port *port)
{
	port->full = false;
	if (port->interrupts)
		outb(port->base + UART_IER, UART_IER_RDI);
}

/*
 * Moves what the UART has into the ring. Where that is full, the interrupt is switched off, or it would come for ever. Also called by the
 * interrupt's handler: who has `draining` elsewhere looks once more when it has let go.
 */
static void drain(struct port *port)
{
	while (!port->full && (inb(port->base + UART_LSR) & UART_LSR_DR)) {
		if (atomic_exchange(&port->draining, true))
			return;
		while (has_room(port) && (inb(port->base + UART_LSR) & UART_LSR_DR)) {
			port->ring[port->put % RING_BYTES] = inb(port->base + UART_RX);
			port->put++;
		}
		if (!has_room(port)) {
			outb(port->base + UART_IER, 0);
			port->full = true;
			/* Who took in between did not see it. */
			if (has_room(port))
				listen(port);
		}
		port->draining = false;
	}
}

/* Serves the ports of a line that want to be; true: none does any more. */
static bool serve(unsigned line)
{
	bool none = true;

	for (struct port *port = ports; port < ports + SERIAL_PORTS; port++) {
		if (port->line != line || !port->present || (inb(port->base + UART_IIR) & UART_IIR_NO_INT))
			continue;
		none = false;
		port->interrupts = true;
		drain(port);
	}
	return none;
}

/* Switches the interrupts of a line's ports off until a thread comes to it. */
static void pause_line(unsigned line)
{
	for (struct port *port = ports; port < ports + SERIAL_PORTS; port++) {
		if (port->line != line || !port->present || !port->interrupts)
			continue;
		outb(port->base + UART_IER, 0);
		port->paused = true;
	}
}

/*
 * The interrupt of a line, which two ports share: as it is an edge's, it comes once for all that there is. So the line has to be seen idle, or made
 * so: if it stayed busy there would never be an edge again.
 */
static void interrupted(unsigned line)
{
	bool idle = false;

	for (unsigned round = 0; !idle && round < serial_handler_rounds; round++)
		idle = serve(line);
	if (!idle)
		pause_line(line);
	cpu_note_work(CPU_WORK_SERIAL);
}

/* What the port has by now interrupts at once. */
static void resume(struct port *port)
{
	if (atomic_exchange(&port->paused, false) && !port->full)
		listen(port);
}

bool serial_has_input(unsigned number)
{
	struct port *port = find_port(number);

	return port && port->put != port->taken;
}

size_t serial_take(unsigned number, void *bytes, size_t count)
{
	struct port *port = find_port(number);
	unsigned char *to = bytes;
	size_t done = 0;

	if (!port)
		return 0;
	spin_lock(&port->lock);
	if (!port->interrupts)
		drain(port);
	while (done < count && port->taken != port->put) {
		to[done++] = port->ring[port->taken % RING_BYTES];
		port->taken++;
	}
	if (done > 0 && port->full) {
		listen(port);
		drain(port);
	}
	spin_unlock(&port->lock);
	return done;
}

int serial_read_byte(unsigned number)
{
	unsigned char byte;

	return serial_take(number, &byte, 1) == 1 ? byte : -1;
}

/* ---- Readers ------------------------------------------------------------------------------------------ */

static void tell_reader(struct port *port)
{
	struct serial_reader *reader;

	spin_lock(&port->lock);
	reader = port->claimed ? NULL : port->reader;
	spin_unlock(&port->lock);
	if (reader && port->taken != port->put)
		reader->receive(reader);
}

void serial_work(void)
{
	for (struct port *port = ports; port < ports + SERIAL_PORTS; port++) {
		if (!port->present)
			continue;
		resume(port);
		tell_reader(port);
	}
}

void serial_set_reader(unsigned number, struct serial_reader *reader)
{
	struct port *port = find_port(number);

	if (!port)
		return;
	spin_lock(&port->lock);
	ASSERT(!port->reader);
	port->reader = reader;
	spin_unlock(&port->lock);
	tell_reader(port);
}

void serial_claim(unsigned number, bool claimed)
{
	struct port *port = find_port(number);

	if (!port)
		return;
	port->claimed = claimed;
	if (!claimed)
		tell_reader(port);
}

/* ---- Ports that cannot interrupt ------------------------------------------------------------------------ */

static bool must_look(struct port *port)
{
	return port->present && !port->interrupts && port->reader && port->reader->waits(port->reader);
}

/* Looks at all such ports, and again in a while if anybody still waits. */
static void look(struct timer *timer)
{
	bool again = false;

	for (struct port *port = ports; port < ports + SERIAL_PORTS; port++) {
		if (!must_look(port))
			continue;
		again = true;
		drain(port);
		tell_reader(port);
	}
	if (again)
		timer_start(timer, time_nanoseconds() + LOOK_NS);
}

void serial_expect(unsigned number)
{
	struct port *port = find_port(number);

	if (port && !port->interrupts && !look_timer.active)
		timer_start(&look_timer, time_nanoseconds() + LOOK_NS);
}

/* An empty transmitter interrupts as soon as it may. */
void serial_start_interrupts(void)
{
	uint64_t end;
	bool all;

	timer_init(&look_timer, look);
	for (struct port *port = ports; port < ports + SERIAL_PORTS; port++)
		if (port->present && irq_enable(port->line, interrupted))
			outb(port->base + UART_IER, UART_IER_THRI);
	end = time_nanoseconds() + TEST_NS;
	do {
		all = true;
		for (struct port *port = ports; port < ports + SERIAL_PORTS; port++)
			all &= !port->present || port->interrupts;
	} while (!all && time_nanoseconds() < end);
	for (struct port *port = ports; port < ports + SERIAL_PORTS; port++) {
		if (port->present)
			outb(port->base + UART_IER, port->interrupts ? UART_IER_RDI : 0);
		if (port->present && !port->interrupts)
			env_log("phoenix: com%u does not interrupt: it is looked at",
				(unsigned)(port - ports) + 1);
	}
}

/* ---- Output -------------------------------------------------------------------------------------------- */

/*
 * An empty transmitter takes a FIFO's worth at once, of one writer. Who has `sending` is another CPU and soon done; unless
 * it was stopped by a panic, whose message comes first. How many bytes it took: 0 if the port was not ready.
 */
static size_t send_burst(struct port *port, const uint8_t *bytes, size_t count)
{
	size_t burst = 0;

	for (unsigned i = 0; i < LOOPBACK_POLLS && atomic_exchange(&port->sending, true); i++)
		cpu_relax();
	if (inb(port->base + UART_LSR) & UART_LSR_THRE)
		burst = count < FIFO_BYTES ? count : FIFO_BYTES;
	for (size_t i = 0; i < burst; i++)
		outb(port->base + UART_TX, bytes[i]);
	port->sending = false;
	return burst;
}

/* Sends until the port was not ready that many times in a row. */
static size_t send(unsigned number, const uint8_t *bytes, size_t count, unsigned polls)
{
	struct port *port = find_port(number);
	size_t done = 0;
	unsigned left;

	if (!port)
		return count;
	left = port->stuck ? 1 : polls;
	while (done < count && left > 0) {
		size_t burst = send_burst(port, bytes + done, count - done);

		done += burst;
		left = burst > 0 ? polls : left - 1;
		if (burst > 0)
			port->stuck = false;
		else
			cpu_relax();
	}
	if (left == 0 && polls == MAX_POLLS)
		port->stuck = true;
	return done;
}

size_t serial_write(unsigned port, const void *bytes, size_t count)
{
	return send(port, bytes, count, MAX_POLLS);
}

size_t serial_write_some(unsigned port, const void *bytes, size_t count)
{
	return send(port, bytes, count, SHORT_POLLS);
}
