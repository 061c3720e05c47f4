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

static Suite *raw_suite(void)
{
	Suite *su = suite_create("raw");
	TCase *tc = tcase_create("raw");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, raw_icmp_gets_echo_replies);
	tcase_add_test(tc, raw_sockets_filter);
	tcase_add_test(tc, raw_queue_is_bounded);
	suite_add_tcase(su, tc);
	return su;
}

UNIT_MAIN(raw_suite)
