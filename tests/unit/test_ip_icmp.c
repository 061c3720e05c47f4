/* ICMP: echo, errors where RFC 1122 wants them and nowhere else, errors received and matched. */
#include "ip_world.h"

static uint8_t big[65535];

static void fill(void)
{
	for (unsigned i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 7 + i / 251);
}

static struct icmp_msg icmp_of(const struct iw *w, unsigned i, struct ip4_hdr *h)
{
	const uint8_t *body;
	struct icmp_msg m;

	*h = iw_ip_out(w, i, &body);
	ck_assert_uint_eq(h->proto, IP_PROTO_ICMP);
	ck_assert_int_eq(
		icmp_parse(body, h->total_bytes - 20u, false, csum_add_scalar, &m), TG_DROP_NONE);
	return m;
}

START_TEST (echo) {
	struct iw *w = iw_new(NULL, false);
	struct icmp_msg m = {.type = ICMP_ECHO,
				.id = 7,
				.seq = 9,
				.body = (const uint8_t *)"hello",
				.body_bytes = 5},
			r;
	struct ip4_hdr h;

	/* The first one is answered as well: the reply waits for the address [1122-L4]. */
	iw_icmp_in(w, &m, (struct ip4_hdr){.tos = 0x48});
	tg_step(w->s, w->now_ns);
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_ARP), 1);
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_IP4), 0);
	iw_learn(w, IW_PEER, iw_mac_peer);
	tg_step(w->s, w->now_ns);
	r = icmp_of(w, 0, &h);
	ck_assert_uint_eq(r.type, ICMP_ECHO_REPLY);
	ck_assert_uint_eq(r.id, 7);
	ck_assert_uint_eq(r.seq, 9);
	ck_assert_uint_eq(r.body_bytes, 5);
	ck_assert_mem_eq(r.body, "hello", 5);
	ck_assert_uint_eq(h.src, IW_US);
	ck_assert_uint_eq(h.dst, IW_PEER);
	ck_assert_uint_eq(h.tos, 0x48);
	ck_assert_uint_eq(tg_counters(w->s)->icmp_out_echo_reps, 1);
	iw_free(w);
}
END_TEST

/* Sizes up to the largest datagram: the request comes in fragments, so does the reply. */
START_TEST (echo_of_any_size) {
	static const uint32_t sizes[] = {0, 1, 1471, 1472, 1473, 9000, 65506, 65507};
	struct iw *w = iw_new(NULL, false);
	uint32_t n = ICMP_HDR_BYTES + sizes[_i], got = 0;
	static uint8_t req[65535], rep[65535];
	struct icmp_msg m = {
		.type = ICMP_ECHO, .id = 1, .seq = 2, .body = big, .body_bytes = sizes[_i]};

	fill();
	iw_learn(w, IW_PEER, iw_mac_peer);
	memcpy(req + 8, big, sizes[_i]);
	icmp_emit(req, &m, csum_add_scalar(big, sizes[_i], 0));
	for (uint32_t off = 0; off < n; off += 1480) {
		uint32_t len = min_u32(1480, n - off);

		iw_ip_in(w, NULL,
			(struct ip4_hdr){.src = IW_PEER,
				.dst = IW_US,
				.proto = IP_PROTO_ICMP,
				.id = 5,
				.frag_off = (uint16_t)off,
				.mf = off + len < n},
			req + off, len);
	}
	tg_step(w->s, w->now_ns);
	for (unsigned i = 0; i < iw_count(w, ETH_TYPE_IP4); i++) {
		const uint8_t *body;
		struct ip4_hdr h = iw_ip_out(w, i, &body);

		ck_assert_uint_le(h.total_bytes, 1500);
		ck_assert_uint_eq(h.frag_off, got);
		memcpy(rep + got, body, h.total_bytes - 20u);
		got += h.total_bytes - 20u;
		ck_assert_int_eq(h.mf, got < n);
	}
	ck_assert_uint_eq(got, n);
	ck_assert_uint_eq(rep[0], ICMP_ECHO_REPLY);
	ck_assert_uint_eq(csum_fold(csum_add_scalar(rep, n, 0)), 0xffff);
	ck_assert_mem_eq(rep + 4, req + 4, n - 4);
	iw_free(w);
}
END_TEST

