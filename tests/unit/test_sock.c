/* The socket functions of tapglass.h over the transports: dispatch, arguments, handles, events, the
 * table. What streams do is tested with TCP. */
#include "core_support.h"

static struct tg *s;
static struct dev dev;

static void setup(void)
{
	struct tg_ip us = tg_ip4(192, 0, 2, 2);
	struct tg_config c;
	unsigned n;

	world_config(&c);
	s = tg_create(&c, world_memory(), WORLD_BYTES, 1000);
	ck_assert_ptr_nonnull(s);
	dev_init(&dev);
	n = world_netif(s, &dev, TG_LINK_IP, 0, 1500);
	ck_assert_int_eq(tg_addr_add(s, n, &us, 24, 1000), 0);
}

static void teardown(void)
{
	dev_clear(&dev);
	world_end(s);
}

static tg_sock open_sock(enum tg_type type, int protocol, uint64_t cookie)
{
	tg_sock k = 0;

	ck_assert_int_eq(tg_sock_open(s, type, protocol, cookie, &k), 0);
	ck_assert_uint_ne(k, 0);
	return k;
}

START_TEST (open_knows_protocols_and_limits) {
	tg_sock k = 99;

	ck_assert_int_eq(tg_sock_open(s, TG_STREAM, 17, 0, &k), -TG_EPROTONOSUPPORT);
	ck_assert_uint_eq(k, 0);
	ck_assert_int_eq(tg_sock_open(s, TG_DGRAM, 6, 0, &k), -TG_EPROTONOSUPPORT);
	ck_assert_int_eq(tg_sock_open(s, TG_RAW, 0, 0, &k), -TG_EPROTONOSUPPORT);
	ck_assert_int_eq(tg_sock_open(s, TG_RAW, 256, 0, &k), -TG_EPROTONOSUPPORT);
	ck_assert_int_eq(tg_sock_open(s, (enum tg_type)7, 0, 0, &k), -TG_EPROTONOSUPPORT);
	open_sock(TG_STREAM, 6, 0);
	open_sock(TG_DGRAM, 17, 0);
	open_sock(TG_RAW, 1, 0);
	s->cfg.max_sockets = 3;
	ck_assert_int_eq(tg_sock_open(s, TG_DGRAM, 0, 0, &k), -TG_EMFILE);
	s->cfg.max_sockets = 10;
	tg_memory_fail_after(s, 1, 1);
	ck_assert_int_eq(tg_sock_open(s, TG_DGRAM, 0, 0, &k), -TG_ENOMEM);
	ck_assert_int_eq(tg_sock_open(s, TG_RAW, 1, 0, &k), -TG_ENOMEM);
	tg_memory_fail_after(s, 0, 0);
}
END_TEST

START_TEST (stale_handles_are_refused_everywhere) {
	tg_sock stale = open_sock(TG_DGRAM, 0, 0), k = 0;
	struct tg_addr a = {tg_ip4(127, 0, 0, 1), 9};
	struct tg_mspan m[2];
	struct tg_span sp[2];
	struct tg_tcp_info info;
	struct tg_dgram d;
	int64_t v;
	char b[4] = {0};

	ck_assert_int_eq(tg_sock_close(s, stale, 1000), 0);
	for (unsigned i = 0; i < 2; i++, stale = 0) {
		ck_assert_int_eq(tg_sock_bind(s, stale, &a), -TG_EBADF);
		ck_assert_int_eq(tg_sock_listen(s, stale, 1, 1000), -TG_EBADF);
		ck_assert_int_eq(tg_sock_connect(s, stale, &a, 1000), -TG_EBADF);
		ck_assert_int_eq(tg_sock_accept(s, stale, 0, &k, 1000), -TG_EBADF);
		ck_assert_int_eq(tg_sock_send(s, stale, b, 1, 0, 1000), -TG_EBADF);
		ck_assert_int_eq(tg_sock_recv(s, stale, b, 1, 0, 1000), -TG_EBADF);
		ck_assert_int_eq(tg_sock_sendto(s, stale, b, 1, 0, NULL, 1000), -TG_EBADF);
		ck_assert_int_eq(tg_sock_recvfrom(s, stale, b, 1, 0, &d, 1000), -TG_EBADF);
		ck_assert_int_eq(tg_sock_reserve(s, stale, 1, m), -TG_EBADF);
		ck_assert_int_eq(tg_sock_commit(s, stale, 1, 0, 1000), -TG_EBADF);
		ck_assert_int_eq(tg_sock_peek(s, stale, sp, 2), -TG_EBADF);
		ck_assert_int_eq(tg_sock_consume(s, stale, 1, 1000), -TG_EBADF);
		ck_assert_int_eq(tg_sock_shutdown(s, stale, TG_SHUT_WR, 1000), -TG_EBADF);
		ck_assert_int_eq(tg_sock_close(s, stale, 1000), -TG_EBADF);
		ck_assert_int_eq(tg_sock_abort(s, stale, 1000), -TG_EBADF);
		ck_assert_int_eq(tg_sock_setopt(s, stale, TG_IP_TTL, 1, 1000), -TG_EBADF);
		ck_assert_int_eq(tg_sock_getopt(s, stale, TG_IP_TTL, &v), -TG_EBADF);
		ck_assert_int_eq(tg_sock_peer_addr(s, stale, &a), -TG_EBADF);
		ck_assert_int_eq(tg_sock_local_addr(s, stale, &a), -TG_EBADF);
		ck_assert_int_eq(tg_tcp_status(s, stale, &info), -TG_EBADF);
		ck_assert_uint_eq(tg_sock_ready(s, stale), TG_ERR | TG_HUP);
	}
}
END_TEST

