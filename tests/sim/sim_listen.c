/* Applications that listen: accept with or without pauses, close under load, open again. */
#include "sim.h"

#define RETRY_NS (10 * NS_PER_MS)

void listener_open(unsigned h, unsigned which)
{
	struct host *host = &sim->host[h];
	struct listener *l = &host->listener[which];
	struct tg_addr a = {{{0}}, (uint16_t)(SIM_PORT + which)};
	int r;

	if (l->k || l->wake_ns > sim->now_ns)
		return;
	r = tg_sock_open(host->s, TG_STREAM, 0, 2ull << 32 | which, &l->k);
	if (r == 0)
		r = tg_sock_setopt(host->s, l->k, TG_SO_REUSEADDR, 1, sim->now_ns);
	if (r == 0)
		r = tg_sock_bind(host->s, l->k, &a);
	if (r == 0)
		r = tg_sock_listen(host->s, l->k, sim->plan.host[h].backlog, sim->now_ns);
	l->wake_ns = r == 0 ? NEVER_NS : sim->now_ns + RETRY_NS;
	if (r == 0)
		return;
	SIM_CHECK(r == -TG_ENOMEM && host->failing);
	if (l->k)
		tg_sock_close(host->s, l->k, sim->now_ns);
	l->k = 0;
}

void listener_close(unsigned h, unsigned which)
{
	struct listener *l = &sim->host[h].listener[which];

	if (!l->k)
		return;
	SIM_CHECK(tg_sock_close(sim->host[h].s, l->k, sim->now_ns) == 0);
	memset(l, 0, sizeof(*l));
	for (uint32_t i = 0; i < sim->plan.n_flows; i++) {
		const struct flow_plan *p = &sim->plan.flow[i];
		struct flow *f = &sim->flow[i];

		if (f->started && !f->done && p->kind == OPEN_LISTENER && p->host[1] == h &&
			p->listener == which && f->end[1].state == END_WAITING) {
			flow_disturb(i);
			flow_check_done(i);
		}
	}
}

/* The flow that a connection from that peer belongs to, SIM_FLOWS: none. */
static uint32_t flow_of_peer(unsigned h, unsigned which, const struct tg_addr *peer)
{
	unsigned from = (tg_ip4_value(&peer->ip) & 0xff) - 1;
	uint32_t i = from < SIM_HOSTS ? sim->port_flow[from][peer->port] : 0;

	for (; i; i = sim->flow[i - 1].next)
		if (sim->plan.flow[i - 1].host[1] == h && sim->plan.flow[i - 1].listener == which)
			return i - 1;
	return SIM_FLOWS;
}

static void accepted(unsigned h, unsigned which, tg_sock k)
{
	struct tg *s = sim->host[h].s;
	struct tg_addr peer;
	uint32_t i;

	SIM_CHECK(tg_sock_peer_addr(s, k, &peer) == 0);
	i = flow_of_peer(h, which, &peer);
	if (i == SIM_FLOWS) {
		sim_fail("accepted a connection of no flow");
		return;
	}
	flow_accepted(i, k);
}

static void accept_turn(unsigned h, unsigned which)
{
	struct listener *l = &sim->host[h].listener[which];
	uint64_t pause_ns = sim->plan.host[h].accept_pause_ns;

	while (l->k && l->can_accept && l->wake_ns == NEVER_NS) {
		tg_sock k;
		int r = tg_sock_accept(sim->host[h].s, l->k, 0, &k, sim->now_ns);

		if (r == 0)
			accepted(h, which, k);
		else if (r == -TG_EAGAIN)
			l->can_accept = false;
		else
			SIM_CHECK(r == -TG_ENOMEM && sim->host[h].failing);
		if (r == -TG_ENOMEM || (r == 0 && pause_ns))
			l->wake_ns = sim->now_ns + (r ? RETRY_NS : pause_ns);
		if (sim->failed)
			return;
	}
}

void listener_event(unsigned h, unsigned which)
{
	sim->host[h].listener[which].can_accept = true;
	accept_turn(h, which);
}

uint64_t listeners_next_ns(void)
{
	uint64_t t = NEVER_NS;

	for (unsigned h = 0; h < sim->plan.n_hosts; h++)
		for (unsigned l = 0; l < SIM_LISTEN; l++)
			if (!sim->draining &&
				(sim->host[h].listener[l].k || sim->host[h].listener[l].wake_ns))
				t = min_u64(t, sim->host[h].listener[l].wake_ns);
	return t;
}

void listeners_run(void)
{
	for (unsigned h = 0; h < sim->plan.n_hosts && !sim->draining; h++)
		for (unsigned w = 0; w < SIM_LISTEN; w++) {
			struct listener *l = &sim->host[h].listener[w];

			if (!l->wake_ns || l->wake_ns > sim->now_ns)
				continue;
			if (l->k)
				l->wake_ns = NEVER_NS;
			listener_open(h, w);
			accept_turn(h, w);
		}
}
