/* See impair.h. The way of a packet: drop? duplicate? corrupt? the throttle and its queue, the
 * delay, held back for reordering? Each packet's time of leaving is known when it enters, so that
 * the device needs no timers of its own.
 *
 * Corruption flips exactly one bit behind the link header: the Internet checksum always notices
 * that, so corrupted data that reaches an application is a fault of the stack. */
#include "sim/impair.h"

#include "sim/segment.h"
#include "wire/eth.h"
#include "wire/patch.h"

static bool chance(struct impair *m, uint32_t ppm)
{
	return ppm > 0 && rng_below(&m->rng, 1000000) < ppm;
}

static void decide(struct impair *m, enum tg_impair_what what, uint64_t tag, uint64_t now_ns)
{
	if (m->c.decided)
		m->c.decided(m->c.arg, what, tag, now_ns);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static size_t pkt_size(uint32_t bytes)
{
	size_t n = sizeof(struct impair_pkt) + bytes;

	/* Whole pages are zeroed by the arena, which is not worth it for large frames. */
	return n <= 8 * ARENA_PAGE_BYTES ? n : ARENA_BLOCK_68K;
}

static struct impair_pkt *pkt_new(struct impair *m, uint32_t bytes)
{
	size_t n = pkt_size(bytes), charge = arena_capacity(n);
	struct impair_pkt *k;

	if (sizeof(*k) + bytes > ARENA_BLOCK_68K || m->held_bytes + charge > m->c.max_bytes)
		return NULL;
	k = arena_alloc(m->arena, n);
	if (!k)
		return NULL;
	memset(k, 0, sizeof(*k));
	list_init(&k->node);
	k->bytes = bytes;
	m->held_bytes += charge;
	return k;
}

void impair_free(struct impair *m, struct impair_pkt *k)
{
	size_t n = pkt_size(k->bytes);

	m->held_bytes -= arena_capacity(n);
	arena_free(m->arena, k, n);
}

bool impair_set(struct impair *m, const struct tg_impair *opt)
{
	uint32_t cap = opt->rate_bps ? max_u32(1, min_u32(opt->queue_pkts, IMPAIR_QUEUE_MAX)) : 0;
	uint64_t *ring = cap ? arena_alloc(m->arena, cap * sizeof(*ring)) : NULL;

	if (cap && !ring)
		return false;
	arena_free(m->arena, m->departures, m->dep_cap * sizeof(*ring));
	m->departures = ring;
	m->dep_cap = cap;
	m->dep_head = m->dep_count = 0;
	m->c.opt = *opt;
	m->active = tg_impair_active(opt);
	return true;
}

bool impair_init(struct impair *m, struct arena *a, const struct impair_config *c)
{
	memset(m, 0, sizeof(*m));
	m->c = *c;
	m->arena = a;
	if (!m->c.sum)
		m->c.sum = csum_add_wide;
	list_init(&m->line);
	rng_init(&m->rng, c->seed, c->purpose);
	return impair_set(m, &c->opt);
}

void impair_fini(struct impair *m)
{
	struct list *n;

	while ((n = list_pop_front(&m->line)) != NULL)
		impair_free(m, list_entry(n, struct impair_pkt, node));
	for (uint32_t i = 0; i < m->n_held; i++)
		impair_free(m, m->held[i]);
	m->n_held = m->n_line = 0;
	arena_free(m->arena, m->departures, m->dep_cap * sizeof(*m->departures));
	m->departures = NULL;
	m->dep_cap = 0;
}

/* ---- Entering -------------------------------------------------------------------------------- */

/* When the throttle has sent a packet that comes now; false: its queue is full. */
static bool throttle(struct impair *m, uint32_t bytes, uint64_t now_ns, uint64_t *out)
{
	uint64_t bits = (uint64_t)bytes * 8, rate = m->c.opt.rate_bps;
	uint64_t start = max_u64(now_ns, m->link_free_ns);

	*out = now_ns;
	if (!rate)
		return true;
	while (m->dep_count > 0 && m->departures[m->dep_head] <= now_ns) {
		m->dep_head = (m->dep_head + 1) % m->dep_cap;
		m->dep_count--;
	}
	if (m->dep_count == m->dep_cap)
		return false;
	/* Rounded up: never faster than asked. bits < 2^20: no overflow. */
	*out = sat_add_u64(start, (bits * NS_PER_SEC + rate - 1) / rate);
	m->departures[(m->dep_head + m->dep_count) % m->dep_cap] = *out;
	m->dep_count++;
	m->link_free_ns = *out;
	return true;
}

/* The delay of one packet: uniform in delay +- jitter. */
static uint64_t draw_delay(struct impair *m)
{
	uint64_t delay = m->c.opt.delay_ns, jitter = m->c.opt.jitter_ns;
	uint64_t low = delay > jitter ? delay - jitter : 0;

	if (!jitter)
		return delay;
	return low + rng_u64(&m->rng) % (delay + jitter - low + 1);
}

static void join_line(struct impair *m, struct impair_pkt *k, uint64_t due_ns)
{
	k->due_ns = max_u64(due_ns, m->last_due_ns);
	m->last_due_ns = k->due_ns;
	list_push_back(&m->line, &k->node);
	m->n_line++;
}

static void unhold(struct impair *m, uint32_t i)
{
	m->n_held--;
	for (; i < m->n_held; i++) {
		m->held[i] = m->held[i + 1];
		m->behind[i] = m->behind[i + 1];
	}
}

/* A packet has passed those held back: who has let enough of them go first follows it. */
static void pass_held(struct impair *m)
{
	for (uint32_t i = 0; i < m->n_held;) {
		struct impair_pkt *k = m->held[i];

		if (--m->behind[i] > 0) {
			i++;
			continue;
		}
		unhold(m, i);
		join_line(m, k, k->due_ns - IMPAIR_REORDER_HOLD_NS);
	}
}

/* Takes k: throttled, delayed, perhaps held back. */
static void enter(struct impair *m, struct impair_pkt *k, uint64_t now_ns)
{
	uint64_t due;

	if (!throttle(m, k->bytes, now_ns, &due)) {
		m->stats.queue_drops++;
		decide(m, TG_IMPAIR_QUEUE, k->tag, now_ns);
		impair_free(m, k);
		return;
	}
	k->order = m->order++;
	due = sat_add_u64(sat_add_u64(due, m->c.latency_ns), draw_delay(m));
	if (m->n_held < IMPAIR_HELD_MAX && chance(m, m->c.opt.reorder_ppm)) {
		m->behind[m->n_held] = (uint8_t)(1 + rng_below(&m->rng, IMPAIR_REORDER_MAX));
		m->held[m->n_held++] = k;
		k->due_ns = sat_add_u64(max_u64(due, m->last_due_ns), IMPAIR_REORDER_HOLD_NS);
		m->stats.reordered++;
		decide(m, TG_IMPAIR_REORDER, k->tag, now_ns);
		return;
	}
	join_line(m, k, due);
	pass_held(m);
}

static void corrupt(struct impair *m, struct impair_pkt *k, uint64_t now_ns)
{
	uint32_t from = m->c.link == TG_LINK_ETHERNET ? ETH_HDR_BYTES : 0, bit;

	if (k->bytes <= from)
		return;
	bit = rng_below(&m->rng, (k->bytes - from) * 8);
	k->data[from + bit / 8] = (uint8_t)(k->data[from + bit / 8] ^ 1u << bit % 8);
	m->stats.corrupted++;
	decide(m, TG_IMPAIR_CORRUPT, k->tag, now_ns);
}

static void no_room(struct impair *m, uint64_t tag, uint64_t now_ns)
{
	m->stats.queue_drops++;
	decide(m, TG_IMPAIR_QUEUE, tag, now_ns);
}

/* [3168 5] marks k if it comes to a long queue, or by chance. */
static void mark(struct impair *m, struct impair_pkt *k)
{
	bool ethernet = m->c.link == TG_LINK_ETHERNET;
	uint32_t off = ethernet ? ETH_HDR_BYTES : 0;
	bool wanted = chance(m, m->c.opt.ce_ppm) ||
		      (m->c.opt.ce_pkts && m->dep_count >= m->c.opt.ce_pkts);
	struct eth_hdr h;

	if (!wanted || k->bytes < off + 20 || ip_get_version(k->data + off, 1) != 4 ||
		(ethernet && (eth_parse(k->data, k->bytes, &h) != TG_DROP_NONE ||
				     h.type != ETH_TYPE_IP4)))
		return;
	if (ip4_mark_ce(k->data + off))
		m->stats.marked++;
}

/* One packet of the wire: what becomes of it. */
static void impair_packet(struct impair *m, struct segmenter *g, uint64_t tag, uint64_t now_ns)
{
	struct impair_pkt *k = pkt_new(m, segment_next_bytes(g)), *twin;

	if (!k) { /* the cut goes on with the next packet */
		no_room(m, tag, now_ns);
		segment_skip(g);
		return;
	}
	segment_next(g, k->data);
	k->tag = tag;
	mark(m, k);
	if (chance(m, m->c.opt.drop_ppm)) {
		m->stats.dropped++;
		decide(m, TG_IMPAIR_DROP, tag, now_ns);
		impair_free(m, k);
		return;
	}
	twin = chance(m, m->c.opt.dup_ppm) ? pkt_new(m, k->bytes) : NULL;
	if (twin) {
		memcpy(twin->data, k->data, k->bytes);
		twin->tag = tag;
		m->stats.duplicated++;
		decide(m, TG_IMPAIR_DUP, tag, now_ns);
	}
	if (chance(m, m->c.opt.corrupt_ppm))
		corrupt(m, k, now_ns);
	enter(m, k, now_ns);
	if (twin)
		enter(m, twin, now_ns);
}

/* Nothing to impair: the frame stays whole. */
static void put_whole(struct impair *m, const struct tg_frame *f, uint64_t tag, uint64_t now_ns)
{
	struct impair_pkt *k = pkt_new(m, f->bytes);

	if (!k) {
		no_room(m, tag, now_ns);
		return;
	}
	segment_gather(f, 0, f->bytes, k->data);
	k->tag = tag;
	k->gso = f->gso;
	k->gso_size = f->gso_size;
	k->csum = f->csum_partial ? TG_CSUM_PARTIAL : TG_CSUM_UNKNOWN;
	enter(m, k, now_ns);
}

void impair_put(struct impair *m, const struct tg_frame *f, uint64_t first_tag, uint64_t now_ns)
{
	struct segmenter g;

	if (!m->active) {
		put_whole(m, f, first_tag, now_ns);
		return;
	}
	segment_begin(&g, m->c.link, f, m->c.sum);
	for (uint64_t tag = first_tag; segment_next_bytes(&g); tag++)
		impair_packet(m, &g, tag, now_ns);
}

/* ---- Leaving --------------------------------------------------------------------------------- */

/* Index of the packet held back whose patience ends first, n_held: none. */
static uint32_t first_held(const struct impair *m)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < m->n_held; i++) {
		if (m->held[i]->due_ns < m->held[best]->due_ns)
			best = i;
	}
	return m->n_held ? best : 0;
}

static struct impair_pkt *line_head(const struct impair *m)
{
	return list_empty(&m->line) ? NULL : list_entry(m->line.next, struct impair_pkt, node);
}

uint64_t impair_next(const struct impair *m)
{
	const struct impair_pkt *k = line_head(m);
	uint64_t t = k ? k->due_ns : NEVER_NS;

	return m->n_held ? min_u64(t, m->held[first_held(m)]->due_ns) : t;
}

struct impair_pkt *impair_pop(struct impair *m, uint64_t now_ns)
{
	struct impair_pkt *k = line_head(m);
	uint32_t h = first_held(m);

	if (m->n_held && (!k || m->held[h]->due_ns < k->due_ns)) {
		k = m->held[h];
		if (k->due_ns > now_ns)
			return NULL;
		unhold(m, h);
	} else {
		if (!k || k->due_ns > now_ns)
			return NULL;
		list_del(&k->node);
		m->n_line--;
	}
	m->stats.passed++;
	return k;
}

uint32_t impair_count(const struct impair *m)
{
	return m->n_line + m->n_held;
}
