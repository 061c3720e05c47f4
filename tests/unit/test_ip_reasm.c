/* Reassembly against a naive model: random orders, overlaps, duplicates, losses; limits of memory,
 * number and time. */
#include "ip_world.h"

#define KEYS     6u
#define FRAGS    64u
#define SRC(k)   (0x0a000010u + (k) / 2)
#define ID(k)    ((uint16_t)(100 + (k) % 2))
#define MAX_DATA 4000u

static struct ip4_hdr frag_hdr(uint32_t key, uint32_t off, bool mf)
{
	return (struct ip4_hdr){.src = SRC(key),
		.dst = IW_US,
		.proto = IW_PROTO,
		.id = ID(key),
		.frag_off = (uint16_t)off,
		.mf = mf,
		.ttl = 64};
}

/* ---- The model: what was accepted of each datagram, as a list, searched in full ---- */

struct model {
	struct {
		uint32_t off, end;
		bool last;
	} f[FRAGS];
	unsigned n;
	uint8_t data[MAX_DATA + 64];
};

enum outcome { HELD, DUPLICATE, VOID, COMPLETE };

static enum outcome model_add(
	struct model *m, uint32_t off, uint32_t end, bool last, const uint8_t *b, uint32_t *total)
{
	uint32_t have = 0, end_at = 0;
	bool bad = false;

	for (unsigned i = 0; i < m->n; i++) {
		if (m->f[i].off == off && m->f[i].end == end && m->f[i].last == last)
			return DUPLICATE;
		bad |= (off < m->f[i].end && m->f[i].off < end) || (last && m->f[i].last) ||
		       (m->f[i].last && end > m->f[i].end) || (last && m->f[i].end > end);
	}
	if (bad) {
		m->n = 0;
		return VOID;
	}
	m->f[m->n].off = off;
	m->f[m->n].end = end;
	m->f[m->n++].last = last;
	memcpy(m->data + off, b, end - off);
	for (unsigned i = 0; i < m->n; i++) {
		have += m->f[i].end - m->f[i].off;
		if (m->f[i].last)
			end_at = m->f[i].end;
	}
	*total = end_at;
	if (!end_at || have != end_at)
		return HELD;
	m->n = 0;
	return COMPLETE;
}

/* [1122-I4, 5722 3] */
START_TEST (against_model) {
	static struct model m[KEYS];
	struct iw *w = iw_new(NULL, false);
	unsigned seen[4] = {0};
	struct unit_rng r;

	memset(m, 0, sizeof(m));
	unit_rng_start(&r, _i);
	for (int step = 0; step < 4000; step++) {
		uint32_t key = unit_below(&r, KEYS), total = 0;
		/* A grid of pieces makes fits, duplicates and completions likely; now and then off
		 * it. */
		uint32_t unit = 8 * (1 + key), slots = 5;
		uint32_t slot = unit_below(&r, slots), off = slot * unit, end = off + unit;
		bool last = slot == slots - 1;
		uint64_t dup = iw_drops(w, TG_DROP_IP_FRAG_DUPLICATE),
			 bad = iw_drops(w, TG_DROP_IP_FRAG_OVERLAP);
		unsigned in = w->n_in;
		uint8_t b[256];
		enum outcome o;

		if (unit_below(&r, 40) == 0) {
			end += 8 * unit_below(&r, 3);
			off -= off ? 8 * unit_below(&r, 2) : 0;
			last ^= unit_below(&r, 4) == 0;
		}
		if (last)
			end -= unit_below(&r, 60) == 0 ? 3 : 0;
		if (off == 0 && last)
			continue; /* no fragment */
		unit_bytes(&r, b, sizeof(b));
		o = model_add(&m[key], off, end, last, b, &total);
		seen[o]++;
		iw_ip_in(w, NULL, frag_hdr(key, off, !last), b, end - off);
		UNIT_CHECK(iw_drops(w, TG_DROP_IP_FRAG_DUPLICATE) - dup == (o == DUPLICATE));
		UNIT_CHECK(iw_drops(w, TG_DROP_IP_FRAG_OVERLAP) - bad == (o == VOID));
		UNIT_CHECK(w->n_in - in == (o == COMPLETE));
		if (o != COMPLETE)
			continue;
		UNIT_CHECK(w->bytes == total);
		UNIT_CHECK(memcmp(w->data, m[key].data, total) == 0);
		UNIT_CHECK(w->csum == TG_CSUM_UNKNOWN);
		UNIT_CHECK(tg_ip4_value(&w->info.src) == SRC(key));
	}
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_gt(seen[i], 50);
	iw_free(w);
}
END_TEST

