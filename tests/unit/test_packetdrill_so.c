/* The packetdrill adapter, loaded and driven as packetdrill does it: by the host of pd_host.h.
 * Meant for ThreadSanitizer (CONFIG=tsan) as well. timeout: 240 */
#include "pd_host.h"

#include "tapglass_drill.h"
#include "unit.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define QUICK PD_FLAGS ",idle_ms=0"

/* An established connection, and what it takes to go on with it. */
struct conn {
	int fd;
	uint16_t lport, rport;
	uint32_t iss, snd, rcv; /* the stack's first number, its next, and the peer's next */
};

static struct pd_host host;
static struct pd_host *const h = &host;

static const struct sockaddr *addr(uint32_t ip, uint16_t port)
{
	static struct sockaddr_in a;

	a = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
	a.sin_addr.s_addr = htonl(ip);
	return (const struct sockaddr *)&a;
}
#define ADDR_LEN ((socklen_t)sizeof(struct sockaddr_in))

#define FAILS(e, error)                                                                            \
	do {                                                                                       \
		errno = 0;                                                                         \
		ck_assert_int_eq((int)(e), -1);                                                    \
		ck_assert_int_eq(errno, error);                                                    \
	} while (0)

/* ---- Steps that many share ------------------------------------------------------------------- */

static int listener(int flags)
{
	int fd = pd_keep(h, h->ifc.socket(h->u, AF_INET, SOCK_STREAM | flags, IPPROTO_TCP));
	int on = 1;

	ck_assert_int_ge(fd, 3);
	ck_assert_int_eq(h->ifc.setsockopt(h->u, fd, SOL_SOCKET, SO_REUSEADDR, &on, 4), 0);
	ck_assert_int_eq(h->ifc.bind(h->u, fd, addr(PD_LOCAL_IP, 8080), ADDR_LEN), 0);
	ck_assert_int_eq(h->ifc.listen(h->u, fd, 1), 0);
	return fd;
}

static struct seg from_peer(const struct conn *c, unsigned flags, uint32_t len)
{
	return (struct seg){.sport = c->rport,
		.dport = c->lport,
		.seq = c->rcv,
		.ack = c->snd,
		.flags = (uint8_t)flags,
		.win = 65535,
		.len = len};
}

/* The peer's side of a handshake, without options. */
static void shake(struct conn *c, uint16_t rport)
{
	struct seg s;

	*c = (struct conn){.fd = -1, .lport = 8080, .rport = rport, .rcv = 1000};
	s = from_peer(c, F_SYN, 0);
	s.ack = 0;
	pd_inject(h, &s);
	ck_assert(pd_receive(h, &s));
	ck_assert_uint_eq(s.flags, F_SYN | F_ACK);
	ck_assert_uint_eq(s.ack, 1001);
	c->iss = s.seq;
	c->snd = s.seq + 1;
	c->rcv = 1001;
	s = from_peer(c, F_ACK, 0);
	pd_inject(h, &s);
}

static struct conn established(void)
{
	int l = listener(0);
	struct conn c;

	shake(&c, 40000);
	c.fd = pd_keep(h, h->ifc.accept(h->u, l, NULL, NULL));
	ck_assert_int_ge(c.fd, 3);
	return c;
}

static void give(struct conn *c, uint32_t len)
{
	struct seg s = from_peer(c, F_ACK | F_PSH, len);

	pd_inject(h, &s);
	c->rcv += len;
}

static void confirm(struct conn *c)
{
	struct seg s = from_peer(c, F_ACK, 0);

	pd_inject(h, &s);
}

static void open_quick(void)
{
	pd_open(h, QUICK);
}

static void close_host(void)
{
	pd_close(h);
}

/* ---- The table ------------------------------------------------------------------------------- */

START_TEST (test_table) {
	struct packetdrill_interface t = h->ifc;
	void *place[sizeof(t) / sizeof(void *)];

	ck_assert_uint_eq(sizeof(t) / sizeof(void *), 33);
	memcpy(place, &t, sizeof(place));
	for (unsigned i = 0; i < 33; i++)
		ck_assert_msg(place[i] != NULL, "member %u", i);
	/* The numbers are those of packetdrill's own list. */
	ck_assert_uint_eq(offsetof(struct packetdrill_interface, read) / sizeof(void *), 7);
	ck_assert_uint_eq(offsetof(struct packetdrill_interface, fcntl) / sizeof(void *), 17);
	ck_assert_uint_eq(offsetof(struct packetdrill_interface, netdev_send) / sizeof(void *), 24);
	ck_assert_uint_eq(
		offsetof(struct packetdrill_interface, gettimeofday) / sizeof(void *), 27);
	ck_assert_uint_eq(offsetof(struct packetdrill_interface, splice) / sizeof(void *), 32);
}
END_TEST

/* ---- The clock ------------------------------------------------------------------------------- */

