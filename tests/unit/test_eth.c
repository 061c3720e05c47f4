/* Ethernet headers: RFC 894 frames, RFC 1042 frames, and everything between. */
#include "wire/eth.h"
#include "wire_support.h"

#define IP4_FRAME  "024201020304 0242a0b0c0d0 0800 4500"
#define SNAP_FRAME "ffffffffffff 0242a0b0c0d0 0024 aaaa03000000 0806 "
#define BODY_28    "00010800060400010242a0b0c0d0c0a84502000000000000c0a84501"

static enum tg_drop parse_hex(const char *hex, struct eth_hdr *h)
{
	struct wire_buf w = wire_hex(hex);
	enum tg_drop d = eth_parse(w.b, w.n, h);

	free(w.b);
	return d;
}

START_TEST (ethernet_2_frame) {
	struct eth_hdr h;
	const uint8_t dst[6] = {2, 0x42, 1, 2, 3, 4}, src[6] = {2, 0x42, 0xa0, 0xb0, 0xc0, 0xd0};

	ck_assert_int_eq(parse_hex(IP4_FRAME, &h), TG_DROP_NONE);
	ck_assert_mem_eq(h.dst, dst, 6);
	ck_assert_mem_eq(h.src, src, 6);
	ck_assert_uint_eq(h.type, ETH_TYPE_IP4);
	ck_assert_uint_eq(h.hdr_bytes, 14);
	ck_assert(!eth_is_group(h.dst) && !eth_is_broadcast(h.dst));
}
END_TEST

/* [1122-L5] RFC 1042 encapsulation is understood. */
START_TEST (snap_frame) {
	struct eth_hdr h;

	ck_assert_int_eq(parse_hex(SNAP_FRAME BODY_28, &h), TG_DROP_NONE);
	ck_assert_uint_eq(h.type, ETH_TYPE_ARP);
	ck_assert_uint_eq(h.hdr_bytes, 22);
	ck_assert(eth_is_group(h.dst) && eth_is_broadcast(h.dst));
}
END_TEST

START_TEST (llc_without_snap_is_dropped) {
	static const char *const bad[] = {
		/* spanning tree: DSAP and SSAP 42 */
		"0180c2000000 0242a0b0c0d0 0026 424203 0000000000 " BODY_28,
		/* IPX: ffff */
		"ffffffffffff 0242a0b0c0d0 0024 ffff00220000 0806 " BODY_28,
		/* another organization's code */
		"ffffffffffff 0242a0b0c0d0 0024 aaaa0300000c 0806 " BODY_28,
		/* [1122-L5] K1 = 6 and its like: not SNAP */
		"ffffffffffff 0242a0b0c0d0 0024 060603000000 0806 " BODY_28,
		/* length below the SNAP header, or beyond the frame */
		"ffffffffffff 0242a0b0c0d0 0007 aaaa03000000 0806 " BODY_28,
		"ffffffffffff 0242a0b0c0d0 0000 aaaa03000000 0806 " BODY_28,
		"ffffffffffff 0242a0b0c0d0 0025 aaaa03000000 0806 " BODY_28,
		"ffffffffffff 0242a0b0c0d0 05dc aaaa03000000 0806 " BODY_28,
	};
	struct eth_hdr h;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_int_eq(parse_hex(bad[i], &h), TG_DROP_ETH_LLC);
}
END_TEST

/* 1500 is the last length, what follows is a type. */
START_TEST (length_ends_at_1500) {
	struct eth_hdr h;

	ck_assert_int_eq(parse_hex("024201020304 0242a0b0c0d0 05dc 4500", &h), TG_DROP_ETH_LLC);
	ck_assert_int_eq(parse_hex("024201020304 0242a0b0c0d0 05dd 4500", &h), TG_DROP_NONE);
	ck_assert_uint_eq(h.type, 1501);
	ck_assert_uint_eq(h.hdr_bytes, 14);
}
END_TEST

START_TEST (group_source_is_dropped) {
	struct eth_hdr h;

	ck_assert_int_eq(parse_hex("024201020304 01005e000001 0800", &h), TG_DROP_ETH_SOURCE);
	ck_assert_int_eq(parse_hex("024201020304 ffffffffffff 0800", &h), TG_DROP_ETH_SOURCE);
}
END_TEST

