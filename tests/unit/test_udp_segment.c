/* Several datagrams handed over in one call, and received in one (TG_UDP_SEGMENT, TG_UDP_GRO):
 * what is on the wire, what is refused, what waits, what is counted. */
#include "udp_support.h"

#include "base/be.h"
#include "wire/arp.h"
#include "wire/eth.h"

#define MTU   1500u
#define LARGE (MTU - 28u) /* what fits a packet */
#define MOST  65507u
#define FAR   tg_ip4(198, 51, 100, 1)

static uint8_t text[70000];

static int64_t send_cut(struct endpoint *e, size_t n, int32_t segment, struct tg_ip ip)
{
	struct tg_dgram to;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 31 + i / 251);
	memset(&to, 0, sizeof(to));
	to.peer = at(ip, 9);
	to.segment = segment;
	return udp_sendto(s, e, text, n, 0, &to);
}

/* Frame i of the device is a whole datagram that holds text[off .. off + n): lengths, DF, both
 * checksums, bytes. link_bytes: of the link's header in front. */
static void check_frame(uint32_t i, uint32_t link_bytes, uint32_t off, uint32_t n)
{
	const struct dev_frame *k = &dev.frame[i % DEV_FRAMES];
	uint8_t *b = k->bytes + link_bytes;
	struct ip4_hdr h;
	struct udp_hdr u;

	ck_assert_uint_eq(k->len, link_bytes + 28 + n);
	ck_assert(!k->f.csum_partial && !k->f.gso_size);
	ck_assert_int_eq(ip4_parse(b, 28 + n, &h), TG_DROP_NONE);
	ck_assert(h.total_bytes == 28 + n && h.df && !h.mf && h.frag_off == 0);
	ck_assert_int_eq(udp_parse(b + 20, 8 + n, &u), TG_DROP_NONE);
	ck_assert(u.bytes == 8 + n && u.csum != 0 && u.dst_port == 9);
	ck_assert_uint_eq(csum_fold(csum_add_scalar(b + 20, 8 + n,
				  ip4_pseudo_sum(h.src, h.dst, IP_PROTO_UDP, 8 + n))),
		0xffff);
	if (n)
		ck_assert_int_eq(memcmp(b + 28, text + off, n), 0);
}

static void check_frames(uint32_t from, uint32_t link_bytes, uint32_t n, uint32_t segment)
{
	uint32_t pieces = n > segment ? (n + segment - 1) / segment : 1;

	ck_assert_uint_eq(dev.n, from + pieces);
	for (uint32_t i = 0; i < pieces; i++)
		check_frame(from + i, link_bytes, i * segment, min_u32(segment, n - i * segment));
}

/* [768] each piece is a datagram of its own, the last one holds the rest */
START_TEST (pieces_of_every_size) {
	static const uint32_t segments[] = {1, 2, 3, 7, 100, 512, 1471, LARGE};
	struct endpoint *e = bound(US, 1000);
	uint64_t datagrams = 0;

	for (unsigned i = 0; i < ARRAY_LEN(segments); i++) {
		uint32_t g = segments[i];
		uint32_t sizes[] = {0, 1, g - 1, g, g + 1, 2 * g - 1, 2 * g, 2 * g + 1,
			min_u32(44 * g + 1, MOST), min_u32(TG_UDP_PIECES * g, MOST)};

		for (unsigned j = 0; j < ARRAY_LEN(sizes); j++) {
			uint32_t before = dev.n;

			ck_assert_int_eq(send_cut(e, sizes[j], (int32_t)g, THEM), sizes[j]);
			tg_step(s, 1);
			check_frames(before, 0, sizes[j], g);
			datagrams += dev.n - before;
			ck_assert_uint_eq(tg_counters(s)->udp_out_datagrams, datagrams);
			ck_assert_uint_eq(tg_counters(s)->frames_out, datagrams);
		}
	}
	done(e);
	ck_assert_uint_eq(in_use(), idle_bytes);
}
END_TEST