START_TEST (test_clock) {
	long long a = pd_now_us(h);
	struct timespec t0, t1;

	ck_assert_int_eq(pd_now_us(h) - a, 1);
	ck_assert_int_eq(h->ifc.usleep(h->u, 12345), 0);
	ck_assert_int_eq(pd_now_us(h) - a, 12347);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	h->ifc.usleep(h->u, 100000000);
	clock_gettime(CLOCK_MONOTONIC, &t1);
	ck_assert_int_lt(t1.tv_sec - t0.tv_sec, 20); /* of a hundred */
	pd_until(h, 200000000);
	ck_assert_int_eq(pd_now_us(h), 200000001);
}
END_TEST

/* [6298 2.1] [6298 5.5] Retransmissions of a SYN-ACK after 1, 3, 7 and 15 s, to the microsecond.
 * Half-open connections count in whole milliseconds: it begins with one. */
START_TEST (test_rto_of_syn_ack) {
	static const long long at_us[] = {0, 1000000, 3000000, 7000000, 15000000};
	struct seg s = {.sport = 40000, .dport = 8080, .flags = F_SYN, .win = 1000};
	struct timeval tv;
	long long first = 0;

	listener(0);
	h->ifc.gettimeofday(h->u, &tv, NULL);
	h->ifc.usleep(h->u, (useconds_t)(1000 - tv.tv_usec % 1000));
	pd_inject(h, &s);
	for (unsigned i = 0; i < 5; i++) {
		ck_assert(pd_receive(h, &s));
		ck_assert_uint_eq(s.flags, F_SYN | F_ACK);
		if (!i)
			first = s.time_us;
		ck_assert_int_eq(s.time_us - first, at_us[i]);
	}
}
END_TEST

/* The same for data, after a handshake that took 100 ms: SRTT 100, RTTVAR 50, RTO 300 ms, and
 * double each time. The times are those at which it was sent, not those at which it was asked for.
 */
START_TEST (test_rto_of_data) {
	struct conn c = {.lport = 8080, .rport = 40000, .rcv = 1000};
	struct seg s = from_peer(&c, F_SYN, 0);
	long long t[4];
	int l = listener(0);
	char b[100] = {0};

	pd_inject(h, &s);
	pd_receive(h, &s);
	h->ifc.usleep(h->u, 100000);
	c = (struct conn){-1, 8080, 40000, s.seq, s.seq + 1, 1001};
	confirm(&c);
	c.fd = pd_keep(h, h->ifc.accept(h->u, l, NULL, NULL));
	ck_assert_int_eq(h->ifc.write(h->u, c.fd, b, 100), 100);
	h->ifc.usleep(h->u, 10000000);
	for (unsigned i = 0; i < 4; i++) {
		pd_expect(h, &s, F_PSH | F_ACK, c.snd, c.rcv, 100);
		t[i] = s.time_us;
	}
	ck_assert_int_eq(t[1] - t[0], 300000);
	ck_assert_int_eq(t[2] - t[1], 600000);
	ck_assert_int_eq(t[3] - t[2], 1200000);
}
END_TEST

/* No packet: after the patience of the flags, at once by the wall clock. */
START_TEST (test_nothing_comes) {
	struct seg s;

	pd_open(h, QUICK ",patience_s=5");
	listener(0);
	ck_assert(!pd_receive(h, &s));
	pd_close(h);
}
END_TEST

/* ---- TCP ------------------------------------------------------------------------------------- */

START_TEST (test_passive) {
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	int l = listener(SOCK_NONBLOCK), n = -1, on = 1;
	char b[3000];
	struct conn c;
	struct seg s;

	FAILS(h->ifc.accept(h->u, l, (struct sockaddr *)&a, &len), EAGAIN);
	shake(&c, 40000);
	c.fd = pd_keep(h, h->ifc.accept(h->u, l, (struct sockaddr *)&a, &len));
	ck_assert_int_ge(c.fd, 3);
	ck_assert_uint_eq(len, sizeof(a));
	ck_assert_uint_eq(a.sin_family, AF_INET);
	ck_assert_uint_eq(ntohl(a.sin_addr.s_addr), PD_REMOTE_IP);
	ck_assert_uint_eq(ntohs(a.sin_port), 40000);
	ck_assert_int_eq(h->ifc.fcntl(h->u, c.fd, F_GETFL), O_RDWR);
	ck_assert_int_eq(h->ifc.fcntl(h->u, c.fd, F_SETFL, O_RDWR | O_NONBLOCK), 0);
	ck_assert_int_eq(h->ifc.fcntl(h->u, c.fd, F_GETFL), O_RDWR | O_NONBLOCK);
	FAILS(h->ifc.read(h->u, c.fd, b, 10), EAGAIN);
	give(&c, 1000);
	ck_assert_int_eq(h->ifc.ioctl(h->u, c.fd, FIONREAD, &n), 0);
	ck_assert_int_eq(n, 1000);
	ck_assert_int_eq(h->ifc.recv(h->u, c.fd, b, 3000, MSG_PEEK), 1000);
	ck_assert_int_eq(h->ifc.read(h->u, c.fd, b, 400), 400);
	ck_assert_int_eq(
		h->ifc.readv(h->u, c.fd, (struct iovec[]){{b, 100}, {b + 100, 2000}}, 2), 600);
	pd_expect(h, &s, F_ACK, c.snd, c.rcv, 0);
	memset(b, 0, sizeof(b));
	ck_assert_int_eq(h->ifc.setsockopt(h->u, c.fd, IPPROTO_TCP, TCP_NODELAY, &on, 4), 0);
	ck_assert_int_eq(
		h->ifc.writev(h->u, c.fd, (struct iovec[]){{b, 1000}, {b, 1000}}, 2), 2000);
	/* Without options the peer's MSS is 536 [9293 MUST-15]. */
	for (uint32_t done = 0; done < 2000; done += s.len) {
		ck_assert(pd_receive(h, &s));
		ck_assert_uint_eq(s.seq, c.snd + done);
		ck_assert_uint_eq(s.len, done + 536 < 2000 ? 536 : 2000 - done);
	}
	ck_assert_int_eq(h->ifc.ioctl(h->u, c.fd, TIOCOUTQ, &n), 0);
	ck_assert_int_eq(n, 2000);
	c.snd += 2000;
	confirm(&c);
	ck_assert_int_eq(h->ifc.close(h->u, c.fd), 0);
	pd_forget(h, c.fd);
	pd_expect(h, &s, F_FIN | F_ACK, c.snd, c.rcv, 0);
	FAILS(h->ifc.close(h->u, c.fd), EBADF);
}
END_TEST

