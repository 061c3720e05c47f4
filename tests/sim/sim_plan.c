/* Draws a plan from a seed: hosts and their configuration, wires and what they do to packets,
 * traffic, mishaps. */
#include "sim.h"

static const struct end_plan plain_end = {
	.write_max = 65536,
	.read_max = 65536,
	.finish = FINISH_SHUTDOWN,
};

static void plan_host(struct host_plan *h, uint64_t seed, unsigned i)
{
	struct sim_rng r = {seed ^ 0x5eed0000 ^ i};

	tg_config_default(&h->cfg);
	for (unsigned b = 0; b < sizeof(h->cfg.seed); b++)
		h->cfg.seed[b] = (uint8_t)sim_u64(&r);
	h->mtu = 1500;
	h->caps = TG_CAP_CSUM | TG_CAP_TSO4 | TG_CAP_USO4;
	h->backlog = 128;
}

void plan_default(struct plan *p, uint64_t seed)
{
	memset(p, 0, sizeof(*p));
	p->seed = seed;
	p->n_hosts = 2;
	p->batch = true;
	for (unsigned i = 0; i < SIM_HOSTS; i++)
		plan_host(&p->host[i], seed, i);
	for (unsigned w = 0; w < SIM_WIRES; w++) {
		tg_impair_default(&p->wire[w].impair[0]);
		tg_impair_default(&p->wire[w].impair[1]);
	}
}

struct flow_plan *plan_add_flow(
	struct plan *p, unsigned a, unsigned b, uint32_t a_bytes, uint32_t b_bytes)
{
	uint32_t i = p->n_flows++;
	struct flow_plan *f = &p->flow[i];

	memset(f, 0, sizeof(*f));
	f->host[0] = (uint8_t)a;
	f->host[1] = (uint8_t)b;
	f->end[0] = plain_end;
	f->end[1] = plain_end;
	f->end[0].cc = f->end[1].cc = TG_CC_COUNT;
	f->end[0].bytes = a_bytes;
	f->end[1].bytes = b_bytes;
	f->end[0].key = sim_mix(p->seed * 4099 + 2 * i + 1);
	f->end[1].key = sim_mix(p->seed * 4099 + 2 * i + 2);
	return f;
}

/* ---- The network ---- */

static uint32_t draw_mtu(struct sim_rng *r)
{
	static const uint32_t mtus[] = {1500, 1500, 1500, 1500, 576, 1280, 9000, 128, 4000};

	return sim_chance(r, 80) ? mtus[sim_below(r, ARRAY_LEN(mtus))] : sim_between(r, 128, 9000);
}

static uint32_t draw_caps(struct sim_rng *r)
{
	static const uint32_t caps[] = {0, TG_CAP_CSUM, TG_CAP_CSUM | TG_CAP_TSO4,
		TG_CAP_CSUM | TG_CAP_USO4, TG_CAP_CSUM | TG_CAP_TSO4 | TG_CAP_USO4};

	return caps[sim_below(r, ARRAY_LEN(caps))];
}

/* Loss in ppm: none, a little, some, much, extreme. */
static uint32_t draw_loss(struct sim_rng *r, uint32_t level)
{
	static const uint32_t most[] = {0, 20000, 100000, 300000, 500000};

	return level && sim_chance(r, 80) ? 1 + sim_below(r, most[level]) : 0;
}

static void draw_impair(struct plan *p, struct tg_impair *m, struct sim_rng *r, uint32_t level)
{
	tg_impair_default(m);
	m->drop_ppm = draw_loss(r, level);
	if (sim_chance(r, 40))
		m->dup_ppm = draw_loss(r, min_u32(level, 3));
	if (sim_chance(r, 50))
		m->reorder_ppm = draw_loss(r, level ? min_u32(level + 1, 4) : 0);
	if (sim_chance(r, 40))
		m->corrupt_ppm = draw_loss(r, min_u32(level, 3));
	if (sim_chance(r, 70))
		m->delay_ns = sim_u64(r) % ((sim_chance(r, 20) ? 400 : 20) * NS_PER_MS);
	if (sim_chance(r, 40))
		m->jitter_ns = sim_u64(r) % (m->delay_ns + NS_PER_MS);
	if (sim_chance(r, 25)) {
		m->rate_bps = 100000ull << sim_below(r, 12);
		m->queue_pkts = sim_between(r, 3, 200);
	}
	if (m->drop_ppm || m->corrupt_ppm || m->rate_bps)
		p->lossy = true;
	if (m->drop_ppm + m->corrupt_ppm > 50000 || (m->rate_bps && m->rate_bps < 2000000))
		p->very_lossy = true;
}