START_TEST (no_answer) {
	struct iw *w = iw_new(NULL, false);
	static const uint8_t types[] = {1, 2, 7, ICMP_TIMESTAMP, 14, 15, 16, 17, 18, 30, 255};
	struct icmp_msg m = {.type = ICMP_ECHO, .body = big, .body_bytes = 28};

	iw_learn(w, IW_PEER, iw_mac_peer);
	iw_icmp_in(w, &m, (struct ip4_hdr){.dst = 0x0a0000ff});
	iw_icmp_in(w, &m, (struct ip4_hdr){.dst = 0xffffffff});
	iw_icmp_in(w, &m, (struct ip4_hdr){.dst = 0xe0000001});
	ck_assert_uint_eq(iw_drops(w, TG_DROP_ICMP_BROADCAST), 3);
	/* [1122-C1] [1122-C11] */
	for (unsigned i = 0; i < sizeof(types); i++) {
		m.type = types[i];
		iw_icmp_in(w, &m, (struct ip4_hdr){0});
	}
	ck_assert_uint_eq(iw_drops(w, TG_DROP_ICMP_TYPE), sizeof(types));
	m.type = ICMP_SOURCE_QUENCH;
	iw_icmp_in(w, &m, (struct ip4_hdr){0});
	ck_assert_uint_eq(iw_drops(w, TG_DROP_ICMP_SOURCE_QUENCH), 1);
	m.type = ICMP_REDIRECT;
	iw_icmp_in(w, &m, (struct ip4_hdr){0});
	ck_assert_uint_eq(iw_drops(w, TG_DROP_ICMP_REDIRECT), 1);
	m.type = ICMP_ECHO_REPLY;
	iw_icmp_in(w, &m, (struct ip4_hdr){0});
	ck_assert_uint_eq(iw_drops(w, TG_DROP_ICMP_NO_LISTENER), 1);
	w->raw_takes = true;
	iw_icmp_in(w, &m, (struct ip4_hdr){0});
	ck_assert_uint_eq(iw_drops(w, TG_DROP_ICMP_NO_LISTENER), 1);
	w->raw_takes = false;
	iw_ip_in(w, NULL, (struct ip4_hdr){.src = IW_PEER, .dst = IW_US, .proto = IP_PROTO_ICMP},
		"\x08\0\0\0\0\0\0", 7);
	ck_assert_uint_eq(iw_drops(w, TG_DROP_ICMP_SHORT), 1);
	iw_ip_in(w, NULL, (struct ip4_hdr){.src = IW_PEER, .dst = IW_US, .proto = IP_PROTO_ICMP},
		"\x08\0\x12\x34\0\0\0\0", 8);
	ck_assert_uint_eq(iw_drops(w, TG_DROP_ICMP_CSUM), 1);
	tg_step(w->s, w->now_ns);
	ck_assert_uint_eq(w->n_out, 0);
	iw_free(w);
}
END_TEST

/* [1122-C6] */
START_TEST (unreachable_protocol) {
	struct iw *w = iw_new(NULL, false);
	uint32_t n = _i ? 1200 : 30;
	struct icmp_msg m;
	struct ip4_hdr h;

	fill();
	iw_learn(w, IW_PEER, iw_mac_peer);
	iw_ip_in(w, NULL,
		(struct ip4_hdr){.src = IW_PEER, .dst = IW_US, .proto = 99, .tos = 0x28, .id = 77},
		big, n);
	tg_step(w->s, w->now_ns);
	m = icmp_of(w, 0, &h);
	ck_assert_uint_eq(m.type, ICMP_UNREACHABLE);
	ck_assert_uint_eq(m.code, ICMP_UNREACH_PROTOCOL);
	ck_assert_uint_eq(h.src, IW_US);
	ck_assert_uint_eq(h.dst, IW_PEER);
	ck_assert_uint_eq(h.tos, 0); /* [1122-C4] */
	/* [1122-C2] [1812 4.3.2.3] unmodified, as much as 576 bytes hold */
	ck_assert_uint_eq(h.total_bytes, min_u32(576, 20 + 8 + 20 + n));
	ck_assert_uint_eq(m.body[8], 64);
	ck_assert_mem_eq(m.body + 20, big, m.body_bytes - 20);
	ck_assert_uint_eq(tg_counters(w->s)->icmp_out_dest_unreachs, 1);
	iw_free(w);
}
END_TEST

