/* ARP messages (RFC 826). */
#include "wire/arp.h"
#include "wire_support.h"

/* 192.168.69.2 asks for 192.168.69.1. */
#define REQUEST "0001 0800 06 04 0001 0242a0b0c0d0 c0a84502 000000000000 c0a84501"
#define REPLY   "0001 0800 06 04 0002 024201020304 c0a84501 0242a0b0c0d0 c0a84502"

static bool same(const struct arp_msg *a, const struct arp_msg *b)
{
	return a->op == b->op && a->spa == b->spa && a->tpa == b->tpa &&
	       !memcmp(a->sha, b->sha, 6) && !memcmp(a->tha, b->tha, 6);
}

START_TEST (request_and_reply) {
	static const struct arp_msg want[] = {
		{.op = ARP_REQUEST,
			.sha = {2, 0x42, 0xa0, 0xb0, 0xc0, 0xd0},
			.spa = 0xc0a84502,
			.tpa = 0xc0a84501},
		{.op = ARP_REPLY,
			.sha = {2, 0x42, 1, 2, 3, 4},
			.spa = 0xc0a84501,
			.tha = {2, 0x42, 0xa0, 0xb0, 0xc0, 0xd0},
			.tpa = 0xc0a84502},
	};
	struct wire_buf w = wire_hex(_i ? REPLY : REQUEST);
	struct arp_msg m;
	uint8_t b[ARP_BYTES];

	ck_assert_uint_eq(w.n, ARP_BYTES);
	ck_assert_int_eq(arp_parse(w.b, w.n, &m), TG_DROP_NONE);
	ck_assert(same(&m, &want[_i]));
	arp_emit(b, &want[_i]);
	ck_assert_mem_eq(b, w.b, ARP_BYTES);
	free(w.b);
}
END_TEST

START_TEST (padding_is_allowed) {
	struct wire_buf w = wire_hex(REQUEST "000000000000000000000000000000000000");
	struct arp_msg m;

	ck_assert_int_eq(arp_parse(w.b, w.n, &m), TG_DROP_NONE);
	ck_assert_uint_eq(m.tpa, 0xc0a84501);
	free(w.b);
}
END_TEST

START_TEST (other_formats_are_dropped) {
	static const char *const bad[] = {
		"0006 0800 06 04 0001", /* hardware: IEEE 802 */
		"0001 0806 06 04 0001", /* protocol */
		"0001 0800 08 04 0001", /* length of a hardware address */
		"0001 0800 06 10 0001", /* length of a protocol address */
		"0001 0800 06 04 0000", /* opcodes */
		"0001 0800 06 04 0003",
		"0001 0800 06 04 0101",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct wire_buf w = wire_hex(REQUEST), head = wire_hex(bad[i]);
		struct arp_msg m;

		memcpy(w.b, head.b, head.n);
		ck_assert_int_eq(arp_parse(w.b, w.n, &m), TG_DROP_ARP_FORMAT);
		free(w.b);
		free(head.b);
	}
}
END_TEST

START_TEST (truncated_at_every_byte) {
	struct wire_buf w = wire_hex(REPLY);
	struct arp_msg m;

	for (uint32_t n = 0; n < w.n; n++) {
		struct wire_buf t = wire_copy(w.b, n);

		ck_assert_int_eq(arp_parse(t.b, t.n, &m), TG_DROP_ARP_SHORT);
		free(t.b);
	}
	free(w.b);
}
END_TEST

/* A bit of the first eight bytes makes it another format (request and reply differ in two bits); a
 * bit behind them changes an address and is seen. */
START_TEST (every_bit_flipped) {
	struct wire_buf w = wire_hex(REPLY);
	struct arp_msg m, ok;
	uint8_t back[ARP_BYTES];

	ck_assert_int_eq(arp_parse(w.b, w.n, &ok), TG_DROP_NONE);
	for (uint32_t bit = 0; bit < w.n * 8; bit++) {
		enum tg_drop d;

		wire_flip(w, bit);
		d = arp_parse(w.b, w.n, &m);
		ck_assert_int_eq(d, bit < 64 ? TG_DROP_ARP_FORMAT : TG_DROP_NONE);
		if (d == TG_DROP_NONE) {
			ck_assert(!same(&m, &ok));
			arp_emit(back, &m);
			ck_assert_mem_eq(back, w.b, ARP_BYTES);
		}
		wire_flip(w, bit);
	}
	free(w.b);
}
END_TEST

START_TEST (emit_then_parse) {
	struct unit_rng r;

	unit_rng_start(&r, _i);
	for (int k = 0; k < 200; k++) {
		struct wire_buf w = {malloc(ARP_BYTES), ARP_BYTES};
		struct arp_msg m, m2;

		unit_bytes(&r, &m, sizeof(m));
		m.op = unit_below(&r, 2) ? ARP_REQUEST : ARP_REPLY;
		arp_emit(w.b, &m);
		UNIT_CHECK(arp_parse(w.b, w.n, &m2) == TG_DROP_NONE);
		UNIT_CHECK(same(&m, &m2));
		free(w.b);
	}
}
END_TEST

static Suite *arp_suite(void)
{
	Suite *s = suite_create("arp");
	TCase *t = tcase_create("arp");

	tcase_add_loop_test(t, request_and_reply, 0, 2);
	tcase_add_test(t, padding_is_allowed);
	tcase_add_test(t, other_formats_are_dropped);
	tcase_add_test(t, truncated_at_every_byte);
	tcase_add_test(t, every_bit_flipped);
	tcase_add_loop_test(t, emit_then_parse, 0, 5);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(arp_suite)
