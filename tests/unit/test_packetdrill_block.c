/* The packetdrill adapter: calls that block on the second thread, descriptors, several scripts in
 * one process. Meant for ThreadSanitizer (CONFIG=tsan) as well. */
#include "pd_host.h"

#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static struct pd_host *const h = &pd_the_host;

/* ---- Calls that block ------------------------------------------------------------------------ */

struct io {
	int fd;
	size_t n;
	struct pollfd p;
	int timeout_ms;
};

static long do_accept(struct pd_host *x, void *arg)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	int fd = x->ifc.accept(x->u, ((struct io *)arg)->fd, (struct sockaddr *)&a, &len);

	if (fd >= 0 && ntohl(a.sin_addr.s_addr) != PD_REMOTE_IP)
		return -2;
	return fd;
}

static long do_connect(struct pd_host *x, void *arg)
{
	return x->ifc.connect(x->u, ((struct io *)arg)->fd, addr(PD_REMOTE_IP, 8080), ADDR_LEN);
}

static long do_read(struct pd_host *x, void *arg)
{
	char b[4096];

	return x->ifc.read(x->u, ((struct io *)arg)->fd, b, sizeof(b));
}

static long do_write(struct pd_host *x, void *arg)
{
	struct io *io = arg;
	char *b = calloc(1, io->n);
	long r = x->ifc.write(x->u, io->fd, b, io->n);

	free(b);
	return r;
}

static long do_poll(struct pd_host *x, void *arg)
{
	struct io *io = arg;

	return x->ifc.poll(x->u, &io->p, 1, io->timeout_ms);
}

/* Ends at the time of the packet that ends it, however late the thread runs. */
START_TEST (test_blocking_accept) {
	struct io io = {.fd = listener(0)};
	long long at;
	struct conn c;

	pd_block(h, 100000, do_accept, &io);
	ck_assert(h->state == PD_RUNNING);
	pd_until(h, 200000);
	ck_assert(h->state == PD_RUNNING);
	shake(&c, 40001);
	at = pd_now_us(h);
	pd_until(h, 900000);
	ck_assert(pd_await(h));
	ck_assert_int_ge(pd_keep(h, (int)h->result), 3);
	ck_assert_int_eq(h->end_us, at - 1); /* asking for it took one */
}
END_TEST

START_TEST (test_blocking_connect) {
	struct io io = {.fd = pd_keep(h, h->ifc.socket(h->u, AF_INET, SOCK_STREAM, 0))};
	struct conn c;
	struct seg s;

	pd_block(h, 50000, do_connect, &io);
	ck_assert(pd_receive(h, &s));
	ck_assert_uint_eq(s.flags, F_SYN);
	ck_assert_int_ge(s.time_us, 50000);
	ck_assert_int_lt(s.time_us, 50010);
	c = (struct conn){io.fd, s.sport, 8080, s.seq, s.seq + 1, 5000};
	pd_until(h, 150000);
	s = from_peer(&c, F_SYN | F_ACK, 0);
	pd_inject(h, &s);
	pd_until(h, 250000);
	ck_assert(pd_await(h));
	ck_assert_int_eq(h->result, 0);
	ck_assert_int_lt(h->end_us, 150010);
	ck_assert_int_ge(h->end_us, 150000);
}
END_TEST

START_TEST (test_blocking_read) {
	struct conn c = established();
	struct io io = {.fd = c.fd};

	pd_block(h, 1000, do_read, &io);
	pd_until(h, 500000);
	give(&c, 700);
	pd_until(h, 600000);
	ck_assert(pd_await(h));
	ck_assert_int_eq(h->result, 700);
	ck_assert_int_lt(h->end_us, 500010);
	/* And told of the end of the connection. */
	pd_block(h, 600000, do_read, &io);
	pd_until(h, 700000);
	pd_inject(h, &(struct seg){.sport = c.rport, .dport = 8080, .seq = c.rcv, .flags = F_RST});
	pd_until(h, 800000);
	ck_assert(pd_await(h));
	ck_assert_int_eq(h->result, -1);
	ck_assert_int_eq(h->error, ECONNRESET);
}
END_TEST

/* Goes on as the peer makes room: packets leave from the other thread, at the main one's times. */
START_TEST (test_blocking_write) {
	struct conn c;
	struct io io = {.n = 40000};
	uint32_t got = 0;
	struct seg s;

	pd_open(h, QUICK ",sndbuf=8192");
	c = established();
	io.fd = c.fd;
	pd_block(h, 10000, do_write, &io);
	ck_assert(h->state == PD_RUNNING);
	while (got < io.n) {
		ck_assert(pd_receive(h, &s));
		ck_assert_uint_eq(s.seq, c.snd);
		ck_assert_int_lt(s.time_us, 1000000); /* no retransmission */
		got += s.len;
		c.snd += s.len;
		confirm(&c);
	}
	ck_assert(pd_await(h));
	ck_assert_int_eq(h->result, 40000);
	pd_close(h);
}
END_TEST

