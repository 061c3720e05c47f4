/* UDP headers (RFC 768). */
#include "wire/ip4.h"
#include "wire/udp.h"
#include "wire_support.h"

#define SRC   0xc0a84501u
#define DST   0xc0a84502u
#define HELLO "cf84 0035 0015 da69 68656c6c6f2c20776f726c640a"
/* Data chosen so that the checksum comes out as zero, sent as ffff. */
#define ZERO_SUM "cf84 0035 000a ffff 24cc"

static uint32_t whole_sum(const struct wire_buf *w)
{
	return csum_add_scalar(w->b, w->n, ip4_pseudo_sum(SRC, DST, IP_PROTO_UDP, w->n));
}

START_TEST (known_datagrams) {
	struct wire_buf w = wire_hex(_i ? ZERO_SUM : HELLO);
	struct udp_hdr h;
	uint8_t b[UDP_HDR_BYTES];

	ck_assert_int_eq(udp_parse(w.b, w.n, &h), TG_DROP_NONE);
	ck_assert_uint_eq(h.src_port, 53124);
	ck_assert_uint_eq(h.dst_port, 53);
	ck_assert_uint_eq(h.bytes, w.n);
	ck_assert_uint_eq(h.csum, _i ? 0xffff : 0xda69);
	ck_assert_uint_eq(csum_fold(whole_sum(&w)), 0xffff);
	udp_emit(b, &h);
	ck_assert_mem_eq(b, w.b, 8);
	/* and computed afresh */
	udp_set_csum(w.b, 0);
	ck_assert_uint_eq(udp_csum_field(whole_sum(&w)), h.csum);
	udp_set_csum(w.b, udp_csum_field(whole_sum(&w)));
	ck_assert_mem_eq(b, w.b, 8);
	free(w.b);
}
END_TEST

/* [1122-U4] A computed zero goes out as ffff, for zero says that there is no checksum. */
START_TEST (csum_field_is_never_zero) {
	ck_assert_uint_eq(udp_csum_field(0xffff), 0xffff);
	ck_assert_uint_eq(udp_csum_field(0x1fffe), 0xffff);
	ck_assert_uint_eq(udp_csum_field(0), 0xffff);
	ck_assert_uint_eq(udp_csum_field(0x12345), 0xdcb9);
	for (uint32_t v = 1; v < 0xffff; v++)
		ck_assert_uint_eq(udp_csum_field(v), 0xffff - v);
}
END_TEST

START_TEST (length_field) {
	struct wire_buf w = wire_hex(HELLO);
	struct udp_hdr h;

	for (uint32_t v = 0; v < 65536; v++) {
		w.b[4] = (uint8_t)(v >> 8);
		w.b[5] = (uint8_t)v;
		ck_assert_int_eq(udp_parse(w.b, w.n, &h),
			v >= 8 && v <= w.n ? TG_DROP_NONE : TG_DROP_UDP_LENGTH);
	}
	free(w.b);
}
END_TEST

START_TEST (truncated_at_every_byte) {
	struct wire_buf w = wire_hex(HELLO);

	for (uint32_t n = 0; n < w.n; n++) {
		struct wire_buf t = wire_copy(w.b, n);
		struct udp_hdr h;

		ck_assert_int_eq(
			udp_parse(t.b, t.n, &h), n < 8 ? TG_DROP_UDP_SHORT : TG_DROP_UDP_LENGTH);
		free(t.b);
	}
	free(w.b);
}
END_TEST

START_TEST (every_bit_flipped) {
	struct wire_buf w = wire_hex(HELLO);

	for (uint32_t bit = 0; bit < w.n * 8; bit++) {
		struct udp_hdr h;
		enum tg_drop d;

		wire_flip(w, bit);
		ck_assert_uint_ne(csum_fold(whole_sum(&w)), 0xffff);
		d = udp_parse(w.b, w.n, &h);
		if (d == TG_DROP_NONE)
			ck_assert(h.bytes >= 8 && h.bytes <= w.n);
		else
			ck_assert(d == TG_DROP_UDP_LENGTH && bit / 16 == 2);
		wire_flip(w, bit);
	}
	free(w.b);
}
END_TEST

START_TEST (emit_then_parse) {
	struct unit_rng r;

	unit_rng_start(&r, _i);
	for (int k = 0; k < 300; k++) {
		struct udp_hdr h, h2;
		struct wire_buf w;

		unit_bytes(&r, &h, sizeof(h));
		h.bytes = (uint16_t)(8 + unit_below(&r, 100));
		w = (struct wire_buf){calloc(1, h.bytes + unit_below(&r, 20)), h.bytes};
		udp_emit(w.b, &h);
		UNIT_CHECK(udp_parse(w.b, w.n, &h2) == TG_DROP_NONE);
		UNIT_CHECK(h.src_port == h2.src_port && h.dst_port == h2.dst_port);
		UNIT_CHECK(h.bytes == h2.bytes && h.csum == h2.csum);
		free(w.b);
	}
}
END_TEST

static Suite *udp_suite(void)
{
	Suite *s = suite_create("udp");
	TCase *t = tcase_create("udp");

	tcase_add_loop_test(t, known_datagrams, 0, 2);
	tcase_add_test(t, csum_field_is_never_zero);
	tcase_add_test(t, length_field);
	tcase_add_test(t, truncated_at_every_byte);
	tcase_add_test(t, every_bit_flipped);
	tcase_add_loop_test(t, emit_then_parse, 0, 5);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(udp_suite)