static int connecting(struct conn *c)
{
	struct seg s;
	int fd = pd_keep(h, h->ifc.socket(h->u, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));

	FAILS(h->ifc.connect(h->u, fd, addr(PD_REMOTE_IP, 8080), ADDR_LEN), EINPROGRESS);
	ck_assert(pd_receive(h, &s));
	ck_assert_uint_eq(s.flags, F_SYN);
	ck_assert_uint_eq(s.dport, 8080);
	*c = (struct conn){fd, s.sport, 8080, s.seq, s.seq + 1, 5000};
	return fd;
}

static int so_error(int fd)
{
	socklen_t len = 4;
	int v = -1;

	ck_assert_int_eq(h->ifc.getsockopt(h->u, fd, SOL_SOCKET, SO_ERROR, &v, &len), 0);
	ck_assert_uint_eq(len, 4);
	return v;
}

START_TEST (test_active) {
	struct conn c;
	struct seg s;
	int fd = connecting(&c);
	char b[10];

	FAILS(h->ifc.connect(h->u, fd, addr(PD_REMOTE_IP, 8080), ADDR_LEN), EALREADY);
	s = from_peer(&c, F_SYN | F_ACK, 0);
	pd_inject(h, &s);
	c.rcv++;
	pd_expect(h, &s, F_ACK, c.snd, c.rcv, 0);
	ck_assert_int_eq(so_error(fd), 0);
	ck_assert_int_eq(h->ifc.connect(h->u, fd, addr(PD_REMOTE_IP, 8080), ADDR_LEN), 0);
	FAILS(h->ifc.connect(h->u, fd, addr(PD_REMOTE_IP, 8080), ADDR_LEN), EISCONN);
	s = from_peer(&c, F_RST | F_ACK, 0);
	pd_inject(h, &s);
	/* The handle outlives the connection. */
	FAILS(h->ifc.read(h->u, fd, b, 10), ECONNRESET);
	ck_assert_int_eq(h->ifc.read(h->u, fd, b, 10), 0);
	FAILS(h->ifc.write(h->u, fd, b, 10), EPIPE);
	ck_assert_int_eq(h->ifc.close(h->u, fd), 0);
	pd_forget(h, fd);
}
END_TEST

START_TEST (test_refused) {
	struct conn c;
	struct seg s;
	int fd = connecting(&c);

	s = from_peer(&c, F_RST | F_ACK, 0);
	s.seq = 0;
	pd_inject(h, &s);
	ck_assert_int_eq(so_error(fd), ECONNREFUSED);
	ck_assert_int_eq(so_error(fd), 0);
}
END_TEST

START_TEST (test_disconnect) {
	struct sockaddr a = {.sa_family = AF_UNSPEC};
	struct conn c = established();
	struct seg s;

	ck_assert_int_eq(h->ifc.connect(h->u, c.fd, &a, sizeof(a)), 0);
	ck_assert(pd_receive(h, &s));
	ck_assert_uint_eq(s.flags & F_RST, F_RST);
}
END_TEST