static uint32_t draw_wires(struct plan *p, struct sim_rng *r)
{
	static const uint8_t levels[] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 4};
	uint32_t level = levels[sim_below(r, ARRAY_LEN(levels))];

	for (unsigned w = 0; w + 1 < p->n_hosts; w++) {
		struct wire_plan *wp = &p->wire[w];

		draw_impair(p, &wp->impair[0], r, level);
		draw_impair(p, &wp->impair[1], r, level);
		if (sim_chance(r, 50))
			wp->latency_ns = sim_u64(r) % (50 * NS_PER_MS);
		if (sim_chance(r, 8)) {
			wp->dark_from_ns = 1 + sim_u64(r) % (3 * NS_PER_SEC);
			wp->dark_until_ns = wp->dark_from_ns + sim_u64(r) % (40 * NS_PER_SEC);
			wp->storm_ppm = sim_chance(r, 50) ? 500000 : 0;
			p->lossy = p->very_lossy = true;
		}
	}
	return level;
}

/* ---- Hosts ---- */

static uint32_t draw_buffer(struct sim_rng *r)
{
	static const uint32_t sizes[] = {
		4u << 20, 262144, 65536, 65535, 16384, 8192, 4096, 2048, 1000, 100};

	if (sim_chance(r, 3))
		return 1 + sim_below(r, 60);
	return sim_chance(r, 80) ? sizes[sim_below(r, ARRAY_LEN(sizes))]
				 : sim_between(r, 1000, 200000);
}

static void draw_tcp(struct tg_config *c, struct sim_rng *r)
{
	uint64_t more;

	c->tcp.timestamps = sim_chance(r, 75);
	c->tcp.sack = sim_chance(r, 75);
	c->tcp.window_scaling = sim_chance(r, 75);
	c->tcp.fast_path = sim_chance(r, 75);
	c->tcp.rcvbuf_bytes = draw_buffer(r);
	c->tcp.sndbuf_bytes = draw_buffer(r);
	c->tcp.rcvbuf_max_bytes = sim_chance(r, 50) ? c->tcp.rcvbuf_bytes : draw_buffer(r);
	c->tcp.sndbuf_max_bytes = sim_chance(r, 50) ? c->tcp.sndbuf_bytes : draw_buffer(r);
	c->tcp.moderate_rcvbuf = sim_chance(r, 80);
	if (sim_chance(r, 10))
		c->tcp.mem_high_bytes = c->tcp.mem_pressure_bytes = sim_between(r, 1, 4000000);
	c->tcp.initial_window_segs = (uint8_t)sim_between(r, 1, 10);
	more = sim_mix(r->v); /* takes nothing from what is drawn after it */
	c->tcp.cc = (uint8_t)(more % TG_CC_COUNT);
	c->tcp.hystart = (more >> 8) % 2;
	c->tcp.pacing = (more >> 16) % 4 == 0;
	c->tcp.cwnd_validation = (uint8_t)((more >> 24) % (TG_CWV_7661 + 1));
	c->tcp.isn_fixed = sim_chance(r, 80);
	c->tcp.isn = (sim_chance(r, 60) ? 0u : 0x80000000u) -
		     sim_below(r, sim_chance(r, 30) ? 4 : 20000);
	c->tcp.delack_ns = sim_between(r, 1, 500) * NS_PER_MS;
	c->tcp.rto_min_ns =
		sim_chance(r, 70) ? 200 * NS_PER_MS : sim_between(r, 10, 1000) * NS_PER_MS;
	/* not less than lets the retransmissions of a SYN-ACK last for its R2 */
	c->tcp.rto_max_ns = sim_between(r, 30, 120) * NS_PER_SEC;
	c->tcp.msl_ns = sim_between(r, 1, 30) * NS_PER_SEC;
	c->tcp.challenge_acks = sim_chance(r, 80) ? 10 : 1 + sim_below(r, 4);
	if (sim_chance(r, 10))
		c->tcp.max_half_open = sim_between(r, 1, 4);
	if (sim_chance(r, 10))
		c->tcp.max_time_wait = sim_between(r, 1, 4);
	if (sim_chance(r, 30))
		c->tcp.keepalive_idle_ns = sim_between(r, 1, 100) * NS_PER_SEC;
	if (sim_chance(r, 30))
		c->tcp.keepalive_interval_ns = sim_between(r, 1, 30) * NS_PER_SEC;
}

