/* The instance: its configuration, its making, its keys, its table of transports and its timers.
 * Everything that an instance owns lies in the arena it is made in.
 *
 * Left out: what the protocols do with it (they hang themselves in: see core.h), and destroying an
 * instance, which is the creator's giving back its memory. */
#include "core/core.h"

#include "core/core_impl.h"

void tg_config_default(struct tg_config *c)
{
	memset(c, 0, sizeof(*c));
	c->trace_records = 4096;
	c->max_sockets = 1100000;
	c->share.count = 1;

	c->ip.default_ttl = 64;
	c->ip.reasm_bytes = 4u << 20;
	c->ip.reasm_timeout_ns = 60 * NS_PER_SEC;
	c->ip.arp_reachable_ns = 60 * NS_PER_SEC;
	c->ip.arp_stale_ns = 20 * 60 * NS_PER_SEC;
	c->ip.arp_entries = 1024;
	c->ip.icmp_errors_per_sec = 100;
	c->ip.icmp_echo = true;

	c->udp.rcvbuf_bytes = 212992;
	c->udp.sndbuf_bytes = 212992;

	c->tcp.rcvbuf_min_bytes = c->tcp.sndbuf_min_bytes = 4096;
	c->tcp.rcvbuf_bytes = c->tcp.sndbuf_bytes = 131072;
	c->tcp.rcvbuf_max_bytes = c->tcp.sndbuf_max_bytes = 16u << 20;
	c->tcp.moderate_rcvbuf = true;
	c->ip.min_pmtu = 552;
	c->ip.pmtu_expires_ns = 600 * NS_PER_SEC;
	c->tcp.window_scaling = true;
	c->tcp.timestamps = true;
	c->tcp.sack = true;
	c->tcp.dsack = true;
	c->tcp.recovery = TG_RECOVERY_RACK;
	c->tcp.tlp = true;
	c->tcp.tlp_ack_delay_ns = 200 * NS_PER_MS;
	c->tcp.tlp_min_ns = 10 * NS_PER_MS;
	c->tcp.max_reordering = 300;
	c->tcp.limited_transmit = true;
	c->tcp.prr = true;
	c->tcp.frto = 2;
	c->tcp.undo = true;
	c->tcp.initial_window_segs = 10;
	c->tcp.rto_initial_ns = NS_PER_SEC;
	c->tcp.rto_min_ns = 200 * NS_PER_MS;
	c->tcp.rto_max_ns = 120 * NS_PER_SEC;
	c->tcp.delack_ns = 40 * NS_PER_MS;
	c->tcp.msl_ns = 30 * NS_PER_SEC;
	c->tcp.fin_wait_2_ns = 60 * NS_PER_SEC;
	c->tcp.r2_ns = 15 * 60 * NS_PER_SEC;
	c->tcp.r2_syn_ns = 3 * 60 * NS_PER_SEC;
	c->tcp.r1_retransmits = 3;
	c->tcp.rest_after_ns = 10 * NS_PER_SEC;
	c->tcp.keepalive_idle_ns = 2 * 3600 * NS_PER_SEC;
	c->tcp.keepalive_interval_ns = 75 * NS_PER_SEC;
	c->tcp.keepalive_probes = 9;
	c->tcp.max_half_open = 65536;
	c->tcp.syncookies = 1;
	c->tcp.tw_reuse = 2;
	c->tcp.max_time_wait = 262144;
	c->tcp.port_first = 32768;
	c->tcp.port_last = 60999;
	c->tcp.ecn = 2;
	c->tcp.mtu_probing = 1;
	c->tcp.mtu_base = 1024;
	c->tcp.mtu_floor = 512;
	c->tcp.mtu_probe_interval_ns = 600 * NS_PER_SEC;
	c->tcp.fast_path = true;
	c->tcp.many_conns = 16384;
	c->tcp.challenge_acks = 10;
	c->tcp.cc = TG_CC_CUBIC;
	c->tcp.hystart = true;
	c->tcp.cwnd_validation = TG_CWV_RESTART;
}

/* A seed of nothing but zeros was forgotten: every key would be known to everybody. */
static bool seed_is_set(const uint8_t seed[32])
{
	uint8_t any = 0;

	for (unsigned i = 0; i < 32; i++)
		any |= seed[i];
	return any != 0;
}

