/* Path MTUs that ICMP told us, by destination.
 *
 * RFC 1191 6.3 (kept for ten minutes, then the interface's MTU is tried again), 3 (never below 68).
 * Nothing below cfg.ip.min_pmtu is believed, as in other stacks: such a path is sent datagrams of
 * that size without DF, for the router to fragment. A set of four holds what hashes to it; the one
 * that ends first makes room. Left out: probing upwards (tcp/tcp_mtu.c does). */
#include "ip/ip_private.h"

static void pmtu_timer(struct tg *s, struct timer *t)
{
	struct ip_state *ip = s->ip;
	uint64_t next_ns = NEVER_NS;

	for (uint32_t i = 0; i < IP_PMTU_SETS * IP_PMTU_WAYS; i++) {
		struct pmtu *m = &ip->pmtu[i / IP_PMTU_WAYS][i % IP_PMTU_WAYS];

		/* [1191 6.3] out of date: the next datagram tries the interface's MTU */
		if (m->dst && m->until_ns <= s->now_ns) {
			m->dst = 0;
			ip->n_pmtus--;
			ip_paths_expire(s);
		}
		if (m->dst)
			next_ns = min_u64(next_ns, m->until_ns);
	}
	if (next_ns != NEVER_NS)
		timer_arm(s, t, next_ns);
}

void pmtu_init(struct tg *s)
{
	timer_init(&s->ip->pmtu_timer, TIMER_IP_PMTU);
	s->timer_fn[TIMER_IP_PMTU] = pmtu_timer;
}

static struct pmtu *pmtu_set_of(const struct tg *s, uint32_t dst)
{
	return s->ip->pmtu[siphash(&s->ip->id_key, &dst, sizeof(dst)) % IP_PMTU_SETS];
}

uint16_t pmtu_get(const struct tg *s, uint32_t dst, uint32_t link_mtu, bool *no_df)
{
	uint16_t mtu = (uint16_t)min_u32(link_mtu, IP4_MAX_BYTES);
	const struct pmtu *set;

	*no_df = false;
	if (!s->ip->n_pmtus)
		return mtu;
	set = pmtu_set_of(s, dst);
	for (uint32_t i = 0; i < IP_PMTU_WAYS; i++) {
		if (set[i].dst != dst || set[i].until_ns <= s->now_ns)
			continue;
		*no_df = set[i].no_df;
		return set[i].mtu < mtu ? set[i].mtu : mtu;
	}
	return mtu;
}

void ip_set_pmtu(struct tg *s, const struct tg_ip *dst, uint32_t mtu)
{
	struct ip_state *ip = s->ip;
	uint32_t v = tg_ip4_value(dst);
	struct pmtu *m = NULL, *set;

	if (!ip_is_v4(dst) || ip4_is_zero_net(v) || ip4_is_mcast(v) || ip4_is_reserved(v) ||
		mtu >= ip_mtu(s, dst, NULL))
		return;
	set = pmtu_set_of(s, v);
	for (uint32_t i = 0; i < IP_PMTU_WAYS; i++)
		if (set[i].dst == v)
			m = &set[i];
	for (uint32_t i = 0; i < IP_PMTU_WAYS && !m; i++)
		if (!set[i].dst)
			m = &set[i];
	for (uint32_t i = 0; i < IP_PMTU_WAYS && (!m || m->dst); i++)
		if (!m || (m->dst != v && set[i].until_ns < m->until_ns))
			m = &set[i];
	if (!m->dst)
		ip->n_pmtus++;
	m->dst = v;
	m->no_df = mtu < s->cfg.ip.min_pmtu;
	m->mtu = (uint16_t)max_u32(mtu, s->cfg.ip.min_pmtu);
	m->until_ns = sat_add_u64(s->now_ns, s->cfg.ip.pmtu_expires_ns);
	ip_paths_expire(s);
	if (!wheel_armed(&ip->pmtu_timer.w))
		timer_arm(s, &ip->pmtu_timer, m->until_ns);
}