/* As Linux: in this order. */
START_TEST (what_is_refused) {
	struct endpoint *e = bound(US, 1000);
	struct tg_ip them = THEM;

	ck_assert_int_eq(send_cut(e, MOST + 1, 1000, THEM), -TG_EMSGSIZE);
	ck_assert_int_eq(send_cut(e, MOST, LARGE, THEM), MOST);
	for (int64_t pmtu = TG_PMTU_DONT; pmtu <= TG_PMTU_OMIT; pmtu++) {
		udp_setopt(s, e, TG_IP_MTU_DISCOVER, pmtu);
		ck_assert_int_eq(send_cut(e, 2 * LARGE, LARGE + 1, THEM), -TG_EMSGSIZE);
		ck_assert_int_eq(send_cut(e, LARGE + 1, LARGE + 1, THEM), -TG_EMSGSIZE);
		ck_assert_int_eq(send_cut(e, LARGE, LARGE + 1, THEM), LARGE); /* one that fits */
		ck_assert_int_eq(send_cut(e, 2 * LARGE, LARGE, THEM), 2 * LARGE);
		tg_step(s, 1);
	}
	ck_assert_int_eq(send_cut(e, TG_UDP_PIECES, 1, THEM), TG_UDP_PIECES);
	ck_assert_int_eq(send_cut(e, TG_UDP_PIECES + 1, 1, THEM), -TG_EINVAL);
	ck_assert_int_eq(send_cut(e, 10 * TG_UDP_PIECES + 1, 10, THEM), -TG_EINVAL);
	ck_assert_int_eq(send_cut(e, 100, 65536, THEM), -TG_EINVAL);
	ck_assert_int_eq(send_cut(e, 100, 65535, THEM), 100);
	/* The path has become narrow: the interface's MTU counts for those who say so. */
	udp_setopt(s, e, TG_IP_MTU_DISCOVER, TG_PMTU_WANT);
	ip_set_pmtu(s, &them, 1000);
	ck_assert_int_eq(send_cut(e, 3000, 973, THEM), -TG_EMSGSIZE);
	ck_assert_int_eq(send_cut(e, 3000, 972, THEM), 3000);
	udp_setopt(s, e, TG_IP_MTU_DISCOVER, TG_PMTU_PROBE);
	ck_assert_int_eq(send_cut(e, 3000, LARGE, THEM), 3000);
	done(e);
}
END_TEST

START_TEST (the_option_and_the_call) {
	struct endpoint *e = bound(US, 1000);
	int64_t v = 1;

	ck_assert_int_eq(udp_getopt(s, e, TG_UDP_SEGMENT, &v), 0);
	ck_assert_int_eq(v, 0);
	ck_assert_int_eq(udp_setopt(s, e, TG_UDP_SEGMENT, -1), -TG_EINVAL);
	ck_assert_int_eq(udp_setopt(s, e, TG_UDP_SEGMENT, 65536), -TG_EINVAL);
	ck_assert_int_eq(udp_setopt(s, e, TG_UDP_SEGMENT, 100), 0);
	ck_assert_int_eq(udp_getopt(s, e, TG_UDP_SEGMENT, &v), 0);
	ck_assert_int_eq(v, 100);
	ck_assert_int_eq(send_cut(e, 250, 0, THEM), 250); /* as the socket */
	tg_step(s, 1);
	check_frames(0, 0, 250, 100);
	ck_assert_int_eq(send_cut(e, 250, 200, THEM), 250);
	tg_step(s, 2);
	check_frames(3, 0, 250, 200);
	ck_assert_int_eq(send_cut(e, 250, -1, THEM), 250); /* one, whatever the socket says */
	tg_step(s, 3);
	check_frames(5, 0, 250, 250);
	/* One datagram may be fragmented, pieces may not. */
	ck_assert_int_eq(send_cut(e, 2000, -1, THEM), 2000);
	tg_step(s, 4);
	ck_assert_uint_eq(dev.n, 8);
	/* Neither streams nor raw sockets know of it. */
	ck_assert_int_eq(raw_setopt(s, raw_open(s, 200, 0), TG_UDP_SEGMENT, 1), -TG_ENOPROTOOPT);
	done(e);
}
END_TEST

