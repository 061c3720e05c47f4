/* The network simulator's language, a statement a line. tests/sim/net/README.md describes it. */
#include "sim/net.h"
#include "sim/net_words.h"

static bool add_node(struct net_text *t, struct net *n, bool router, const struct tg_config *cfg)
{
	struct net_node *h = &n->node[n->n_nodes];
	const char *why = NULL;

	if (n->n_nodes == TG_SIM_NODES_MAX)
		return net_fail(t, "too many nodes");
	if (!net_name(t, h->name))
		return false;
	for (uint32_t i = 0; i < n->n_nodes; i++)
		if (memcmp(n->node[i].name, h->name, TG_SIM_NAME_BYTES) == 0)
			why = "this node is there already";
	if (why)
		return net_fail(t, why);
	h->router = router;
	h->cfg = *cfg;
	n->n_nodes++;
	return router ? net_end(t) : net_host_options(t, &h->cfg);
}

static bool find_node(struct net_text *t, const struct net *n, uint16_t *out)
{
	char name[TG_SIM_NAME_BYTES];

	if (!net_name(t, name))
		return false;
	for (uint16_t i = 0; i < n->n_nodes; i++) {
		*out = i;
		if (memcmp(n->node[i].name, name, TG_SIM_NAME_BYTES) == 0)
			return true;
	}
	return net_fail(t, "no such node");
}

/* ---- Links ---- */

static bool outage(struct net_text *t, struct net_dir_config *c)
{
	uint64_t from, to;

	if (c->n_outages == NET_OUTAGES_MAX)
		return net_fail(t, "too many outages");
	if (!net_span(t, &from, &to))
		return false;
	c->outage[c->n_outages].from_ns = from;
	c->outage[c->n_outages++].to_ns = to;
	return true;
}

static bool gilbert_elliott(struct net_text *t, struct net_dir_config *c)
{
	c->ge_bad_ppm = 1000000;
	c->ge_good_ppm = 0;
	if (!net_ppm(t, &c->ge_p_ppm) || !net_ppm(t, &c->ge_r_ppm))
		return false;
	if (net_next_is_number(t) && !net_ppm(t, &c->ge_bad_ppm))
		return false;
	if (net_next_is_number(t) && !net_ppm(t, &c->ge_good_ppm))
		return false;
	return true;
}

static bool reordering(struct net_text *t, struct net_dir_config *c)
{
	c->reorder_ns = 5 * NS_PER_MS;
	if (!net_ppm(t, &c->reorder_ppm))
		return false;
	return !net_next_is_number(t) || net_time(t, &c->reorder_ns);
}

static bool mtu(struct net_text *t, struct net_dir_config *c)
{
	uint64_t v;

	if (!net_count(t, 68, 65535, &v))
		return false;
	c->mtu = (uint32_t)v;
	return true;
}

static bool queue(struct net_text *t, struct net_dir_config *c)
{
	uint64_t v;

	if (!net_count(t, 1, 1u << 20, &v))
		return false;
	c->queue_pkts = (uint32_t)v;
	return true;
}

static bool link_option(struct net_text *t, struct net_dir_config *c)
{
	if (net_word(t, "rate"))
		return net_rate(t, &c->rate_bps);
	if (net_word(t, "delay"))
		return net_time(t, &c->delay_ns);
	if (net_word(t, "jitter"))
		return net_time(t, &c->jitter_ns);
	if (net_word(t, "queue"))
		return queue(t, c);
	if (net_word(t, "codel"))
		return c->codel = true;
	if (net_word(t, "ecn"))
		return c->ecn = c->codel = true;
	if (net_word(t, "target"))
		return net_time(t, &c->target_ns);
	if (net_word(t, "interval"))
		return net_time(t, &c->interval_ns);
	if (net_word(t, "loss"))
		return net_ppm(t, &c->loss_ppm);
	if (net_word(t, "gemodel"))
		return gilbert_elliott(t, c);
	if (net_word(t, "dup"))
		return net_ppm(t, &c->dup_ppm);
	if (net_word(t, "reorder"))
		return reordering(t, c);
	if (net_word(t, "mtu"))
		return mtu(t, c);
	if (net_word(t, "silent"))
		return c->silent = true;
	if (net_word(t, "down"))
		return outage(t, c);
	return net_fail(t, "no such property of a link");
}