/* What came later draws from a generator of its own, so that the seeds from before keep their
 * meaning otherwise. */
static void draw_later(struct plan *p, struct host_plan *h, unsigned i)
{
	struct sim_rng r = {sim_mix(p->seed ^ (0x6d74750000ull + i))};

	h->cfg.tcp.ecn = (uint8_t)sim_below(&r, 3);
	h->cfg.tcp.mtu_probing = (uint8_t)sim_below(&r, 3);
	if (i + 1 < p->n_hosts && sim_chance(&r, 50)) {
		p->wire[i].impair[0].ce_ppm = sim_below(&r, 200000);
		p->wire[i].impair[1].ce_ppm = sim_below(&r, 200000);
	}
	if (sim_chance(&r, 60)) /* 0: never; else mostly as soon as it is idle */
		h->cfg.tcp.rest_after_ns = sim_chance(&r, 20) ? 0 : sim_u64(&r) % (2 * NS_PER_SEC);
}

/* Where the last ACK of a handshake may get lost, come late or twice, or find the accept queue
 * full, a cookie's connection may be reset, or made twice, or not at all: that is its price, and
 * the invariants would have to look away. */
static void draw_cookies(struct plan *p, struct sim_rng *r, uint32_t level)
{
	bool clean = level == 0 && !p->lossy;

	for (unsigned w = 0; w + 1 < p->n_hosts; w++)
		clean = clean && !p->wire[w].impair[0].jitter_ns && !p->wire[w].impair[1].jitter_ns;
	for (unsigned h = 0; h < p->n_hosts; h++) {
		uint32_t mode = sim_below(r, 3);

		if (clean && mode)
			p->host[h].backlog = max_u32(p->host[h].backlog, 1000);
		p->host[h].cfg.tcp.syncookies = clean ? (uint8_t)mode : 0;
	}
}

static void draw_host(struct plan *p, struct host_plan *h, struct sim_rng *r, uint32_t level)
{
	draw_tcp(&h->cfg, r);
	if (level >= 3)
		h->cfg.tcp.rto_max_ns = 30 * NS_PER_SEC;
	if (sim_chance(r, 20)) {
		h->cfg.ip.arp_reachable_ns = sim_between(r, 1, 20) * NS_PER_SEC;
		h->cfg.ip.arp_stale_ns = sim_between(r, 30, 60) * NS_PER_SEC;
	}
	if (sim_chance(r, 20))
		h->cfg.ip.reasm_bytes = sim_between(r, 70000, 300000);
	h->caps = draw_caps(r);
	h->announce = sim_chance(r, 30);
	if (sim_chance(r, 30))
		h->backlog = sim_between(r, 1, 5);
	if (sim_chance(r, 30))
		h->accept_pause_ns = sim_u64(r) % (2 * NS_PER_SEC);
	if (sim_chance(r, 12)) {
		h->fail_from_ns = 1 + sim_u64(r) % (2 * NS_PER_SEC);
		h->fail_until_ns = h->fail_from_ns + sim_u64(r) % (5 * NS_PER_SEC);
		h->fail_countdown = sim_between(r, 1, 50);
		h->fail_period = sim_chance(r, 20) ? 0 : sim_between(r, 1, 20);
		p->memory_fails = true;
	}
	if (sim_chance(r, 8)) {
		h->close_listener_ns = 1 + sim_u64(r) % (2 * NS_PER_SEC);
		h->reopen_listener_ns = h->close_listener_ns + sim_u64(r) % (5 * NS_PER_SEC);
	}
	if (sim_chance(r, 35)) {
		h->udp_count = sim_between(r, 1, 10);
		h->udp_max = sim_chance(r, 50) ? 60000 : 2000;
		h->udp_gap_ns = sim_u64(r) % (NS_PER_SEC / 2);
	}
	if (sim_chance(r, 25)) {
		h->ping_count = sim_between(r, 1, 10);
		h->ping_gap_ns = sim_u64(r) % (NS_PER_SEC / 2);
	}
}