START_TEST (wrong_types_and_arguments) {
	tg_sock u = open_sock(TG_DGRAM, 0, 0), other = 0;
	struct tg_addr a = {tg_ip4(127, 0, 0, 1), 9};
	struct tg_mspan m[2];
	struct tg_span sp[2];
	struct tg_tcp_info info;
	int64_t v;

	ck_assert_int_eq(tg_sock_listen(s, u, 1, 1000), -TG_EOPNOTSUPP);
	ck_assert_int_eq(tg_sock_accept(s, u, 0, &other, 1000), -TG_EOPNOTSUPP);
	ck_assert_int_eq(tg_sock_reserve(s, u, 1, m), -TG_EOPNOTSUPP);
	ck_assert_int_eq(tg_sock_commit(s, u, 1, 0, 1000), -TG_EOPNOTSUPP);
	ck_assert_int_eq(tg_sock_peek(s, u, sp, 2), -TG_EOPNOTSUPP);
	ck_assert_int_eq(tg_sock_consume(s, u, 1, 1000), -TG_EOPNOTSUPP);
	ck_assert_int_eq(tg_tcp_status(s, u, &info), -TG_EOPNOTSUPP);
	ck_assert_int_eq(tg_sock_bind(s, u, NULL), -TG_EFAULT);
	ck_assert_int_eq(tg_sock_connect(s, u, NULL, 1000), -TG_EFAULT);
	ck_assert_int_eq(tg_sock_send(s, u, NULL, 1, 0, 1000), -TG_EFAULT);
	ck_assert_int_eq(tg_sock_recv(s, u, NULL, 1, 0, 1000), -TG_EFAULT);
	ck_assert_int_eq(tg_sock_getopt(s, u, TG_IP_TTL, NULL), -TG_EFAULT);
	ck_assert_int_eq(tg_sock_shutdown(s, u, 7, 1000), -TG_EINVAL);
	ck_assert_int_eq(tg_sock_setopt(s, u, TG_SO_ERROR, 1, 1000), -TG_ENOPROTOOPT);
	ck_assert_int_eq(tg_sock_setopt(s, u, TG_SO_TYPE, 1, 1000), -TG_ENOPROTOOPT);
	ck_assert_int_eq(tg_sock_getopt(s, u, TG_TCP_NODELAY, &v), -TG_ENOPROTOOPT);
	ck_assert_int_eq(tg_sock_peer_addr(s, u, &a), -TG_ENOTCONN);
	ck_assert_int_eq(tg_sock_getopt(s, u, TG_SO_TYPE, &v), 0);
	ck_assert_int_eq(v, TG_DGRAM);
}
END_TEST

START_TEST (events_carry_the_cookie) {
	tg_sock a = open_sock(TG_DGRAM, 0, 0x1122334455667788), b = open_sock(TG_DGRAM, 0, 2);
	struct tg_addr to = {tg_ip4(127, 0, 0, 1), 9}, got;
	struct tg_event e;
	uint64_t now;
	char buf[4];

	ck_assert(tg_event(s, &e) && e.sock == a && e.cookie == 0x1122334455667788 &&
		  e.events == TG_OUT);
	ck_assert(tg_event(s, &e) && e.sock == b && e.cookie == 2);
	ck_assert(!tg_event(s, &e));
	ck_assert_int_eq(tg_sock_bind(s, a, &to), 0);
	ck_assert_int_eq(tg_sock_connect(s, b, &to, 1000), 0);
	ck_assert_int_eq(tg_sock_peer_addr(s, b, &got), 0);
	ck_assert_uint_eq(got.port, 9);
	ck_assert_int_eq(tg_sock_setopt(s, a, TG_TCP_USER_COOKIE, 77, 1000), 0);
	ck_assert_int_eq(tg_sock_send(s, b, "abc", 3, 0, 1000), 3);
	for (now = 1000; tg_next_deadline(s) <= now && now < 1010; now++)
		tg_step(s, now);
	ck_assert(tg_event(s, &e) && e.sock == a && e.cookie == 77 && e.events == TG_IN);
	ck_assert_uint_eq(tg_sock_ready(s, a), TG_IN | TG_OUT);
	ck_assert_int_eq(tg_sock_recv(s, a, buf, 4, 0, now), 3);
	ck_assert_uint_eq(tg_sock_ready(s, a), TG_OUT);
	/* A closed socket takes its events along. */
	ck_assert_int_eq(tg_sock_send(s, b, "abc", 3, 0, now), 3);
	for (unsigned i = 0; i < 4; i++)
		tg_step(s, now);
	ck_assert_uint_eq(tg_sock_ready(s, a), TG_IN | TG_OUT);
	ck_assert_int_eq(tg_sock_abort(s, a, now), 0);
	ck_assert(!tg_event(s, &e));
}
END_TEST

