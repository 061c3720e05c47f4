/* sim/segment: large frames cut into packets that a receiver accepts and that together are the same
 * bytes; partial checksums completed; everything else passed on as it is. */
#include "sim_support.h"

static uint8_t frame[TG_BIG_BYTES + 100], out[SEGMENT_MAX_BYTES];

/* Describes n bytes of `frame` as random spans, headers in the first. */
static struct tg_frame spans_of(
	struct unit_rng *r, uint32_t n, uint32_t hdr, uint8_t gso, uint16_t size)
{
	struct tg_frame f = {.bytes = n, .gso = gso, .gso_size = size, .csum_partial = true};
	uint32_t at = hdr + unit_below(r, 3) * unit_below(r, n - hdr + 1) / 2;

	f.hdr_bytes = (uint16_t)hdr;
	f.span[f.n_spans++] = (struct tg_span){frame, at};
	while (at < n) {
		uint32_t take =
			f.n_spans + 1 == TG_FRAME_SPANS ? n - at : unit_below(r, n - at + 1);

		f.span[f.n_spans++] = (struct tg_span){frame + at, take};
		at += take;
	}
	return f;
}

/* Cuts f and checks every packet; payload bytes in all. */
static uint32_t check_cut(const struct tg_frame *f, enum tg_link link, uint8_t proto, uint32_t hdr)
{
	struct segmenter g;
	uint32_t done = 0, n, index = 0, l2 = link == TG_LINK_ETHERNET ? ETH_HDR_BYTES : 0;
	uint32_t payload = f->bytes - hdr;

	UNIT_CHECK(segment_begin(&g, link, f, csum_add_scalar));
	for (; (n = segment_next_bytes(&g)) > 0; index++) {
		bool last = done + (n - hdr) == payload;
		struct ip4_hdr ip;
		struct tcp_seg seg;

		UNIT_CHECK(segment_next(&g, out) == n);
		UNIT_CHECK(sim_packet_ok(out, n, link));
		UNIT_CHECK(n - hdr == f->gso_size || last || f->gso == TG_GSO_NONE);
		ip4_parse(out + l2, n - l2, &ip);
		UNIT_CHECK(ip.id == (uint16_t)(0xfffe + index) && ip.proto == proto);
		if (proto == IP_PROTO_TCP) {
			UNIT_CHECK(tcp_parse(out + l2 + ip.hdr_bytes, n - l2 - ip.hdr_bytes,
					   &seg) == TG_DROP_NONE);
			UNIT_CHECK(seg.seq.v == 0xfffffff0u + done);
			UNIT_CHECK((bool)(seg.flags & TCP_FIN) == last);
			UNIT_CHECK((bool)(seg.flags & TCP_PSH) == last);
			UNIT_CHECK((bool)(seg.flags & TCP_CWR) == (index == 0));
			UNIT_CHECK(seg.opts.has == TCP_HAS_TS && seg.flags & TCP_ACK);
		}
		for (uint32_t i = 0; i < n - hdr; i++)
			UNIT_CHECK(out[hdr + i] == sim_byte(done + i));
		done += n - hdr;
	}
	UNIT_CHECK(segment_next(&g, out) == 0);
	UNIT_CHECK(done == payload);
	return index;
}

START_TEST (packets_are_the_same_bytes) {
	struct unit_rng r;

	unit_rng_start(&r, _i);
	for (int run = 0; run < 200; run++) {
		enum tg_link link = unit_below(&r, 2) ? TG_LINK_ETHERNET : TG_LINK_IP;
		uint8_t proto = unit_below(&r, 2) ? IP_PROTO_TCP : IP_PROTO_UDP, gso;
		uint32_t hdr, n, payload = unit_below(&r, 1u << (4 + unit_below(&r, 12)));
		uint16_t size = (uint16_t)(1 + unit_below(&r, 3000));
		struct tg_frame f;

		gso = proto == IP_PROTO_TCP ? TG_GSO_TCP4 : TG_GSO_UDP4;
		gso = unit_below(&r, 4) ? gso : TG_GSO_NONE;
		n = sim_frame(frame, link, proto, payload, (uint8_t)(4 * unit_below(&r, 11)), &hdr);
		f = spans_of(&r, n, hdr, gso, gso ? size : 0);
		n = check_cut(&f, link, proto, hdr);
		UNIT_CHECK(n == (gso && payload ? (payload + size - 1) / size : 1));
	}
}
END_TEST