/* The largest datagram, backwards. */
/* [1122-G3] */
START_TEST (largest) {
	struct iw *w = iw_new(NULL, false);
	static uint8_t big[65515];

	for (unsigned i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i ^ i >> 8);
	for (uint32_t off = 45 * 1456; off != (uint32_t)-1456; off -= 1456)
		if (off < sizeof(big))
			iw_ip_in(w, NULL, frag_hdr(0, off, off + 1456 < sizeof(big)), big + off,
				min_u32(1456, (uint32_t)sizeof(big) - off));
	ck_assert_uint_eq(w->n_in, 1);
	ck_assert_uint_eq(w->bytes, sizeof(big));
	ck_assert_mem_eq(w->data, big, sizeof(big));
	ck_assert_uint_eq(csum_fold(w->info.pseudo_sum),
		csum_fold(ip4_pseudo_sum(SRC(0), IW_US, IW_PROTO, sizeof(big))));
	ck_assert_uint_eq(tg_counters(w->s)->ip_reasm_oks, 1);
	iw_free(w);
}
END_TEST

START_TEST (bad_fragments) {
	struct iw *w = iw_new(NULL, false);
	uint8_t b[1480] = {0};

	iw_ip_in(w, NULL, frag_hdr(0, 0, true), b, 9);
	iw_ip_in(w, NULL, frag_hdr(0, 0, true), b, 0);
	iw_ip_in(w, NULL, frag_hdr(0, 8, false), b, 0);
	ck_assert_uint_eq(iw_drops(w, TG_DROP_IP_FRAG_LENGTH), 3);
	iw_ip_in(w, NULL, frag_hdr(0, 65528, false), b, 8);
	iw_ip_in(w, NULL, frag_hdr(0, 64400, false), b, 1400);
	ck_assert_uint_eq(iw_drops(w, TG_DROP_IP_FRAG_TOO_BIG), 2);
	/* Each fits with its own header, all of them do not with that of the first. */
	iw_ip_in(w, NULL, frag_hdr(1, 8, true), b, 1432);
	for (uint32_t off = 1440; off < 65512; off += 1440)
		iw_ip_in(w, NULL, frag_hdr(1, off, off + 1440 < 65512), b,
			min_u32(1440, 65515 - off));
	{
		static const uint8_t nops[4] = {1, 1, 1, 0};
		struct ip4_hdr h = frag_hdr(1, 0, true);

		h.options = nops;
		h.hdr_bytes = 24;
		iw_ip_in(w, NULL, h, b, 8);
	}
	ck_assert_uint_eq(iw_drops(w, TG_DROP_IP_FRAG_TOO_BIG), 3);
	ck_assert_uint_eq(w->n_in, 0);
	iw_free(w);
}
END_TEST

/* [1122 3.3.2] 60 seconds from the first fragment, whatever follows; reported only with fragment
 * zero. */
START_TEST (timeout) {
	struct iw *w = iw_new(NULL, false);
	const uint8_t *body;
	struct icmp_msg m;
	struct ip4_hdr h;
	uint8_t b[16] = "0123456789abcde";

	iw_learn(w, SRC(0), iw_mac_peer);
	iw_ip_in(w, NULL, frag_hdr(0, 0, true), b, 16);
	iw_ip_in(w, NULL, frag_hdr(1, 16, true), b, 16);
	iw_step(w, 50 * IW_SEC);
	iw_ip_in(w, NULL, frag_hdr(0, 32, true), b, 16);
	iw_step(w, 9 * IW_SEC);
	ck_assert_uint_eq(iw_discards(w, TG_DROP_IP_FRAG_TIMEOUT), 0);
	iw_step(w, 2 * IW_SEC);
	ck_assert_uint_eq(iw_discards(w, TG_DROP_IP_FRAG_TIMEOUT), 3);
	ck_assert_uint_eq(tg_counters(w->s)->ip_reasm_fails, 2);
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_IP4), 1);
	h = iw_ip_out(w, 0, &body);
	ck_assert_int_eq(
		icmp_parse(body, h.total_bytes - 20u, false, csum_add_scalar, &m), TG_DROP_NONE);
	ck_assert_uint_eq(m.type, ICMP_TIME_EXCEEDED);
	ck_assert_uint_eq(m.code, ICMP_TIMXCEED_REASM);
	ck_assert_uint_eq(m.body_bytes, 36);
	ck_assert_mem_eq(m.body + 20, b, 16);
	ck_assert_uint_eq(tg_counters(w->s)->icmp_out_time_excds, 1);
	/* What comes now begins anew. */
	iw_ip_in(w, NULL, frag_hdr(0, 16, false), b, 16);
	ck_assert_uint_eq(w->n_in, 0);
	iw_free(w);
}
END_TEST