/* ---- Traffic ---- */

static uint32_t draw_bytes(struct sim_rng *r, uint32_t most)
{
	if (sim_chance(r, 20))
		return 0;
	if (sim_chance(r, 30))
		return sim_below(r, min_u32(most, 2000) + 1);
	return sim_below(r, most + 1);
}

static uint8_t draw_finish(struct sim_rng *r)
{
	static const uint8_t rare[] = {
		FINISH_LAST, FINISH_LAST, FINISH_EARLY, FINISH_EARLY, FINISH_ABORT, FINISH_RESET};

	return sim_chance(r, 60) ? (uint8_t)FINISH_SHUTDOWN : rare[sim_below(r, ARRAY_LEN(rare))];
}

static void draw_end(struct end_plan *e, struct sim_rng *r)
{
	static const uint32_t sizes[] = {65536, 65536, 10000, 1460, 500, 33};

	e->write_max = sizes[sim_below(r, ARRAY_LEN(sizes))];
	e->read_max = sizes[sim_below(r, ARRAY_LEN(sizes))];
	e->write_max = max_u32(e->write_max, e->bytes / 200);
	e->read_max = max_u32(e->read_max, e->bytes / 200);
	e->finish = draw_finish(r);
	e->in_place = (uint8_t)sim_below(r, 8);
	e->nodelay = sim_chance(r, 40);
	e->more = sim_chance(r, 10);
	e->keepalive = sim_chance(r, 30);
	e->abort_bytes = sim_below(r, 20000);
	if (sim_chance(r, 25)) {
		e->pause_bytes = 1 + sim_below(r, 50000);
		e->pause_ns = sim_u64(r) % ((sim_chance(r, 15) ? 90 : 2) * NS_PER_SEC);
	}
	if (sim_chance(r, 20))
		e->think_ns = sim_u64(r) % (NS_PER_SEC / 10);
}

static void draw_flow(struct plan *p, struct sim_rng *r, uint32_t most)
{
	unsigned spoke = p->n_hosts > 2 ? 1 + sim_below(r, p->n_hosts - 1) : 1;
	bool swap = sim_chance(r, 50);
	struct flow_plan *f = plan_add_flow(
		p, swap ? spoke : 0, swap ? 0 : spoke, draw_bytes(r, most), draw_bytes(r, most));

	f->start_ns = sim_chance(r, 50) ? 0 : sim_u64(r) % (3 * NS_PER_SEC);
	f->listener = sim_chance(r, 60) ? 0 : (uint8_t)sim_below(r, SIM_LISTEN);
	if (sim_chance(r, 10))
		f->kind = OPEN_CROSSING;
	else if (sim_chance(r, 5))
		f->kind = OPEN_REFUSED;
	draw_end(&f->end[0], r);
	draw_end(&f->end[1], r);
	for (unsigned e = 0; e < 2; e++) /* a sleeper must come to an end */
		if (f->end[e].pause_bytes)
			f->end[e].pause_bytes =
				max_u32(f->end[e].pause_bytes, f->end[!e].bytes / 20);
	if (f->end[0].finish == FINISH_LAST && f->end[1].finish == FINISH_LAST)
		f->end[1].finish = FINISH_SHUTDOWN;
	if (sim_chance(r, 10)) /* both close at the same moment */
		f->end[0].close_together = f->end[1].close_together = true;
}

/* What came later draws from a generator of its own, so that the seeds of seeds.txt go on meaning
 * what they meant. */