/* A connected socket knows the rest. */
START_TEST (connected_sockets_send_by_the_option) {
	struct endpoint *e = connected(US, 1000, THEM, 9);

	udp_setopt(s, e, TG_UDP_SEGMENT, 300);
	send_cut(e, 0, 0, THEM); /* the text */
	tg_step(s, 1);
	ck_assert_int_eq(udp_sendto(s, e, text, 1000, 0, NULL), 1000);
	tg_step(s, 2);
	check_frames(1, 0, 1000, 300);
	done(e);
	ck_assert_uint_eq(in_use(), idle_bytes);
}
END_TEST

/* What can cut gets it whole; ids one after another if they matter [6864 4.1]. */
START_TEST (a_device_that_cuts) {
	struct endpoint *e;
	const struct tg_frame *f = &dev.frame[0].f;

	teardown();
	setup_with(TG_CAP_CSUM | TG_CAP_USO4, 32768, 60999);
	e = bound(US, 1000);
	ck_assert_int_eq(send_cut(e, 44 * LARGE, LARGE, THEM), 44 * LARGE);
	tg_step(s, 1);
	ck_assert_uint_eq(dev.n, 1);
	ck_assert(f->gso == TG_GSO_UDP4 && f->gso_size == LARGE && f->csum_partial &&
		  f->bytes == 28 + 44 * LARGE && f->hdr_bytes == 28);
	ck_assert_uint_eq(tg_counters(s)->frames_out, 1);
	ck_assert_uint_eq(tg_counters(s)->udp_out_datagrams, 44);
	ck_assert_int_eq(send_cut(e, LARGE, LARGE, THEM), LARGE); /* nothing to be cut */
	tg_step(s, 2);
	ck_assert(dev.frame[1].f.gso == TG_GSO_NONE && dev.frame[1].f.gso_size == 0);
	done(e);
}
END_TEST

START_TEST (ids_of_what_may_be_fragmented) {
	struct endpoint *e = bound(US, 1000);
	uint32_t first;

	udp_setopt(s, e, TG_IP_MTU_DISCOVER, TG_PMTU_DONT);
	ck_assert_int_eq(send_cut(e, 1000, 100, THEM), 1000);
	ck_assert_int_eq(send_cut(e, 1000, -1, THEM), 1000);
	tg_step(s, 1);
	ck_assert_uint_eq(dev.n, 11);
	first = be16_load(dev.frame[0].bytes + 4);
	for (uint32_t i = 1; i < 11; i++)
		ck_assert_uint_eq(be16_load(dev.frame[i].bytes + 4), (uint16_t)(first + i));
	done(e);
}
END_TEST

/* A device that becomes busy between two pieces gets the others later, each once. */
START_TEST (a_device_that_is_busy_in_between) {
	struct endpoint *e = bound(US, 1000);
	int64_t queued;

	for (uint32_t room = 0; room < 11; room++) {
		uint32_t before = dev.n;

		ck_assert_int_eq(send_cut(e, 1050, 100, THEM), 1050);
		dev.room = room;
		tg_step(s, 1);
		ck_assert_uint_eq(dev.n, before + room);
		udp_getopt(s, e, TG_SO_OUTQ, &queued);
		ck_assert_int_eq(queued, 1050 - 100 * room);
		dev.room = UINT32_MAX;
		tg_step(s, 2);
		check_frames(before, 0, 1050, 100);
		ck_assert_uint_eq(tg_counters(s)->udp_out_datagrams, dev.n);
	}
	udp_getopt(s, e, TG_SO_OUTQ, &queued);
	ck_assert_int_eq(queued, 0);
	done(e);
	ck_assert_uint_eq(in_use(), idle_bytes);
}
END_TEST