START_TEST (memory_is_bounded) {
	struct arena_stats before, after;
	struct tg_config c;
	uint8_t b[1400] = {0};
	struct iw *w;

	iw_config(&c);
	c.ip.reasm_bytes = 100000;
	w = iw_new(&c, false);
	arena_get_stats(w->s->arena, &before);
	for (uint32_t i = 0; i < 3000; i++) {
		struct ip4_hdr h = frag_hdr(0, 0, true);

		h.id = (uint16_t)i;
		iw_ip_in(w, NULL, h, b, _i ? 8 : 1400);
	}
	arena_get_stats(w->s->arena, &after);
	ck_assert_uint_le(after.in_use - before.in_use, 120000);
	ck_assert_uint_gt(iw_discards(w, TG_DROP_IP_FRAG_LIMIT), 2900);
	/* the newest is still there, the oldest is not */
	for (uint32_t i = 0; i < 2; i++) {
		struct ip4_hdr h = frag_hdr(0, _i ? 8 : 1400, false);

		h.id = (uint16_t)(i ? 2999 : 0);
		iw_ip_in(w, NULL, h, b, 8);
		ck_assert_uint_eq(w->n_in, i);
	}
	iw_step(w, 70 * IW_SEC); /* and until nobody waits for the sender's address */
	arena_get_stats(w->s->arena, &after);
	ck_assert_uint_le(after.in_use, before.in_use + 3 * 4096); /* bucket heads of two tables */
	iw_free(w);
}
END_TEST

/* One datagram that alone is over the limit, and one of too many pieces. */
START_TEST (one_too_large) {
	struct tg_config c;
	uint8_t b[1400] = {0};
	struct iw *w;

	iw_config(&c);
	c.ip.reasm_bytes = 20000;
	w = iw_new(&c, false);
	for (uint32_t i = 0; i < 12; i++)
		iw_ip_in(w, NULL, frag_hdr(0, i * 1400, true), b, 1400);
	ck_assert_uint_gt(iw_drops(w, TG_DROP_IP_FRAG_LIMIT), 0);
	iw_free(w);
	w = iw_new(NULL, false);
	for (uint32_t i = 0; i < 300; i++)
		iw_ip_in(w, NULL, frag_hdr(0, i * 16, true), b, 8);
	ck_assert_uint_eq(iw_drops(w, TG_DROP_IP_FRAG_LIMIT), 1);
	ck_assert_uint_eq(iw_discards(w, TG_DROP_IP_FRAG_LIMIT), 256);
	iw_free(w);
}
END_TEST

/* Memory fails at every allocation in turn; nothing leaks, nothing is half there. */
START_TEST (out_of_memory) {
	uint8_t b[64] = {0};

	for (uint64_t n = 1; n < 12; n++) {
		struct iw *w = iw_new(NULL, false);
		unsigned in = 0;

		for (uint32_t off = 0; off < 5 * 64; off += 64) {
			arena_fail_after(w->s->arena, off == 64 * (n % 5) ? 1 + n / 3 : 0, 0);
			iw_ip_in(w, NULL, frag_hdr(0, off, off != 4 * 64), b, 64);
		}
		arena_fail_after(w->s->arena, 0, 0);
		in = w->n_in;
		for (uint32_t off = 0; off < 5 * 64; off += 64)
			iw_ip_in(w, NULL, frag_hdr(1, off, off != 4 * 64), b, 64);
		ck_assert_uint_eq(w->n_in, in + 1);
		iw_free(w);
	}
}
END_TEST

