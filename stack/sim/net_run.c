/* The network simulator's clock: everything that is due, in a fixed order, then the next time
 * anything is due; at the end the figures, and what was expected of them. */
#include "sim/net.h"

/* ---- Turning ---- */

/* Timeouts of flows, from the trace of a sender's host. */
static void watch_timeouts(struct net *n, uint32_t node, uint64_t *cursor)
{
	struct tg_trace t;

	while (tg_trace_next(n->node[node].s, cursor, &t, NULL)) {
		if (t.kind != TG_TRACE_CONGESTION || t.a != TG_CONG_RTO)
			continue;
		for (uint32_t i = 0; i < n->n_flows; i++)
			if (n->flow[i].from == node && t.rport == NET_PORT_FIRST + i)
				n->flow[i].out->timeouts++;
	}
}

static void turn_host(struct net *n, uint32_t i, uint64_t *cursor)
{
	struct net_node *h = &n->node[i];
	struct tg_event e;

	if (!h->due && tg_next_deadline(h->s) > n->now_ns)
		return;
	h->due = false;
	while (tg_event(h->s, &e))
		net_flow_event(n, i, &e);
	tg_step(h->s, n->now_ns);
	while (tg_event(h->s, &e)) /* of timers */
		net_flow_event(n, i, &e);
	watch_timeouts(n, i, cursor);
}

static uint64_t next_time(const struct net *n)
{
	uint64_t t = NEVER_NS;

	for (uint32_t i = 0; i < n->n_nodes; i++) {
		const struct net_node *h = &n->node[i];

		if (h->s)
			t = min_u64(t, h->due ? n->now_ns : tg_next_deadline(h->s));
	}
	for (uint32_t i = 0; i < n->n_dirs; i++)
		t = min_u64(t, net_dir_next(&n->dir[i]));
	for (uint32_t i = 0; i < n->n_flows; i++)
		t = min_u64(t, net_flow_next(&n->flow[i]));
	return max_u64(t, n->now_ns);
}

static bool all_done(const struct net *n)
{
	for (uint32_t i = 0; i < n->n_flows; i++)
		if (!n->flow[i].done)
			return false;
	return true;
}

static void turn(struct net *n)
{
	uint64_t cursor[TG_SIM_NODES_MAX] = {0};

	while (n->now_ns < n->end_ns && !all_done(n)) {
		for (uint32_t i = 0; i < n->n_dirs; i++)
			net_dir_run(n, &n->dir[i]);
		for (uint32_t i = 0; i < n->n_flows; i++)
			if (net_flow_next(&n->flow[i]) <= n->now_ns)
				net_flow_run(n, &n->flow[i]);
		for (uint32_t i = 0; i < n->n_nodes; i++)
			if (n->node[i].s)
				turn_host(n, i, &cursor[i]);
		n->r->steps++;
		n->now_ns = min_u64(next_time(n), n->end_ns);
	}
}

/* ---- Figures ---- */

/* (sum x)^2 / (n * sum x^2), of goodputs scaled to 20 bits. */
static uint32_t jain_ppm(const struct net *n)
{
	uint64_t sum = 0, squares = 0, most = 1;

	for (uint32_t i = 0; i < n->n_flows; i++)
		most = max_u64(most, n->flow[i].out->goodput_bps);
	for (uint32_t i = 0; i < n->n_flows; i++) {
		uint64_t x = n->flow[i].out->goodput_bps / (most / 1048576 + 1);

		sum += x;
		squares += x * x;
	}
	return squares ? (uint32_t)(sum * sum / n->n_flows / (squares / 1000000 + 1)) : 0;
}

static void finish(struct net *n)
{
	uint64_t span_us;

	/* what ended early was measured until then */
	n->r->end_ns = n->now_ns;
	n->r->from_ns = n->from_ns;
	n->to_ns = max_u64(min_u64(n->to_ns, n->now_ns), n->from_ns);
	n->r->to_ns = n->to_ns;
	span_us = (n->to_ns - n->from_ns) / 1000;
	for (uint32_t i = 0; i < n->n_flows; i++)
		net_flow_finish(n, &n->flow[i]);
	for (uint32_t i = 0; i < n->n_dirs; i++) {
		struct tg_sim_link *l = n->dir[i].out;

		if (l->rate_bps >= 1000 && span_us)
			l->used_ppm = (uint32_t)min_u64(1000000,
				l->bytes * 8000000 / span_us * 1000 / (l->rate_bps / 1000));
	}
	n->r->jain_ppm = jain_ppm(n);
}

/* ---- Expectations ---- */

static uint64_t found(const struct net *n, const struct net_expect *e)
{
	const struct tg_sim_flow *f = &n->r->flow[e->flow];
	const struct tg_sim_link *l = &n->r->link[e->dir];

	switch ((enum net_quantity)e->what) {
	case NET_Q_GOODPUT: return f->goodput_bps;
	case NET_Q_RETRANSMITS: return f->retransmits;
	case NET_Q_TIMEOUTS: return f->timeouts;
	case NET_Q_TIME: return f->end_ns == NEVER_NS ? NEVER_NS : f->end_ns - f->start_ns;
	case NET_Q_DELIVERED: return f->delivered_bytes;
	case NET_Q_ERROR: return (uint64_t)f->error;
	case NET_Q_COMPLETE: return f->complete;
	case NET_Q_JAIN: return n->r->jain_ppm;
	case NET_Q_USED: return l->used_ppm;
	case NET_Q_DROPS: return l->queue_drops;
	case NET_Q_WAIT: return l->wait_mean_ns;
	}
	return 0;
}

static bool compares(uint64_t a, enum net_compare how, uint64_t b)
{
	switch (how) {
	case NET_EQ: return a == b;
	case NET_NE: return a != b;
	case NET_LT: return a < b;
	case NET_LE: return a <= b;
	case NET_GT: return a > b;
	case NET_GE: return a >= b;
	}
	return false;
}

static bool check(struct net *n)
{
	bool all = true;

	n->r->n_expects = n->n_expects;
	for (uint32_t i = 0; i < n->n_expects; i++) {
		struct tg_sim_expect *out = &n->r->expect[i];

		out->line = n->expect[i].line;
		out->got = found(n, &n->expect[i]);
		out->holds = compares(
			out->got, (enum net_compare)n->expect[i].compare, n->expect[i].value);
		all = all && out->holds;
	}
	return all;
}

static enum tg_sim_verdict no_memory(struct tg_sim_report *r)
{
	static const char why[] = "not enough memory for this network";

	memcpy(r->message, why, sizeof(why));
	return TG_SIM_ERROR;
}

enum tg_sim_verdict tg_sim_run(
	const struct tg_sim_options *o, const char *text, size_t bytes, struct tg_sim_report *r)
{
	struct arena *a = arena_init(o->mem, o->mem_bytes / 2, 0);
	struct net *n = a ? arena_alloc(a, sizeof(*n)) : NULL;

	memset(r, 0, sizeof(*r));
	if (!n)
		return no_memory(r);
	n->arena = a;
	n->r = r;
	if (!net_parse(n, o, text, bytes))
		return TG_SIM_ERROR;
	r->n_flows = n->n_flows;
	r->n_links = n->n_dirs;
	for (uint32_t i = 0; i < n->n_dirs; i++)
		net_dir_init(n, i);
	net_find_ways(n);
	if (!net_nodes_start(n, o) || !net_flows_start(n))
		return no_memory(r);
	turn(n);
	finish(n);
	return check(n) ? TG_SIM_OK : TG_SIM_FAILED;
}