static bool add_link(struct net_text *t, struct net *n)
{
	struct net_dir *d = &n->dir[n->n_dirs];
	unsigned first = 0, last = 1;

	if (n->n_dirs == 2 * TG_SIM_LINKS_MAX)
		return net_fail(t, "too many links");
	if (!find_node(t, n, &d[0].from) || !find_node(t, n, &d[0].to))
		return false;
	if (d[0].from == d[0].to)
		return net_fail(t, "a link joins two nodes");
	d[1].from = d[0].to;
	d[1].to = d[0].from;
	for (unsigned i = 0; i < 2; i++) {
		d[i].c.queue_pkts = 1000;
		d[i].c.target_ns = 5 * NS_PER_MS; /* [8289 4.2, 4.3] */
		d[i].c.interval_ns = 100 * NS_PER_MS;
	}
	while (net_more(t)) {
		struct net_text again = *t;

		if (net_word(t, "there")) {
			first = last = 0;
			continue;
		}
		if (net_word(t, "back")) {
			first = last = 1;
			continue;
		}
		for (unsigned i = first; i <= last; i++) {
			*t = again;
			if (!link_option(t, &d[i].c))
				return false;
		}
	}
	n->n_dirs += 2;
	return true;
}

/* ---- Flows ---- */

static bool flow_option(struct net_text *t, struct net_flow *f)
{
	if (net_word(t, "bytes"))
		return net_size(t, &f->asked_bytes);
	if (net_word(t, "start"))
		return net_time(t, &f->start_ns);
	if (net_word(t, "stop"))
		return net_time(t, &f->stop_ns);
	if (net_word(t, "write"))
		return net_size(t, &f->chunk_bytes);
	if (net_word(t, "every"))
		return net_time(t, &f->every_ns);
	return net_fail(t, "no such property of a flow");
}

static bool add_flow(struct net_text *t, struct net *n)
{
	struct net_flow *f = &n->flow[n->n_flows];

	if (n->n_flows == TG_SIM_FLOWS_MAX)
		return net_fail(t, "too many flows");
	f->out = &n->r->flow[n->n_flows];
	f->out->end_ns = NEVER_NS;
	f->asked_bytes = f->stop_ns = NEVER_NS;
	if (!net_name(t, f->out->name) || !find_node(t, n, &f->from) || !find_node(t, n, &f->to))
		return false;
	if (f->from == f->to || n->node[f->from].router || n->node[f->to].router)
		return net_fail(t, "a flow goes from one host to another");
	while (net_more(t))
		if (!flow_option(t, f))
			return false;
	if ((f->chunk_bytes != 0) != (f->every_ns != 0))
		return net_fail(t, "write and every belong together");
	f->out->asked_bytes = f->asked_bytes;
	f->out->cc = tg_cc_name(n->node[f->from].cfg.tcp.cc);
	n->n_flows++;
	return true;
}

/* ---- Expectations ---- */

static bool find_flow(struct net_text *t, const struct net *n, uint16_t *out)
{
	char name[TG_SIM_NAME_BYTES];

	if (!net_name(t, name))
		return false;
	for (uint16_t i = 0; i < n->n_flows; i++) {
		*out = i;
		if (memcmp(n->flow[i].out->name, name, TG_SIM_NAME_BYTES) == 0)
			return true;
	}
	return net_fail(t, "no such flow");
}

static bool find_dir(struct net_text *t, const struct net *n, uint16_t *out)
{
	uint16_t from, to;

	if (!find_node(t, n, &from) || !find_node(t, n, &to))
		return false;
	for (uint16_t i = 0; i < n->n_dirs; i++) {
		*out = i;
		if (n->dir[i].from == from && n->dir[i].to == to)
			return true;
	}
	return net_fail(t, "no such link");
}

static bool comparison(struct net_text *t, struct net_expect *e)
{
	static const char *const sign[] = {"==", "!=", "<", "<=", ">", ">="};

	for (uint8_t i = 0; i < ARRAY_LEN(sign); i++) {
		e->compare = i;
		if (net_word(t, sign[i]))
			return true;
	}
	return net_fail(t, "wants ==, !=, <, <=, > or >=");
}