START_TEST (truncated_at_every_byte) {
	struct wire_buf w = wire_hex(SNAP_FRAME BODY_28);
	struct eth_hdr h;

	for (uint32_t n = 0; n < w.n; n++) {
		struct wire_buf t = wire_copy(w.b, n);

		ck_assert_int_eq(eth_parse(t.b, t.n, &h),
			n < ETH_HDR_BYTES ? TG_DROP_ETH_SHORT : TG_DROP_ETH_LLC);
		free(t.b);
	}
	free(w.b);
}
END_TEST

/* A flipped bit gives another address or type, or a reason; nothing else changes. */
START_TEST (every_bit_flipped) {
	struct wire_buf w = wire_hex(_i ? SNAP_FRAME BODY_28 : IP4_FRAME);
	struct eth_hdr h, ok;

	ck_assert_int_eq(eth_parse(w.b, w.n, &ok), TG_DROP_NONE);
	for (uint32_t bit = 0; bit < w.n * 8; bit++) {
		enum tg_drop d;

		wire_flip(w, bit);
		d = eth_parse(w.b, w.n, &h);
		wire_flip(w, bit);
		if (bit == 6 * 8)
			ck_assert_int_eq(d, TG_DROP_ETH_SOURCE);
		else if (d != TG_DROP_NONE)
			ck_assert_int_eq(d, TG_DROP_ETH_LLC);
		else
			ck_assert(h.hdr_bytes <= w.n && (h.hdr_bytes == 14 || h.hdr_bytes == 22));
		if (bit < 96 && d == TG_DROP_NONE)
			ck_assert(memcmp(h.dst, ok.dst, 6) || memcmp(h.src, ok.src, 6));
		if (bit >= (_i ? 22 * 8 : 14 * 8))
			ck_assert(d == TG_DROP_NONE && h.type == ok.type);
	}
	free(w.b);
}
END_TEST

START_TEST (emit_then_parse) {
	struct unit_rng r;

	unit_rng_start(&r, _i);
	for (int k = 0; k < 200; k++) {
		struct wire_buf w = {malloc(ETH_HDR_BYTES), ETH_HDR_BYTES};
		uint8_t dst[6], src[6];
		uint16_t type = (uint16_t)(1501 + unit_below(&r, 65536 - 1501));
		struct eth_hdr h;

		unit_bytes(&r, dst, 6);
		unit_bytes(&r, src, 6);
		src[0] &= 0xfe;
		eth_emit(w.b, dst, src, type);
		UNIT_CHECK(eth_parse(w.b, w.n, &h) == TG_DROP_NONE);
		UNIT_CHECK(!memcmp(h.dst, dst, 6) && !memcmp(h.src, src, 6));
		UNIT_CHECK(h.type == type && h.hdr_bytes == ETH_HDR_BYTES);
		free(w.b);
	}
}
END_TEST

/* [1122-L10] */
START_TEST (emit_known_bytes) {
	struct wire_buf w = wire_hex("024201020304 0242a0b0c0d0 86dd");
	uint8_t b[ETH_HDR_BYTES];

	eth_emit(b, w.b, w.b + 6, ETH_TYPE_IP6);
	ck_assert_mem_eq(b, w.b, w.n);
	free(w.b);
}
END_TEST

static Suite *eth_suite(void)
{
	Suite *s = suite_create("eth");
	TCase *t = tcase_create("eth");

	tcase_add_test(t, ethernet_2_frame);
	tcase_add_test(t, snap_frame);
	tcase_add_test(t, llc_without_snap_is_dropped);
	tcase_add_test(t, length_ends_at_1500);
	tcase_add_test(t, group_source_is_dropped);
	tcase_add_test(t, truncated_at_every_byte);
	tcase_add_loop_test(t, every_bit_flipped, 0, 2);
	tcase_add_loop_test(t, emit_then_parse, 0, 5);
	tcase_add_test(t, emit_known_bytes);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(eth_suite)
