/* ICMP messages: echo, and the errors that RFC 1122 3.2.2 has hosts understand. */
#include "wire/icmp.h"
#include "wire_support.h"

#define BODY       "6162636465666768696a6b" /* odd length: the checksum pads */
#define ECHO       "0800 7fca 1234 0001" BODY
#define ECHO_REPLY "0000 87ca 1234 0001" BODY
/* 192.168.69.1 sent 1,500 bytes of TCP from port 40000 to 80. */
#define QUOTE         "450005dc1c46400040060d82c0a84501c0a845029c40005011223344"
#define FRAG_NEEDED   "0304 168d 0000 0578" QUOTE
#define PORT_UNREACH  "0303 1c06 0000 0000" QUOTE
#define PARAM_PROBLEM "0c00 ff08 14000000" QUOTE

static const char *const valid[] = {ECHO, ECHO_REPLY, FRAG_NEEDED, PORT_UNREACH, PARAM_PROBLEM};
static const struct icmp_msg valid_msg[] = {
	{.type = ICMP_ECHO, .id = 0x1234, .seq = 1, .body_bytes = 11},
	{.type = ICMP_ECHO_REPLY, .id = 0x1234, .seq = 1, .body_bytes = 11},
	{.type = ICMP_UNREACHABLE, .code = ICMP_UNREACH_FRAG, .mtu = 1400, .body_bytes = 28},
	{.type = ICMP_UNREACHABLE, .code = ICMP_UNREACH_PORT, .body_bytes = 28},
	{.type = ICMP_PARAM_PROBLEM, .pointer = 20, .body_bytes = 28},
};

static bool same(const struct icmp_msg *a, const struct icmp_msg *b)
{
	return a->type == b->type && a->code == b->code && a->id == b->id && a->seq == b->seq &&
	       a->mtu == b->mtu && a->pointer == b->pointer && a->body_bytes == b->body_bytes;
}

START_TEST (known_messages) {
	struct wire_buf w = wire_hex(valid[_i]);
	uint8_t b[ICMP_HDR_BYTES];
	struct icmp_msg m;

	ck_assert_int_eq(icmp_parse(w.b, w.n, false, csum_add_scalar, &m), TG_DROP_NONE);
	ck_assert(same(&m, &valid_msg[_i]));
	ck_assert_ptr_eq(m.body, w.b + 8);
	icmp_emit(b, &valid_msg[_i], csum_add_scalar(w.b + 8, w.n - 8, 0));
	ck_assert_mem_eq(b, w.b, 8);
	free(w.b);
}
END_TEST

START_TEST (truncated_at_every_byte) {
	struct wire_buf w = wire_hex(valid[_i]);

	for (uint32_t n = 0; n < w.n; n++) {
		struct wire_buf t = wire_copy(w.b, n);
		struct icmp_msg m;

		ck_assert_int_eq(icmp_parse(t.b, t.n, false, csum_add_wide, &m),
			n < 8 ? TG_DROP_ICMP_SHORT : TG_DROP_ICMP_CSUM);
		/* Vouched for by the device it is still no shorter than it is. */
		if (icmp_parse(t.b, t.n, true, csum_add_wide, &m) == TG_DROP_NONE)
			ck_assert(n >= 8 && m.body_bytes == n - 8);
		else
			ck_assert_uint_lt(n, 8);
		free(t.b);
	}
	free(w.b);
}
END_TEST

START_TEST (every_bit_flipped) {
	struct wire_buf w = wire_hex(valid[_i]);

	for (uint32_t bit = 0; bit < w.n * 8; bit++) {
		struct icmp_msg m;

		wire_flip(w, bit);
		ck_assert_int_eq(icmp_parse(w.b, w.n, false, csum_add_wide, &m), TG_DROP_ICMP_CSUM);
		ck_assert_int_eq(icmp_parse(w.b, w.n, true, csum_add_wide, &m), TG_DROP_NONE);
		ck_assert_uint_eq(m.body_bytes, w.n - 8);
		wire_flip(w, bit);
	}
	free(w.b);
}
END_TEST