/* [1122-C5] and nowhere else */
START_TEST (never_reported) {
	static const uint8_t group[6] = {1, 0, 0x5e, 0, 0, 1};
	struct iw *w = iw_new(NULL, false);
	struct ip_info i = {.src = tg_ip4_of(IW_PEER), .dst = tg_ip4_of(IW_US)};
	uint8_t b[64];
	struct tg_pkt *p;
	static const struct {
		uint32_t src, dst;
		uint8_t proto, icmp_type, flags;
		uint16_t off;
		bool sent;
	} t[] = {
		{IW_PEER, IW_US, 99, 0, 0, 0, true},
		{IW_PEER, IW_US, IP_PROTO_ICMP, ICMP_ECHO, 0, 0, true},
		{IW_PEER, IW_US, IP_PROTO_ICMP, ICMP_UNREACHABLE, 0, 0, false},
		{IW_PEER, IW_US, IP_PROTO_ICMP, ICMP_TIME_EXCEEDED, 0, 0, false},
		{IW_PEER, IW_US, IP_PROTO_ICMP, ICMP_PARAM_PROBLEM, 0, 0, false},
		{IW_PEER, IW_US, IP_PROTO_ICMP, ICMP_REDIRECT, 0, 0, false},
		{IW_PEER, IW_US, IP_PROTO_ICMP, ICMP_SOURCE_QUENCH, 0, 0, false},
		{IW_PEER, 0x0a0000ff, 99, 0, 0, 0, false},
		{IW_PEER, 0xffffffff, 99, 0, 0, 0, false},
		{IW_PEER, 0xe0000001, 99, 0, 0, 0, false},
		{IW_PEER, IW_US, 99, 0, PKT_GROUP, 0, false},
		{IW_PEER, IW_US, 99, 0, PKT_BCAST, 0, false},
		{IW_PEER, IW_US, 99, 0, 0, 8, false},
		{0, IW_US, 99, 0, 0, 0, false},
		{0xe0000005, IW_US, 99, 0, 0, 0, false},
		{0xf0000005, IW_US, 99, 0, 0, 0, false},
		{0xffffffff, IW_US, 99, 0, 0, 0, false},
		{0x0a0000ff, IW_US, 99, 0, 0, 0, false},
	};

	(void)group;
	iw_learn(w, IW_PEER, iw_mac_peer);
	for (unsigned k = 0; k < ARRAY_LEN(t); k++) {
		struct ip4_hdr h = {.src = t[k].src,
			.dst = t[k].dst,
			.proto = t[k].proto,
			.frag_off = t[k].off,
			.hdr_bytes = 20,
			.total_bytes = 64};

		memset(b, 0, sizeof(b));
		ip4_emit(b, &h);
		b[20] = t[k].icmp_type;
		p = tg_pkt_alloc(w->s, 64);
		memcpy(p->data, b, 64);
		p->net = p->data;
		p->len = 64;
		p->flags = t[k].flags;
		pkt_pull(p, 20);
		iw_forget(w);
		ip_reject(w->s, p, &i, IP_REJECT_PORT);
		tg_step(w->s, w->now_ns);
		ck_assert_msg(w->n_out == t[k].sent, "row %u", k);
		tg_pkt_free(w->s, p);
	}
	iw_free(w);
}
END_TEST

START_TEST (rate) {
	struct iw *w = iw_new(NULL, false);
	unsigned n;

	iw_learn(w, IW_PEER, iw_mac_peer);
	for (int i = 0; i < 500; i++)
		iw_ip_in(w, NULL, (struct ip4_hdr){.src = IW_PEER, .dst = IW_US, .proto = 99}, "x",
			1);
	tg_step(w->s, w->now_ns);
	n = w->n_out;
	ck_assert_uint_ge(n, 80);
	ck_assert_uint_le(n, 120);
	ck_assert_uint_eq(iw_discards(w, TG_DROP_ICMP_RATE), 500 - n);
	iw_step(w, IW_SEC / 2);
	for (int i = 0; i < 500; i++)
		iw_ip_in(w, NULL, (struct ip4_hdr){.src = IW_PEER, .dst = IW_US, .proto = 99}, "x",
			1);
	tg_step(w->s, w->now_ns);
	ck_assert_uint_ge(w->n_out - n, 35);
	ck_assert_uint_le(w->n_out - n, 65);
	iw_free(w);
}
END_TEST

/* An error quoting a datagram of ours. */
static void error_in(struct iw *w, struct icmp_msg m, struct ip4_hdr q, uint32_t bytes)
{
	uint8_t b[128] = {0};

	if (!q.src)
		q.src = IW_US;
	if (!q.dst)
		q.dst = 0x08080808;
	if (!q.proto)
		q.proto = IW_PROTO;
	if (!q.total_bytes)
		q.total_bytes = 1500;
	q.hdr_bytes = 20;
	ip4_emit(b, &q);
	memcpy(b + 20, "ABCDEFGHIJKL", 12);
	m.body = b;
	m.body_bytes = bytes;
	iw_icmp_in(w, &m, (struct ip4_hdr){.src = 0x0a0000fe});
}

