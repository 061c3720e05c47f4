/* Raw sockets over IP. */
#include "udp_support.h"

START_TEST (raw_icmp_gets_echo_replies) {
	struct endpoint *e = raw_open(s, IP_PROTO_ICMP, 1);
	struct icmp_msg m = {.type = ICMP_ECHO, .id = 7, .seq = 1};
	struct tg_dgram to, from;
	uint8_t b[100] = {0};

	memset(&to, 0, sizeof(to));
	to.peer.ip = LOCAL;
	to.ttl = 5;
	icmp_emit(b, &m, 0);
	ck_assert_int_eq(raw_sendto(s, e, b, 40, 0, NULL), -TG_EDESTADDRREQ);
	ck_assert_int_eq(raw_sendto(s, e, b, 40, 0, &to), 40);
	for (unsigned i = 1; i < 6; i++)
		tg_step(s, i);
	/* The request arrives here as well, and is answered by the stack: a raw socket has its copy
	 * of both. */
	ck_assert_int_eq(raw_recvfrom(s, e, b, sizeof(b), 0, &from), 60);
	ck_assert(b[0] == 0x45 && b[9] == IP_PROTO_ICMP && b[20] == ICMP_ECHO && b[25] == 7);
	ck_assert_int_eq(raw_recvfrom(s, e, b, sizeof(b), 0, &from), 60);
	ck_assert(b[0] == 0x45 && b[9] == IP_PROTO_ICMP && b[20] == ICMP_ECHO_REPLY && b[25] == 7);
	ck_assert(ip_equal(&from.peer.ip, &to.peer.ip));
	ck_assert_int_eq(raw_recvfrom(s, e, b, sizeof(b), 0, &from), -TG_EAGAIN);
	raw_close(s, e);
	world_check(s);
}
END_TEST

START_TEST (raw_sockets_filter) {
	struct endpoint *all = raw_open(s, 89, 0), *one = raw_open(s, 89, 0);
	struct ip4_hdr ip = {.src = 0xc0000201,
		.dst = 0xc0000202,
		.ttl = 1,
		.proto = 89,
		.hdr_bytes = 20,
		.total_bytes = 25};
	struct tg_addr other = at(OTHER, 0);
	uint8_t b[30] = {0};

	ck_assert_int_eq(raw_connect(s, one, &other), 0);
	ip4_emit(b, &ip);
	world_input(s, nif, b, 25);
	ck_assert_int_eq(raw_recvfrom(s, all, b, sizeof(b), 0, NULL), 25);
	ck_assert_int_eq(raw_recvfrom(s, one, b, sizeof(b), 0, NULL), -TG_EAGAIN);
	raw_close(s, all);
	ip4_emit(b, &ip);
	world_input(s, nif, b, 25);
	ck_assert_uint_eq(drops(TG_DROP_IP_PROTOCOL), 1);
	tg_step(s, 1); /* the answer leaves */
	raw_close(s, one);
	ck_assert_uint_eq(in_use(), idle_bytes);
}
END_TEST

START_TEST (raw_queue_is_bounded) {
	struct endpoint *e = raw_open(s, 89, 0);
	struct ip4_hdr ip = {.src = 0xc0000201,
		.dst = 0xc0000202,
		.ttl = 1,
		.proto = 89,
		.hdr_bytes = 20,
		.total_bytes = 25};
	uint8_t b[30] = {0};
	unsigned n;

	ip4_emit(b, &ip);
	for (n = 0; n < 3000; n++)
		world_input(s, nif, b, 25);
	ck_assert_uint_gt(tg_counters(s)->discards[TG_DROP_RAW_QUEUE_FULL], 0);
	ck_assert_uint_le(in_use() - idle_bytes, 212992 + 2 * 2048);
	for (n = 0; raw_recvfrom(s, e, b, sizeof(b), 0, NULL) == 25; n++)
		;
	ck_assert_uint_eq(n + tg_counters(s)->discards[TG_DROP_RAW_QUEUE_FULL], 3000);
	raw_abort(s, e);
	world_check(s);
}
END_TEST

/* An ICMP error from a router about a datagram of protocol 89 from us to the other side. */
static void error_in(uint8_t type, uint8_t code, uint16_t mtu)
{
	struct icmp_msg m = {.type = type, .code = code, .mtu = mtu};
	struct ip4_hdr q = {.src = 0xc0000202,
		.dst = 0xc0000201,
		.ttl = 1,
		.proto = 89,
		.hdr_bytes = 20,
		.total_bytes = 1500};
	struct ip4_hdr ip = {.src = 0xc0000201,
		.dst = 0xc0000202,
		.ttl = 64,
		.proto = IP_PROTO_ICMP,
		.hdr_bytes = 20,
		.total_bytes = 20 + 8 + 28};
	uint8_t b[64] = {0};

	ip4_emit(b, &ip);
	ip4_emit(b + 28, &q);
	memcpy(b + 48, "ABCDEFGH", 8);
	icmp_emit(b + 20, &m, csum_add_wide(b + 28, 28, 0));
	world_input(s, nif, b, ip.total_bytes);
}

/* [1122-C3] As on Linux: a connected raw socket is told what is fatal; with IP_RECVERR everything,
 * connected or not, and what was quoted waits in the error queue. */