/* Fields that a type does not have stay zero, whatever the wire says. */
START_TEST (fields_belong_to_types) {
	uint8_t b[8] = {0, 0, 0, 0, 1, 2, 3, 4};

	for (unsigned type = 0; type < 256; type++) {
		struct icmp_msg m;
		bool id = type == 0 || type == 8 || type == 13;

		b[0] = (uint8_t)type;
		b[1] = 4;
		ck_assert_int_eq(icmp_parse(b, 8, true, csum_add_wide, &m), TG_DROP_NONE);
		ck_assert_uint_eq(m.id, id ? 0x0102 : 0);
		ck_assert_uint_eq(m.seq, id ? 0x0304 : 0);
		ck_assert_uint_eq(m.mtu, type == 3 ? 0x0304 : 0);
		ck_assert_uint_eq(m.pointer, type == 12 ? 1 : 0);
		ck_assert_uint_eq(m.body_bytes, 0);
	}
	b[0] = 3;
	for (unsigned code = 0; code < 256; code++) {
		struct icmp_msg m;

		b[1] = (uint8_t)code;
		ck_assert_int_eq(icmp_parse(b, 8, true, csum_add_wide, &m), TG_DROP_NONE);
		ck_assert_uint_eq(m.mtu, code == 4 ? 0x0304 : 0);
	}
}
END_TEST

/* [1122-C5] */
START_TEST (error_types) {
	for (unsigned type = 0; type < 256; type++)
		ck_assert_int_eq(icmp_is_error((uint8_t)type),
			type == 3 || type == 4 || type == 5 || type == 11 || type == 12);
}
END_TEST

START_TEST (emit_then_parse) {
	static const uint8_t types[] = {0, 3, 3, 4, 5, 8, 11, 12, 13, 42};
	struct unit_rng r;

	unit_rng_start(&r, _i);
	for (int k = 0; k < 300; k++) {
		struct icmp_msg m = {.code = (uint8_t)unit_below(&r, 6)}, m2;
		struct wire_buf w;

		m.type = types[unit_below(&r, ARRAY_LEN(types))];
		m.body_bytes = unit_below(&r, 200);
		if (m.type == 0 || m.type == 8 || m.type == 13) {
			m.id = (uint16_t)unit_u64(&r);
			m.seq = (uint16_t)unit_u64(&r);
		} else if (m.type == 3 && m.code == 4) {
			m.mtu = (uint16_t)unit_u64(&r);
		} else if (m.type == 12) {
			m.pointer = (uint8_t)unit_u64(&r);
		}
		w = (struct wire_buf){malloc(8 + m.body_bytes), 8 + m.body_bytes};
		unit_bytes(&r, w.b, w.n);
		icmp_emit(w.b, &m, csum_add_wide(w.b + 8, m.body_bytes, 0));
		UNIT_CHECK(icmp_parse(w.b, w.n, false, csum_add_scalar, &m2) == TG_DROP_NONE);
		UNIT_CHECK(same(&m, &m2));
		free(w.b);
	}
}
END_TEST

static Suite *icmp_suite(void)
{
	Suite *s = suite_create("icmp");
	TCase *t = tcase_create("icmp");

	tcase_add_loop_test(t, known_messages, 0, (int)ARRAY_LEN(valid));
	tcase_add_loop_test(t, truncated_at_every_byte, 0, (int)ARRAY_LEN(valid));
	tcase_add_loop_test(t, every_bit_flipped, 0, (int)ARRAY_LEN(valid));
	tcase_add_test(t, fields_belong_to_types);
	tcase_add_test(t, error_types);
	tcase_add_loop_test(t, emit_then_parse, 0, 5);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(icmp_suite)