/* [3168 5.3] */
START_TEST (congestion_mark_survives) {
	struct iw *w = iw_new(NULL, false);
	struct ip4_hdr a = frag_hdr(0, 0, true), z = frag_hdr(0, 8, false);

	a.tos = 0x2a;
	z.tos = 0x2b;
	iw_ip_in(w, NULL, a, "01234567", 8);
	iw_ip_in(w, NULL, z, "89", 2);
	ck_assert_uint_eq(w->n_in, 1);
	ck_assert_uint_eq(w->info.tos, 0x2b);
	iw_free(w);
}
END_TEST

/* [3168 5.3] no fragment could have been marked, and yet one is; ECT(0) and ECT(1) may mix */
START_TEST (mark_beside_unmarkable_voids) {
	struct iw *w = iw_new(NULL, false);
	struct ip4_hdr a = frag_hdr(0, 0, true), z = frag_hdr(0, 8, false);

	for (unsigned i = 0; i < 2; i++) {
		a.tos = i ? 0x28 : 0x2b;
		z.tos = i ? 0x2b : 0x28;
		iw_ip_in(w, NULL, a, "01234567", 8);
		iw_ip_in(w, NULL, z, "89", 2);
		ck_assert_uint_eq(w->n_in, 0);
		ck_assert_uint_eq(iw_drops(w, TG_DROP_IP_FRAG_ECN), i + 1);
	}
	a.tos = 0x29;
	z.tos = 0x2a;
	iw_ip_in(w, NULL, a, "01234567", 8);
	iw_ip_in(w, NULL, z, "89", 2);
	ck_assert_uint_eq(w->n_in, 1);
	ck_assert_uint_eq(w->info.tos, 0x29);
	iw_free(w);
}
END_TEST

/* A fragment that came in the reader's reserve is copied; without memory for that, dropped. */
START_TEST (reserve_is_not_kept) {
	struct iw *w = iw_new(NULL, false);

	for (int round = 0; round < 3; round++) {
		struct tg_pkt *p;
		struct ip4_hdr h = frag_hdr(0, (uint32_t)round * 8, round < 2);
		uint8_t f[64];

		h.hdr_bytes = 20;
		h.total_bytes = 28;
		eth_emit(f, iw_mac_us, iw_mac_peer, ETH_TYPE_IP4);
		ip4_emit(f + 14, &h);
		memcpy(f + 34, "abcdefgh", 8);
		arena_fail_after(w->s->arena, 1, round == 1 ? 1 : 0);
		p = tg_pkt_alloc(w->s, 42);
		ck_assert_ptr_nonnull(p);
		ck_assert(p->flags & PKT_RESERVE);
		memcpy(p->data, f, 42);
		p->len = 42;
		tg_input(w->s, w->netif, p, w->now_ns);
		arena_fail_after(w->s->arena, 0, 0);
	}
	ck_assert_uint_eq(iw_drops(w, TG_DROP_NO_MEMORY), 1);
	ck_assert_uint_eq(w->n_in, 0);
	iw_ip_in(w, NULL, frag_hdr(0, 8, true), "ijklmnop", 8);
	ck_assert_uint_eq(w->n_in, 1);
	ck_assert_mem_eq(w->data, "abcdefghijklmnopabcdefgh", 24);
	iw_free(w);
}
END_TEST

static Suite *reasm_suite(void)
{
	Suite *s = suite_create("ip_reasm");
	TCase *t = tcase_create("reasm");

	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, against_model, 0, 10);
	tcase_add_test(t, largest);
	tcase_add_test(t, bad_fragments);
	tcase_add_test(t, timeout);
	tcase_add_loop_test(t, memory_is_bounded, 0, 2);
	tcase_add_test(t, one_too_large);
	tcase_add_test(t, out_of_memory);
	tcase_add_test(t, congestion_mark_survives);
	tcase_add_test(t, mark_beside_unmarkable_voids);
	tcase_add_test(t, reserve_is_not_kept);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(reasm_suite)