/* [1122-L4] What waits for a link address is kept whole, of connected sockets and others. */
static void wait_for_address(bool connect)
{
	struct tg_ip far_us = tg_ip4(198, 51, 100, 2), far = FAR;
	struct arp_msg m = {
		.op = ARP_REPLY, .spa = tg_ip4_value(&far), .tpa = tg_ip4_value(&far_us)};
	struct endpoint *e = sock_open(NULL);
	struct tg_addr peer = at(FAR, 9);
	unsigned eth = world_netif(s, &dev, TG_LINK_ETHERNET, 0, 1500);
	uint8_t b[60] = {0};

	ck_assert_int_eq(tg_addr_add(s, eth, &far_us, 24, 0), 0);
	if (connect)
		ck_assert_int_eq(udp_connect(s, e, &peer), 0);
	ck_assert_int_eq(send_cut(e, 65000, 1000, FAR), 65000);
	tg_step(s, 1);
	dev.n = 0; /* announcements, a request */
	memcpy(m.sha, peer_mac, 6);
	eth_emit(b, dev_mac, peer_mac, ETH_TYPE_ARP);
	arp_emit(b + ETH_HDR_BYTES, &m);
	world_input(s, eth, b, sizeof(b));
	tg_step(s, 2);
	check_frames(0, ETH_HDR_BYTES, 65000, 1000);
	ck_assert_uint_eq(tg_counters(s)->udp_out_datagrams, 65);
	done(e);
}

START_TEST (pieces_wait_for_a_link_address) {
	wait_for_address(false);
}
END_TEST

START_TEST (pieces_of_a_connected_socket_wait_for_a_link_address) {
	wait_for_address(true);
}
END_TEST

/* [1122-G7] to all, and to ourselves */
START_TEST (broadcasts) {
	struct endpoint *e = bound(US, 1000), *in = bound(ANY, 9);

	udp_setopt(s, e, TG_SO_BROADCAST, 1);
	ck_assert_int_eq(send_cut(e, 2500, 1000, BCAST), 2500);
	ck_assert_int_eq(send_cut(e, 2500, 2000, BCAST), -TG_EMSGSIZE);
	tg_step(s, 1);
	check_frames(0, 0, 2500, 1000);
	tg_step(s, 2);
	ck_assert_int_eq(recv_len(in), 1000);
	ck_assert_int_eq(recv_len(in), 1000);
	ck_assert_int_eq(recv_len(in), 500);
	ck_assert_int_eq(recv_len(in), -TG_EAGAIN);
	done(e);
	done(in);
	ck_assert_uint_eq(in_use(), idle_bytes);
}
END_TEST

/* [1122-G7] what goes later is received later, and once as well */
START_TEST (broadcasts_by_a_device_that_is_busy_in_between) {
	struct endpoint *e = bound(US, 1000), *in = bound(ANY, 9);

	udp_setopt(s, e, TG_SO_BROADCAST, 1);
	for (uint32_t room = 0; room < 11; room++) {
		uint32_t before = dev.n;

		ck_assert_int_eq(send_cut(e, 1050, 100, BCAST), 1050);
		dev.room = room;
		tg_step(s, 1);
		tg_step(s, 2);
		for (uint32_t i = 0; i < room; i++)
			ck_assert_int_eq(recv_len(in), 100);
		ck_assert_int_eq(recv_len(in), -TG_EAGAIN);
		dev.room = UINT32_MAX;
		tg_step(s, 3);
		check_frames(before, 0, 1050, 100);
		tg_step(s, 4);
		for (uint32_t i = room; i < 10; i++)
			ck_assert_int_eq(recv_len(in), 100);
		ck_assert_int_eq(recv_len(in), 50);
		ck_assert_int_eq(recv_len(in), -TG_EAGAIN);
	}
	ck_assert_uint_eq(tg_counters(s)->frames_in,
		tg_counters(s)->frames_delivered + tg_counters(s)->frames_dropped);
	done(e);
	done(in);
	ck_assert_uint_eq(in_use(), idle_bytes);
}
END_TEST