/* [1122-C3, C6] */
START_TEST (errors_received) {
	static const struct {
		uint8_t type, code;
		int error;
		bool hard;
	} t[] = {
		{ICMP_UNREACHABLE, 0, TG_ENETUNREACH, false},
		{ICMP_UNREACHABLE, 1, TG_EHOSTUNREACH, false},
		{ICMP_UNREACHABLE, 2, TG_ENOPROTOOPT, true},
		{ICMP_UNREACHABLE, 3, TG_ECONNREFUSED, true},
		{ICMP_UNREACHABLE, 4, TG_EMSGSIZE, false},
		{ICMP_UNREACHABLE, 5, TG_EOPNOTSUPP, false},
		{ICMP_UNREACHABLE, 13, TG_EHOSTUNREACH, false},
		{ICMP_TIME_EXCEEDED, 0, TG_EHOSTUNREACH, false},
		{ICMP_PARAM_PROBLEM, 0, TG_EPROTO, false},
	};
	struct iw *w = iw_new(NULL, false);

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		error_in(w, (struct icmp_msg){.type = t[i].type, .code = t[i].code, .mtu = 1400},
			(struct ip4_hdr){0}, 28);
		ck_assert_uint_eq(w->n_errors, i + 1);
		ck_assert_int_eq(w->error.error, t[i].error);
		ck_assert_int_eq(w->error.hard, t[i].hard);
		ck_assert_uint_eq(w->error.mtu, t[i].code == 4 ? 1400 : 0);
		ck_assert_uint_eq(tg_ip4_value(&w->error.local), IW_US);
		ck_assert_uint_eq(tg_ip4_value(&w->error.remote), 0x08080808);
		ck_assert_uint_eq(w->error.quote_bytes, 8);
	}
	ck_assert_uint_eq(tg_counters(w->s)->frames_delivered, ARRAY_LEN(t));
	/* [5927 4] no live flow */
	w->error_known = false;
	error_in(w, (struct icmp_msg){.type = 3, .code = 1}, (struct ip4_hdr){0}, 28);
	/* quoted source is not ours, or not whom they told; protocol unknown */
	w->error_known = true;
	error_in(w, (struct icmp_msg){.type = 3, .code = 1}, (struct ip4_hdr){.src = 0x0a000077},
		28);
	error_in(w, (struct icmp_msg){.type = 3, .code = 1}, (struct ip4_hdr){.src = 0x7f000001},
		28);
	error_in(w, (struct icmp_msg){.type = 3, .code = 1}, (struct ip4_hdr){.proto = 98}, 28);
	ck_assert_uint_eq(iw_drops(w, TG_DROP_ICMP_NO_FLOW), 4);
	/* quotes too little, or the middle of a datagram */
	error_in(w, (struct icmp_msg){.type = 3, .code = 1}, (struct ip4_hdr){0}, 27);
	error_in(w, (struct icmp_msg){.type = 3, .code = 1}, (struct ip4_hdr){0}, 19);
	error_in(w, (struct icmp_msg){.type = 3, .code = 1}, (struct ip4_hdr){.frag_off = 8}, 28);
	ck_assert_uint_eq(iw_drops(w, TG_DROP_ICMP_QUOTE), 3);
	error_in(w, (struct icmp_msg){.type = 3, .code = 16}, (struct ip4_hdr){0}, 28);
	ck_assert_uint_eq(iw_drops(w, TG_DROP_ICMP_TYPE), 1);
	ck_assert_uint_eq(w->n_errors, ARRAY_LEN(t) + 1);
	iw_free(w);
}
END_TEST

/* [1191-4] [1191 5] [1191 7.1] */
START_TEST (plateaus) {
	static const uint16_t t[][2] = {{65535, 32000}, {32000, 17914}, {1500, 1492}, {1492, 1006},
		{576, 508}, {296, 68}, {68, 68}, {40, 68}};
	struct iw *w = iw_new(NULL, false);

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		error_in(w, (struct icmp_msg){.type = 3, .code = 4},
			(struct ip4_hdr){.total_bytes = t[i][0]}, 28);
		ck_assert_uint_eq(w->error.mtu, t[i][1]);
	}
	/* A limit that the datagram kept is no reason. */
	error_in(w, (struct icmp_msg){.type = 3, .code = 4, .mtu = 1500},
		(struct ip4_hdr){.total_bytes = 1500}, 28);
	ck_assert_uint_eq(w->error.mtu, 1492);
	error_in(w, (struct icmp_msg){.type = 3, .code = 4, .mtu = 10},
		(struct ip4_hdr){.total_bytes = 1500}, 28);
	ck_assert_uint_eq(w->error.mtu, 1492);
	iw_free(w);
}
END_TEST

static Suite *icmp_suite(void)
{
	Suite *s = suite_create("ip_icmp");
	TCase *t = tcase_create("icmp");

	tcase_add_test(t, echo);
	tcase_add_loop_test(t, echo_of_any_size, 0, 8);
	tcase_add_test(t, no_answer);
	tcase_add_loop_test(t, unreachable_protocol, 0, 2);
	tcase_add_test(t, never_reported);
	tcase_add_test(t, rate);
	tcase_add_test(t, errors_received);
	tcase_add_test(t, plateaus);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(icmp_suite)