START_TEST (test_end_of_stream) {
	struct conn c = established();
	struct pollfd p[3] = {{.fd = c.fd, .events = POLLIN | POLLOUT | POLLRDHUP},
		{.fd = -1, .events = POLLIN}, {.fd = 900, .events = POLLIN}};
	struct linger off = {1, 0};
	struct seg s = from_peer(&c, F_FIN | F_ACK, 0);
	char b[4];

	ck_assert_int_eq(h->ifc.poll(h->u, p, 3, 0), 2);
	ck_assert_int_eq(p[0].revents, POLLOUT);
	ck_assert_int_eq(p[1].revents, 0);
	ck_assert_int_eq(p[2].revents, POLLNVAL);
	pd_inject(h, &s);
	c.rcv++;
	pd_expect(h, &s, F_ACK, c.snd, c.rcv, 0);
	ck_assert_int_eq(h->ifc.poll(h->u, p, 1, 0), 1);
	ck_assert_int_eq(p[0].revents, POLLIN | POLLOUT | POLLRDHUP);
	ck_assert_int_eq(h->ifc.read(h->u, c.fd, b, 4), 0);
	ck_assert_int_eq(h->ifc.setsockopt(h->u, c.fd, SOL_SOCKET, SO_LINGER, &off, 8), 0);
	ck_assert_int_eq(h->ifc.close(h->u, c.fd), 0);
	pd_forget(h, c.fd);
	ck_assert(pd_receive(h, &s));
	ck_assert_uint_eq(s.flags & F_RST, F_RST);
}
END_TEST

START_TEST (test_shutdown) {
	struct conn c = established();
	struct seg s;
	char b[4];

	ck_assert_int_eq(h->ifc.shutdown(h->u, c.fd, SHUT_WR), 0);
	pd_expect(h, &s, F_FIN | F_ACK, c.snd, c.rcv, 0);
	FAILS(h->ifc.send(h->u, c.fd, b, 4, MSG_NOSIGNAL), EPIPE);
	FAILS(h->ifc.shutdown(h->u, c.fd, 9), EINVAL);
}
END_TEST

/* ---- Options --------------------------------------------------------------------------------- */

static int get(int fd, int level, int name)
{
	socklen_t len = 4;
	int v = -1;

	ck_assert_int_eq(h->ifc.getsockopt(h->u, fd, level, name, &v, &len), 0);
	ck_assert_uint_eq(len, 4);
	return v;
}