/* As Linux: the size of what was begun holds, and is looked at when all is there. */
START_TEST (put_together_first) {
	struct endpoint *e = bound(US, 1000);
	struct tg_dgram to = {.peer = at(THEM, 9), .segment = 100};

	send_cut(e, 0, 0, THEM); /* the text */
	tg_step(s, 1);
	ck_assert_int_eq(udp_sendto(s, e, text, 150, TG_MSG_MORE, &to), 150);
	to.segment = 10;
	ck_assert_int_eq(udp_sendto(s, e, text + 150, 100, 0, &to), 100);
	tg_step(s, 2);
	check_frames(1, 0, 250, 100);
	to.segment = 1;
	ck_assert_int_eq(udp_sendto(s, e, text, 150, TG_MSG_MORE, &to), 150);
	ck_assert_int_eq(udp_sendto(s, e, text, 1, 0, &to), -TG_EINVAL);
	to.segment = LARGE + 1;
	ck_assert_int_eq(udp_sendto(s, e, text, LARGE, TG_MSG_MORE, &to), LARGE);
	ck_assert_int_eq(udp_sendto(s, e, text, 1, 0, &to), -TG_EMSGSIZE);
	/* By the option nobody is told. */
	udp_setopt(s, e, TG_UDP_CORK, 1);
	ck_assert_int_eq(udp_sendto(s, e, text, 2000, 0, &to), 2000);
	ck_assert_int_eq(udp_setopt(s, e, TG_UDP_CORK, 0), 0);
	to.segment = 100;
	udp_setopt(s, e, TG_UDP_CORK, 1);
	ck_assert_int_eq(udp_sendto(s, e, text, 199, 0, &to), 199);
	ck_assert_int_eq(udp_setopt(s, e, TG_UDP_CORK, 0), 0);
	tg_step(s, 3);
	ck_assert_uint_eq(dev.n, 6);
	check_frames(4, 0, 199, 100);
	done(e);
	ck_assert_uint_eq(in_use(), idle_bytes);
}
END_TEST

/* Without memory the call fails, or what is under way is lost and counted; nothing leaks. */
START_TEST (without_memory) {
	struct endpoint *e = bound(US, 1000), *in = bound(LOCAL, 9);
	unsigned failed = 0;

	udp_setopt(s, in, TG_UDP_GRO, 1);
	for (uint64_t after = 1; after < 8; after++) {
		int64_t r;

		tg_memory_fail_after(s, after, 0);
		udp_setopt(s, e, TG_UDP_SEGMENT, 1000);
		r = send_to(e, text, 30000, LOCAL, 9);
		ck_assert(r == 30000 || r == -TG_ENOMEM);
		failed += r < 0;
		tg_step(s, 1);
		tg_step(s, 2);
		tg_memory_fail_after(s, 0, 0);
		while (recv_len(in) >= 0)
			;
	}
	ck_assert_uint_gt(failed, 0);
	ck_assert_uint_lt(failed, 7);
	done(e);
	done(in);
	world_check(s);
	ck_assert_uint_eq(in_use(), idle_bytes);
}
END_TEST

/* ---- Receiving ---- */