START_TEST (received_packet_is_cut_the_same) {
	struct tg_pkt p = {.data = frame, .gso = TG_GSO_TCP4, .gso_size = 1448};
	struct tg_frame f;
	uint32_t hdr;

	p.len = sim_frame(frame, TG_LINK_ETHERNET, IP_PROTO_TCP, 60000, 0, &hdr);
	p.csum = TG_CSUM_PARTIAL;
	segment_frame_of_pkt(&f, TG_LINK_ETHERNET, &p);
	ck_assert_uint_eq(f.hdr_bytes, hdr);
	ck_assert_uint_eq(f.csum_start, 34);
	ck_assert_uint_eq(f.csum_offset, 16);
	ck_assert_uint_eq(check_cut(&f, TG_LINK_ETHERNET, IP_PROTO_TCP, hdr), 42);
}
END_TEST

/* Its header says nothing of its length [TG_CAP_BIG4]; nor does it say how large a packet may be.
 */
START_TEST (big_one_is_cut_the_same) {
	struct segmenter g;
	struct tg_frame f;
	struct ip4_hdr ip;
	uint32_t hdr, n = sim_frame(frame, TG_LINK_IP, IP_PROTO_TCP, 190000, 0, &hdr);

	ck_assert(ip4_parse_quoted(frame, n, &ip));
	ip.total_bytes = 0;
	ip4_emit(frame, &ip);
	segment_frame_of_bytes(&f, TG_LINK_IP, frame, n, TG_GSO_TCP4, 1448, TG_CSUM_PARTIAL);
	ck_assert_uint_eq(f.hdr_bytes, hdr);
	ck_assert_uint_eq(check_cut(&f, TG_LINK_IP, IP_PROTO_TCP, hdr), 132);
	f.gso_size = (uint16_t)(65535 - hdr);
	ck_assert(segment_begin(&g, TG_LINK_IP, &f, NULL));
	ck_assert_uint_eq(segment_next_bytes(&g), 65535);
	f.gso_size++;
	ck_assert(!segment_begin(&g, TG_LINK_IP, &f, NULL));
	f.gso = TG_GSO_NONE; /* no length, and not to be cut */
	ck_assert(segment_begin(&g, TG_LINK_IP, &f, NULL) && g.opaque);
}
END_TEST

START_TEST (skipping_keeps_the_place) {
	struct tg_frame f;
	struct segmenter g;
	struct tcp_seg seg;
	uint32_t n = sim_frame(frame, TG_LINK_IP, IP_PROTO_TCP, 3000, 0, NULL);

	segment_frame_of_bytes(&f, TG_LINK_IP, frame, n, TG_GSO_TCP4, 1000, TG_CSUM_PARTIAL);
	ck_assert(segment_begin(&g, TG_LINK_IP, &f, NULL));
	segment_skip(&g);
	segment_skip(&g);
	n = segment_next(&g, out);
	ck_assert_uint_eq(tcp_parse(out + 20, n - 20, &seg), TG_DROP_NONE);
	ck_assert_uint_eq(seg.seq.v, 0xfffffff0u + 2000);
	ck_assert_uint_eq(segment_next_bytes(&g), 0);
}
END_TEST

/* UDP: a sum of zero goes out as 0xffff, for 0 would say that there is none [768]. */
START_TEST (udp_checksum_is_never_zero) {
	struct tg_frame f;
	struct segmenter g;
	struct udp_hdr u;
	uint32_t hdr, n = sim_frame(frame, TG_LINK_IP, IP_PROTO_UDP, 2, 0, &hdr);
	uint16_t rest;

	/* A payload that makes the sum come out as zero. */
	memset(frame + hdr, 0, 2);
	memset(frame + 26, 0, 2);
	rest = csum_finish(csum_add_scalar(
		frame + 20, 10, ip4_pseudo_sum(SIM_SRC, SIM_DST, IP_PROTO_UDP, 10)));
	frame[hdr] = (uint8_t)(rest >> 8);
	frame[hdr + 1] = (uint8_t)rest;
	segment_frame_of_bytes(&f, TG_LINK_IP, frame, n, TG_GSO_NONE, 0, TG_CSUM_PARTIAL);
	ck_assert(segment_begin(&g, TG_LINK_IP, &f, NULL));
	n = segment_next(&g, out);
	ck_assert_uint_eq(udp_parse(out + 20, n - 20, &u), TG_DROP_NONE);
	ck_assert_uint_eq(u.csum, 0xffff);
	ck_assert(sim_packet_ok(out, n, TG_LINK_IP));
}
END_TEST