START_TEST (test_options) {
	struct conn c = established();
	struct tcp_info i;
	socklen_t len = sizeof(i);
	uint32_t mem[9];
	int on = 1, v = 7;

	ck_assert_int_eq(h->ifc.setsockopt(h->u, c.fd, IPPROTO_TCP, TCP_NODELAY, &on, 4), 0);
	ck_assert_int_eq(get(c.fd, IPPROTO_TCP, TCP_NODELAY), 1);
	ck_assert_int_eq(get(c.fd, IPPROTO_TCP, TCP_MAXSEG), 536);
	ck_assert_int_eq(h->ifc.setsockopt(h->u, c.fd, IPPROTO_TCP, TCP_QUICKACK, &on, 4), 0);
	ck_assert_int_eq(get(c.fd, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
	memset(&i, 0xff, sizeof(i));
	ck_assert_int_eq(h->ifc.getsockopt(h->u, c.fd, IPPROTO_TCP, TCP_INFO, &i, &len), 0);
	ck_assert_uint_eq(i.tcpi_state, TCP_ESTABLISHED);
	ck_assert_uint_eq(i.tcpi_snd_mss, 536);
	ck_assert_uint_eq(i.tcpi_snd_cwnd, 10);
	ck_assert_uint_eq(i.tcpi_unacked, 0);
	/* What packetdrill asks for besides is there, as zeros. */
	memset(mem, 0xff, sizeof(mem));
	len = sizeof(mem);
	ck_assert_int_eq(h->ifc.getsockopt(h->u, c.fd, SOL_SOCKET, 55, mem, &len), 0);
	ck_assert_uint_eq(len, sizeof(mem));
	ck_assert_uint_eq(mem[0] | mem[8], 0);
	len = sizeof(mem);
	ck_assert_int_eq(h->ifc.getsockopt(h->u, c.fd, IPPROTO_TCP, 26, mem, &len), 0);
	ck_assert_uint_eq(len, 20);
	len = 4;
	FAILS(h->ifc.getsockopt(h->u, c.fd, IPPROTO_TCP, 999, &v, &len), ENOPROTOOPT);
	FAILS(h->ifc.setsockopt(h->u, c.fd, IPPROTO_TCP, 999, &v, 4), ENOPROTOOPT);
	FAILS(h->ifc.getsockopt(h->u, c.fd, SOL_SOCKET, SO_ERROR, &v, NULL), EFAULT);
	FAILS(h->ifc.ioctl(h->u, c.fd, 0x12345, &v), ENOTTY);
}
END_TEST

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

/* ---- Readiness ------------------------------------------------------------------------------- */

START_TEST (test_epoll) {
	struct conn c = established();
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = 77}, out[4];
	int ep = pd_keep(h, h->ifc.epoll_create(h->u, 1));

	ck_assert_int_ge(ep, 3);
	FAILS(h->ifc.epoll_create(h->u, 0), EINVAL);
	ck_assert_int_eq(h->ifc.epoll_ctl(h->u, ep, EPOLL_CTL_ADD, c.fd, &e), 0);
	FAILS(h->ifc.epoll_ctl(h->u, ep, EPOLL_CTL_ADD, c.fd, &e), EEXIST);
	FAILS(h->ifc.epoll_ctl(h->u, c.fd, EPOLL_CTL_ADD, c.fd, &e), EINVAL);
	FAILS(h->ifc.epoll_ctl(h->u, ep, EPOLL_CTL_ADD, 900, &e), EBADF);
	FAILS(h->ifc.epoll_ctl(h->u, ep, EPOLL_CTL_ADD, 0, &e), EPERM);
	ck_assert_int_eq(h->ifc.epoll_wait(h->u, ep, out, 4, 0), 0);
	give(&c, 5);
	ck_assert_int_eq(h->ifc.epoll_wait(h->u, ep, out, 4, 0), 1);
	ck_assert_uint_eq(out[0].events, EPOLLIN);
	ck_assert_uint_eq(out[0].data.u64, 77);
	FAILS(h->ifc.epoll_wait(h->u, ep, out, 0, 0), EINVAL);
}
END_TEST

START_TEST (test_splice) {
	struct conn c = established();
	int p[2];
	loff_t zero = 0;
	char b[200] = {0};
	struct seg s;

	ck_assert_int_eq(h->ifc.pipe(h->u, p), 0);
	give(&c, 100);
	ck_assert_int_eq(h->ifc.splice(h->u, c.fd, &zero, p[1], &zero, 4096, 0), 100);
	ck_assert_int_eq(h->ifc.read(h->u, p[0], b, 200), 100);
	ck_assert_int_eq(h->ifc.write(h->u, p[1], b, 150), 150);
	ck_assert_int_eq(h->ifc.splice(h->u, p[0], &zero, c.fd, &zero, 120, 0), 120);
	FAILS(h->ifc.splice(h->u, c.fd, NULL, c.fd, NULL, 1, 0), EINVAL);
	FAILS(h->ifc.splice(h->u, c.fd, NULL, p[1], NULL, 1, SPLICE_F_NONBLOCK), EAGAIN);
	h->ifc.usleep(h->u, 50000);
	do
		ck_assert(pd_receive(h, &s));
	while (!s.len);
	ck_assert_uint_eq(s.len, 120);
	ck_assert_int_eq(h->ifc.read(h->u, p[0], b, 200), 30);
	ck_assert_int_eq(h->ifc.close(h->u, p[0]), 0);
	ck_assert_int_eq(h->ifc.close(h->u, p[1]), 0);
}
END_TEST

/* ---- UDP and ICMP ---------------------------------------------------------------------------- */

static int udp(void)
{
	int fd = pd_keep(h, h->ifc.socket(h->u, AF_INET, SOCK_DGRAM, IPPROTO_UDP));

	ck_assert_int_eq(h->ifc.bind(h->u, fd, addr(PD_LOCAL_IP, 8080), ADDR_LEN), 0);
	return fd;
}

START_TEST (test_udp) {
	struct seg s = {.proto = IPPROTO_UDP, .sport = 5000, .dport = 8080, .len = 300};
	union {
		struct cmsghdr c;
		char b[64];
	} control;
	char b[100] = {0};
	struct iovec v = {b, sizeof(b)};
	struct sockaddr_in a;
	struct msghdr m = {&a, sizeof(a), &v, 1, &control, sizeof(control), 0};
	int fd = udp(), on = 1;

	ck_assert_int_eq(h->ifc.setsockopt(h->u, fd, IPPROTO_IP, IP_RECVTTL, &on, 4), 0);
	pd_inject(h, &s);
	ck_assert_int_eq(h->ifc.recvmsg(h->u, fd, &m, 0), 100);
	ck_assert_int_eq(m.msg_flags, MSG_TRUNC);
	ck_assert_uint_eq(ntohs(a.sin_port), 5000);
	ck_assert_int_eq(CMSG_FIRSTHDR(&m)->cmsg_type, IP_TTL);
	ck_assert_int_eq(*(int *)(void *)CMSG_DATA(CMSG_FIRSTHDR(&m)), 64);
	ck_assert_int_eq(
		h->ifc.sendto(h->u, fd, b, 100, 0, addr(PD_REMOTE_IP, 8080), ADDR_LEN), 100);
	ck_assert(pd_receive(h, &s));
	ck_assert_uint_eq(s.proto, IPPROTO_UDP);
	ck_assert_uint_eq(s.len, 100);
	ck_assert_uint_eq(s.dport, 8080);
	m = (struct msghdr){&a, sizeof(a), &v, 1, NULL, 0, 0};
	a = *(const struct sockaddr_in *)(const void *)addr(PD_REMOTE_IP, 9);
	ck_assert_int_eq(h->ifc.sendmsg(h->u, fd, &m, 0), 100);
	ck_assert(pd_receive(h, &s));
	ck_assert_uint_eq(s.dport, 9);
}
END_TEST

/* [1122 4.1.3.3] An ICMP error about a datagram is told. */
START_TEST (test_icmp_error) {
	int fd = udp();
	char b[10] = {0};
	struct seg sent, e = {.proto = IPPROTO_ICMP, .icmp_type = 3, .icmp_code = 3};

	ck_assert_int_eq(h->ifc.connect(h->u, fd, addr(PD_REMOTE_IP, 8080), ADDR_LEN), 0);
	ck_assert_int_eq(h->ifc.write(h->u, fd, b, 10), 10);
	ck_assert(pd_receive(h, &sent));
	e.quote = sent.raw;
	e.quote_bytes = 28;
	pd_inject(h, &e);
	FAILS(h->ifc.read(h->u, fd, b, 10), ECONNREFUSED);
}
END_TEST

START_TEST (test_echo) {
	struct seg s = {.proto = IPPROTO_ICMP, .icmp_type = 8, .icmp_rest = 0x70001, .len = 56};

	pd_inject(h, &s);
	ck_assert(pd_receive(h, &s));
	ck_assert_uint_eq(s.proto, IPPROTO_ICMP);
	ck_assert_uint_eq(s.icmp_type, 0);
	ck_assert_uint_eq(s.icmp_rest, 0x70001);
	ck_assert_uint_eq(s.len, 56);
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

/* ---- Flags ----------------------------------------------------------------------------------- */

/* The SYN-ACK to a SYN with every option. */
static struct seg syn_ack(const char *flags)
{
	static const uint8_t opts[20] = {
		2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7};
	struct seg s = {.sport = 40000, .dport = 8080, .flags = F_SYN, .win = 65535, .n_opts = 20};

	memcpy(s.opts, opts, sizeof(opts));
	pd_open(h, flags);
	listener(0);
	pd_inject(h, &s);
	ck_assert(pd_receive(h, &s));
	ck_assert_uint_eq(s.flags, F_SYN | F_ACK);
	pd_close(h);
	return s;
}

static bool has_option(const struct seg *s, uint8_t kind)
{
	for (uint32_t i = 0; i < s->n_opts && s->opts[i]; i += s->opts[i] == 1 ? 1 : s->opts[i + 1])
		if (s->opts[i] == kind)
			return true;
	return false;
}

START_TEST (test_flags) {
	struct seg s = syn_ack(NULL);

	ck_assert_uint_eq((unsigned)s.opts[2] << 8 | s.opts[3], 1460);
	ck_assert(has_option(&s, 3) && has_option(&s, 4) && has_option(&s, 8));
	s = syn_ack("192.168.0.1/16,192.0.2.0/24,mtu=576,idle_ms=0");
	ck_assert_uint_eq((unsigned)s.opts[2] << 8 | s.opts[3], 536);
	s = syn_ack(PD_FLAGS ",ts=0,wscale=0,wnd=65535,cc=reno");
	ck_assert(!has_option(&s, 3) && has_option(&s, 4) && !has_option(&s, 8));
	ck_assert_uint_eq(s.win, 65535);
	s = syn_ack(PD_FLAGS ",net.ipv4.tcp_sack=0,tcp_timestamps=0");
	ck_assert(has_option(&s, 3) && !has_option(&s, 4) && !has_option(&s, 8));
	s = syn_ack("10.0.0.1/8,192.168.0.1/24,0.0.0.0/0,tcp.sack=0");
	ck_assert(!has_option(&s, 4));
	ck_assert_uint_eq(s.src, PD_LOCAL_IP);
}
END_TEST

/* delack_ms and iw, seen in what they do. */
START_TEST (test_flags_times) {
	struct conn c;
	struct seg s;
	char b[9000] = {0};
	unsigned n = 0;
	long long at;

	pd_open(h, QUICK ",delack_ms=77,iw=3,patience_s=1,rto_ms=5000,rto_min_ms=5000");
	c = established();
	at = pd_now_us(h);
	give(&c, 10);
	pd_expect(h, &s, F_ACK, c.snd, c.rcv, 0);
	ck_assert_int_eq(s.time_us - at, 77000);
	ck_assert_int_eq(h->ifc.write(h->u, c.fd, b, 9000), 9000);
	while (pd_receive(h, &s))
		n++;
	ck_assert_uint_eq(n, 3);
	pd_close(h);
}
END_TEST

static const char *const bad_flags[] = {"nonsense", "192.168.0.1", "192.168.0.1/33", "0.0.0.0/0",
	"1.2.3.4.5/8", PD_FLAGS ",mtu=67", PD_FLAGS ",mtu=65536", PD_FLAGS ",mtu=", PD_FLAGS ",=5",
	PD_FLAGS ",ts=2", PD_FLAGS ",iw=256", PD_FLAGS ",delack_ms=4x", PD_FLAGS ",cc=vegas",
	PD_FLAGS ",tcp.unknown=1", PD_FLAGS ",tcp_unknown=1", PD_FLAGS ",tcp_sack=`",
	PD_FLAGS ",tcp_sack=1`;x", PD_FLAGS ",patience_s=0", PD_FLAGS ",seed=-1",
	"1.0.0.0/8,1.0.0.0/8,1.0.0.0/8,1.0.0.0/8,1.0.0.0/8,1.0.0.0/8,1.0.0.0/8,1.0.0.0/8,1.0.0.0/"
	"8,1.0.0.0/8",
	"tcp.0000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
	"0000000000000000000000000000000000000000000000000000000000000000000000000000000000000=1"};

/* The table is there, all fails, nothing hangs. */
START_TEST (test_bad_flags) {
	struct pollfd p = {.fd = 0};
	struct seg s;
	char b[64] = {0x45};
	int silence = dup(2), null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	dup2(null, 2);
	pd_open(h, bad_flags[_i]);
	dup2(silence, 2);
	close(silence);
	close(null);
	FAILS(h->ifc.socket(h->u, AF_INET, SOCK_STREAM, 0), EINVAL);
	FAILS(h->ifc.netdev_send(h->u, b, 40), ENOBUFS);
	FAILS(h->ifc.epoll_create(h->u, 1), EINVAL);
	FAILS(h->ifc.poll(h->u, &p, 1, 0), EINVAL);
	FAILS(h->ifc.bind(h->u, 999, addr(PD_LOCAL_IP, 1), ADDR_LEN), EBADF);
	ck_assert(!pd_receive(h, &s));
	pd_until(h, 1000000);
	pd_close(h);
}
END_TEST

START_TEST (test_bad_packets) {
	static char big[70000];

	FAILS(h->ifc.netdev_send(h->u, big, 0), EMSGSIZE);
	FAILS(h->ifc.netdev_send(h->u, big, 65536), EMSGSIZE);
	ck_assert_int_eq(h->ifc.netdev_send(h->u, big, 1), 0);
	ck_assert_int_eq(h->ifc.netdev_send(h->u, big, 65535), 0);
}
END_TEST

/* ---- Scripts, here and in `tapglass drill` --------------------------------------------------- */

static enum tg_drill_verdict drill_says(const char *text)
{
	static struct tg_drill_result r;
	struct tg_drill_options o;
	enum tg_drill_verdict v;

	tg_drill_options_default(&o);
	o.mem_bytes = 64u << 20;
	o.mem = mmap(NULL, o.mem_bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	o.scratch_bytes = TG_DRILL_SCRATCH_BYTES;
	o.scratch = calloc(1, o.scratch_bytes);
	v = tg_drill_run(&o, text, strlen(text), &r);
	free(o.scratch);
	munmap(o.mem, o.mem_bytes);
	return v;
}

#define PASSIVE                                                                                    \
	"0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n"                                            \
	"+0 setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0\n"                                 \
	"+0 bind(3, ..., ...) = 0\n"                                                               \
	"+0 listen(3, 5) = 0\n"                                                                    \
	"+.1 < S 0:0(0) win 65535 <mss 1460>\n"                                                    \
	"+0 > S. 0:0(0) ack 1 win 65535 <mss 1460>\n"                                              \
	"+.1 < . 1:1(0) ack 1 win 65535\n"                                                         \
	"+0 accept(3, ..., ...) = 4\n"

/* What must pass, and what must not: both runners have to say the same. */
static const struct {
	bool good;
	const char *text;
} agree[] = {{true, PASSIVE},
	{true, PASSIVE "+.1 write(4, ..., 100) = 100\n+0 > P. 1:101(100) ack 1\n"
		       "+.3 > P. 1:101(100) ack 1\n+.6 > P. 1:101(100) ack 1\n"},
	{false, PASSIVE "+.1 write(4, ..., 100) = 100\n+0 > P. 1:101(100) ack 1\n"
			"+.2 > P. 1:101(100) ack 1\n"},
	{false, PASSIVE "+.1 write(4, ..., 100) = 100\n+0 > P. 1:100(99) ack 1\n"},
	{false, PASSIVE "+.1 write(4, ..., 100) = 100\n+0 > . 1:101(100) ack 1\n"},
	{false, PASSIVE "+.1 write(4, ..., 100) = 100\n+0 > P. 1:101(100) ack 2\n"},
	{false, PASSIVE "+.1 write(4, ..., 100) = 99\n"},
	{true, PASSIVE "+.1 < P. 1:101(100) ack 1 win 65535\n+.04 > . 1:1(0) ack 101\n"
		       "+0 read(4, ..., 200) = 100\n"},
	{false, PASSIVE "+.1 < P. 1:101(100) ack 1 win 65535\n+.1 > . 1:1(0) ack 101\n"},
	{true, PASSIVE "+.1...0.3 read(4, ..., 200) = 100\n0.5 < P. 1:101(100) ack 1 win 65535\n"
		       "+.04 > . 1:1(0) ack 101\n"},
	{false, PASSIVE "+.1...0.2 read(4, ..., 200) = 100\n0.5 < P. 1:101(100) ack 1 win 65535\n"
			"+.04 > . 1:1(0) ack 101\n"},
	{true, PASSIVE "+.1 close(4) = 0\n+0 > F. 1:1(0) ack 1\n+.1 < F. 1:1(0) ack 2 win 65535\n"
		       "+0 > . 2:2(0) ack 2\n"},
	{false, PASSIVE "+.1 < R. 1:1(0) ack 1 win 0\n+0 fcntl(4, F_SETFL, O_NONBLOCK) = 0\n"
			"+0 read(4, ..., 1) = -1 EAGAIN (text)\n"},
	{true, PASSIVE "+.1 < R. 1:1(0) ack 1 win 0\n"
		       "+0 read(4, ..., 1) = -1 ECONNRESET (text)\n"},
	{true, "0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 4\n"
	       "+.1 connect(4, ..., ...) = -1 EINPROGRESS (text)\n+0 > S 0:0(0) <...>\n"
	       "+1 > S 0:0(0) <...>\n+2 > S 0:0(0) <...>\n+.1 < S. 0:0(0) ack 1 win 1000\n"
	       "+0 > . 1:1(0) ack 1\n"
	       "+0 getsockopt(4, SOL_SOCKET, SO_ERROR, [0], [4]) = 0\n"}};

START_TEST (test_agree) {
	char why[200] = "";
	enum pd_verdict v = pd_script(agree[_i].text, why, sizeof(why));

	ck_assert_msg(v == (agree[_i].good ? PD_PASSED : PD_FAILED), "%s: %s", agree[_i].text, why);
	ck_assert_int_eq(
		drill_says(agree[_i].text), agree[_i].good ? TG_DRILL_PASSED : TG_DRILL_FAILED);
}
END_TEST

/* ---- The repository's scripts ---------------------------------------------------------------- */

static unsigned passed, not_read;

static void play_file(const char *path)
{
	static char text[65536];
	char why[200] = "";
	FILE *f = fopen(path, "r");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = 0;
	switch (pd_script(text, why, sizeof(why))) {
	case PD_PASSED: passed++; break;
	case PD_NOT_READ:
		not_read++;
		if (getenv("TG_PD_VERBOSE"))
			printf("# %s: %s\n", path, why);
		break;
	case PD_FAILED: ck_abort_msg("%s: %s", path, why);
	}
}

static void play_folder(const char *path, int every)
{
	struct dirent **e = NULL;
	int n = scandir(path, &e, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		char sub[512];
		struct stat st;
		const char *dot = strrchr(e[i]->d_name, '.');

		snprintf(sub, sizeof(sub), "%s/%s", path, e[i]->d_name);
		if (e[i]->d_name[0] != '.' && stat(sub, &st) == 0 && S_ISDIR(st.st_mode))
			play_folder(sub, every);
		else if (dot && strcmp(dot, ".pkt") == 0 && i % every == 0)
			play_file(sub);
		free(e[i]);
	}
	free(e);
}

/* All of tests/drill that the host can read: what `tapglass drill` says of them, the adapter says.
 */
START_TEST (test_scripts) {
	int every = getenv("TG_TEST_BRIEF") ? 20 : 1;

	if (access("tests/drill", R_OK) != 0)
		return; /* run elsewhere than from the top */
	passed = not_read = 0;
	play_folder("tests/drill", every);
	printf("# %u scripts passed, %u not read\n", passed, not_read);
	ck_assert_uint_ge(passed * (unsigned)every, 250);
}
END_TEST

/* ---- The suite ------------------------------------------------------------------------------- */

static Suite *packetdrill_suite(void)
{
	Suite *s = suite_create("packetdrill adapter");
	TCase *c = tcase_create("calls"), *f = tcase_create("flags"), *d = tcase_create("scripts");

	tcase_set_timeout(c, 20);
	tcase_add_checked_fixture(c, open_quick, close_host);
	tcase_add_test(c, test_table);
	tcase_add_test(c, test_clock);
	tcase_add_test(c, test_rto_of_syn_ack);
	tcase_add_test(c, test_rto_of_data);
	tcase_add_test(c, test_passive);
	tcase_add_test(c, test_active);
	tcase_add_test(c, test_refused);
	tcase_add_test(c, test_disconnect);
	tcase_add_test(c, test_end_of_stream);
	tcase_add_test(c, test_shutdown);
	tcase_add_test(c, test_options);
	tcase_add_test(c, test_blocking_accept);
	tcase_add_test(c, test_blocking_connect);
	tcase_add_test(c, test_blocking_read);
	tcase_add_test(c, test_blocking_poll);
	tcase_add_test(c, test_free_ends_calls);
	tcase_add_test(c, test_epoll);
	tcase_add_test(c, test_splice);
	tcase_add_test(c, test_udp);
	tcase_add_test(c, test_icmp_error);
	tcase_add_test(c, test_echo);
	tcase_add_test(c, test_bad_packets);
	suite_add_tcase(s, c);
	tcase_set_timeout(f, 20);
	tcase_add_test(f, test_nothing_comes);
	tcase_add_test(f, test_blocking_write);
	tcase_add_test(f, test_idle);
	tcase_add_test(f, test_main_blocks);
	tcase_add_test(f, test_descriptors);
	tcase_add_test(f, test_several);
	tcase_add_test(f, test_flags);
	tcase_add_test(f, test_flags_times);
	tcase_add_loop_test(f, test_bad_flags, 0, (int)(sizeof(bad_flags) / sizeof(*bad_flags)));
	suite_add_tcase(s, f);
	tcase_set_timeout(d, 120);
	tcase_add_loop_test(d, test_agree, 0, (int)(sizeof(agree) / sizeof(*agree)));
	tcase_add_test(d, test_scripts);
	suite_add_tcase(s, d);
	return s;
}

UNIT_MAIN(packetdrill_suite)