START_TEST (test_blocking_poll) {
	struct conn c = established();
	struct io io = {.p = {.fd = c.fd, .events = POLLIN}, .timeout_ms = 300};

	/* Its own time-out is virtual, and exact. */
	pd_block(h, 100000, do_poll, &io);
	pd_until(h, 1000000);
	ck_assert(pd_await(h));
	ck_assert_int_eq(h->result, 0);
	ck_assert_int_ge(h->end_us, 400000);
	ck_assert_int_lt(h->end_us, 400010);
	pd_block(h, 1000000, do_poll, &io);
	pd_until(h, 1200000);
	give(&c, 1);
	pd_until(h, 1500000);
	ck_assert(pd_await(h));
	ck_assert_int_eq(h->result, 1);
	ck_assert_int_eq(io.p.revents, POLLIN);
	ck_assert_int_lt(h->end_us, 1200010);
}
END_TEST

/* At a script's end nobody moves time any more; the call does it itself, within packetdrill's
 * second. */
START_TEST (test_idle) {
	struct io io = {.timeout_ms = 30000};
	struct conn c;

	pd_open(h, PD_FLAGS ",idle_ms=50");
	c = established();
	io.p = (struct pollfd){.fd = c.fd, .events = POLLIN};
	pd_block(h, 10000, do_poll, &io);
	ck_assert(pd_await(h));
	ck_assert_int_eq(h->result, 0);
	ck_assert_int_ge(h->end_us, 30010000);
	ck_assert_int_lt(h->end_us, 30010010);
	pd_close(h);
}
END_TEST

/* The main thread itself blocks: time runs until what it waits for, or the patience. */
START_TEST (test_main_blocks) {
	struct conn c;
	long long at;
	char b[4];

	pd_open(h, QUICK ",patience_s=20");
	c = established();
	at = pd_now_us(h);
	FAILS(h->ifc.read(h->u, c.fd, b, 4), EAGAIN);
	ck_assert_int_ge(pd_now_us(h) - at, 20000000);
	pd_close(h);
}
END_TEST

/* A call that still sleeps when the script is over is ended by free. */
START_TEST (test_free_ends_calls) {
	struct io io = {.fd = listener(0)};

	pd_block(h, 0, do_accept, &io);
	ck_assert(h->state == PD_RUNNING);
}
END_TEST

/* ---- Descriptors ----------------------------------------------------------------------------- */

static unsigned count_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* They are the kernel's numbers: nobody else gets them, and closing them there does no harm. */
START_TEST (test_descriptors) {
	unsigned before = count_fds();
	int a, b, other;

	pd_open(h, QUICK);
	a = h->ifc.socket(h->u, AF_INET, SOCK_STREAM, 0);
	other = open("/dev/null", O_RDONLY | O_CLOEXEC);
	b = h->ifc.socket(h->u, AF_INET, SOCK_STREAM, 0);
	ck_assert(a != b && a != other && b != other && a > 2);
	ck_assert_int_eq(close(other), 0);
	/* One is closed behind its back, and its number goes to a file. */
	ck_assert_int_eq(close(a), 0);
	other = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(other, a);
	FAILS(h->ifc.listen(h->u, 0, 1), ENOTSOCK);
	FAILS(h->ifc.listen(h->u, 999, 1), EBADF);
	FAILS(h->ifc.socket(h->u, AF_INET6, SOCK_STREAM, 0), EAFNOSUPPORT);
	pd_close(h);
	ck_assert_int_eq(fcntl(other, F_GETFD), FD_CLOEXEC); /* not closed with the rest */
	close(other);
	ck_assert_uint_eq(count_fds(), before);
}
END_TEST

/* ---- Several scripts in one process ---------------------------------------------------------- */

static uint32_t one_run(const char *flags, uint8_t *out, uint32_t room)
{
	uint32_t used = 0;
	struct conn c;
	struct seg s;
	char b[500] = {0};

	pd_open(h, flags);
	c = established();
	ck_assert_int_eq(h->ifc.write(h->u, c.fd, b, 500), 500);
	for (int i = 0; i < 3; i++) {
		ck_assert(pd_receive(h, &s));
		ck_assert_uint_le(used + s.raw_bytes, room);
		memcpy(out + used, s.raw, s.raw_bytes);
		used += s.raw_bytes;
	}
	pd_close(h);
	return used;
}

START_TEST (test_several) {
	uint8_t first[2000], again[2000];
	uint32_t n = one_run(QUICK, first, sizeof(first));

	for (int i = 0; i < 3; i++) {
		ck_assert_uint_eq(one_run(QUICK, again, sizeof(again)), n);
		ck_assert_mem_eq(first, again, n);
	}
	one_run(QUICK ",seed=12", again, sizeof(again));
	ck_assert(memcmp(first, again, n) != 0);
}
END_TEST

/* ---- The suite ------------------------------------------------------------------------------- */

static Suite *packetdrill_suite(void)
{
	Suite *s = suite_create("packetdrill adapter, blocking");
	TCase *c = tcase_create("on a host"), *f = tcase_create("with flags");

	tcase_set_timeout(c, 20);
	tcase_add_checked_fixture(c, open_quick, close_host);
	tcase_add_test(c, test_blocking_accept);
	tcase_add_test(c, test_blocking_connect);
	tcase_add_test(c, test_blocking_read);
	tcase_add_test(c, test_blocking_poll);
	tcase_add_test(c, test_free_ends_calls);
	suite_add_tcase(s, c);
	tcase_set_timeout(f, 20);
	tcase_add_test(f, test_blocking_write);
	tcase_add_test(f, test_idle);
	tcase_add_test(f, test_main_blocks);
	tcase_add_test(f, test_descriptors);
	tcase_add_test(f, test_several);
	suite_add_tcase(s, f);
	return s;
}

UNIT_MAIN(packetdrill_suite)