/* Whatever it is, it is passed on once and unchanged, or cut into sane packets; never read past. */
START_TEST (damaged_frames_do_no_harm) {
	struct unit_rng r;
	uint32_t n = sim_frame(
		frame, TG_LINK_ETHERNET, _i % 2 ? IP_PROTO_TCP : IP_PROTO_UDP, 500, 4, NULL);

	unit_rng_start(&r, _i);
	for (int run = 0; run < 3000; run++) {
		uint32_t len = unit_below(&r, 2) ? n : unit_below(&r, n + 1), count = 0, got;
		uint8_t *copy = malloc(len ? len : 1);
		struct tg_frame f;
		struct segmenter g;

		ck_assert_ptr_nonnull(copy);
		memcpy(copy, frame, len);
		for (uint32_t k = unit_below(&r, 4); k > 0 && len > 0; k--)
			copy[unit_below(&r, min_u32(len, 80))] ^=
				(uint8_t)(1u << unit_below(&r, 8));
		segment_frame_of_bytes(&f, TG_LINK_ETHERNET, copy, len, (uint8_t)unit_below(&r, 3),
			(uint16_t)unit_below(&r, 200), (uint8_t)unit_below(&r, 3));
		segment_begin(&g, TG_LINK_ETHERNET, &f, NULL);
		while ((got = segment_next(&g, out)) > 0) {
			UNIT_CHECK(got <= len);
			count++;
		}
		UNIT_CHECK(count <= 600 && (count > 0 || len == 0));
		free(copy);
	}
}
END_TEST

START_TEST (what_is_not_large_passes_unchanged) {
	struct tg_frame f;
	struct segmenter g;
	uint32_t n = sim_frame(frame, TG_LINK_ETHERNET, IP_PROTO_TCP, 100, 0, NULL);

	segment_frame_of_bytes(&f, TG_LINK_ETHERNET, frame, n, TG_GSO_NONE, 0, TG_CSUM_UNKNOWN);
	ck_assert(segment_begin(&g, TG_LINK_ETHERNET, &f, NULL));
	ck_assert_uint_eq(segment_next(&g, out), n);
	ck_assert_mem_eq(out, frame, n);
	ck_assert_uint_eq(segment_next(&g, out), 0);
	/* Asks for TCP segmentation of UDP: refused, but not lost. */
	sim_frame(frame, TG_LINK_ETHERNET, IP_PROTO_UDP, 100, 0, NULL);
	segment_frame_of_bytes(&f, TG_LINK_ETHERNET, frame, 142, TG_GSO_TCP4, 10, TG_CSUM_PARTIAL);
	ck_assert(!segment_begin(&g, TG_LINK_ETHERNET, &f, NULL));
	ck_assert_uint_eq(segment_next(&g, out), 142);
	ck_assert_mem_eq(out, frame, 142);
}
END_TEST

static Suite *segment_suite(void)
{
	Suite *s = suite_create("segment");
	TCase *t = tcase_create("segment");

	tcase_add_loop_test(t, packets_are_the_same_bytes, 0, 10);
	tcase_add_test(t, received_packet_is_cut_the_same);
	tcase_add_test(t, big_one_is_cut_the_same);
	tcase_add_test(t, skipping_keeps_the_place);
	tcase_add_test(t, udp_checksum_is_never_zero);
	tcase_add_loop_test(t, damaged_frames_do_no_harm, 0, 4);
	tcase_add_test(t, what_is_not_large_passes_unchanged);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(segment_suite)