static bool config_possible(const struct tg_config *c)
{
	if (!seed_is_set(c->seed) || c->max_sockets == 0)
		return false;
	if (c->trace_records & (c->trace_records - 1) || c->trace_records > CORE_TRACE_MAX)
		return false;
	if (c->share.count == 0 || c->share.count > CORE_SHARE_MAX ||
		c->share.index >= c->share.count)
		return false;
	/* Each has to have ports of its own to choose from. */
	if (c->share.count > c->tcp.port_last - c->tcp.port_first + 1)
		return false;
	/* The neighbour's index has 16 bits, 0xffff means none. */
	if (c->ip.default_ttl == 0 || c->ip.arp_entries == 0 || c->ip.arp_entries >= 0xffff)
		return false;
	if (c->ip.min_pmtu < 68) /* [791 3.2] */
		return false;
	if (c->udp.rcvbuf_bytes == 0 || c->udp.sndbuf_bytes == 0)
		return false;
	if (c->tcp.rcvbuf_bytes == 0 || c->tcp.sndbuf_bytes == 0)
		return false;
	/* Receive windows end at 2^30 [7323 2.3]. */
	if (c->tcp.rcvbuf_bytes > 1u << 30 || c->tcp.sndbuf_bytes > 1u << 30)
		return false;
	if (c->tcp.rcvbuf_max_bytes > 1u << 30 || c->tcp.sndbuf_max_bytes > 1u << 30)
		return false;
	if (c->tcp.initial_window_segs == 0 || c->tcp.rto_min_ns == 0)
		return false;
	if (c->tcp.rto_min_ns > c->tcp.rto_max_ns || c->tcp.rto_initial_ns > c->tcp.rto_max_ns)
		return false;
	if (c->tcp.syncookies > 2 || c->tcp.tw_reuse > 2)
		return false;
	if (c->tcp.ecn > 2 || c->tcp.mtu_probing > 2 || c->tcp.mtu_floor < 8 ||
		c->tcp.mtu_base < c->tcp.mtu_floor || c->tcp.mtu_base > 32768)
		return false;
	if (c->tcp.port_first == 0 || c->tcp.port_first > c->tcp.port_last)
		return false;
	if (c->tcp.cc >= TG_CC_COUNT || c->tcp.cwnd_validation > TG_CWV_7661)
		return false;
	return true;
}

static bool memory_init(struct tg *s)
{
	if (s->cfg.trace_records) {
		s->trace = core_alloc(s, s->cfg.trace_records * sizeof(struct tg_trace));
		if (!s->trace)
			return false;
	}
	return handle_init(s) && pkt_reserve_init(s);
}

struct tg *core_create(const struct tg_config *c, void *mem, size_t reserved_bytes, uint64_t now_ns)
{
	struct arena *a;
	struct tg *s;

	if (!c || !mem || (uintptr_t)mem % ARENA_PAGE_BYTES || !config_possible(c))
		return NULL;
	a = arena_init(mem, reserved_bytes, (size_t)c->budget_bytes);
	if (!a)
		return NULL;
	s = arena_alloc(a, sizeof(*s));
	if (!s)
		return NULL;
	memset(s, 0, sizeof(*s));
	s->arena = a;
	s->cfg = *c;
	s->csum = c->csum ? c->csum : csum_add_wide;
	s->now_ns = min_u64(now_ns, CORE_TIME_MAX_NS);
	s->busy_netif = CORE_NETIF_NONE;
	rng_init(&s->rng, s->cfg.seed, KEY_RNG);
	wheel_init(&s->wheel, now_ns);
	list_init(&s->senders);
	list_init(&s->events);
	if (!memory_init(s))
		return NULL;
	netif_add_loopback(s);
	return s;
}

struct sipkey core_key(const struct tg *s, enum key_purpose purpose)
{
	return sipkey_derive(s->cfg.seed, purpose);
}

int core_add_transport(struct tg *s, const struct transport *t)
{
	if (core_find_transport(s, t->proto))
		return -TG_EEXIST;
	if (s->n_transports == ARRAY_LEN(s->transports))
		return -TG_ENOMEM;
	s->transports[s->n_transports++] = t;
	return 0;
}

const struct transport *core_find_transport(const struct tg *s, uint8_t proto)
{
	for (uint32_t i = 0; i < s->n_transports; i++)
		if (s->transports[i]->proto == proto)
			return s->transports[i];
	return NULL;
}

/* ---- Timers ---- */

#define TIMERS_AHEAD 4u

void timer_init(struct timer *t, enum timer_kind kind)
{
	wheel_node_init(&t->w);
	t->kind = kind;
}

void timer_arm(struct tg *s, struct timer *t, uint64_t deadline_ns)
{
	wheel_arm(&s->wheel, &t->w, deadline_ns);
}

void timer_stop(struct tg *s, struct timer *t)
{
	wheel_stop(&s->wheel, &t->w);
}

/* Of those that are due, the one that is so many turns away. */
static void fetch_ahead(const struct tg *s)
{
	struct wheel_node *n = wheel_due(&s->wheel, TIMERS_AHEAD);
	const struct timer *t = n ? container_of(n, struct timer, w) : NULL;

	if (t && s->timer_ahead_fn[t->kind])
		s->timer_ahead_fn[t->kind](t);
}

void timers_fire(struct tg *s)
{
	struct wheel_node *n;

	while ((n = wheel_pop(&s->wheel, s->now_ns))) {
		struct timer *t = container_of(n, struct timer, w);

		if (s->many)
			fetch_ahead(s);
		ASSERT(t->kind < TIMER_KINDS && s->timer_fn[t->kind]);
		s->timer_fn[t->kind](s, t);
	}
}