START_TEST (raw_errors_are_told) {
	struct endpoint *e = raw_open(s, 89, 0), *mute = raw_open(s, 90, 0);
	struct dsock *d = (struct dsock *)(void *)e, *other = (struct dsock *)(void *)mute;
	struct tg_addr peer = at(OTHER, 0);
	struct tg_dgram from;
	uint8_t b[64];

	peer.ip = tg_ip4(192, 0, 2, 1);
	error_in(ICMP_UNREACHABLE, ICMP_UNREACH_PROTOCOL, 0);
	ck_assert_int_eq(dsock_take_error(s, d), 0); /* not connected, not asked */
	ck_assert_int_eq(raw_connect(s, e, &peer), 0);
	error_in(ICMP_UNREACHABLE, ICMP_UNREACH_HOST, 0);
	ck_assert_int_eq(dsock_take_error(s, d), 0); /* may pass */
	error_in(ICMP_UNREACHABLE, ICMP_UNREACH_PROTOCOL, 0);
	ck_assert_int_eq(dsock_take_error(s, d), -TG_ENOPROTOOPT);
	error_in(ICMP_PARAM_PROBLEM, 0, 0);
	ck_assert_int_eq(dsock_take_error(s, d), -TG_EPROTO);
	ck_assert_int_eq(raw_setopt(s, e, TG_IP_RECVERR, 1), 0);
	error_in(ICMP_TIME_EXCEEDED, 0, 0);
	ck_assert_int_eq(raw_recvfrom(s, e, b, sizeof(b), TG_MSG_ERRQUEUE, &from), 8);
	ck_assert(memcmp(b, "ABCDEFGH", 8) == 0 && from.error == TG_EHOSTUNREACH);
	ck_assert_uint_eq(from.icmp_type, ICMP_TIME_EXCEEDED);
	ck_assert_int_eq(dsock_take_error(s, other), 0); /* another protocol */
	ck_assert_uint_eq(drops(TG_DROP_ICMP_NO_FLOW), 0);
	raw_close(s, e);
	error_in(ICMP_TIME_EXCEEDED, 0, 0);
	ck_assert_uint_eq(drops(TG_DROP_ICMP_NO_FLOW), 1);
	raw_close(s, mute);
}
END_TEST

/* [1191 3] The path's MTU is learnt from errors to raw sockets; DF as enum tg_pmtu says. */
START_TEST (raw_path_mtu) {
	struct endpoint *e = raw_open(s, 89, 0);
	struct dsock *d = (struct dsock *)(void *)e;
	struct tg_addr peer = at(OTHER, 0);
	static uint8_t big[2000];
	int64_t v;

	peer.ip = tg_ip4(192, 0, 2, 1);
	ck_assert_int_eq(raw_getopt(s, e, TG_IP_MTU, &v), -TG_ENOTCONN);
	ck_assert_int_eq(raw_connect(s, e, &peer), 0);
	ck_assert_int_eq(raw_getopt(s, e, TG_IP_MTU, &v), 0);
	ck_assert_int_eq(v, 1500);
	error_in(ICMP_UNREACHABLE, ICMP_UNREACH_FRAG, 1000);
	ck_assert_int_eq(dsock_take_error(s, d), -TG_EMSGSIZE);
	ck_assert_int_eq(raw_getopt(s, e, TG_IP_MTU, &v), 0);
	ck_assert_int_eq(v, 1000);
	ck_assert_int_eq(raw_sendto(s, e, big, 1000, 0, NULL), 1000); /* is cut */
	ck_assert_int_eq(raw_setopt(s, e, TG_IP_MTU_DISCOVER, TG_PMTU_DO), 0);
	ck_assert_int_eq(raw_sendto(s, e, big, 981, 0, NULL), -TG_EMSGSIZE);
	ck_assert_int_eq(raw_sendto(s, e, big, 980, 0, NULL), 980);
	ck_assert_int_eq(raw_setopt(s, e, TG_IP_MTU_DISCOVER, TG_PMTU_PROBE), 0);
	ck_assert_int_eq(raw_sendto(s, e, big, 1480, 0, NULL), 1480);
	ck_assert_int_eq(raw_sendto(s, e, big, 1481, 0, NULL), -TG_EMSGSIZE);
	ck_assert_int_eq(raw_setopt(s, e, TG_IP_MTU_DISCOVER, 6), -TG_EINVAL);
	ck_assert_int_eq(raw_setopt(s, e, TG_IP_MTU_DISCOVER, TG_PMTU_DONT), 0);
	error_in(ICMP_UNREACHABLE, ICMP_UNREACH_FRAG, 900);
	ck_assert_int_eq(dsock_take_error(s, d), 0);
	raw_abort(s, e);
}
END_TEST

static Suite *raw_suite(void)
{
	Suite *su = suite_create("raw");
	TCase *tc = tcase_create("raw");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, raw_icmp_gets_echo_replies);
	tcase_add_test(tc, raw_sockets_filter);
	tcase_add_test(tc, raw_queue_is_bounded);
	tcase_add_test(tc, raw_errors_are_told);
	tcase_add_test(tc, raw_path_mtu);
	suite_add_tcase(su, tc);
	return su;
}

UNIT_MAIN(raw_suite)