static bool expected_value(struct net_text *t, struct net_expect *e)
{
	uint32_t ppm;

	switch ((enum net_quantity)e->what) {
	case NET_Q_GOODPUT: return net_rate(t, &e->value);
	case NET_Q_DELIVERED: return net_size(t, &e->value);
	case NET_Q_TIME:
	case NET_Q_WAIT: return net_time(t, &e->value);
	case NET_Q_JAIN:
	case NET_Q_USED:
		if (!net_ppm(t, &ppm))
			return false;
		e->value = ppm;
		return true;
	case NET_Q_RETRANSMITS:
	case NET_Q_TIMEOUTS:
	case NET_Q_ERROR:
	case NET_Q_COMPLETE:
	case NET_Q_DROPS: return net_count(t, 0, UINT32_MAX, &e->value);
	}
	return false;
}

static bool of_a_flow(struct net_text *t, struct net_expect *e)
{
	static const struct {
		const char *name;
		uint8_t what;
	} q[] = {
		{"goodput", NET_Q_GOODPUT},
		{"retransmits", NET_Q_RETRANSMITS},
		{"timeouts", NET_Q_TIMEOUTS},
		{"time", NET_Q_TIME},
		{"delivered", NET_Q_DELIVERED},
		{"error", NET_Q_ERROR},
		{"complete", NET_Q_COMPLETE},
	};

	for (size_t i = 0; i < ARRAY_LEN(q); i++) {
		e->what = q[i].what;
		if (net_word(t, q[i].name))
			return true;
	}
	return net_fail(t, "no such figure of a flow");
}

static bool of_a_link(struct net_text *t, struct net_expect *e)
{
	if (net_word(t, "used"))
		e->what = NET_Q_USED;
	else if (net_word(t, "drops"))
		e->what = NET_Q_DROPS;
	else if (net_word(t, "wait"))
		e->what = NET_Q_WAIT;
	else
		return net_fail(t, "no such figure of a link");
	return true;
}

static bool add_expect(struct net_text *t, struct net *n)
{
	struct net_expect *e = &n->expect[n->n_expects];

	if (n->n_expects == TG_SIM_EXPECT_MAX)
		return net_fail(t, "too many expectations");
	e->line = t->line;
	if (net_word(t, "jain")) {
		e->what = NET_Q_JAIN;
	} else if (net_word(t, "link")) {
		if (!find_dir(t, n, &e->dir) || !of_a_link(t, e))
			return false;
	} else if (!find_flow(t, n, &e->flow) || !of_a_flow(t, e)) {
		return false;
	}
	n->n_expects++;
	return comparison(t, e) && expected_value(t, e) && net_end(t);
}

/* ---- The whole ---- */

static void set_seed(struct net *n, uint64_t v)
{
	for (unsigned i = 0; i < 8; i++)
		n->seed[i] = (uint8_t)(v >> 8 * i);
}

static bool statement(struct net_text *t, struct net *n, struct tg_config *cfg)
{
	uint64_t v;

	if (net_word(t, "host"))
		return add_node(t, n, false, cfg);
	if (net_word(t, "router"))
		return add_node(t, n, true, cfg);
	if (net_word(t, "link"))
		return add_link(t, n);
	if (net_word(t, "flow"))
		return add_flow(t, n);
	if (net_word(t, "expect"))
		return add_expect(t, n);
	if (net_word(t, "hosts")) /* what those have that follow */
		return net_host_options(t, cfg);
	if (net_word(t, "time"))
		return net_time(t, &n->end_ns) && net_end(t);
	if (net_word(t, "measure"))
		return net_span(t, &n->from_ns, &n->to_ns) && net_end(t);
	if (net_word(t, "seed")) {
		if (!net_count(t, 0, UINT32_MAX, &v))
			return false;
		set_seed(n, v);
		return net_end(t);
	}
	return net_fail(t, "wants host, router, link, flow, hosts, time, measure, seed or expect");
}

bool net_parse(struct net *n, const struct tg_sim_options *o, const char *text, size_t bytes)
{
	struct net_text t = {.at = text, .end = text + bytes, .r = n->r};
	struct tg_config cfg;

	tg_config_default(&cfg);
	if (o->cc && !net_cc(o->cc, &cfg.tcp.cc))
		return net_fail(&t, "no such congestion control");
	n->end_ns = 60 * NS_PER_SEC;
	n->to_ns = NEVER_NS;
	set_seed(n, o->seed);
	while (net_line(&t)) {
		if (net_more(&t) && !statement(&t, n, &cfg))
			return false;
	}
	if (n->n_flows == 0)
		return net_fail(&t, "no flow: nothing to do");
	return true;
}