static void draw_extras(struct plan *p)
{
	struct sim_rng r = {sim_mix(p->seed + 0x65787472)};

	for (uint32_t i = 0; i < 2 * p->n_flows; i++) {
		struct end_plan *e = &p->flow[i / 2].end[i % 2];

		if (sim_chance(&r, 4))
			e->impatient_ns = 1 + sim_u64(&r) % (100 * NS_PER_MS);
		if (p->very_lossy && sim_chance(&r, 10))
			e->user_timeout_ns = sim_between(&r, 2, 60) * NS_PER_SEC;
	}
	for (unsigned h = 0; h < p->n_hosts; h++) {
		p->host[h].udp_cut_percent = 25 * sim_below(&r, 4);
		p->host[h].udp_gro = sim_chance(&r, 50);
	}
}

/* From numbers of its own, so that seeds keep what they drew before there was a choice here. */
static void draw_repair(struct plan *p, uint64_t seed)
{
	struct sim_rng r = {sim_mix(seed + 0x7261636b)};

	for (unsigned h = 0; h < p->n_hosts; h++) {
		struct tg_config *c = &p->host[h].cfg;

		if (sim_chance(&r, 50))
			continue; /* as it comes */
		c->tcp.recovery = (uint8_t)sim_below(&r, 8);
		c->tcp.tlp = sim_chance(&r, 70);
		c->tcp.tlp_ack_delay_ns = sim_below(&r, 3) * 100 * NS_PER_MS;
		c->tcp.tlp_min_ns = sim_chance(&r, 50) ? 0 : 10 * NS_PER_MS;
		c->tcp.max_reordering = (uint16_t)sim_below(&r, 100);
		c->tcp.limited_transmit = sim_chance(&r, 70);
		c->tcp.prr = sim_chance(&r, 70);
		c->tcp.frto = (uint8_t)sim_below(&r, 3);
		c->tcp.undo = sim_chance(&r, 70);
		c->tcp.dsack = sim_chance(&r, 70);
	}
}

void plan_draw(struct plan *p, uint64_t seed)
{
	struct sim_rng r = {sim_mix(seed + 0x7461706c)};
	uint32_t level, most = sim_chance(&r, 20) ? 2000000 : 200000, smallest = UINT32_MAX, n;

	plan_default(p, seed);
	p->n_hosts = sim_chance(&r, 20) ? 3 : 2;
	p->batch = sim_chance(&r, 50);
	level = draw_wires(p, &r);
	for (unsigned h = 0; h < p->n_hosts; h++) {
		draw_host(p, &p->host[h], &r, level);
		draw_later(p, &p->host[h], h);
	}
	draw_cookies(p, &r, level);
	p->host[0].mtu = draw_mtu(&r);
	for (unsigned h = 1; h < p->n_hosts; h++)
		p->host[h].mtu = sim_chance(&r, 75) ? p->host[0].mtu : draw_mtu(&r);
	for (unsigned w = 0; w + 1 < p->n_hosts; w++)
		p->wire[w].mtu = max_u32(p->host[0].mtu, p->host[w + 1].mtu);
	for (unsigned h = 0; h < p->n_hosts; h++) {
		uint32_t b =
			min_u32(p->host[h].cfg.tcp.rcvbuf_bytes, p->host[h].cfg.tcp.sndbuf_bytes);

		smallest = min_u32(smallest, min_u32(p->host[h].mtu * 4, b));
		for (unsigned w = 0; w + 1 < p->n_hosts;
			w++) /* a slow link has no time for fragments */
			if (p->very_lossy)
				p->host[h].udp_max = min_u32(p->host[h].udp_max, 5000);
	}
	most = min_u32(most, smallest * 150);
	if (p->very_lossy)
		most = min_u32(most, 60000);
	n = sim_chance(&r, 70) ? sim_between(&r, 1, 4) : sim_between(&r, 5, 20);
	for (uint32_t i = 0; i < n; i++)
		draw_flow(p, &r, n > 4 ? most / 3 : most);
	draw_extras(p);
	draw_repair(p, seed);
	if (sim_chance(&r, 20))
		p->snapshot_event = sim_between(&r, 1, 2000);
}