START_TEST (received_in_one) {
	struct endpoint *e = bound(ANY, 53);
	struct wire_dgram w = {.src = THEM,
		.sport = 7,
		.dst = US,
		.dport = 53,
		.bytes = 2500,
		.gso_size = 1000,
		.csum = TG_CSUM_PARTIAL};
	struct tg_dgram from;
	uint8_t b[3000];
	int64_t v = 7;

	ck_assert_int_eq(udp_getopt(s, e, TG_UDP_GRO, &v), 0);
	ck_assert_int_eq(v, 0);
	ck_assert_int_eq(udp_setopt(s, e, TG_UDP_GRO, 2), 0);
	ck_assert_int_eq(udp_getopt(s, e, TG_UDP_GRO, &v), 0);
	ck_assert_int_eq(v, 1);
	wire_in(&w);
	ck_assert_int_eq(udp_recvfrom(s, e, b, sizeof(b), 0, &from), 2500);
	ck_assert(from.bytes == 2500 && from.segment == 1000 && from.peer.port == 7);
	for (uint32_t i = 0; i < 2500; i++)
		ck_assert_uint_eq(b[i], (uint8_t)(i * 7));
	ck_assert_uint_eq(tg_counters(s)->udp_in_datagrams, 3);
	w.bytes = 1000; /* one is one */
	wire_in(&w);
	ck_assert_int_eq(udp_recvfrom(s, e, b, sizeof(b), 0, &from), 1000);
	ck_assert_int_eq(from.segment, 0);
	/* Cut short: what each of them holds is told all the same. */
	w.bytes = 2500;
	wire_in(&w);
	ck_assert_int_eq(udp_recvfrom(s, e, b, 1500, 0, &from), 1500);
	ck_assert(from.bytes == 2500 && from.segment == 1000);
	/* There is no room for some of them. */
	udp_setopt(s, e, TG_SO_RCVBUF, 2304);
	wire_in(&w);
	wire_in(&w);
	ck_assert_uint_eq(tg_counters(s)->udp_in_errors, 3);
	ck_assert_uint_eq(drops(TG_DROP_UDP_QUEUE_FULL), 1);
	ck_assert_uint_eq(tg_counters(s)->discards[TG_DROP_UDP_QUEUE_FULL], 2);
	/* Who does not want it any more gets what is there, and is not told. */
	udp_setopt(s, e, TG_UDP_GRO, 0);
	ck_assert_int_eq(udp_recvfrom(s, e, b, sizeof(b), 0, &from), 2500);
	ck_assert_int_eq(from.segment, 0);
	wire_in(&w);
	ck_assert_int_eq(udp_recvfrom(s, e, b, sizeof(b), 0, &from), 1000);
	done(e);
	ck_assert_uint_eq(in_use(), idle_bytes);
}
END_TEST

START_TEST (by_loopback_in_one) {
	struct endpoint *a = bound(LOCAL, 1000), *b = bound(LOCAL, 9);
	static uint8_t got[65536];
	struct tg_dgram from;

	udp_setopt(s, b, TG_UDP_GRO, 1);
	ck_assert_int_eq(send_cut(a, 65000, 1000, LOCAL), 65000);
	tg_step(s, 1);
	tg_step(s, 2);
	ck_assert_int_eq(udp_recvfrom(s, b, got, sizeof(got), 0, &from), 65000);
	ck_assert(from.segment == 1000 && memcmp(got, text, 65000) == 0);
	ck_assert_uint_eq(tg_counters(s)->udp_in_datagrams, 65);
	ck_assert_uint_eq(tg_counters(s)->udp_out_datagrams, 65);
	done(a);
	done(b);
	ck_assert_uint_eq(in_use(), idle_bytes);
}
END_TEST

static Suite *udp_segment_suite(void)
{
	Suite *su = suite_create("udp_segment");
	TCase *tc = tcase_create("udp_segment");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, pieces_of_every_size);
	tcase_add_test(tc, what_is_refused);
	tcase_add_test(tc, the_option_and_the_call);
	tcase_add_test(tc, connected_sockets_send_by_the_option);
	tcase_add_test(tc, a_device_that_cuts);
	tcase_add_test(tc, ids_of_what_may_be_fragmented);
	tcase_add_test(tc, a_device_that_is_busy_in_between);
	tcase_add_test(tc, pieces_wait_for_a_link_address);
	tcase_add_test(tc, pieces_of_a_connected_socket_wait_for_a_link_address);
	tcase_add_test(tc, broadcasts);
	tcase_add_test(tc, broadcasts_by_a_device_that_is_busy_in_between);
	tcase_add_test(tc, put_together_first);
	tcase_add_test(tc, without_memory);
	tcase_add_test(tc, received_in_one);
	tcase_add_test(tc, by_loopback_in_one);
	suite_add_tcase(su, tc);
	return su;
}

UNIT_MAIN(udp_segment_suite)