START_TEST (refused_datagram_is_an_error_to_be_asked_for) {
	tg_sock k = open_sock(TG_DGRAM, 0, 5);
	struct tg_addr to = {tg_ip4(127, 0, 0, 1), 9};
	struct tg_event e;
	int64_t v;

	while (tg_event(s, &e))
		;
	ck_assert_int_eq(tg_sock_connect(s, k, &to, 1000), 0);
	ck_assert_int_eq(tg_sock_send(s, k, "x", 1, 0, 1000), 1);
	for (unsigned i = 0; i < 6; i++)
		tg_step(s, 1000 + i);
	ck_assert(tg_event(s, &e) && e.events == TG_ERR);
	ck_assert_uint_eq(tg_sock_ready(s, k), TG_OUT | TG_ERR);
	ck_assert_int_eq(tg_sock_getopt(s, k, TG_SO_ERROR, &v), 0);
	ck_assert_int_eq(v, TG_ECONNREFUSED);
	ck_assert_int_eq(tg_sock_getopt(s, k, TG_SO_ERROR, &v), 0);
	ck_assert_int_eq(v, 0);
	ck_assert_uint_eq(tg_sock_ready(s, k), TG_OUT);
}
END_TEST

START_TEST (table_lists_every_socket_once) {
	struct tg_addr a = {tg_ip4(127, 0, 0, 1), 700};
	struct tg_sock_row row;
	tg_sock k[600];
	uint64_t cursor = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < 600; i++) {
		k[i] = open_sock(i % 3 ? TG_DGRAM : TG_RAW, i % 3 ? 0 : 1, i);
		if (i % 3 == 1) {
			a.port = (uint16_t)(700 + i);
			ck_assert_int_eq(tg_sock_bind(s, k[i], &a), 0);
		}
	}
	for (unsigned i = 0; i < 600; i += 2)
		ck_assert_int_eq(tg_sock_close(s, k[i], 1000), 0);
	while (tg_table_socks(s, &cursor, &row)) {
		unsigned i = 2 * n + 1;

		UNIT_CHECK(row.sock == k[i] && row.type == (i % 3 ? TG_DGRAM : TG_RAW));
		UNIT_CHECK(row.local.port == (i % 3 == 1 ? 700 + i : 0));
		n++;
	}
	ck_assert_uint_eq(n, 300);
	ck_assert(!tg_table_socks(s, &cursor, &row));
}
END_TEST

START_TEST (calls_are_traced) {
	tg_sock k = open_sock(TG_DGRAM, 0, 5);
	struct tg_addr to = {tg_ip4(127, 0, 0, 1), 9};
	static const struct {
		uint8_t call;
		int32_t result;
	} want[] = {{TG_CALL_OPEN, 0}, {TG_CALL_SEND, 3}, {TG_CALL_SEND, -TG_EOPNOTSUPP},
		{TG_CALL_CLOSE, 0}};
	struct tg_trace t;
	uint64_t cursor = 0;
	unsigned n = 0;
	char b[1];

	ck_assert_int_eq(tg_sock_connect(s, k, &to, 2000), 0);
	ck_assert_int_eq(tg_sock_send(s, k, "abc", 3, 0, 3000), 3);
	ck_assert_int_eq(
		tg_sock_recv(s, k, b, 1, 0, 3000), -TG_EAGAIN); /* nothing happened: not traced */
	ck_assert_int_eq(tg_sock_send(s, k, "abc", 3, TG_MSG_OOB, 3000), -TG_EOPNOTSUPP);
	ck_assert_int_eq(tg_sock_close(s, k, 2500), 0); /* the clock does not go back */
	while (tg_trace_next(s, &cursor, &t, NULL)) {
		if (t.kind != TG_TRACE_CALL)
			continue;
		ck_assert_uint_lt(n, 4);
		ck_assert_uint_eq(t.a, want[n].call);
		ck_assert_int_eq((int32_t)t.aux, want[n].result);
		ck_assert_uint_eq(t.rport, 9);
		ck_assert_uint_eq(t.time_ns, n == 0 ? 2000 : 3000);
		n++;
	}
	ck_assert_uint_eq(n, 4);
}
END_TEST

static Suite *sock_suite(void)
{
	Suite *su = suite_create("sock");
	TCase *tc = tcase_create("sock");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, open_knows_protocols_and_limits);
	tcase_add_test(tc, stale_handles_are_refused_everywhere);
	tcase_add_test(tc, wrong_types_and_arguments);
	tcase_add_test(tc, events_carry_the_cookie);
	tcase_add_test(tc, refused_datagram_is_an_error_to_be_asked_for);
	tcase_add_test(tc, table_lists_every_socket_once);
	tcase_add_test(tc, calls_are_traced);
	suite_add_tcase(su, tc);
	return su;
}

UNIT_MAIN(sock_suite)
