/* The packetdrill adapter, loaded and driven as packetdrill does it: the table, the clock, the
 * calls. Meant for ThreadSanitizer (CONFIG=tsan) as well. */
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

/* ---- The suite ------------------------------------------------------------------------------- */

static Suite *packetdrill_suite(void)
{
	Suite *s = suite_create("packetdrill adapter");
	TCase *c = tcase_create("on a host"), *f = tcase_create("with flags");

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
	tcase_add_test(c, test_epoll);
	tcase_add_test(c, test_splice);
	tcase_add_test(c, test_udp);
	tcase_add_test(c, test_icmp_error);
	tcase_add_test(c, test_echo);
	suite_add_tcase(s, c);
	tcase_set_timeout(f, 20);
	tcase_add_test(f, test_nothing_comes);
	suite_add_tcase(s, f);
	return s;
}

UNIT_MAIN(packetdrill_suite)
